//! The innermost loop: a few rows times a few panels, in registers.

#[cfg(target_arch = "aarch64")]
use crate::cpu::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{Avx2, Avx512};
use crate::cpu::simd::{Portable, Simd, prefetch_far};

use super::bf16::Pair;

/// The most rows of a tile on any instruction set.
pub(crate) const MOST_ROWS: usize = 12;
/// The largest tile, in elements: twelve rows of two vectors of sixteen.
pub(crate) const MOST_ELEMENTS: usize = MOST_ROWS * 2 * 16;

/// How many rows, times two vectors, the registers hold beside two vectors of weights and one input.
pub(crate) trait Tiled: Simd {
    /// Rows of a tile.
    const ROWS: usize;
}

#[cfg(target_arch = "x86_64")]
impl Tiled for Avx512 {
    const ROWS: usize = 12;
}
#[cfg(target_arch = "x86_64")]
impl Tiled for Avx2 {
    const ROWS: usize = 6;
}
#[cfg(target_arch = "aarch64")]
impl Tiled for Neon {
    const ROWS: usize = 12;
}
impl Tiled for Portable {
    const ROWS: usize = 4;
}

/// A type that weights are kept in, for products in float32.
pub(crate) trait Element: Copy {
    /// Rows of weights in an element.
    const ROWS: usize;

    /// A vector of weights; of a pair, those of the even or the odd row.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable; `from` is aligned to a vector.
    unsafe fn load<S: Simd, const ODD: bool>(simd: S, from: *const Self) -> S::F32;
}

impl Element for f32 {
    const ROWS: usize = 1;

    #[inline(always)]
    unsafe fn load<S: Simd, const ODD: bool>(simd: S, from: *const Self) -> S::F32 {
        // SAFETY: the caller's.
        unsafe { simd.load(from) }
    }
}

impl Element for Pair {
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn load<S: Simd, const ODD: bool>(simd: S, from: *const Self) -> S::F32 {
        // SAFETY: the caller's.
        unsafe { if ODD { simd.load_bf16_odd(from.cast()) } else { simd.load_bf16_even(from.cast()) } }
    }
}

/// Memory that will be read next: while a tile is worked on, its share of the next panel comes. Fetching it in one go
/// would stop the processor as soon as a dozen lines are under way.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    next: *const i8,
    step: usize,
}

impl Ahead {
    /// Fetches the part `tile` of `tiles` of the `panel` elements from `next` on, in `steps` steps.
    #[inline(always)]
    pub(crate) fn new<T>(next: *const T, panel: usize, steps: usize, tile: usize, tiles: usize) -> Self {
        let share = panel * size_of::<T>() / tiles;
        Self { next: next.cast::<i8>().wrapping_add(tile * share), step: share / steps.max(1) }
    }

    #[inline(always)]
    pub(crate) fn fetch(&mut self) {
        prefetch_far(self.next);
        self.next = self.next.wrapping_add(self.step);
    }
}

/// How many panels a tile of so many rows takes at once, if there are no more rows than that.
///
/// A multiply-add takes four cycles and two start in each: eight sums keep the processor busy.
#[inline(always)]
pub(crate) fn panels_at_once(rows: usize) -> usize {
    match rows {
        1 => 4,
        2 => 2,
        _ => 1,
    }
}

/// Makes the tiles of every height with a macro that makes one: `fixed!(name, [rows: 0 1 ..])`.
macro_rules! every_height {
    ($fixed:ident) => {
        $fixed!(tile_1, [1: 0]);
        $fixed!(tile_2, [2: 0 1]);
        $fixed!(tile_3, [3: 0 1 2]);
        $fixed!(tile_4, [4: 0 1 2 3]);
        $fixed!(tile_5, [5: 0 1 2 3 4]);
        $fixed!(tile_6, [6: 0 1 2 3 4 5]);
        $fixed!(tile_7, [7: 0 1 2 3 4 5 6]);
        $fixed!(tile_8, [8: 0 1 2 3 4 5 6 7]);
        $fixed!(tile_9, [9: 0 1 2 3 4 5 6 7 8]);
        $fixed!(tile_10, [10: 0 1 2 3 4 5 6 7 8 9]);
        $fixed!(tile_11, [11: 0 1 2 3 4 5 6 7 8 9 10]);
        $fixed!(tile_12, [12: 0 1 2 3 4 5 6 7 8 9 10 11]);
    };
}
pub(crate) use every_height;

