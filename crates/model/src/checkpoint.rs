//! Reading a Hugging Face checkpoint: `config.json` and memory-mapped safetensors.

mod error;
mod file;
pub(crate) mod index;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

pub use self::error::CheckpointError;
pub use self::file::WeightFile;
pub use self::view::{RowView, TensorView};
use crate::config::Config;
use crate::dtype::FloatType;
use crate::header::{Entry, Header};
use crate::tensors::TensorName;

/// Name of the configuration in a checkpoint's folder.
pub(crate) const CONFIG_FILE: &str = "config.json";

/// Name of the weights in a checkpoint's folder when they are one file.
pub(crate) const SINGLE_FILE: &str = "model.safetensors";

/// A checkpoint: a configuration and every weight that it calls for, mapped into memory.
///
/// Opening reads the headers only; a weight's pages are read when they are touched, and
/// [`TensorView::release`] gives them back. It can be shared and sent between threads.
///
/// The weight files must not be truncated or rewritten while a checkpoint is open: as with every mapped
/// file, reading what is no longer there ends the process. Replacing a file by renaming another over it,
/// as downloaders and package tools do, is harmless.
#[derive(Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    config: Config,
    files: Vec<WeightFile>,
    tensors: HashMap<TensorName, Location>,
    unused: Vec<UnusedTensor>,
}

/// A tensor in a weight file that the model does not use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnusedTensor {
    /// The weight file.
    pub file: PathBuf,
    /// The tensor's name in it.
    pub tensor: String,
}

#[derive(Debug)]
struct Location {
    file: usize,
    float_type: FloatType,
    entry: Entry,
}

impl Checkpoint {
    /// Opens a checkpoint folder: `config.json` with `model.safetensors`, or with shards and their
    /// `model.safetensors.index.json`. Where both are, the single file is used, as transformers does.
    ///
    /// Every tensor that the configuration calls for is checked: it exists, has the right shape, and
    /// elements of float32, bfloat16 or float16. Other tensors, such as the `rotary_emb.inv_freq` buffers
    /// that older versions of transformers stored, are ignored and listed in
    /// [`Checkpoint::unused_tensors`].
    ///
    /// # Errors
    ///
    /// Any [`CheckpointError`] but those about values, which name the tensor, the file, what was expected
    /// and what was found.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let directory = directory.as_ref();
        check_is_folder(directory)?;
        let config_file = directory.join(CONFIG_FILE);
        if !config_file.exists() {
            return Err(CheckpointError::ConfigMissing { directory: directory.to_path_buf() });
        }
        let config = Config::from_json_file(config_file)?;
        let weights = Weights::open(directory)?;
        weights.into_checkpoint(directory, config)
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// A weight of the model.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NoSuchTensor`] when the configuration has no such tensor; never for one from
    /// [`TensorName::all`] of [`Checkpoint::config`].
    pub fn tensor(&self, name: TensorName) -> Result<TensorView<'_>, CheckpointError> {
        self.tensors.get(&name).and_then(|location| self.view(name, location)).ok_or_else(|| {
            CheckpointError::NoSuchTensor { directory: self.directory.clone(), tensor: name.to_string() }
        })
    }

    /// Every weight of the model, in the order of [`TensorName::all`].
    pub fn tensors(&self) -> impl Iterator<Item = TensorView<'_>> {
        TensorName::all(&self.config).filter_map(|name| self.view(name, self.tensors.get(&name)?))
    }

    /// The weight files, for hashing without reading them twice.
    pub fn files(&self) -> &[WeightFile] {
        &self.files
    }

    /// Tensors in the weight files that the model does not use, sorted by file and name.
    pub fn unused_tensors(&self) -> &[UnusedTensor] {
        &self.unused
    }

    /// Bytes of all weights of the model as they are stored.
    pub fn weight_bytes(&self) -> usize {
        self.tensors.values().map(|location| location.entry.range.len()).sum()
    }

    fn view<'a>(&'a self, name: TensorName, location: &'a Location) -> Option<TensorView<'a>> {
        let Location { file, float_type, entry } = location;
        let file = self.files.get(*file)?;
        Some(TensorView { name, file, float_type: *float_type, entry })
    }
}

