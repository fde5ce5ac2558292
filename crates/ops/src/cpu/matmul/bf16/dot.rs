//! What an instruction set has for sums of products of bfloat16.

use super::Pair;
#[cfg(target_arch = "aarch64")]
use super::dot_neon::NeonBf16;
#[cfg(target_arch = "x86_64")]
use super::dot_x86::Avx512Bf16;
use crate::cpu::matmul::tile::Tiled;
use crate::cpu::simd::Level;

/// Sums of products of pairs of bfloat16, for the vectors of `S`.
pub(crate) trait Dot<S: Tiled>: Copy {
    /// A pair of inputs, for all columns.
    type Inputs: Copy;
    /// A pair of weights for each of `LANES` columns.
    type Weights: Copy;

    /// # Safety
    ///
    /// `LANES` pairs are readable; `from` is aligned to a vector.
    unsafe fn load(self, from: *const Pair) -> Self::Weights;
    /// The same pair for all columns.
    fn splat(self, pair: Pair) -> Self::Inputs;
    /// `sum` plus both products.
    fn add_products(self, sum: S::F32, inputs: Self::Inputs, weights: Self::Weights) -> S::F32;
}

/// Which instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// AVX512-BF16: rows are rounded to bfloat16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16(Avx512Bf16),
    /// The bfloat16 extension of 64-bit ARM: the same.
    #[cfg(target_arch = "aarch64")]
    NeonBf16(NeonBf16),
    /// Rows stay float32, and weights are widened.
    Widened,
    /// Rows are rounded to bfloat16, and the dot product is made of float32's instructions: this is what tests run on
    /// processors that have no such instruction.
    #[cfg(test)]
    Emulated(Level),
}

impl Kind {
    /// The fastest for a level's vectors.
    pub(crate) fn best(level: Level) -> Self {
        let special = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => Avx512Bf16::detect(simd).map(Self::Avx512Bf16),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(simd) => NeonBf16::detect(simd).map(Self::NeonBf16),
            _ => None,
        };
        special.unwrap_or(Self::Widened)
    }

    /// Whether rows are rounded to bfloat16.
    pub(crate) fn rounds(self) -> bool {
        !matches!(self, Self::Widened)
    }
}

/// Calls an `#[inline(always)]` function for a [`Kind`] that rounds: `with_dot!(kind, |simd, dot| …)`.
macro_rules! with_dot {
    ($kind:expr, |$simd:ident, $dot:ident| $call:expr) => {
        match $kind {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::matmul::bf16::Kind::Avx512Bf16($dot) => {
                let $simd = $dot.simd();
                $dot.vectorize(
                    #[inline(always)]
                    || $call,
                )
            }
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::matmul::bf16::Kind::NeonBf16($dot) => {
                let $simd = $dot.simd();
                $dot.vectorize(
                    #[inline(always)]
                    || $call,
                )
            }
            $crate::cpu::matmul::bf16::Kind::Widened => unreachable!("rows that are not rounded"),
            #[cfg(test)]
            $crate::cpu::matmul::bf16::Kind::Emulated(level) => {
                $crate::cpu::simd::dispatch!(level, |$simd| {
                    let $dot = $simd;
                    $call
                })
            }
        }
    };
}
pub(crate) use with_dot;

#[cfg(test)]
impl<S: Tiled> Dot<S> for S {
    type Inputs = [S::F32; 2];
    type Weights = [S::F32; 2];

    #[inline(always)]
    unsafe fn load(self, from: *const Pair) -> [S::F32; 2] {
        // SAFETY: the caller's.
        unsafe { [self.load_bf16_even(from.cast()), self.load_bf16_odd(from.cast())] }
    }
    #[inline(always)]
    fn splat(self, Pair(pair): Pair) -> [S::F32; 2] {
        [Simd::splat(self, f32::from_bits(pair << 16)), Simd::splat(self, f32::from_bits(pair & 0xffff_0000))]
    }
    #[inline(always)]
    fn add_products(self, sum: S::F32, inputs: [S::F32; 2], weights: [S::F32; 2]) -> S::F32 {
        self.mul_add(inputs[0], weights[0], self.mul_add(inputs[1], weights[1], sum))
    }
}
#[cfg(test)]
use crate::cpu::simd::Simd;
