//! Tensors in host memory: what goes into a graph and what comes out of it.

mod file;
mod float;

use std::collections::BTreeMap;
use std::fmt;

use half::{bf16, f16};
use ndarray::{ArrayD, ArrayViewD, IxDyn};

pub use self::file::TensorFileError;

/// Tensors by the names of a graph's inputs or outputs.
pub type NamedTensors = BTreeMap<String, Tensor>;

/// The element type of a graph's input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of a float32.
    BF16,
    /// 64-bit signed integer.
    I64,
    /// A type that no [`Tensor`] has, by the provider's name for it.
    Other(String),
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I64 => "int64",
            Self::Other(name) => name,
        })
    }
}

/// A dense tensor in host memory, of one of the element types that the graphs' inputs and outputs have.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    /// IEEE single precision.
    F32(ArrayD<f32>),
    /// IEEE half precision.
    F16(ArrayD<f16>),
    /// The upper halves of float32.
    BF16(ArrayD<bf16>),
    /// 64-bit signed integers.
    I64(ArrayD<i64>),
}

impl Tensor {
    /// All zeros; `None` for a type that no tensor has.
    pub(crate) fn zeros(element_type: &ElementType, shape: &[usize]) -> Option<Self> {
        let shape = IxDyn(shape);
        Some(match element_type {
            ElementType::F32 => Self::F32(ArrayD::zeros(shape)),
            ElementType::F16 => Self::F16(ArrayD::zeros(shape)),
            ElementType::BF16 => Self::BF16(ArrayD::zeros(shape)),
            ElementType::I64 => Self::I64(ArrayD::zeros(shape)),
            ElementType::Other(_) => return None,
        })
    }

    /// Its element type.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F16(_) => ElementType::F16,
            Self::BF16(_) => ElementType::BF16,
            Self::I64(_) => ElementType::I64,
        }
    }

    /// Its sizes, outermost axis first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::F16(array) => array.shape(),
            Self::BF16(array) => array.shape(),
            Self::I64(array) => array.shape(),
        }
    }

    /// Its elements, if they are float32.
    pub fn as_f32(&self) -> Option<ArrayViewD<'_, f32>> {
        match self {
            Self::F32(array) => Some(array.view()),
            _ => None,
        }
    }

    /// Its elements, if they are int64.
    pub fn as_i64(&self) -> Option<ArrayViewD<'_, i64>> {
        match self {
            Self::I64(array) => Some(array.view()),
            _ => None,
        }
    }
}

macro_rules! from_array {
    ($($variant:ident: $element:ty),*) => {$(
        impl<D: ndarray::Dimension> From<ndarray::Array<$element, D>> for Tensor {
            fn from(array: ndarray::Array<$element, D>) -> Self {
                Self::$variant(array.into_dyn())
            }
        }
    )*};
}
from_array!(F32: f32, F16: f16, BF16: bf16, I64: i64);
