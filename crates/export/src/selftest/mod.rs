//! The package's self-test: a few inputs, and the outputs that tract computes for them at export.
//!
//! The model is run part by part (prelude, layers, tail), one layer's weights in memory at a time, from the bytes that
//! were just written to `weights.bin`. So the test costs a layer's worth of memory whatever the size of the model, and
//! a blob written to the wrong place shows as a wrong number.

mod blobs;
mod cases;
mod engine;
mod programs;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tmoe_model::Config;
use tmoe_onnx::ExternalRef;
use tract_onnx::prelude::Tensor;

use self::blobs::BlobReader;
use self::cases::Case;
use self::engine::Program;
use crate::error::ExportError;
use crate::lower::GraphOptions;
use crate::progress::{Progress, Stage};
use crate::weights::{LayerBlobs, ProjectionBlobs, WeightLayout};

/// Values of one case, by the names that the programs use; shared, since weights serve every case.
type Values = BTreeMap<String, Arc<Tensor>>;

/// Runs all cases and writes inputs and outputs to `path`.
pub(crate) fn write_selftest(
    config: &Config,
    layout: &WeightLayout,
    places: &[ExternalRef],
    weights: &Path,
    options: GraphOptions,
    path: &Path,
    progress: &Progress<'_>,
) -> Result<(), ExportError> {
    progress.stage(Stage::SelfTest { total: layout.layers.len() as u64 + 2 });
    let mut reader = BlobReader::open(weights, layout, places)?;
    let mut cases = cases::all(config, options);

    let prelude = programs::prelude(config, layout, options)?;
    let weights = reader.read(&[layout.embed, layout.embed_gate], None)?;
    for case in &mut cases {
        prelude.run(&mut case.values, &weights)?;
    }
    progress.advance(1);

    let mut plain = None;
    for (index, blobs) in layout.layers.iter().enumerate() {
        progress.check()?;
        let program = match blobs.projections {
            ProjectionBlobs::Fused(_) => match &plain {
                Some(program) => program,
                None => plain.insert((0, programs::layer(config, layout, options, 0)?)),
            },
            ProjectionBlobs::QueryApart { .. } => &(index, programs::layer(config, layout, options, index)?),
        };
        run_layer(program, index, blobs, &mut cases, &mut reader, layout)?;
        progress.advance(1);
    }

    let tail = programs::tail(config, layout, options)?;
    let weights = reader.read(&[layout.final_norm, layout.heads], None)?;
    for case in &mut cases {
        tail.run(&mut case.values, &weights)?;
    }
    cases::write(cases, config, options, path)?;
    progress.advance(1);
    Ok(())
}

/// Runs a layer with the program that was made from the layer `program.0`.
fn run_layer(
    (template, program): &(usize, Program),
    index: usize,
    blobs: &LayerBlobs,
    cases: &mut [Case],
    reader: &mut BlobReader<'_>,
    layout: &WeightLayout,
) -> Result<(), ExportError> {
    let names = layout.layers[*template].ids();
    let weights = reader.read(&blobs.ids(), Some(&names))?;
    for at in 0..cases.len() {
        let past = cases[at].past(index, cases);
        let values = &mut cases[at].values;
        values.extend(past);
        program.run(values, &weights)?;
        if let Some(hidden) = values.remove("hidden.next") {
            values.insert("hidden".to_owned(), hidden);
        }
        for part in ["key", "value"] {
            if let Some(present) = values.remove(&format!("present.{part}")) {
                values.insert(format!("present.{index}.{part}"), present);
            }
        }
        for statistic in programs::STATISTICS {
            if let Some(value) = values.remove(statistic) {
                values.insert(format!("{statistic}.{index}"), value);
            }
        }
    }
    Ok(())
}
