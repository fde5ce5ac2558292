//! NEON: widening products of pairs. (The dot-product extension would take groups of four.)

use std::arch::aarch64::{
    float32x4_t, int16x8_t, int32x4_t, vaddq_s32, vcvtq_f32_s32, vdupq_n_s32, vget_low_s16, vld1_s8,
    vld1q_s32, vmovl_s8, vmull_high_s16, vmull_s16, vpaddq_s32, vreinterpretq_s16_s32,
};

use super::Dot;
use crate::cpu::simd::Neon;

// SAFETY of the operations below: NEON is part of the architecture; pointers are the caller's.
impl Dot<Neon> for Neon {
    const GROUP: usize = 2;
    const OFFSET: i32 = 0;
    type Sum = int32x4_t;
    type Weights = int16x8_t;

    #[inline(always)]
    unsafe fn load_sum(self, from: *const i32) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_s32(from) }
    }
    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> int16x8_t {
        // SAFETY: see above.
        unsafe { vmovl_s8(vld1_s8(from)) }
    }
    #[inline(always)]
    fn splat(self, group: u32) -> int32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_s32(group as i32) }
    }
    #[inline(always)]
    fn add_products(self, sum: int32x4_t, inputs: int32x4_t, weights: int16x8_t) -> int32x4_t {
        // SAFETY: see above.
        unsafe {
            let inputs = vreinterpretq_s16_s32(inputs);
            let low = vmull_s16(vget_low_s16(inputs), vget_low_s16(weights));
            vaddq_s32(sum, vpaddq_s32(low, vmull_high_s16(inputs, weights)))
        }
    }
    #[inline(always)]
    fn to_float(self, sum: int32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vcvtq_f32_s32(sum) }
    }
}
