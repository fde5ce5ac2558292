//! A checkpoint to a package.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use tmoe_model::staging::StagedFolder;
use tmoe_model::{Checkpoint, FloatType};
use tmoe_package::{
    CacheType, FileEntry, GraphEntry, HashingWriter, Manifest, OpSet, Positions, Precision, Source, Tool,
    files, hash_file,
};

use crate::error::ExportError;
use crate::lower::{ExternalWeights, GraphOptions, build};
use crate::progress::{Observer, Progress, Stage};
use crate::selftest::{Accuracy, write_selftest};
use crate::weights::{WeightLayout, plan, write_weights};

/// What to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    /// How weights are stored.
    pub precision: Precision,
    /// Where predictions are computed.
    pub positions: Positions,
    /// Adds the inputs `labels` and `loss_masks` and the outputs `loss`, `ar_loss` and `aux_loss`.
    pub with_loss: bool,
    /// Replaces an existing package.
    pub force: bool,
}

impl Default for ExportOptions {
    /// float32 weights, predictions at the last position, no losses, nothing replaced.
    fn default() -> Self {
        Self { precision: Precision::Fp32, positions: Positions::Last, with_loss: false, force: false }
    }
}

/// What was exported.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The package's manifest.
    pub manifest: Manifest,
    /// What weights in 8 bits change; none for other precisions.
    pub accuracy: Option<Accuracy>,
}

/// Writes the package of a checkpoint to the folder `output`, which appears complete or not at all.
///
/// Weights are streamed: memory stays at a few matrices beside the source's pages in use. Setting `cancelled` ends the
/// export with [`ExportError::Cancelled`] within one matrix or one layer of the self-test.
///
/// # Errors
///
/// See [`ExportError`].
pub fn export(
    checkpoint: &Checkpoint,
    output: &Path,
    options: &ExportOptions,
    observer: &dyn Observer,
    cancelled: &AtomicBool,
) -> Result<Exported, ExportError> {
    let progress = Progress { observer, cancelled };
    let staged = StagedFolder::new(output, options.force, files::MANIFEST)?;
    let exported = fill(checkpoint, staged.path(), options, &progress)
        .map_err(|error| error.moved(staged.path(), output))?;
    progress.check()?;
    staged.commit()?;
    Ok(exported)
}

/// Writes the files of a package into an empty folder.
fn fill(
    checkpoint: &Checkpoint,
    folder: &Path,
    options: &ExportOptions,
    progress: &Progress<'_>,
) -> Result<Exported, ExportError> {
    let config = checkpoint.config();
    // The losses need predictions everywhere, so the last layer's queries cannot be trimmed.
    let last_layer = if options.with_loss { Positions::All } else { options.positions };
    let layout = WeightLayout::new(config, options.precision, last_layer);
    let (file_plan, places) = plan(&layout)?;
    let weights = ExternalWeights { layout: &layout, places: &places };

    let stored = checkpoint.tensors().next().map_or(FloatType::F32, |tensor| tensor.float_type());
    let mut entries = BTreeMap::new();
    let mut graphs = Vec::new();
    for op_set in OpSet::ALL {
        let cache = CacheType::of(op_set, options.precision);
        let graph_options = GraphOptions {
            op_set,
            positions: options.positions,
            with_loss: options.with_loss,
            cache,
            stored,
        };
        let model = build(config, &layout, &weights, graph_options)
            .map_err(|source| ExportError::Graph { graph: op_set.to_string(), source: Box::new(source) })?;
        let bytes = model.encode();
        write(folder, op_set.file(), &bytes)?;
        entries.insert(op_set.file().to_owned(), entry_of(&bytes));
        graphs.push(GraphEntry {
            op_set,
            file: op_set.file().to_owned(),
            opset_imports: model
                .proto()
                .opset_import
                .iter()
                .map(|import| (import.domain().to_owned(), import.version()))
                .collect(),
            cache,
            nodes: model.graph().node.len(),
        });
    }

    let (source, accuracy) = std::thread::scope(|scope| {
        let source = scope.spawn(|| hash_source(checkpoint, progress));
        let path = folder.join(files::WEIGHTS);
        progress.stage(Stage::Weights { total: file_plan.total_len() });
        let entry = write_weights(checkpoint, &layout, file_plan, &path, progress)?;
        entries.insert(files::WEIGHTS.to_owned(), entry);

        let selftest = folder.join(files::SELFTEST);
        let graph_options = GraphOptions {
            op_set: OpSet::Standard,
            positions: options.positions,
            with_loss: options.with_loss,
            cache: CacheType::Float32,
            stored,
        };
        let accuracy =
            write_selftest(checkpoint, &layout, &places, &path, graph_options, &selftest, progress)?;
        entries.insert(files::SELFTEST.to_owned(), hash_written(&selftest)?);
        let source = source.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, ExportError>((source, accuracy))
    })?;

    let manifest = Manifest {
        schema: Manifest::SCHEMA,
        tool: Tool { name: "tmoe-export".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        model: config.clone(),
        horizons: config.horizon_lengths().to_vec(),
        precision: options.precision,
        positions: options.positions,
        with_loss: options.with_loss,
        graphs,
        files: entries,
        source,
    };
    write(folder, files::MANIFEST, manifest.to_json().as_bytes())?;
    Ok(Exported { manifest, accuracy })
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
    let path = folder.join(name);
    fs::write(&path, bytes).map_err(|source| ExportError::Io { action: "write", path, source })
}

fn entry_of(bytes: &[u8]) -> FileEntry {
    FileEntry { bytes: bytes.len() as u64, sha256: tmoe_package::hash_bytes(bytes) }
}

fn hash_written(path: &Path) -> Result<FileEntry, ExportError> {
    let (sha256, bytes) = hash_file(path).map_err(|source| ExportError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    Ok(FileEntry { bytes, sha256 })
}

/// Bytes of a weight file hashed before their pages are given back.
const HASHED_AT_ONCE: usize = 4 << 20;

fn hash_source(checkpoint: &Checkpoint, progress: &Progress<'_>) -> Result<Source, ExportError> {
    let mut entries = BTreeMap::new();
    for file in checkpoint.files() {
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        // From the mapping that the conversion reads too: nothing is copied, and what is mapped already is shared.
        let mut writer = HashingWriter::new(std::io::sink());
        for (index, bytes) in file.bytes().chunks(HASHED_AT_ONCE).enumerate() {
            progress.check()?;
            writer.write_all(bytes).map_err(|source| ExportError::Io {
                action: "read",
                path: file.path().to_owned(),
                source,
            })?;
            let first = index * HASHED_AT_ONCE;
            file.release(first..first + bytes.len());
        }
        let (_, sha256, bytes) = writer.finish();
        entries.insert(name, FileEntry { bytes, sha256 });
    }
    Ok(Source::new(entries))
}
