//! The most multiply-adds that the processor does: what kernels are measured against.

use std::hint::black_box;
use std::time::Instant;

use super::Parallel;
use super::simd::{Simd, dispatch};

/// Chains of multiply-adds that do not wait for each other. Two start in each of the four cycles that one takes, so eight
/// would do; the rest makes up for a processor that is late.
const CHAINS: usize = 12;
/// Long enough that starting threads does not count.
const STEPS: usize = 4_000_000;

/// Rate of float32 multiply-adds on registers, of all threads together, in 10^9 floating-point operations (two each) per second;
/// the best of some runs. Machines change their speed: measure it in the same minute as what is compared with it.
pub fn peak_gflops(parallel: &dyn Parallel) -> f64 {
    let threads = parallel.threads().get();
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let start = Instant::now();
        parallel.for_each(threads, &|_| {
            black_box(dispatch!(|simd| multiply_adds(simd, black_box(0.5))));
        });
        let lanes = dispatch!(|simd| lanes(simd));
        let flops = (threads * STEPS * CHAINS * lanes * 2) as f64;
        best = best.max(flops / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}

#[inline(always)]
fn lanes<S: Simd>(_: S) -> usize {
    S::LANES
}

/// Written out: sums in an array that a loop indexes end up in memory.
macro_rules! multiply_adds {
    ($($sum:ident)*) => {
        #[inline(always)]
        fn multiply_adds<S: Simd>(simd: S, factor: f32) -> f32 {
            const { assert!([$(stringify!($sum)),*].len() == CHAINS) };
            let factor = simd.splat(factor);
            $(let mut $sum = simd.splat(1.0);)*
            for _ in 0..STEPS {
                $($sum = simd.mul_add(factor, factor, $sum);)*
            }
            [$(simd.sum($sum)),*].iter().sum()
        }
    };
}

multiply_adds!(a b c d e f g h i j k l);
