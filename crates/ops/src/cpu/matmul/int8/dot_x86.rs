//! AVX2 and AVX-512: products of pairs of int16 (`vpmaddwd`), and with VNNI of four int8 (`vpdpbusd`), whose inputs
//! are unsigned.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16,
    _mm256_cvtepi32_ps, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
    _mm512_add_epi32, _mm512_cvtepi8_epi16, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_loadu_si512,
    _mm512_madd_epi16, _mm512_set1_epi32,
};

use super::Dot;
use crate::cpu::simd::{Avx2, Avx512};

/// Proof that the processor has AVX-512 VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512Vnni(Avx512);

impl Avx512Vnni {
    /// The proof, if it has.
    pub(crate) fn detect(simd: Avx512) -> Option<Self> {
        is_x86_feature_detected!("avx512vnni").then_some(Self(simd))
    }

    /// Its vectors.
    #[inline(always)]
    pub(crate) fn simd(self) -> Avx512 {
        self.0
    }

    /// Compiles a closure, and what is inlined into it, for this instruction set.
    #[inline(always)]
    pub(crate) fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
        fn enabled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(work) }
    }
}

/// Proof that the processor has AVX-VNNI.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AvxVnni(Avx2);

impl AvxVnni {
    /// The proof, if it has.
    pub(crate) fn detect(simd: Avx2) -> Option<Self> {
        is_x86_feature_detected!("avxvnni").then_some(Self(simd))
    }

    /// Its vectors.
    #[inline(always)]
    pub(crate) fn simd(self) -> Avx2 {
        self.0
    }

    /// Compiles a closure, and what is inlined into it, for this instruction set.
    #[inline(always)]
    pub(crate) fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,fma,f16c,avxvnni")]
        fn enabled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(work) }
    }
}

/// [`Dot`] for an instruction set, from the intrinsics in which the sets differ.
macro_rules! dot {
    (
        $proof:ty as $simd:ty, group $group:literal, offset $offset:literal, [$vector:ty, $float:ty],
        $load:ident, $splat:ident, $to_float:ident,
        |$from:ident| $load_weights:expr, |$sum:ident, $inputs:ident, $weights:ident| $add_products:expr
    ) => {
        // SAFETY of the operations: `self` proves that the processor has the instructions; pointers are the caller's.
        impl Dot<$simd> for $proof {
            const GROUP: usize = $group;
            const OFFSET: i32 = $offset;
            type Sum = $vector;
            type Inputs = $vector;
            type Weights = $vector;

            #[inline(always)]
            unsafe fn load_sum(self, from: *const i32) -> $vector {
                // SAFETY: see above.
                unsafe { $load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn load_weights(self, $from: *const i8) -> $vector {
                // SAFETY: see above.
                unsafe { $load_weights }
            }
            #[inline(always)]
            fn splat(self, group: u32) -> $vector {
                // SAFETY: see above.
                unsafe { $splat(group as i32) }
            }
            #[inline(always)]
            fn add_products(self, $sum: $vector, $inputs: $vector, $weights: $vector) -> $vector {
                // SAFETY: see above.
                unsafe { $add_products }
            }
            #[inline(always)]
            fn to_float(self, sum: $vector) -> $float {
                // SAFETY: see above.
                unsafe { $to_float(sum) }
            }
        }
    };
}

dot!(
    Avx2 as Avx2, group 2, offset 0, [__m256i, __m256],
    _mm256_loadu_si256, _mm256_set1_epi32, _mm256_cvtepi32_ps,
    |from| _mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())),
    |sum, inputs, weights| _mm256_add_epi32(sum, _mm256_madd_epi16(inputs, weights))
);
dot!(
    Avx512 as Avx512, group 2, offset 0, [__m512i, __m512],
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_cvtepi32_ps,
    |from| _mm512_cvtepi8_epi16(_mm256_loadu_si256(from.cast())),
    |sum, inputs, weights| _mm512_add_epi32(sum, _mm512_madd_epi16(inputs, weights))
);
dot!(
    AvxVnni as Avx2, group 4, offset 128, [__m256i, __m256],
    _mm256_loadu_si256, _mm256_set1_epi32, _mm256_cvtepi32_ps,
    |from| _mm256_loadu_si256(from.cast()),
    |sum, inputs, weights| _mm256_dpbusd_avx_epi32(sum, inputs, weights)
);
dot!(
    Avx512Vnni as Avx512, group 4, offset 128, [__m512i, __m512],
    _mm512_loadu_si512, _mm512_set1_epi32, _mm512_cvtepi32_ps,
    |from| _mm512_loadu_si512(from.cast()),
    |sum, inputs, weights| _mm512_dpbusd_epi32(sum, inputs, weights)
);
