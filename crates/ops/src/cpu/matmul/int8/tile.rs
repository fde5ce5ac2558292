//! The innermost loop of int8: a few rows times one panel, in registers.

use super::Dot;
use crate::cpu::matmul::tile::{Ahead, MOST_ELEMENTS, Tiled, every_height, of_height};

/// One panel: [groups, 2 vectors, group] weights, and [2 vectors] of what the sums start with and of the scales.
#[derive(Clone, Copy)]
pub(crate) struct Int8Panel {
    pub(crate) groups: usize,
    pub(crate) weights: *const i8,
    pub(crate) start: *const i32,
    pub(crate) scales: *const f32,
    /// What will be read next.
    pub(crate) ahead: Ahead,
}

/// Multiplies `rows.len()` rows with a panel; `(sum * row's scale) * column's scale` goes to `sums`, [rows, 2 vectors].
///
/// # Safety
///
/// - there are 1 to `S::ROWS` rows
/// - of each row the scale's word and the `groups` words after it, and the panel, are readable
#[inline(always)]
pub(crate) unsafe fn int8_tile<S: Tiled, D: Dot<S>>(
    simd: S,
    dot: D,
    rows: &[*const u32],
    panel: Int8Panel,
    sums: &mut [f32; MOST_ELEMENTS],
) {
    // SAFETY: the caller's; the number of rows is compared with the tile's.
    unsafe { of_height!(S, [simd, dot], rows, [panel, sums]) }
}

/// A tile of fixed size. Written out, because sums in an array that a loop indexes end up in memory.
macro_rules! fixed {
    ($name:ident, [$rows:literal: $($r:literal)*]) => {
        /// # Safety
        ///
        /// As [`int8_tile`]'s.
        #[inline(always)]
        unsafe fn $name<S: Tiled, D: Dot<S>>(
            simd: S,
            dot: D,
            rows: &[*const u32; $rows],
            panel: Int8Panel,
            sums: &mut [f32; MOST_ELEMENTS],
        ) {
            const { assert!($rows * 2 * S::LANES <= MOST_ELEMENTS) };
            let rows = *rows;
            // SAFETY: the panel is readable.
            let (start, scales) = unsafe {
                (
                    [dot.load_sum(panel.start), dot.load_sum(panel.start.add(S::LANES))],
                    [simd.load(panel.scales), simd.load(panel.scales.add(S::LANES))],
                )
            };
            let mut sum = [start; $rows];
            let mut weights = panel.weights;
            let mut ahead = panel.ahead;
            for group in 0..panel.groups {
                ahead.fetch();
                // SAFETY: the panel is readable.
                let w = unsafe {
                    [dot.load_weights(weights), dot.load_weights(weights.add(S::LANES * D::GROUP))]
                };
                $(
                    // SAFETY: `groups` words of the row are readable.
                    let x = dot.splat(unsafe { *rows[$r].add(1 + group) });
                    sum[$r][0] = dot.add_products(sum[$r][0], x, w[0]);
                    sum[$r][1] = dot.add_products(sum[$r][1], x, w[1]);
                )*
                weights = weights.wrapping_add(2 * S::LANES * D::GROUP);
            }
            let mut to = sums.as_mut_ptr();
            for (sum, row) in sum.iter().zip(rows) {
                // SAFETY: the scale's word is readable.
                let scale = simd.splat(f32::from_bits(unsafe { *row }));
                for v in 0..2 {
                    let value = simd.mul(simd.mul(dot.to_float(sum[v]), scale), scales[v]);
                    // SAFETY: the tile is not larger than `sums`, as asserted.
                    unsafe { simd.store(to, value) };
                    to = to.wrapping_add(S::LANES);
                }
            }
        }
    };
}

every_height!(fixed);
