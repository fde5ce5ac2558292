//! Squares of float32 turned around their diagonal.

#[cfg(target_arch = "aarch64")]
use crate::cpu::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{Avx2, Avx512};
use crate::cpu::simd::{Portable, Simd};

/// Instruction sets, by how they turn a square of `LANES` by `LANES`, and by how much they have room for.
pub(super) trait Transpose: Simd {
    /// Vectors of queries in a task of many queries, 2 or 4.
    const VECTORS: usize = 2;

    /// `to[column][row] = from[row][column]` for rows and columns below `LANES`; strides in elements.
    ///
    /// # Safety
    ///
    /// The square is readable at `from` and writable at `to`, and the two do not overlap.
    #[inline(always)]
    unsafe fn transpose_square(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..Self::LANES {
            for column in 0..Self::LANES {
                // SAFETY: within the squares.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
            }
        }
    }
}

impl Transpose for Portable {}

#[cfg(target_arch = "aarch64")]
impl Transpose for Neon {
    // Vectors are short, and there are 32 registers: six keys times four vectors are 24.
    const VECTORS: usize = 4;

    #[inline(always)]
    unsafe fn transpose_square(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        use std::arch::aarch64::{
            vld1q_f32, vreinterpretq_f32_f64, vreinterpretq_f64_f32, vst1q_f32, vtrn1q_f32, vtrn1q_f64,
            vtrn2q_f32, vtrn2q_f64,
        };
        // SAFETY: NEON is part of the architecture; memory is the caller's.
        unsafe {
            let row = |i: usize| vld1q_f32(from.add(i * from_stride));
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            // Two elements of columns 0 and 2, then of 1 and 3, of two rows each.
            let top = [vtrn1q_f32(a, b), vtrn2q_f32(a, b)].map(|pairs| vreinterpretq_f64_f32(pairs));
            let bottom = [vtrn1q_f32(c, d), vtrn2q_f32(c, d)].map(|pairs| vreinterpretq_f64_f32(pairs));
            for i in 0..2 {
                let columns = (vtrn1q_f64(top[i], bottom[i]), vtrn2q_f64(top[i], bottom[i]));
                vst1q_f32(to.add(i * to_stride), vreinterpretq_f32_f64(columns.0));
                vst1q_f32(to.add((i + 2) * to_stride), vreinterpretq_f32_f64(columns.1));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Transpose for Avx2 {
    #[inline(always)]
    unsafe fn transpose_square(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: `self` proves AVX2; memory is the caller's.
        unsafe { transpose_8(from, from_stride, to, to_stride) };
    }
}

#[cfg(target_arch = "x86_64")]
impl Transpose for Avx512 {
    #[inline(always)]
    unsafe fn transpose_square(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for (row, column) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            // SAFETY: `self` proves AVX-512, which includes AVX2; the four quarters are within the squares.
            unsafe {
                let from = from.add(row * from_stride + column);
                transpose_8(from, from_stride, to.add(column * to_stride + row), to_stride);
            }
        }
    }
}

/// A square of 8.
///
/// # Safety
///
/// The processor has AVX; the square is readable at `from` and writable at `to`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_8(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
    use std::arch::x86_64::{
        _mm256_loadu_ps, _mm256_permute2f128_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_storeu_ps,
        _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };
    // SAFETY: the caller's promises.
    unsafe {
        // Loops rather than closures, which would not be compiled for the instruction set unless inlined.
        let mut row = [_mm256_setzero_ps(); 8];
        for (i, row) in row.iter_mut().enumerate() {
            *row = _mm256_loadu_ps(from.add(i * from_stride));
        }
        let mut pairs = row;
        for i in 0..4 {
            let (a, b) = (row[2 * i], row[2 * i + 1]);
            pairs[2 * i] = _mm256_unpacklo_ps(a, b);
            pairs[2 * i + 1] = _mm256_unpackhi_ps(a, b);
        }
        // Four elements of a column in each half: columns 0 to 3 (and 4 to 7) of rows 0 to 3, then of rows 4 to 7.
        let mut fours = pairs;
        for i in 0..4 {
            let (a, b) = (pairs[i / 2 * 4 + i % 2], pairs[i / 2 * 4 + i % 2 + 2]);
            fours[2 * i] = _mm256_shuffle_ps::<0x44>(a, b);
            fours[2 * i + 1] = _mm256_shuffle_ps::<0xee>(a, b);
        }
        for i in 0..4 {
            let (low, high) = (fours[i], fours[i + 4]);
            _mm256_storeu_ps(to.add(i * to_stride), _mm256_permute2f128_ps::<0x20>(low, high));
            _mm256_storeu_ps(to.add((i + 4) * to_stride), _mm256_permute2f128_ps::<0x31>(low, high));
        }
    }
}

/// `to [columns, rows] = from [rows, columns]` transposed: square by square, and what is beyond the last ones by elements.
///
/// # Safety
///
/// `rows x columns` elements are readable at `from` and writable at `to`, and the two do not overlap.
#[inline(always)]
pub(super) unsafe fn transpose<S: Transpose>(
    simd: S,
    from: *const f32,
    rows: usize,
    columns: usize,
    to: *mut f32,
) {
    let (whole_rows, whole_columns) = (rows / S::LANES * S::LANES, columns / S::LANES * S::LANES);
    for row in (0..whole_rows).step_by(S::LANES) {
        for column in (0..whole_columns).step_by(S::LANES) {
            // SAFETY: the square lies within both matrices.
            unsafe {
                simd.transpose_square(
                    from.add(row * columns + column),
                    columns,
                    to.add(column * rows + row),
                    rows,
                );
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole_rows { whole_columns } else { 0 };
        for column in first..columns {
            // SAFETY: within both matrices.
            unsafe { *to.add(column * rows + row) = *from.add(row * columns + column) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::{Level, dispatch};

    #[inline(always)]
    fn there_and_back<S: Transpose>(simd: S) {
        for columns in [S::LANES * 2, S::LANES + 2, 10] {
            let rows = S::LANES * 3;
            let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let (mut turned, mut back) = (vec![0.0; from.len()], vec![0.0; from.len()]);
            // SAFETY: all three have `rows x columns` elements.
            unsafe {
                transpose(simd, from.as_ptr(), rows, columns, turned.as_mut_ptr());
                transpose(simd, turned.as_ptr(), columns, rows, back.as_mut_ptr());
            }
            for row in 0..rows {
                for column in 0..columns {
                    assert_eq!(turned[column * rows + row], from[row * columns + column]);
                }
            }
            assert_eq!(back, from);
        }
    }

    #[test]
    fn transposing_turns_rows_into_columns_on_every_instruction_set() {
        for level in Level::all() {
            dispatch!(level, |simd| there_and_back(simd));
        }
    }
}