/// Calls the tile that [`every_height`] has made for so many rows, of which there are 1 to `$S::ROWS`: with what comes
/// `$before` them, the rows as an array, and what comes `$after` them.
macro_rules! of_height {
    ($S:ident, $before:tt, $rows:ident, $after:tt) => {
        of_height!(
            @match $S, $before, $rows, $after,
            tile_1 1, tile_2 2, tile_3 3, tile_4 4, tile_5 5, tile_6 6,
            tile_7 7, tile_8 8, tile_9 9, tile_10 10, tile_11 11, tile_12 12
        )
    };
    (@match $S:ident, $before:tt, $rows:ident, $after:tt, $($tile:ident $height:literal),*) => {
        match $rows.len() {
            $($height if $height <= $S::ROWS => of_height!(@call $tile, $before, $rows, $after),)*
            rows => unreachable!("no tile of {rows} rows"),
        }
    };
    (@call $tile:ident, [$($before:expr),*], $rows:ident, [$($after:expr),*]) => {
        $tile($($before,)* &*$rows.as_ptr().cast(), $($after),*)
    };
}
pub(crate) use of_height;

/// Multiplies `rows.len()` rows with `panels` adjoining panels of [depth / E::ROWS, 2 vectors]; the sums go to `sums`,
/// [rows, panels, 2 vectors]. Every sum runs over the depth in ascending order, whatever the tile.
///
/// # Safety
///
/// - there are 1 to `S::ROWS` rows; `panels` is 1, or at most what [`panels_at_once`] says
/// - `depth` elements of each row, and the panels, are readable; panels are aligned to a vector
#[inline(always)]
pub(crate) unsafe fn tile<S: Tiled, E: Element>(
    simd: S,
    rows: &[*const f32],
    weights: *const E,
    panels: usize,
    depth: usize,
    ahead: Ahead,
    sums: &mut [f32; MOST_ELEMENTS],
) {
    macro_rules! tiles {
        ($($name:ident $rows:literal $panels:literal),*) => {
            match (rows.len(), panels) {
                // SAFETY: the caller's; the number of rows was just compared.
                $(($rows, $panels) if $rows <= S::ROWS => unsafe {
                    $name::<S, E>(simd, &*rows.as_ptr().cast(), weights, depth, ahead, sums);
                },)*
                (rows, panels) => unreachable!("no tile of {rows} rows and {panels} panels"),
            }
        };
    }
    tiles!(
        tile_1x1 1 1, tile_1x2 1 2, tile_1x3 1 3, tile_1x4 1 4, tile_2x1 2 1,
        tile_2x2 2 2, tile_3x1 3 1,  tile_4x1 4 1, tile_5x1 5 1,
        tile_6x1 6 1, tile_7x1 7 1, tile_8x1 8 1, tile_9x1 9 1, tile_10x1 10 1,
        tile_11x1 11 1, tile_12x1 12 1
    );
}

/// A tile of fixed size. Written out, because sums in an array that a loop indexes end up in memory.
macro_rules! fixed {
    ($name:ident, [$rows:literal: $($r:literal)*], [$panels:tt: $($p:literal)*]) => {
        /// # Safety
        ///
        /// As [`tile`]'s.
        #[inline(always)]
        unsafe fn $name<S: Simd, E: Element>(
            simd: S,
            rows: &[*const f32; $rows],
            weights: *const E,
            depth: usize,
            ahead: Ahead,
            sums: &mut [f32; MOST_ELEMENTS],
        ) {
            const { assert!($rows * $panels * 2 * S::LANES <= MOST_ELEMENTS) };
            let rows = *rows;
            // From one row to the next, or to the same in another pair.
            let row = 2 * S::LANES;
            let panel = depth.div_ceil(E::ROWS) * row;
            let mut sum = [[[simd.splat(0.0); 2]; $panels]; $rows];
            let mut weights = weights;
            let mut k = 0;
            // Two steps at a time: the loop's own instructions are a tenth of a step's.
            let mut ahead = ahead;
            while k + 2 <= depth {
                ahead.fetch();
                step!(simd, E, S, false, sum, rows, k, weights, panel, [$($r)*], [$($p)*], $panels);
                let next = weights.wrapping_add((2 / E::ROWS - 1) * row);
                step!(simd, E, S, true, sum, rows, k + 1, next, panel, [$($r)*], [$($p)*], $panels);
                weights = weights.wrapping_add(2 / E::ROWS * row);
                k += 2;
            }
            if k < depth {
                step!(simd, E, S, false, sum, rows, k, weights, panel, [$($r)*], [$($p)*], $panels);
            }
            let mut to = sums.as_mut_ptr();
            for vector in sum.as_flattened().as_flattened() {
                // SAFETY: the tile is not larger than `sums`, as asserted.
                unsafe { simd.store(to, *vector) };
                to = to.wrapping_add(S::LANES);
            }
        }
    };
}

