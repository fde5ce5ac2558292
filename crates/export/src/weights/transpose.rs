//! Checkpoint layout to package layout: `[out, in]` of any float type to columns of `[in, width]`.

use half::{bf16, f16};
use tmoe_model::TensorView;

/// An element type that a blob can be stored in.
pub(crate) trait Stored: bytemuck::Pod + PartialEq {
    /// Rounds to the nearest representable value, ties to even; too large becomes infinite.
    fn from_f32(value: f32) -> Self;
    /// Whether the value is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

impl Stored for f32 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Stored for f16 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f16::is_finite(self)
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        bf16::from_f32(value)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        bf16::is_finite(self)
    }
}

/// Rows of the source that are transposed together: 16 float32 values fill one cache line of the target.
const BLOCK: usize = 16;

/// A matrix inside a blob: `rows` rows of `width` elements, of which `columns` starting at `column` are meant.
pub(crate) struct Columns<'a, T> {
    /// The whole matrix, row-major.
    pub(crate) matrix: &'a mut [T],
    /// Elements per row of the matrix.
    pub(crate) width: usize,
    /// The first column to fill.
    pub(crate) column: usize,
}

/// Writes the transpose of `source` (`[out, in]`, row-major) into `target`: `in` rows, `out` columns.
///
/// Returns the index in `source` of the first value that the target type cannot hold as a finite number, if any.
/// `scratch` is reused from call to call.
pub(crate) fn transpose_into<T: Stored>(
    source: &TensorView<'_>,
    out: usize,
    input: usize,
    target: Columns<'_, T>,
    scratch: &mut Vec<f32>,
) -> Option<usize> {
    let Columns { matrix, width, column } = target;
    debug_assert!(column + out <= width && matrix.len() == width * input);
    scratch.resize(BLOCK * input, 0.0);
    for first in (0..out).step_by(BLOCK) {
        let rows = BLOCK.min(out - first);
        let block = &mut scratch[..rows * input];
        let element = source.float_type().size();
        let bytes = &source.bytes()[first * input * element..][..block.len() * element];
        if source.float_type().copy_to_f32(bytes, block).is_err() {
            unreachable!("the bytes of a block are as many as its elements");
        }
        let all_finite = if rows == BLOCK {
            scatter_full(block, input, matrix, width, column + first)
        } else {
            scatter(block, rows, input, matrix, width, column + first)
        };
        if !all_finite {
            let index = block.iter().position(|&value| !T::from_f32(value).is_finite());
            return index.map(|index| first * input + index);
        }
    }
    None
}

/// [`scatter`] for a whole block, whose constant trip count lets the compiler keep the line in registers.
fn scatter_full<T: Stored>(
    block: &[f32],
    input: usize,
    matrix: &mut [T],
    width: usize,
    column: usize,
) -> bool {
    let sources: [&[f32]; BLOCK] = std::array::from_fn(|row| &block[row * input..(row + 1) * input]);
    let mut finite = true;
    for (index, line) in matrix.chunks_exact_mut(width).enumerate().take(input) {
        let line: &mut [T] = &mut line[column..column + BLOCK];
        for (target, source) in line.iter_mut().zip(&sources) {
            *target = T::from_f32(source[index]);
            finite &= target.is_finite();
        }
    }
    finite
}

fn scatter<T: Stored>(
    block: &[f32],
    rows: usize,
    input: usize,
    matrix: &mut [T],
    width: usize,
    column: usize,
) -> bool {
    let mut finite = true;
    for (index, line) in matrix.chunks_exact_mut(width).enumerate().take(input) {
        for row in 0..rows {
            let value = T::from_f32(block[row * input + index]);
            finite &= value.is_finite();
            line[column + row] = value;
        }
    }
    finite
}
