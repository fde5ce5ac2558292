//! AVX512-BF16: `vdpbf16ps`, two products to each of sixteen sums. It takes denormal numbers for zero.

use std::arch::x86_64::{__m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32};
use std::mem::transmute;

use super::{Dot, Pair};
use crate::cpu::simd::Avx512;

/// Proof that the processor has AVX512-BF16.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Bf16(Avx512);

impl Avx512Bf16 {
    /// The proof, if it has.
    pub(crate) fn detect(simd: Avx512) -> Option<Self> {
        is_x86_feature_detected!("avx512bf16").then_some(Self(simd))
    }

    /// Its vectors.
    #[inline(always)]
    pub(crate) fn simd(self) -> Avx512 {
        self.0
    }

    /// Compiles a closure, and what is inlined into it, for this instruction set.
    #[inline(always)]
    pub(crate) fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,f16c")]
        fn enabled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(work) }
    }
}

// SAFETY of the operations below: `self` proves that the processor has the instructions; pointers are the caller's.
impl Dot<Avx512> for Avx512Bf16 {
    type Inputs = __m512i;
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn load(self, from: *const Pair) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    fn splat(self, Pair(pair): Pair) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(pair as i32) }
    }
    #[inline(always)]
    fn add_products(self, sum: __m512, inputs: __m512i, weights: __m512i) -> __m512 {
        // SAFETY: see above; both types are 64 bytes of any value.
        unsafe {
            let (inputs, weights) =
                (transmute::<__m512i, __m512bh>(inputs), transmute::<__m512i, __m512bh>(weights));
            _mm512_dpbf16_ps(sum, inputs, weights)
        }
    }
}