macro_rules! step {
    (
        $simd:ident, $E:ident, $S:ident, $odd:literal, $sum:ident, $rows:ident, $k:expr, $weights:ident, $panel:ident,
        [$($r:literal)*], [$($p:literal)*], $panels:tt
    ) => {
        // SAFETY: `k` is below `depth`, and so the panels are readable there; their rows are whole vectors.
        let w = unsafe {
            [$([
                $E::load::<$S, $odd>($simd, $weights.add($p * $panel)),
                $E::load::<$S, $odd>($simd, $weights.add($p * $panel + $S::LANES)),
            ]),*]
        };
        $(
            // SAFETY: `k` is below `depth`, and so the row is readable there.
            let x = $simd.splat(unsafe { *$rows[$r].add($k) });
            multiply_add!($simd, $sum[$r], x, w, $panels);
        )*
    };
}

macro_rules! multiply_add {
    ($simd:ident, $sum:expr, $x:ident, $w:ident, 1) => { multiply_add!(@ $simd, $sum, $x, $w, 0) };
    ($simd:ident, $sum:expr, $x:ident, $w:ident, 2) => { multiply_add!(@ $simd, $sum, $x, $w, 0 1) };
    ($simd:ident, $sum:expr, $x:ident, $w:ident, 3) => { multiply_add!(@ $simd, $sum, $x, $w, 0 1 2) };
    ($simd:ident, $sum:expr, $x:ident, $w:ident, 4) => { multiply_add!(@ $simd, $sum, $x, $w, 0 1 2 3) };
    (@ $simd:ident, $sum:expr, $x:ident, $w:ident, $($p:literal)*) => {$(
        $sum[$p][0] = $simd.mul_add($x, $w[$p][0], $sum[$p][0]);
        $sum[$p][1] = $simd.mul_add($x, $w[$p][1], $sum[$p][1]);
    )*};
}

fixed!(tile_1x1, [1: 0], [1: 0]);
fixed!(tile_1x2, [1: 0], [2: 0 1]);
fixed!(tile_1x3, [1: 0], [3: 0 1 2]);
fixed!(tile_1x4, [1: 0], [4: 0 1 2 3]);
fixed!(tile_2x1, [2: 0 1], [1: 0]);
fixed!(tile_2x2, [2: 0 1], [2: 0 1]);
fixed!(tile_3x1, [3: 0 1 2], [1: 0]);
fixed!(tile_4x1, [4: 0 1 2 3], [1: 0]);
fixed!(tile_5x1, [5: 0 1 2 3 4], [1: 0]);
fixed!(tile_6x1, [6: 0 1 2 3 4 5], [1: 0]);
fixed!(tile_7x1, [7: 0 1 2 3 4 5 6], [1: 0]);
fixed!(tile_8x1, [8: 0 1 2 3 4 5 6 7], [1: 0]);
fixed!(tile_9x1, [9: 0 1 2 3 4 5 6 7 8], [1: 0]);
fixed!(tile_10x1, [10: 0 1 2 3 4 5 6 7 8 9], [1: 0]);
fixed!(tile_11x1, [11: 0 1 2 3 4 5 6 7 8 9 10], [1: 0]);
fixed!(tile_12x1, [12: 0 1 2 3 4 5 6 7 8 9 10 11], [1: 0]);
