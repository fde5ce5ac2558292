//! The innermost loop where rows and weights are pairs of bfloat16: a few rows times one panel, in registers.

use super::{Dot, Pair};
use crate::cpu::matmul::tile::{Ahead, MOST_ELEMENTS, Tiled, every_height, of_height};

/// Multiplies `rows.len()` rows of `pairs` pairs with a panel, [pairs, 2 vectors]; the sums go to `sums`,
/// [rows, 2 vectors].
///
/// # Safety
///
/// - there are 1 to `S::ROWS` rows
/// - `pairs` words of each row, and the panel, are readable; the panel is aligned to a vector
#[inline(always)]
pub(crate) unsafe fn pair_tile<S: Tiled, D: Dot<S>>(
    simd: S,
    dot: D,
    rows: &[*const u32],
    weights: *const Pair,
    pairs: usize,
    ahead: Ahead,
    sums: &mut [f32; MOST_ELEMENTS],
) {
    // SAFETY: the caller's; the number of rows is compared with the tile's.
    unsafe { of_height!(S, [simd, dot], rows, [weights, pairs, ahead, sums]) }
}

/// A tile of fixed size. Written out, because sums in an array that a loop indexes end up in memory.
macro_rules! fixed {
    ($name:ident, [$rows:literal: $($r:literal)*]) => {
        /// # Safety
        ///
        /// As [`pair_tile`]'s.
        #[inline(always)]
        unsafe fn $name<S: Tiled, D: Dot<S>>(
            simd: S,
            dot: D,
            rows: &[*const u32; $rows],
            weights: *const Pair,
            pairs: usize,
            ahead: Ahead,
            sums: &mut [f32; MOST_ELEMENTS],
        ) {
            const { assert!($rows * 2 * S::LANES <= MOST_ELEMENTS) };
            let rows = *rows;
            let mut sum = [[simd.splat(0.0); 2]; $rows];
            let (mut weights, mut ahead) = (weights, ahead);
            for pair in 0..pairs {
                ahead.fetch();
                // SAFETY: the panel is readable, and its rows are whole vectors.
                let w = unsafe { [dot.load(weights), dot.load(weights.add(S::LANES))] };
                $(
                    // SAFETY: `pairs` words of the row are readable.
                    let x = dot.splat(Pair(unsafe { *rows[$r].add(pair) }));
                    sum[$r][0] = dot.add_products(sum[$r][0], x, w[0]);
                    sum[$r][1] = dot.add_products(sum[$r][1], x, w[1]);
                )*
                weights = weights.wrapping_add(2 * S::LANES);
            }
            let mut to = sums.as_mut_ptr();
            for vector in sum.as_flattened() {
                // SAFETY: the tile is not larger than `sums`, as asserted.
                unsafe { simd.store(to, *vector) };
                to = to.wrapping_add(S::LANES);
            }
        }
    };
}

every_height!(fixed);
