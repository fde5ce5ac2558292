//! What every call of a kernel is given beside its inputs.

use std::ffi::c_void;
use std::ptr;

use super::CudaError;
use super::ffi;
use crate::cpu::RotaryRounding;

/// The type of elements in device memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatType {
    /// IEEE single precision.
    Float32,
    /// IEEE half precision.
    Float16,
    /// The upper half of a float32.
    BFloat16,
}

impl FloatType {
    /// Its `tmoe_type`.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Float32 => 0,
            Self::Float16 => 1,
            Self::BFloat16 => 2,
        }
    }

    /// The type to which cos and sin are rounded.
    pub(super) fn of_rounding(rounding: RotaryRounding) -> Self {
        match rounding {
            RotaryRounding::Float32 => Self::Float32,
            RotaryRounding::Float16 => Self::Float16,
            RotaryRounding::BFloat16 => Self::BFloat16,
        }
    }
}

/// How products of float32 are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// In float32.
    #[default]
    Exact,
    /// By the tensor cores, where the device has them for it: inputs are rounded to TF32, a relative error of up to 1e-3.
    Tf32,
}

impl Products {
    /// Its bit in a shape's options.
    pub(super) fn options(self) -> u32 {
        match self {
            Self::Exact => 0,
            Self::Tf32 => ffi::ALLOW_TF32,
        }
    }
}

/// A `cudaStream_t`.
#[derive(Clone, Copy, Debug)]
pub struct Stream(pub *mut c_void);

/// Scratch memory on the device, aligned to 256 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Workspace {
    /// Where it begins.
    pub address: *mut c_void,
    /// Its size.
    pub bytes: usize,
}

impl Workspace {
    /// No memory, for work that needs none.
    pub const NONE: Self = Self { address: ptr::null_mut(), bytes: 0 };
}

/// A size as the kernels take it.
pub(super) fn size_i32(operator: &'static str, size: &'static str, found: usize) -> Result<i32, CudaError> {
    let expected = "less than 2^31";
    i32::try_from(found).map_err(|_| CudaError::Size { operator, size, found, expected })
}

/// Fails unless a size fits.
pub(super) fn require(
    fits: bool,
    operator: &'static str,
    size: &'static str,
    found: usize,
    expected: &'static str,
) -> Result<(), CudaError> {
    if fits { Ok(()) } else { Err(CudaError::Size { operator, size, found, expected }) }
}

/// A number of rows, which memory bounds far below 2^63.
pub(super) fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
