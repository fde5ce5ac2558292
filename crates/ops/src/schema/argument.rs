//! Inputs and outputs of a node as far as they are known before it runs.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// IEEE single precision.
    Float32,
    /// IEEE half precision.
    Float16,
    /// The upper half of a float32.
    BFloat16,
    /// 8-bit integers.
    Int8,
    /// 64-bit integers.
    Int64,
    /// Any other, by its number in `onnx.TensorProto.DataType`.
    Other(i32),
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float32 => f.pad("float32"),
            Self::Float16 => f.pad("float16"),
            Self::BFloat16 => f.pad("bfloat16"),
            Self::Int8 => f.pad("int8"),
            Self::Int64 => f.pad("int64"),
            Self::Other(number) => write!(f, "element type {number}"),
        }
    }
}

/// The size of one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// A known size.
    Fixed(u64),
    /// An unknown size with a name: the same name means the same size.
    Symbol(String),
    /// An unknown size.
    Unknown,
}

impl Dimension {
    /// The size, if it is known.
    pub fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(size) => Some(*size),
            _ => None,
        }
    }

    /// Whether both can be the same size.
    pub(super) fn may_equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(a), Self::Fixed(b)) => a == b,
            _ => true,
        }
    }

    /// Whichever of two equal sizes says more.
    pub(super) fn or<'a>(&'a self, other: &'a Self) -> &'a Self {
        match (self, other) {
            (Self::Fixed(_), _) | (_, Self::Unknown) => self,
            (_, Self::Fixed(_)) | (Self::Unknown, _) => other,
            _ => self,
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// An input or output of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Argument {
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its sizes; `None` where not even their number is known.
    pub shape: Option<Vec<Dimension>>,
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.element_type, shape_text(self.shape.as_deref()))
    }
}

/// `[batch, 4]`, or `of unknown rank`.
pub(super) fn shape_text(shape: Option<&[Dimension]>) -> String {
    match shape {
        Some(shape) => {
            let sizes: Vec<String> = shape.iter().map(Dimension::to_string).collect();
            format!("[{}]", sizes.join(", "))
        }
        None => "of unknown rank".to_owned(),
    }
}
