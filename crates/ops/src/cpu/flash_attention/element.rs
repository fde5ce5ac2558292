//! The types of a cache's elements: what is computed with is float32.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use super::MAX_HEAD_DIM;
use crate::cpu::simd::Simd;

/// Rows of one head that are widened at once, at most.
pub(super) const MAX_BLOCK: usize = 96;

/// The type of a cache's elements: `f32`, `bf16` or `f16`. New keys and values are rounded to it, to nearest, ties to even, before
/// anything attends to them.
#[expect(private_bounds, reason = "sealed: how kernels read and write the type is nothing of the outside")]
pub trait CacheElement: Element {}

impl<T: Element> CacheElement for T {}

/// How the kernels read and write the type.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Room for a block of rows in float32, where they have to be widened.
    type Block;

    /// Writes a row, which `fill` writes as float32.
    fn write(row: &mut [Self], fill: impl FnOnce(&mut [f32]));

    /// Writes a row of float32.
    fn store(row: &mut [Self], from: &[f32]);

    /// A vector of elements.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    unsafe fn load<S: Simd>(simd: S, from: *const Self) -> S::F32;

    /// The rows of `rows` that `index` names, as float32, and what they are called there.
    ///
    /// # Safety
    ///
    /// `block` is writable, and used by nothing else as long as what is returned; `index` names at most [`MAX_BLOCK`] rows of
    /// `head_dim` elements, at most [`MAX_HEAD_DIM`], in `rows`.
    unsafe fn widened<'a, S: Simd>(
        simd: S,
        rows: &'a [Self],
        index: &'a [u32],
        head_dim: usize,
        block: *mut Self::Block,
    ) -> (&'a [f32], &'a [u32]);
}

impl Element for f32 {
    type Block = ();

    #[inline(always)]
    fn write(row: &mut [f32], fill: impl FnOnce(&mut [f32])) {
        fill(row);
    }

    #[inline(always)]
    fn store(row: &mut [f32], from: &[f32]) {
        row.copy_from_slice(from);
    }

    #[inline(always)]
    unsafe fn load<S: Simd>(simd: S, from: *const f32) -> S::F32 {
        // SAFETY: the caller's.
        unsafe { simd.load(from) }
    }

    #[inline(always)]
    unsafe fn widened<'a, S: Simd>(
        _: S,
        rows: &'a [f32],
        index: &'a [u32],
        _: usize,
        _: *mut (),
    ) -> (&'a [f32], &'a [u32]) {
        (rows, index)
    }
}

/// Widened rows.
type Block = [f32; MAX_BLOCK * MAX_HEAD_DIM];

/// What widened rows are called: 0, 1, 2, ...
static IN_ORDER: [u32; MAX_BLOCK] = {
    let mut order = [0; MAX_BLOCK];
    let mut row = 0;
    while row < MAX_BLOCK {
        order[row] = row as u32;
        row += 1;
    }
    order
};

/// [`Element::widened`] of elements that are narrower than float32.
///
/// # Safety
///
/// As there.
#[inline(always)]
unsafe fn widen<'a, S: Simd, T: Element>(
    simd: S,
    rows: &'a [T],
    index: &[u32],
    head_dim: usize,
    block: *mut Block,
    element: impl Fn(T) -> f32,
) -> (&'a [f32], &'a [u32]) {
    let block = block.cast::<f32>();
    let whole = head_dim / S::LANES * S::LANES;
    for (at, &row) in index.iter().enumerate() {
        // SAFETY: the row lies in `rows`, and the block has room for it.
        unsafe {
            let (from, to) = (rows.as_ptr().add(row as usize * head_dim), block.add(at * head_dim));
            for i in (0..whole).step_by(S::LANES) {
                simd.store(to.add(i), T::load(simd, from.add(i)));
            }
            for i in whole..head_dim {
                *to.add(i) = element(*from.add(i));
            }
        }
    }
    // SAFETY: written above.
    let widened = unsafe { std::slice::from_raw_parts(block, index.len() * head_dim) };
    (widened, &IN_ORDER[..index.len()])
}

macro_rules! narrow {
    ($type:ty, $load:ident, $round:expr) => {
        impl Element for $type {
            type Block = Block;

            #[inline(always)]
            fn write(row: &mut [$type], fill: impl FnOnce(&mut [f32])) {
                let mut wide = [0.0; MAX_HEAD_DIM];
                let wide = &mut wide[..row.len()];
                fill(wide);
                Self::store(row, wide);
            }

            #[inline(always)]
            fn store(row: &mut [$type], from: &[f32]) {
                let round: fn(&mut [$type], &[f32]) = $round;
                round(row, from);
            }

            #[inline(always)]
            unsafe fn load<S: Simd>(simd: S, from: *const $type) -> S::F32 {
                // SAFETY: the caller's.
                unsafe { simd.$load(from) }
            }

            #[inline(always)]
            unsafe fn widened<'a, S: Simd>(
                simd: S,
                rows: &'a [$type],
                index: &'a [u32],
                head_dim: usize,
                block: *mut Block,
            ) -> (&'a [f32], &'a [u32]) {
                // SAFETY: the caller's.
                unsafe { widen(simd, rows, index, head_dim, block, <$type>::to_f32) }
            }
        }
    };
}

narrow!(bf16, load_bf16, |row, from| {
    for (to, &from) in row.iter_mut().zip(from) {
        *to = bf16::from_f32(from);
    }
});
// By slices, which the crate converts with the processor's instructions; one at a time it asks for them each time.
narrow!(f16, load_f16, |row, from| row.convert_from_f32_slice(from));
