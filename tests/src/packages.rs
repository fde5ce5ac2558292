//! Packages of the golden checkpoints, each exported once per process and only when something needs it.

use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use tempfile::TempDir;
use tmoe_export::{ExportOptions, Silent, export};
use tmoe_model::{Checkpoint, FloatType, TensorName, TensorView as StoredTensor};
use tmoe_package::{Package, Positions, Precision};
use tmoe_runner::{Provider, ProviderOptions, Session, SessionOptions, TensorRtOptions};

use crate::engines;
use crate::golden::Golden;
use crate::subject::{Subject, plugins};

/// How a checkpoint is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// float32, predictions at every position, losses.
    Full,
    /// float32, predictions at the last position: what `tmoe-export onnx` writes when it is told nothing.
    Last,
    /// As [`Variant::Full`] with half precision weights.
    Half,
    /// As [`Variant::Full`] with bfloat16 weights.
    Bf16,
    /// As [`Variant::Full`] with weights in 8 bits.
    Int8,
    /// As [`Variant::Full`], from a checkpoint whose weights were rounded to half precision before: computes what
    /// [`Variant::Half`] should.
    RoundedHalf,
    /// The same for [`Variant::Bf16`].
    RoundedBf16,
    /// The same for [`Variant::Int8`].
    RoundedInt8,
}

impl Variant {
    /// Every variant.
    pub const ALL: [Self; 8] = [
        Self::Full,
        Self::Last,
        Self::Half,
        Self::Bf16,
        Self::Int8,
        Self::RoundedHalf,
        Self::RoundedBf16,
        Self::RoundedInt8,
    ];

    /// What tests call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Last => "last",
            Self::Half => "fp16",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
            Self::RoundedHalf => "rounded-fp16",
            Self::RoundedBf16 => "rounded-bf16",
            Self::RoundedInt8 => "rounded-int8",
        }
    }

    /// To what the weights of the checkpoint are rounded before the export, if they are.
    fn rounding(self) -> Option<Precision> {
        match self {
            Self::RoundedHalf => Some(Precision::Fp16),
            Self::RoundedBf16 => Some(Precision::Bf16),
            Self::RoundedInt8 => Some(Precision::Int8),
            _ => None,
        }
    }

    /// The options of the export.
    pub fn options(self) -> ExportOptions {
        let full = ExportOptions { positions: Positions::All, with_loss: true, ..ExportOptions::default() };
        match self {
            Self::Full | Self::RoundedHalf | Self::RoundedBf16 | Self::RoundedInt8 => full,
            Self::Last => ExportOptions::default(),
            Self::Half => ExportOptions { precision: Precision::Fp16, ..full },
            Self::Bf16 => ExportOptions { precision: Precision::Bf16, ..full },
            Self::Int8 => ExportOptions { precision: Precision::Int8, ..full },
        }
    }
}

/// Exports and sessions, made when first asked for. The files live as long as this value.
#[derive(Debug)]
pub struct Packages {
    folder: TempDir,
    packages: Once<(&'static str, Variant), Package>,
    sessions: Once<(&'static str, Variant, Subject), Arc<Session>>,
}

impl Packages {
    /// None exported yet.
    ///
    /// # Errors
    ///
    /// When there is no place for temporary files.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            folder: TempDir::with_prefix("tmoe-suites-")?,
            packages: Once::new(),
            sessions: Once::new(),
        })
    }

    /// The package of a checkpoint.
    ///
    /// # Errors
    ///
    /// What the export says, to everyone who asks.
    pub fn package(&self, golden: &Golden, variant: Variant) -> Result<Package, String> {
        self.packages.get((golden.name(), variant), || {
            let output = self.folder.path().join(format!("{}-{}", golden.name(), variant.name()));
            if let Some(rounding) = variant.rounding() {
                let folder = output.with_extension("checkpoint");
                write_rounded(golden, rounding, &folder)?;
                let checkpoint = Checkpoint::open(folder).map_err(|error| error.to_string())?;
                return export_package(&checkpoint, &output, variant.options());
            }
            export_package(golden.checkpoint(), &output, variant.options())
        })
    }

    /// The folder of a small package that was trained, for examples in documentation.
    ///
    /// # Errors
    ///
    /// What the export says.
    pub fn example(&self) -> Result<PathBuf, String> {
        let goldens = Golden::all();
        let demo =
            goldens.iter().find(|golden| golden.name() == "demo").ok_or("there is no demo checkpoint")?;
        Ok(self.package(demo, Variant::Last)?.folder().to_owned())
    }

    /// A session on the package of a checkpoint, shared by all who ask.
    ///
    /// # Errors
    ///
    /// What the export or the provider says.
    pub fn session(
        &self,
        golden: &Golden,
        variant: Variant,
        subject: Subject,
    ) -> Result<Arc<Session>, String> {
        self.sessions.get((golden.name(), variant, subject), || {
            subject.open(&self.package(golden, variant)?).map(Arc::new)
        })
    }
}

