//! Element types of tensors, as numbers of the ONNX format and as marker types for typed values.

use std::fmt;

/// Element type of a tensor, with the numbers of `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum DataType {
    /// 32-bit IEEE float.
    Float32 = 1,
    /// 8-bit unsigned integer.
    Uint8 = 2,
    /// 8-bit signed integer.
    Int8 = 3,
    /// 32-bit signed integer.
    Int32 = 6,
    /// 64-bit signed integer.
    Int64 = 7,
    /// Truth value, one byte each.
    Bool = 9,
    /// 16-bit IEEE float.
    Float16 = 10,
    /// 16-bit brain float.
    Bfloat16 = 16,
}

impl DataType {
    /// The number in `TensorProto.data_type` and `TypeProto.Tensor.elem_type`.
    pub const fn code(self) -> i32 {
        self as i32
    }

    /// The type with that number, or `None` for one that this crate does not build graphs with.
    pub const fn from_code(code: i32) -> Option<Self> {
        Some(match code {
            1 => Self::Float32,
            2 => Self::Uint8,
            3 => Self::Int8,
            6 => Self::Int32,
            7 => Self::Int64,
            9 => Self::Bool,
            10 => Self::Float16,
            16 => Self::Bfloat16,
            _ => return None,
        })
    }

    /// Size of one element in bytes.
    pub const fn size(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 | Self::Bool => 1,
            Self::Float16 | Self::Bfloat16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    /// The usual name, such as `float32`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A marker for the element type of a [`Value`](crate::Value).
pub trait Element: sealed::Sealed + Copy + fmt::Debug + Send + Sync + 'static {
    /// The element type.
    const TYPE: DataType;
    /// How one element lies in memory. [`Bool`] is `u8`: 0 or 1.
    type Native: bytemuck::Pod + fmt::Debug;
}

/// Element types with arithmetic: everything but [`Bool`].
pub trait Numeric: Element {}

/// Numeric types that ONNX reduces and multiplies matrices in: the floats, [`I32`] and [`I64`].
pub trait Wide: Numeric {}

/// Floating-point element types.
pub trait Float: Wide {
    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self::Native;
}

/// Integer types that may index a tensor: [`I32`] and [`I64`].
pub trait Index: Wide {}

macro_rules! elements {
    ($($(#[$doc:meta])* $name:ident = $data_type:ident as $native:ty: $($group:ident),*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name;
        impl sealed::Sealed for $name {}
        impl Element for $name {
            const TYPE: DataType = DataType::$data_type;
            type Native = $native;
        }
        $(impl $group for $name {})*
    )*};
}

elements! {
    /// 32-bit IEEE float.
    F32 = Float32 as f32: Numeric, Wide;
    /// 16-bit IEEE float.
    F16 = Float16 as half::f16: Numeric, Wide;
    /// 16-bit brain float.
    BF16 = Bfloat16 as half::bf16: Numeric, Wide;
    /// 64-bit signed integer.
    I64 = Int64 as i64: Numeric, Wide, Index;
    /// 32-bit signed integer.
    I32 = Int32 as i32: Numeric, Wide, Index;
    /// 8-bit signed integer.
    I8 = Int8 as i8: Numeric;
    /// 8-bit unsigned integer.
    U8 = Uint8 as u8: Numeric;
    /// Truth value.
    Bool = Bool as u8:;
}

impl Float for F32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
}

impl Float for F16 {
    fn from_f64(value: f64) -> half::f16 {
        half::f16::from_f64(value)
    }
}

impl Float for BF16 {
    fn from_f64(value: f64) -> half::bf16 {
        half::bf16::from_f64(value)
    }
}
