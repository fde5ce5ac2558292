//! The bfloat16 extension of 64-bit ARM (in all of ARMv8.6): `bfdot`, two products to each of four sums. Whatever the
//! floating-point modes say, it takes denormal numbers for zero, and rounds both additions to odd: off by less than a
//! unit in the last place, to either side.

use std::arch::aarch64::{float32x4_t, uint32x4_t, vld1q_u32};
use std::arch::{asm, is_aarch64_feature_detected};

use super::{Dot, Pair};
use crate::cpu::simd::Neon;

/// Proof that the processor has the bfloat16 extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NeonBf16(Neon);

impl NeonBf16 {
    /// The proof, if it has.
    pub(crate) fn detect(simd: Neon) -> Option<Self> {
        is_aarch64_feature_detected!("bf16").then_some(Self(simd))
    }

    /// Its vectors.
    #[inline(always)]
    pub(crate) fn simd(self) -> Neon {
        self.0
    }

    /// Compiles a closure, and what is inlined into it, for this instruction set.
    #[inline(always)]
    pub(crate) fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "neon,bf16")]
        fn enabled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(work) }
    }
}

// SAFETY of the operations below: `self` proves that the processor has the instructions; pointers are the caller's.
impl Dot<Neon> for NeonBf16 {
    /// The pair's bits: as a float32 they are loaded where `bfdot` takes them, with no instruction that spreads them.
    type Inputs = f32;
    type Weights = uint32x4_t;

    #[inline(always)]
    unsafe fn load(self, from: *const Pair) -> uint32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_u32(from.cast()) }
    }
    #[inline(always)]
    fn splat(self, Pair(pair): Pair) -> f32 {
        f32::from_bits(pair)
    }
    #[inline(always)]
    fn add_products(self, sum: float32x4_t, inputs: f32, weights: uint32x4_t) -> float32x4_t {
        let mut sum = sum;
        // SAFETY: see above. (There is no stable intrinsic.)
        unsafe {
            asm!(
                "bfdot {sum:v}.4s, {weights:v}.8h, {inputs:v}.2h[0]",
                sum = inout(vreg) sum,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sum
    }
}