/// Exports a checkpoint and opens the package, hashes checked.
///
/// # Errors
///
/// What the export says.
pub fn export_package(
    checkpoint: &Checkpoint,
    output: &Path,
    options: ExportOptions,
) -> Result<Package, String> {
    export(checkpoint, output, &options, &Silent, &AtomicBool::new(false))
        .map_err(|error| error.to_string())?;
    Package::open(output).map_err(|error| error.to_string())
}

impl Subject {
    /// Opens a session of this graph on this provider.
    ///
    /// # Errors
    ///
    /// What the provider says.
    pub fn open(self, package: &Package) -> Result<Session, String> {
        // Trials run side by side on models for which one thread is plenty.
        let resources = ProviderOptions {
            threads: Some(NonZeroUsize::MIN),
            spinning: false,
            ..ProviderOptions::default()
        };
        let tensorrt = TensorRtOptions { plugins: plugins(), ..TensorRtOptions::default() };
        let resources = ProviderOptions { tensorrt, ..resources };
        let options = SessionOptions { provider: self.provider.into(), graph: self.graph.into(), resources };
        let session = match self.provider {
            Provider::Engine => Session::open(&engines::with_engine(package, self.graph)?, &options),
            _ => Session::open(package, &options),
        };
        session.map_err(|error| error.to_string())
    }
}

/// Writes the checkpoint with every weight that packages of a precision store in it rounded to it: matrices, but not embedding
/// and router. All else stays as it is stored.
fn write_rounded(golden: &Golden, precision: Precision, folder: &Path) -> Result<(), String> {
    let tensors: Vec<(StoredTensor<'_>, Dtype, Vec<u8>)> = golden
        .checkpoint()
        .tensors()
        .map(|tensor| {
            if !is_rounded(tensor.name(), tensor.shape(), precision) {
                let dtype = match tensor.float_type() {
                    FloatType::F32 => Dtype::F32,
                    FloatType::BF16 => Dtype::BF16,
                    FloatType::F16 => Dtype::F16,
                };
                return Ok((tensor, dtype, tensor.bytes().to_vec()));
            }
            let mut values = vec![0.0; tensor.elements()];
            tensor.copy_to_f32(&mut values).map_err(|error| error.to_string())?;
            round(&mut values, tensor.shape(), precision);
            Ok((tensor, Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        })
        .collect::<Result<_, String>>()?;
    let views = tensors
        .iter()
        .map(|(tensor, dtype, bytes)| {
            Ok((tensor.name().to_string(), TensorView::new(*dtype, tensor.shape().to_vec(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| error.to_string())?;
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    fs::write(folder.join("config.json"), golden.config().to_json()).map_err(|error| error.to_string())?;
    serialize_to_file(views, None, &folder.join("model.safetensors")).map_err(|error| error.to_string())
}

/// Rounds a weight `[out, in]`.
fn round(values: &mut [f32], shape: &[usize], precision: Precision) {
    match precision {
        Precision::Fp32 => {}
        Precision::Fp16 => values.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32()),
        Precision::Bf16 => values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32()),
        // 127 steps on either side of zero for the weights of each output.
        Precision::Int8 => values.chunks_exact_mut(shape[1]).for_each(|row| {
            let step = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs())) / 127.0;
            if step > 0.0 {
                row.iter_mut().for_each(|value| *value = (*value / step).round_ties_even() * step);
            }
        }),
    }
}

fn is_rounded(name: TensorName, shape: &[usize], precision: Precision) -> bool {
    let stays = [TensorName::Embed, TensorName::EmbedGate].contains(&name)
        || matches!(name, TensorName::Router(_) | TensorName::SharedExpertGate(_))
        || precision == Precision::Int8 && matches!(name, TensorName::Head(_));
    shape.len() == 2 && !stays
}

/// Values by key, each made once however many threads ask for it. An error is kept too.
#[derive(Debug)]
struct Once<K, V> {
    cells: Mutex<HashMap<K, Cell<V>>>,
}

/// What was made, or why it could not be; empty while it is being made.
type Cell<V> = Arc<OnceLock<Result<V, String>>>;

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    fn new() -> Self {
        Self { cells: Mutex::new(HashMap::new()) }
    }

    fn get(&self, key: K, make: impl FnOnce() -> Result<V, String>) -> Result<V, String> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(key).or_default())
        };
        cell.get_or_init(make).clone()
    }
}

/// Copies a package, its files that is, into a folder, which is made if it is not there.
///
/// # Errors
///
/// What the system says.
pub fn copy(package: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(package)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    Ok(())
}
