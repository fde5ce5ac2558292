//! Weights as the caller has them.

use half::{bf16, f16};

/// Weights as they lie in a package: row-major, a stack of matrices [.., in, out].
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a> {
    /// float32.
    F32(&'a [f32]),
    /// float16: kept as float32, so the products are those of float32.
    F16(&'a [f16]),
    /// bfloat16: kept as such, half the bytes; sums are float32. With AVX512-BF16 the inputs are rounded to bfloat16,
    /// and denormal numbers are taken for zero; without, they stay float32.
    Bf16(&'a [bf16]),
    /// int8 with a scale per output column: products with inputs that are quantised per row, sums in int32.
    I8 {
        /// [.., in, out]; -128 is allowed.
        values: &'a [i8],
        /// [.., out]: a weight is its value times its column's scale.
        scales: &'a [f32],
    },
}

impl Weights<'_> {
    /// How many weights there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
            Self::I8 { values, .. } => values.len(),
        }
    }
}
