//! Vectors of float32, the same for every instruction set.
//!
//! A kernel is written once, generic over [`Simd`] and `#[inline(always)]`; [`dispatch!`](super::dispatch) compiles it for every
//! instruction set and calls the best one that the processor has:
//!
//! ```text
//! #[inline(always)]
//! fn double<S: Simd>(simd: S, x: &mut [f32]) { … }
//!
//! fn double_any(x: &mut [f32]) {
//!     dispatch!(|simd| double(simd, x))
//! }
//! ```
//!
//! A value of an implementing type is the proof that the processor has the instructions, so the operations that touch
//! no memory are safe.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod exp;
mod exp2;
mod level;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod prefetch;

pub(crate) use self::exp::sigmoid;
pub(crate) use self::exp2::exp2;
pub(crate) use self::level::Level;
#[cfg(target_arch = "aarch64")]
pub(crate) use self::neon::Neon;
pub(crate) use self::portable::Portable;
pub(crate) use self::prefetch::{prefetch_far, prefetch_near};
#[cfg(target_arch = "x86_64")]
pub(crate) use self::{avx2::Avx2, avx512::Avx512};

use half::{bf16, f16};

/// An instruction set's vectors of float32.
pub(crate) trait Simd: Copy {
    /// A vector.
    type F32: Copy;
    /// Elements of a vector.
    const LANES: usize;

    /// All elements equal.
    fn splat(self, value: f32) -> Self::F32;
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    unsafe fn load(self, from: *const f32) -> Self::F32;
    /// # Safety
    ///
    /// `LANES` elements from `to` on are writable.
    unsafe fn store(self, to: *mut f32, value: Self::F32);
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The larger of each pair; `b` where either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The smaller of each pair; `b` where either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once where the processor can.
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// To the nearest integer, ties to even; for absolute values below 2^22.
    fn round(self, a: Self::F32) -> Self::F32;
    /// `2^n` of integral elements between -127 and 128: at the ends, whose powers are not normal numbers, exactly 0 and
    /// infinity. Of NaN some number, never a fault.
    fn exp2_integer(self, n: Self::F32) -> Self::F32;
    /// The bfloat16 in the low halves of `LANES` words, as float32.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    unsafe fn load_bf16_even(self, from: *const u32) -> Self::F32;
    /// The bfloat16 in the high halves of `LANES` words, as float32.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable; `from` is aligned to a vector.
    unsafe fn load_bf16_odd(self, from: *const u32) -> Self::F32;
    /// bfloat16 one behind the other, as float32.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const bf16) -> Self::F32 {
        // SAFETY: the caller's.
        unsafe { self.load_each(from, bf16::to_f32) }
    }
    /// Half precision as float32.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    #[inline(always)]
    unsafe fn load_f16(self, from: *const f16) -> Self::F32 {
        // SAFETY: the caller's.
        unsafe { self.load_each(from, f16::to_f32) }
    }

    /// `LANES` elements of another type, one by one.
    ///
    /// # Safety
    ///
    /// `LANES` elements from `from` on are readable.
    #[inline(always)]
    unsafe fn load_each<T: Copy>(self, from: *const T, widen: impl Fn(T) -> f32) -> Self::F32 {
        let mut elements = [0.0; 16];
        for (lane, element) in elements[..Self::LANES].iter_mut().enumerate() {
            // SAFETY: the caller's.
            *element = widen(unsafe { *from.add(lane) });
        }
        // SAFETY: no vector has more than 16 elements.
        unsafe { self.load(elements.as_ptr()) }
    }

    /// The elements, summed in one fixed order.
    #[inline(always)]
    fn sum(self, a: Self::F32) -> f32 {
        let mut elements = [0.0; 16];
        // SAFETY: no vector has more than 16 elements.
        unsafe { self.store(elements.as_mut_ptr(), a) };
        elements[..Self::LANES].iter().sum()
    }

    /// The largest element.
    #[inline(always)]
    fn max_element(self, a: Self::F32) -> f32 {
        let mut elements = [f32::NEG_INFINITY; 16];
        // SAFETY: no vector has more than 16 elements.
        unsafe { self.store(elements.as_mut_ptr(), a) };
        elements[..Self::LANES].iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
}

/// Calls an `#[inline(always)]` function for the best instruction set of this processor.
///
/// `dispatch!(|simd| kernel(simd, a, b))` runs `kernel` with the proof `simd`; `dispatch!(level, |simd| …)` with the
/// given [`Level`] rather than the best.
macro_rules! dispatch {
    (|$simd:ident| $call:expr) => {
        $crate::cpu::simd::dispatch!($crate::cpu::simd::Level::best(), |$simd| $call)
    };
    ($level:expr, |$simd:ident| $call:expr) => {
        match $level {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::simd::Level::Avx512($simd) => $simd.vectorize(
                #[inline(always)]
                || $call,
            ),
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::simd::Level::Avx2($simd) => $simd.vectorize(
                #[inline(always)]
                || $call,
            ),
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::simd::Level::Neon($simd) => $call,
            $crate::cpu::simd::Level::Portable($simd) => $call,
        }
    };
}
pub(crate) use dispatch;
