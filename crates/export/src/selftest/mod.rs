//! The package's self-test: a few inputs, and the outputs that tract computes for them at export.
//!
//! The model is run part by part (prelude, layers, tail) from the bytes that were just written to `weights.bin`, with the
//! weights of one layer in memory and those of the next being read. So the test costs two layers' worth of memory
//! whatever the size of the model, and a blob written to the wrong place shows as a wrong number.

mod accuracy;
mod blobs;
mod cases;
mod engine;
mod programs;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;

use tmoe_model::{Checkpoint, Config};
use tmoe_onnx::ExternalRef;
use tract_onnx::prelude::Tensor;

pub use self::accuracy::{Accuracy, AccuracyRow};
use self::blobs::BlobReader;
use self::cases::Case;
use self::engine::Program;
use crate::error::ExportError;
use crate::lower::GraphOptions;
use crate::progress::{Progress, Stage};
use crate::weights::{ProjectionBlobs, WeightLayout};

/// Values of one case, by the names that the programs use; shared, since weights serve every case.
type Values = BTreeMap<String, Arc<Tensor>>;

/// Runs all cases and writes inputs and outputs to `path`. Weights in 8 bits are compared with those of the checkpoint.
pub(crate) fn write_selftest(
    checkpoint: &Checkpoint,
    layout: &WeightLayout,
    places: &[ExternalRef],
    weights: &Path,
    options: GraphOptions,
    path: &Path,
    progress: &Progress<'_>,
) -> Result<Option<Accuracy>, ExportError> {
    let config = checkpoint.config();
    let is_quantised = layout.blobs.iter().any(|blob| blob.scales.is_some());
    let steps = (layout.layers.len() as u64 + 2) * if is_quantised { 2 } else { 1 };
    progress.stage(Stage::SelfTest { total: steps });
    let written = compute(config, layout, BlobReader::open(weights, layout, places)?, options, progress)?;
    let accuracy = match is_quantised {
        false => None,
        true => {
            let reader = BlobReader::of_checkpoint(checkpoint, layout);
            let exact = compute(config, layout, reader, options, progress)?;
            Some(accuracy::compare(&exact, &written, config)?)
        }
    };
    cases::write(written, config, options, path)?;
    Ok(accuracy)
}

/// Runs all cases with weights from a reader.
fn compute(
    config: &Config,
    layout: &WeightLayout,
    mut reader: BlobReader<'_>,
    options: GraphOptions,
    progress: &Progress<'_>,
) -> Result<Vec<Case>, ExportError> {
    let mut cases = cases::all(config, options);

    let prelude = programs::prelude(config, layout, options)?;
    let weights = reader.read(&[layout.embed, layout.embed_gate], None, Values::new())?;
    for case in &mut cases {
        prelude.run(&mut case.values, &weights)?;
    }
    progress.advance(1);

    let mut plain = None;
    let mut weights = match layout.layers.first() {
        Some(first) => reader.read(&first.ids(), None, Values::new())?,
        None => Values::new(),
    };
    let mut used = Values::new();
    for (index, blobs) in layout.layers.iter().enumerate() {
        progress.check()?;
        let program = match blobs.projections {
            ProjectionBlobs::Fused(_) => match &plain {
                Some(program) => program,
                None => plain.insert(programs::layer(config, layout, options, 0)?),
            },
            ProjectionBlobs::QueryApart { .. } => &programs::layer(config, layout, options, index)?,
        };
        let recycled = std::mem::take(&mut used);
        let next = std::thread::scope(|scope| {
            let reader = &mut reader;
            let next = scope.spawn(move || match layout.layers.get(index + 1) {
                Some(next) => {
                    let names = layout.layers[template(layout, index + 1)].ids();
                    reader.read(&next.ids(), Some(&names), recycled)
                }
                None => Ok(Values::new()),
            });
            let chains: Vec<_> = cases
                .chunk_by_mut(|_, next| next.continues())
                .map(|chain| scope.spawn(|| run_layer(program, index, chain, &weights)))
                .collect();
            for chain in chains {
                joined(chain)?;
            }
            joined(next)
        })?;
        used = std::mem::replace(&mut weights, next);
        progress.advance(1);
    }

    let tail = programs::tail(config, layout, options)?;
    let weights = reader.read(&[layout.final_norm, layout.heads], None, Values::new())?;
    for case in &mut cases {
        tail.run(&mut case.values, &weights)?;
    }
    progress.advance(1);
    Ok(cases)
}

/// The layer whose program also runs the layer `index`: layers differ in their weights only, but for a trimmed last one.
fn template(layout: &WeightLayout, index: usize) -> usize {
    match layout.layers[index].projections {
        ProjectionBlobs::Fused(_) => 0,
        ProjectionBlobs::QueryApart { .. } => index,
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs a layer on cases of which each continues the one before.
fn run_layer(
    program: &Program,
    index: usize,
    chain: &mut [Case],
    weights: &Values,
) -> Result<(), ExportError> {
    for at in 0..chain.len() {
        let past = chain[at].past(index, chain);
        let values = &mut chain[at].values;
        values.extend(past);
        program.run(values, weights)?;
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
