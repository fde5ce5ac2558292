//! The innermost loop: a few rows times a few panels, in registers.

#[cfg(target_arch = "aarch64")]
use crate::cpu::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{Avx2, Avx512};
use crate::cpu::simd::{Portable, Simd};

/// The most rows of a tile on any instruction set.
pub(crate) const MOST_ROWS: usize = 12;
/// The most vectors of a row of a tile on any instruction set: those of four panels.
pub(crate) const MOST_VECTORS: usize = 8;
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
    /// A vector of weights.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32 {
        // SAFETY: the caller's.
        unsafe { simd.load(from) }
    }
}

/// The bits of a bfloat16.
impl Element for u16 {
    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32 {
        // SAFETY: the caller's.
        unsafe { simd.load_bf16(from) }
    }
}

/// How many panels a tile of so many rows takes at once, if there are no more rows than that.
///
/// A multiply-add takes four cycles and two start in each: eight sums keep the processor busy.
#[inline(always)]
pub(crate) fn panels_at_once(rows: usize) -> usize {
    match rows {
        1 => 4,
        2 | 3 => 2,
        _ => 1,
    }
}

/// Multiplies `rows.len()` rows with `panels` adjoining panels of [depth, 2 vectors]; the sums go to `sums`,
/// [rows, panels, 2 vectors]. Every sum runs over the depth in ascending order, whatever the tile.
///
/// # Safety
///
/// - there are 1 to `S::ROWS` rows; `panels` is 1, or at most what [`panels_at_once`] says
/// - `depth` elements of each row, and the panels, are readable
#[inline(always)]
pub(crate) unsafe fn tile<S: Tiled, E: Element>(
    simd: S,
    rows: &[*const f32],
    weights: *const E,
    panels: usize,
    depth: usize,
    sums: &mut [f32; MOST_ELEMENTS],
) {
    macro_rules! tiles {
        ($($rows:literal x $panels:literal),*) => {
            match (rows.len(), panels) {
                // SAFETY: the caller's; the length was just compared.
                $(($rows, $panels) if $rows <= S::ROWS => unsafe {
                    fixed::<S, E, $rows, $panels>(simd, &*rows.as_ptr().cast(), weights, depth, sums);
                },)*
                (rows, panels) => unreachable!("no tile of {rows} rows and {panels} panels"),
            }
        };
    }
    tiles!(
        1 x 1, 1 x 2, 1 x 3, 1 x 4, 2 x 1, 2 x 2, 3 x 1, 3 x 2, 4 x 1, 5 x 1, 6 x 1, 7 x 1, 8 x 1, 9 x 1, 10 x 1,
        11 x 1, 12 x 1
    );
}

/// # Safety
///
/// As [`tile`]'s.
#[inline(always)]
unsafe fn fixed<S: Simd, E: Element, const R: usize, const P: usize>(
    simd: S,
    rows: &[*const f32; R],
    weights: *const E,
    depth: usize,
    sums: &mut [f32; MOST_ELEMENTS],
) {
    const { assert!(R * P * 2 * S::LANES <= MOST_ELEMENTS && P * 2 <= MOST_VECTORS) };
    let rows = *rows;
    let panel = depth * 2 * S::LANES;
    let mut sum = [[[simd.splat(0.0); 2]; P]; R];
    let mut weights = weights;
    for k in 0..depth {
        let mut w = [[simd.splat(0.0); 2]; P];
        for p in 0..P {
            // SAFETY: the panels are readable.
            unsafe {
                w[p] =
                    [E::load(simd, weights.add(p * panel)), E::load(simd, weights.add(p * panel + S::LANES))];
            }
        }
        for r in 0..R {
            // SAFETY: `depth` elements of the row are readable.
            let x = simd.splat(unsafe { *rows[r].add(k) });
            for p in 0..P {
                sum[r][p][0] = simd.mul_add(x, w[p][0], sum[r][p][0]);
                sum[r][p][1] = simd.mul_add(x, w[p][1], sum[r][p][1]);
            }
        }
        weights = weights.wrapping_add(2 * S::LANES);
    }
    for r in 0..R {
        for p in 0..P {
            for v in 0..2 {
                // SAFETY: the tile is not larger than `sums`, as asserted.
                unsafe {
                    simd.store(sums.as_mut_ptr().add(((r * P + p) * 2 + v) * S::LANES), sum[r][p][v]);
                }
            }
        }
    }
}
