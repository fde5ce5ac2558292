//! What an instruction set has for sums of products of small integers.

#[cfg(target_arch = "aarch64")]
use super::dot_neon::DotProd;
#[cfg(target_arch = "x86_64")]
use super::dot_x86::{Avx512Vnni, AvxVnni};
use crate::cpu::matmul::tile::Tiled;
use crate::cpu::simd::{Level, Portable};

/// Sums of products of int8, for the vectors of `S`: an input is a group of elements, the same for all columns.
pub(crate) trait Dot<S: Tiled>: Copy {
    /// Elements of a group.
    const GROUP: usize;
    /// What is added to the inputs, to make them unsigned.
    const OFFSET: i32;
    /// A vector of int32.
    type Sum: Copy;
    /// A group of inputs, for all columns.
    type Inputs: Copy;
    /// `GROUP` weights of each of `LANES` columns.
    type Weights: Copy;

    /// # Safety
    ///
    /// `LANES` elements are readable.
    unsafe fn load_sum(self, from: *const i32) -> Self::Sum;
    /// # Safety
    ///
    /// `LANES * GROUP` elements are readable.
    unsafe fn load_weights(self, from: *const i8) -> Self::Weights;
    /// A group for all columns.
    fn splat(self, group: u32) -> Self::Inputs;
    /// `sum` plus the products.
    fn add_products(self, sum: Self::Sum, inputs: Self::Inputs, weights: Self::Weights) -> Self::Sum;
    /// Rounded to float32.
    fn to_float(self, sum: Self::Sum) -> S::F32;
}

/// Which instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// AVX-512 VNNI, AVX-VNNI: groups of four.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    /// The dot-product extension of 64-bit ARM: groups of four.
    #[cfg(target_arch = "aarch64")]
    DotProd(DotProd),
    /// Those that every processor of the level has: groups of two.
    Plain(Level),
}

impl Kind {
    /// The fastest for a level's vectors.
    pub(crate) fn best(level: Level) -> Self {
        let special = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => Avx512Vnni::detect(simd).map(Self::Avx512Vnni),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => AvxVnni::detect(simd).map(Self::AvxVnni),
            #[cfg(target_arch = "aarch64")]
            Level::Neon(simd) => DotProd::detect(simd).map(Self::DotProd),
            Level::Portable(_) => None,
        };
        special.unwrap_or(Self::Plain(level))
    }

    /// Elements of a group, and what is added to the inputs.
    pub(crate) fn layout(self) -> (usize, i32) {
        with_dot!(self, |simd, dot| layout(simd, dot))
    }
}

#[inline(always)]
fn layout<S: Tiled, D: Dot<S>>(_: S, _: D) -> (usize, i32) {
    (D::GROUP, D::OFFSET)
}

/// Calls an `#[inline(always)]` function for a [`Kind`]: `with_dot!(kind, |simd, dot| …)`.
macro_rules! with_dot {
    ($kind:expr, |$simd:ident, $dot:ident| $call:expr) => {
        match $kind {
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::matmul::int8::Kind::Avx512Vnni($dot) => {
                let $simd = $dot.simd();
                $dot.vectorize(
                    #[inline(always)]
                    || $call,
                )
            }
            #[cfg(target_arch = "x86_64")]
            $crate::cpu::matmul::int8::Kind::AvxVnni($dot) => {
                let $simd = $dot.simd();
                $dot.vectorize(
                    #[inline(always)]
                    || $call,
                )
            }
            #[cfg(target_arch = "aarch64")]
            $crate::cpu::matmul::int8::Kind::DotProd($dot) => {
                let $simd = $dot.simd();
                $dot.vectorize(
                    #[inline(always)]
                    || $call,
                )
            }
            $crate::cpu::matmul::int8::Kind::Plain(level) => {
                $crate::cpu::simd::dispatch!(level, |$simd| {
                    let $dot = $simd;
                    $call
                })
            }
        }
    };
}
pub(crate) use with_dot;

impl Dot<Portable> for Portable {
    const GROUP: usize = 2;
    const OFFSET: i32 = 0;
    type Sum = [i32; 4];
    type Inputs = [i16; 2];
    type Weights = [[i16; 2]; 4];

    #[inline(always)]
    unsafe fn load_sum(self, from: *const i32) -> [i32; 4] {
        // SAFETY: the caller's.
        unsafe { from.cast::<[i32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_weights(self, from: *const i8) -> [[i16; 2]; 4] {
        // SAFETY: the caller's.
        let weights = unsafe { from.cast::<[[i8; 2]; 4]>().read_unaligned() };
        weights.map(|pair| pair.map(i16::from))
    }
    #[inline(always)]
    fn splat(self, group: u32) -> [i16; 2] {
        let [a, b, c, d] = group.to_ne_bytes();
        [i16::from_ne_bytes([a, b]), i16::from_ne_bytes([c, d])]
    }
    #[inline(always)]
    fn add_products(self, sum: [i32; 4], inputs: [i16; 2], weights: [[i16; 2]; 4]) -> [i32; 4] {
        let [first, second] = inputs.map(i32::from);
        let mut sum = sum;
        for (sum, [w, v]) in sum.iter_mut().zip(weights) {
            *sum += first * i32::from(w) + second * i32::from(v);
        }
        sum
    }
    #[inline(always)]
    fn to_float(self, sum: [i32; 4]) -> [f32; 4] {
        sum.map(|sum| sum as f32)
    }
}
