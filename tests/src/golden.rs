//! Checkpoints with what the original PyTorch model computes from them.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, ArrayD, ArrayView3};
use tmoe_model::{Checkpoint, Config, TensorName};
use tmoe_runner::{NamedTensors, Tensor};

/// Every golden checkpoint: its name, and its folder seen from this package.
const CHECKPOINTS: [(&str, &str); 6] = [
    ("moe", "golden/moe"),
    ("moe-gqa", "golden/moe-gqa"),
    ("dense", "golden/dense"),
    ("moe-bf16", "golden/moe-bf16"),
    ("gelu-one-head", "golden/gelu-one-head"),
    ("demo", "../tools/demo/checkpoint"),
];

/// A checkpoint with the tensors of its `golden.safetensors`, which `golden/README.md` describes.
///
/// Accessors panic when a tensor is not there or of another type: the test data are part of the project.
#[derive(Debug)]
pub struct Golden {
    name: &'static str,
    folder: PathBuf,
    checkpoint: Checkpoint,
    tensors: NamedTensors,
}

impl Golden {
    /// All of them.
    pub fn all() -> Vec<Self> {
        CHECKPOINTS.into_iter().map(|(name, folder)| Self::open(name, folder)).collect()
    }

    fn open(name: &'static str, folder: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let checkpoint = Checkpoint::open(&folder).unwrap_or_else(|error| panic!("{error}"));
        let tensors =
            Tensor::read_all(folder.join("golden.safetensors")).unwrap_or_else(|error| panic!("{error}"));
        Self { name, folder, checkpoint, tensors }
    }

    /// What tests call it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The checkpoint's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        self.checkpoint.config()
    }

    /// A float32 tensor, if there is one of that name.
    pub fn find(&self, name: &str) -> Option<ArrayD<f32>> {
        let tensor = self.tensors.get(name)?;
        Some(
            tensor.to_f32().unwrap_or_else(|| panic!("{}: `{name}` holds no floats", self.name)).into_owned(),
        )
    }

    /// A float32 tensor of any rank.
    pub fn float(&self, name: &str) -> ArrayD<f32> {
        self.find(name).unwrap_or_else(|| panic!("{} has no golden `{name}`", self.name))
    }

    /// A float32 matrix, such as a batch of series `[batch, points]`.
    pub fn matrix(&self, name: &str) -> Array2<f32> {
        self.float(name)
            .into_dimensionality()
            .unwrap_or_else(|error| panic!("{}: `{name}`: {error}", self.name))
    }

    /// An int64 matrix, such as a mask.
    pub fn integers(&self, name: &str) -> Array2<i64> {
        let tensor = self.tensors.get(name).and_then(Tensor::as_i64);
        let array = tensor.unwrap_or_else(|| panic!("{} has no int64 golden `{name}`", self.name)).to_owned();
        array.into_dimensionality().unwrap_or_else(|error| panic!("{}: `{name}`: {error}", self.name))
    }

    /// The names after `prefix` of all tensors that begin with it: `generate.` gives `1`, `96`, …
    pub fn suffixes<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.tensors.keys().filter_map(move |name| name.strip_prefix(prefix))
    }

    /// Predictions of every head from the golden `hidden_states` `[batch, positions, hidden]` after the final norm:
    /// the product with the head's weights of the checkpoint, in float64. The graphs do not output hidden states.
    pub fn predictions_of(&self, hidden_states: &str) -> Vec<(usize, Array3<f64>)> {
        let hidden = self.float(hidden_states).mapv(f64::from).into_dimensionality();
        let hidden: Array3<f64> =
            hidden.unwrap_or_else(|error| panic!("{}: `{hidden_states}`: {error}", self.name));
        let heads = self.config().horizon_lengths().iter().enumerate();
        heads.map(|(head, &horizon)| (horizon, project(hidden.view(), &self.head(head)))).collect()
    }

    /// Weights of a head, `[horizon, hidden]`.
    fn head(&self, head: usize) -> Array2<f64> {
        let tensor = self.checkpoint.tensor(TensorName::Head(head)).unwrap_or_else(|error| panic!("{error}"));
        let mut values = vec![0.0; tensor.elements()];
        tensor.copy_to_f32(&mut values).unwrap_or_else(|error| panic!("{error}"));
        let values = values.into_iter().map(f64::from).collect();
        let shape = (self.config().horizon_lengths()[head], self.config().hidden_size());
        Array2::from_shape_vec(shape, values).unwrap_or_else(|error| panic!("head {head}: {error}"))
    }
}

/// `[batch, positions, hidden]` times the transpose of `[horizon, hidden]`.
fn project(hidden: ArrayView3<'_, f64>, weight: &Array2<f64>) -> Array3<f64> {
    let (batch, positions, _) = hidden.dim();
    Array3::from_shape_fn((batch, positions, weight.nrows()), |(row, position, step)| {
        hidden.slice(ndarray::s![row, position, ..]).dot(&weight.row(step))
    })
}
