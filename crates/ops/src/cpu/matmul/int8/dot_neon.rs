//! NEON: widening products with one element of the inputs; with the dot-product extension (ARMv8.2, in all of ARMv8.4)
//! of four int8 (`sdot`).

use std::arch::aarch64::{
    float32x4_t, int8x16_t, int16x4_t, int32x4_t, vcvtq_f32_s32, vdup_n_u32, vget_low_s16, vld1_s8, vld1q_s8,
    vld1q_s32, vmlal_lane_s16, vmovl_s8, vreinterpret_s16_u32, vuzp1q_s16, vuzp2q_s16,
};
use std::arch::{asm, is_aarch64_feature_detected};

use super::Dot;
use crate::cpu::simd::Neon;

// SAFETY of the operations below: NEON is part of the architecture; pointers are the caller's.
impl Dot<Neon> for Neon {
    const GROUP: usize = 2;
    const OFFSET: i32 = 0;
    type Sum = int32x4_t;
    type Inputs = int16x4_t;
    /// Those of the first row, and of the second.
    type Weights = [int16x4_t; 2];

    #[inline(always)]
    unsafe fn load_sum(self, from: *const i32) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_s32(from) }
    }
    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> [int16x4_t; 2] {
        // SAFETY: see above.
        unsafe {
            let pairs = vmovl_s8(vld1_s8(from));
            [vget_low_s16(vuzp1q_s16(pairs, pairs)), vget_low_s16(vuzp2q_s16(pairs, pairs))]
        }
    }
    #[inline(always)]
    fn splat(self, group: u32) -> int16x4_t {
        // SAFETY: see above.
        unsafe { vreinterpret_s16_u32(vdup_n_u32(group)) }
    }
    #[inline(always)]
    fn add_products(self, sum: int32x4_t, inputs: int16x4_t, weights: [int16x4_t; 2]) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vmlal_lane_s16::<1>(vmlal_lane_s16::<0>(sum, weights[0], inputs), weights[1], inputs) }
    }
    #[inline(always)]
    fn to_float(self, sum: int32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(sum) }
    }
}

/// Proof that the processor has the dot-product extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DotProd(Neon);

impl DotProd {
    /// The proof, if it has.
    pub(crate) fn detect(simd: Neon) -> Option<Self> {
        is_aarch64_feature_detected!("dotprod").then_some(Self(simd))
    }

    /// Its vectors.
    #[inline(always)]
    pub(crate) fn simd(self) -> Neon {
        self.0
    }

    /// Compiles a closure, and what is inlined into it, for this instruction set.
    #[inline(always)]
    pub(crate) fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "neon,dotprod")]
        fn enabled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(work) }
    }
}

// SAFETY of the operations below: `self` proves that the processor has the instructions; pointers are the caller's.
impl Dot<Neon> for DotProd {
    const GROUP: usize = 4;
    const OFFSET: i32 = 0;
    type Sum = int32x4_t;
    /// The group's bits: as a float32 they are loaded where `sdot` takes them, with no instruction that spreads them.
    type Inputs = f32;
    type Weights = int8x16_t;

    #[inline(always)]
    unsafe fn load_sum(self, from: *const i32) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_s32(from) }
    }
    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> int8x16_t {
        // SAFETY: see above.
        unsafe { vld1q_s8(from) }
    }
    #[inline(always)]
    fn splat(self, group: u32) -> f32 {
        f32::from_bits(group)
    }
    #[inline(always)]
    fn add_products(self, sum: int32x4_t, inputs: f32, weights: int8x16_t) -> int32x4_t {
        let mut sum = sum;
        // SAFETY: see above. (The intrinsic is not stable.)
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {weights:v}.16b, {inputs:v}.4b[0]",
                sum = inout(vreg) sum,
                weights = in(vreg) weights,
                inputs = in(vreg) inputs,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sum
    }
    #[inline(always)]
    fn to_float(self, sum: int32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(sum) }
    }
}
