//! The innermost loop where rows and weights are pairs of bfloat16: a few rows times one panel, in registers.

use super::{Dot, Pair};
use crate::cpu::matmul::tile::{Ahead, MOST_ELEMENTS, Tiled};

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
    macro_rules! tiles {
        ($($name:ident $rows:literal),*) => {
            match rows.len() {
                // SAFETY: the caller's; the number of rows was just compared.
                $($rows if $rows <= S::ROWS => unsafe {
                    $name(simd, dot, &*rows.as_ptr().cast(), weights, pairs, ahead, sums);
                },)*
                rows => unreachable!("no tile of {rows} rows"),
            }
        };
    }
    tiles!(
        tile_1 1, tile_2 2, tile_3 3, tile_4 4, tile_5 5, tile_6 6,
        tile_7 7, tile_8 8, tile_9 9, tile_10 10, tile_11 11, tile_12 12
    );
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

fixed!(tile_1, [1: 0]);
fixed!(tile_2, [2: 0 1]);
fixed!(tile_3, [3: 0 1 2]);
fixed!(tile_4, [4: 0 1 2 3]);
fixed!(tile_5, [5: 0 1 2 3 4]);
fixed!(tile_6, [6: 0 1 2 3 4 5]);
fixed!(tile_7, [7: 0 1 2 3 4 5 6]);
fixed!(tile_8, [8: 0 1 2 3 4 5 6 7]);
fixed!(tile_9, [9: 0 1 2 3 4 5 6 7 8]);
fixed!(tile_10, [10: 0 1 2 3 4 5 6 7 8 9]);
fixed!(tile_11, [11: 0 1 2 3 4 5 6 7 8 9 10]);
fixed!(tile_12, [12: 0 1 2 3 4 5 6 7 8 9 10 11]);