pub(crate) fn check_is_folder(path: &Path) -> Result<(), CheckpointError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(CheckpointError::NotAFolder { path: path.to_path_buf() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(CheckpointError::NotFound { path: path.to_path_buf() })
        }
        Err(source) => Err(CheckpointError::Read { file: path.to_path_buf(), source }),
    }
}

/// The mapped files of a checkpoint before it is known what the model needs of them.
struct Weights {
    files: Vec<WeightFile>,
    /// What each file holds, of which [`Weights::into_checkpoint`] takes away what the model uses.
    headers: Vec<Header>,
    /// Which file holds a tensor; `None` when there is only one.
    placement: Option<BTreeMap<String, usize>>,
    /// What to name when a tensor is nowhere: the single file, or the index.
    listing: PathBuf,
}

impl Weights {
    fn open(directory: &Path) -> Result<Self, CheckpointError> {
        let single = directory.join(SINGLE_FILE);
        if single.exists() {
            let (file, header) = WeightFile::open(single.clone())?;
            return Ok(Weights {
                files: vec![file],
                headers: vec![header],
                placement: None,
                listing: single,
            });
        }
        let index = directory.join(index::FILE_NAME);
        if index.exists() {
            return Weights::open_shards(directory, index);
        }
        for pickle in ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"] {
            let file = directory.join(pickle);
            if file.exists() {
                return Err(CheckpointError::PickledWeights { file });
            }
        }
        Err(CheckpointError::WeightsMissing { directory: directory.to_path_buf() })
    }

    fn open_shards(directory: &Path, index: PathBuf) -> Result<Self, CheckpointError> {
        let weight_map = index::read(&index)?;
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut files = Vec::new();
        let mut headers: Vec<Header> = Vec::new();
        let mut placement = BTreeMap::new();
        for (tensor, shard) in weight_map {
            let path = directory.join(&shard);
            let number = match numbers.get(&shard) {
                Some(&number) => number,
                None if !path.exists() => {
                    return Err(CheckpointError::ShardMissing { index, tensor, shard: path });
                }
                None => {
                    let (file, header) = WeightFile::open(path.clone())?;
                    files.push(file);
                    headers.push(header);
                    numbers.insert(shard, files.len() - 1);
                    files.len() - 1
                }
            };
            if !headers.get(number).is_some_and(|header| header.contains_key(&tensor)) {
                return Err(CheckpointError::NotInShard { index, tensor, shard: path });
            }
            placement.insert(tensor, number);
        }
        Ok(Weights { files, headers, placement: Some(placement), listing: index })
    }

    fn into_checkpoint(mut self, directory: &Path, config: Config) -> Result<Checkpoint, CheckpointError> {
        let mut tensors = HashMap::new();
        for (name, expected) in TensorName::with_shapes(&config) {
            let location = self.take(name, expected)?;
            tensors.insert(name, location);
        }
        let unused = self.files.iter().zip(self.headers).flat_map(|(file, header)| {
            header.into_keys().map(|tensor| UnusedTensor { file: file.path().to_path_buf(), tensor })
        });
        let mut unused: Vec<UnusedTensor> = unused.collect();
        unused.sort();
        Ok(Checkpoint { directory: directory.to_path_buf(), config, tensors, unused, files: self.files })
    }

    /// Takes a tensor out of the headers after checking it.
    fn take(&mut self, name: TensorName, expected: Vec<usize>) -> Result<Location, CheckpointError> {
        let tensor = name.to_string();
        let number = match &self.placement {
            None => Some(0),
            Some(placement) => placement.get(&tensor).copied(),
        };
        let found = number.and_then(|number| {
            let entry = self.headers.get_mut(number)?.remove(&tensor)?;
            Some((number, self.files.get(number)?, entry))
        });
        let Some((number, file, entry)) = found else {
            return Err(CheckpointError::TensorMissing { file: self.listing.clone(), tensor, expected });
        };
        let file = file.path().to_path_buf();
        if entry.shape != expected {
            return Err(CheckpointError::Shape { file, tensor, expected, found: entry.shape });
        }
        let Some(float_type) = FloatType::from_safetensors(entry.dtype) else {
            return Err(CheckpointError::ElementType { file, tensor, found: entry.dtype.to_string() });
        };
        Ok(Location { file: number, float_type, entry })
    }
}
