//! How fast FlashAttention is, next to the processor's peak.
//!
//! `peak` is a loop of fused multiply-adds on registers, on the same threads; every line counts floating-point
//! operations (two per multiply-add), so that a kernel's share of the peak is the ratio of two throughputs of one run.
//! Of attention only what the causal rule leaves is counted: `4 x head_dim` per query, head and key that it attends to.
//! The exponentials, the rotation and the cache are work, but not counted.

mod pair;

use std::hint::black_box;

use self::pair::Pair;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tmoe_ops::cpu::{
    AttentionInputs, AttentionOutputs, AttentionSizes, FlashAttention, FlashAttentionShape, Parallel,
    RotaryRounding, Sequential,
};

/// Multiply-adds of `peak`, per call and accumulator.
const STEPS: usize = 100_000;

/// Accumulators: as many as hide the latency of two units.
const CHAINS: usize = 12;

/// Floating-point operations of one call on registers.
fn multiply_adds() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm256_setzero_ps};
        #[target_feature(enable = "avx2,fma")]
        fn run(x: f32) -> [std::arch::x86_64::__m256; CHAINS] {
            let (a, b) = (_mm256_set1_ps(x), _mm256_set1_ps(0.5));
            let mut sums = [_mm256_setzero_ps(); CHAINS];
            for _ in 0..STEPS {
                for sum in &mut sums {
                    *sum = _mm256_fmadd_ps(*sum, b, a);
                }
            }
            sums
        }
        assert!(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"));
        // SAFETY: the processor has them.
        black_box(unsafe { run(black_box(1.0)) });
        2 * 8 * STEPS * CHAINS
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let mut sums = [[0.0_f32; 4]; CHAINS];
        let x = black_box(1.0);
        for _ in 0..STEPS {
            for sum in sums.iter_mut().flatten() {
                *sum = sum.mul_add(0.5, x);
            }
        }
        black_box(sums);
        2 * 4 * STEPS * CHAINS
    }
}

#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    heads: (usize, usize),
    head_dim: usize,
    batch: usize,
    queries: usize,
    sequence: usize,
    past: usize,
}

impl Case {
    /// What the causal rule leaves.
    fn operations(&self) -> u64 {
        let first = self.past + self.sequence - self.queries + 1;
        let pairs: usize = (first..first + self.queries).sum();
        (4 * self.head_dim * self.heads.0 * self.batch * pairs) as u64
    }
}

fn cases() -> Vec<Case> {
    let prefill = |name, head_dim, batch, sequence| {
        let (heads, past) = ((12, 12), 0);
        Case { name, heads, head_dim, batch, queries: sequence, sequence, past }
    };
    let step = |name, head_dim, queries, past| {
        let (heads, batch) = ((12, 12), 1);
        Case { name, heads, head_dim, batch, queries, sequence: queries, past }
    };
    vec![
        prefill("1x512", 32, 1, 512),
        prefill("1x2048", 32, 1, 2048),
        prefill("8x512", 32, 8, 512),
        prefill("1x3072", 32, 1, 3072),
        prefill("1x2048-head64", 64, 1, 2048),
        prefill("8x512-head64", 64, 8, 512),
        Case { heads: (12, 3), ..prefill("1x2048-grouped", 32, 1, 2048) },
        step("64-on-512", 32, 64, 512),
        step("8-on-1024", 32, 8, 1024),
        step("4-on-1024", 32, 4, 1024),
        step("1-on-4096", 32, 1, 4096),
        step("1-on-4096-head64", 64, 1, 4096),
        Case { heads: (12, 3), ..step("1-on-4096-grouped", 32, 1, 4096) },
        Case { queries: 1, ..prefill("last-of-512", 32, 1, 512) },
    ]
}

fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn flash_attention(c: &mut Criterion) {
    let pair = Pair::new();
    let ways: [(&str, &dyn Parallel); 2] = [("1-thread", &Sequential), ("2-threads", &pair)];
    for (threads, parallel) in ways {
        let mut group = c.benchmark_group(format!("flash-attention/{threads}"));
        let count = parallel.threads().get();
        group.throughput(Throughput::Elements((count * multiply_adds()) as u64));
        let peak = |name: &str, group: &mut criterion::BenchmarkGroup<'_, _>| {
            group.bench_function(BenchmarkId::new("peak", name), |b| {
                b.iter(|| {
                    parallel.for_each(count, &|_| {
                        black_box(multiply_adds());
                    });
                });
            });
        };
        peak("before", &mut group);
        for case in cases() {
            let Case { heads: (heads, kv_heads), head_dim, batch, queries, sequence, past, .. } = case;
            let attention = FlashAttention::new(FlashAttentionShape {
                heads,
                kv_heads,
                head_dim,
                rope_theta: 10_000.0,
                rounding: RotaryRounding::BFloat16,
                scale: (head_dim as f32).powf(-0.5),
            });
            let capacity = past + sequence;
            let sizes = AttentionSizes {
                batch,
                queries,
                sequence,
                past,
                past_capacity: 0,
                present_capacity: capacity,
            };
            let q = values(batch * queries * heads * head_dim, 1);
            let k = values(batch * sequence * kv_heads * head_dim, 2);
            let v = values(batch * sequence * kv_heads * head_dim, 3);
            let mask = vec![1; batch * capacity];
            let mut present_key = values(batch * kv_heads * capacity * head_dim, 4);
            let mut present_value = values(present_key.len(), 5);
            let mut y = vec![0.0; q.len()];
            let mut scratch = vec![0.0; attention.scratch_len(sizes)];
            group.throughput(Throughput::Elements(case.operations()));
            group.bench_function(BenchmarkId::from_parameter(case.name), |b| {
                b.iter(|| {
                    let inputs = AttentionInputs { sizes, q: &q, k: &k, v: &v, past: None, mask: &mask };
                    let outputs = AttentionOutputs {
                        y: &mut y,
                        present_key: &mut present_key,
                        present_value: &mut present_value,
                    };
                    attention.run(inputs, outputs, &mut scratch, parallel);
                });
            });
        }
        group.throughput(Throughput::Elements((count * multiply_adds()) as u64));
        peak("after", &mut group);
        group.finish();
    }
}

criterion_group!(benches, flash_attention);
criterion_main!(benches);
