//! Checkpoints with random weights, in the layout of Hugging Face: for tests and benchmarks.

mod init;
mod layout;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::json;

use self::init::Init;
use self::layout::{Shard, layout};
use crate::checkpoint::{CONFIG_FILE, index};
use crate::config::Config;
use crate::dtype::FloatType;
use crate::staging::{StagedFolder, StagingError};
use crate::tensors::TensorName;

/// Elements generated at a time: with their stored form, all the memory that writing needs.
const BLOCK: usize = 1 << 16;

/// How to write a random checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Equal seeds give equal weights, on every platform and however the files are cut.
    pub seed: u64,
    /// Type of the stored elements. Values are generated in float32 and rounded.
    pub float_type: FloatType,
    /// Start a new shard before a file's tensors exceed so many bytes; one file when `None`. A tensor is
    /// never cut.
    pub shard_bytes: Option<u64>,
    /// Replace an existing checkpoint.
    pub force: bool,
}

impl Default for Options {
    /// Seed 0, float32, one file, nothing replaced.
    fn default() -> Self {
        Options { seed: 0, float_type: FloatType::F32, shard_bytes: None, force: false }
    }
}

/// How far the writing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of weights written.
    pub written: u64,
    /// Bytes of weights altogether.
    pub total: u64,
}

/// A random checkpoint that could not be written. Nothing of it remains.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The output folder.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The configuration names more tensors than a safetensors header can.
    #[error("the configuration has more than {limit} tensors: reduce layers or experts")]
    TooManyTensors {
        /// The most that can be written.
        limit: usize,
    },
    /// A file could not be written, for example because the disk is full.
    #[error("cannot write {} for {}: {source}", file.display(), output.display())]
    Io {
        /// Name of the file in the output.
        file: PathBuf,
        /// The output folder.
        output: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The progress callback asked to stop.
    #[error("cancelled: {} was not written", output.display())]
    Cancelled {
        /// The output folder.
        output: PathBuf,
    },
}

/// Writes a checkpoint with random weights.
///
/// Weights are roughly normal with a standard deviation that keeps every hidden state of the order of 1
/// whatever the sizes, and router logits far enough apart that tokens choose different experts; norms are
/// near 1, biases small and not 0. They are generated and written in blocks, in constant memory, and the
/// folder appears when all of it is there.
///
/// `progress` is called for every block; [`ControlFlow::Break`] stops the writing.
///
/// # Errors
///
/// Any [`WriteError`]; the output is then as before.
pub fn write(
    config: &Config,
    options: &Options,
    output: impl AsRef<Path>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), WriteError> {
    let output = output.as_ref();
    let shards = layout(config, options)?;
    let staged = StagedFolder::new(output, options.force, CONFIG_FILE)?;

    let mut weights = Weights {
        config,
        float_type: options.float_type,
        rng: Xoshiro256PlusPlus::seed_from_u64(options.seed),
        values: vec![0.0; BLOCK],
        encoded: Vec::new(),
        done: Progress { written: 0, total: shards.iter().map(|shard| shard.bytes).sum() },
        progress,
    };
    for shard in &shards {
        let failed = |stop: Stop| stop.explain(&shard.file, output);
        let mut file = File::create(staged.path().join(&shard.file)).map_err(Stop::Io).map_err(failed)?;
        weights.write_shard(shard, &mut file).map_err(failed)?;
    }

    let text = |file: &str, text: String| {
        std::fs::write(staged.path().join(file), text)
            .map_err(|source| Stop::Io(source).explain(file, output))
    };
    if options.shard_bytes.is_some() {
        text(index::FILE_NAME, index_json(&shards))?;
    }
    text(CONFIG_FILE, config_json(config, options.float_type))?;
    staged.commit()?;
    Ok(())
}

/// Why the writing of a file stopped, before the file is named.
enum Stop {
    Io(io::Error),
    Cancelled,
}

impl Stop {
    fn explain(self, file: &str, output: &Path) -> WriteError {
        match self {
            Stop::Io(source) => WriteError::Io { file: file.into(), output: output.to_path_buf(), source },
            Stop::Cancelled => WriteError::Cancelled { output: output.to_path_buf() },
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

/// The weights, generated one after the other into whatever file is next.
struct Weights<'a> {
    config: &'a Config,
    float_type: FloatType,
    rng: Xoshiro256PlusPlus,
    values: Vec<f32>,
    encoded: Vec<u8>,
    done: Progress,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Weights<'_> {
    fn write_shard(&mut self, shard: &Shard, file: &mut dyn Write) -> Result<(), Stop> {
        file.write_all(&(shard.header.len() as u64).to_le_bytes())?;
        file.write_all(&shard.header)?;
        for &(name, elements) in &shard.tensors {
            self.write_tensor(name, elements, file)?;
        }
        Ok(())
    }

    fn write_tensor(&mut self, name: TensorName, elements: usize, file: &mut dyn Write) -> Result<(), Stop> {
        let init = Init::of(name, self.config);
        let mut remaining = elements;
        while remaining > 0 {
            let count = remaining.min(BLOCK);
            let Some(values) = self.values.get_mut(..count) else { break };
            init.fill(&mut self.rng, values);
            self.float_type.encode(values, &mut self.encoded);
            file.write_all(&self.encoded)?;
            remaining -= count;
            self.done.written += self.encoded.len() as u64;
            if (self.progress)(self.done).is_break() {
                return Err(Stop::Cancelled);
            }
        }
        Ok(())
    }
}

/// The configuration as transformers writes it beside weights of this type.
fn config_json(config: &Config, float_type: FloatType) -> String {
    let mut json = json!(config);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("torch_dtype".to_owned(), json!(float_type.torch_name()));
    }
    format!("{json:#}\n")
}

fn index_json(shards: &[Shard]) -> String {
    let weight_map: BTreeMap<String, &str> = shards
        .iter()
        .flat_map(|shard| shard.tensors.iter().map(|(name, _)| (name.to_string(), shard.file.as_str())))
        .collect();
    let total_size: u64 = shards.iter().map(|shard| shard.bytes).sum();
    format!("{:#}\n", json!({"metadata": {"total_size": total_size}, "weight_map": weight_map}))
}
