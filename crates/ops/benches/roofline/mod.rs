//! The most multiply-adds that the processor does in the same minute: machines change their speed.

use std::hint::black_box;
use std::time::Instant;

use tmoe_ops::cpu::Parallel;

/// Multiply-adds on registers, of all threads together, in GFLOP/s; the best of some runs.
pub(crate) fn peak_gflops(parallel: &dyn Parallel) -> f64 {
    let threads = parallel.threads().get();
    let mut best: f64 = 0.0;
    for _ in 0..5 {
        let start = Instant::now();
        parallel.for_each(threads, &|_| {
            black_box(run());
        });
        best = best.max(threads as f64 * FLOPS / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}

const STEPS: usize = 1_000_000;
const FLOPS: f64 = (STEPS * SUMS * 16 * 2) as f64;
/// Sixteen elements each; twelve of eight would do on AVX2, and fewer only wait.
const SUMS: usize = 6;

#[inline(always)]
fn fma(sums: &mut [[f32; 16]; SUMS], factor: f32) {
    for sum in sums {
        for value in sum {
            *value = value.mul_add(factor, factor);
        }
    }
}

#[inline(always)]
fn steps() -> [[f32; 16]; SUMS] {
    let mut sums = [[1.0; 16]; SUMS];
    let factor = black_box(0.5);
    for _ in 0..STEPS {
        fma(&mut sums, factor);
    }
    sums
}

#[cfg(target_arch = "x86_64")]
fn run() -> [[f32; 16]; SUMS] {
    #[target_feature(enable = "avx512f,fma")]
    fn avx512() -> [[f32; 16]; SUMS] {
        steps()
    }
    #[target_feature(enable = "avx2,fma")]
    fn avx2() -> [[f32; 16]; SUMS] {
        steps()
    }
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: just detected.
        unsafe { avx512() }
    } else if is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2") {
        // SAFETY: just detected.
        unsafe { avx2() }
    } else {
        steps()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn run() -> [[f32; 16]; SUMS] {
    steps()
}
