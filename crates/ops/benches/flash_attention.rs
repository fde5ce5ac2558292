//! How fast FlashAttention is, next to the processor's peak.
//!
//! The peak of each number of threads is printed first; every line counts floating-point operations (two per
//! multiply-add), so that a kernel's share of the peak is the ratio of two throughputs of one run. Of attention only
//! what the causal rule leaves is counted: `4 x head_dim` per query, head and key that it attends to.
//! The exponentials, the rotation and the cache are work, but not counted.

mod support;

use self::support::{Pair, noise, plain};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::{bf16, f16};
use tmoe_ops::cpu::{
    AttentionInputs, AttentionOutputs, AttentionSizes, CacheElement, FlashAttention, FlashAttentionShape,
    Parallel, RotaryRounding, Sequential, Strided, peak_gflops,
};

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

fn flash_attention(c: &mut Criterion) {
    measure::<f32>(c, "", |x| x);
    measure(c, "-bf16-cache", bf16::from_f32);
    measure(c, "-fp16-cache", f16::from_f32);
    plain_attention(c);
}

/// Every case on a cache of one type.
fn measure<E: CacheElement>(c: &mut Criterion, cache: &str, narrow: fn(f32) -> E) {
    let pair = Pair::new();
    let ways: [(&str, &dyn Parallel); 2] = [("1-thread", &Sequential), ("2-threads", &pair)];
    for (threads, parallel) in ways {
        let mut group = c.benchmark_group(format!("flash-attention{cache}/{threads}"));
        println!("peak of {threads}: {:.0} GFLOP/s", peak_gflops(parallel));
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
            let q = noise(batch * queries * heads * head_dim, 1);
            let k = noise(batch * sequence * kv_heads * head_dim, 2);
            let v = noise(batch * sequence * kv_heads * head_dim, 3);
            let mask = vec![1; batch * capacity];
            let [mut present_key, mut present_value] = [4, 5].map(|seed| {
                let values = noise(batch * kv_heads * capacity * head_dim, seed);
                values.into_iter().map(narrow).collect::<Vec<E>>()
            });
            let mut y = vec![0.0; q.len()];
            let mut scratch = vec![0.0; attention.scratch_len(sizes)];
            group.throughput(Throughput::Elements(case.operations()));
            group.bench_function(BenchmarkId::from_parameter(case.name), |b| {
                b.iter(|| {
                    let inputs = AttentionInputs {
                        sizes,
                        q: Strided::new(&q, heads * head_dim),
                        k: Strided::new(&k, kv_heads * head_dim),
                        v: Strided::new(&v, kv_heads * head_dim),
                        past: None,
                        mask: &mask,
                    };
                    let outputs = AttentionOutputs {
                        y: &mut y,
                        present_key: &mut present_key,
                        present_value: &mut present_value,
                    };
                    attention.run(inputs, outputs, &mut scratch, parallel);
                });
            });
        }
        group.finish();
    }
}

/// One head, so that operations per second compare with those of all heads above.
fn plain_attention(c: &mut Criterion) {
    let mut group = c.benchmark_group("flash-attention/plain");
    for (name, queries, keys) in [("1x512", 512, 512), ("64-on-512", 64, 576), ("1-on-4096", 1, 4097)] {
        let [q, k, v] = [(queries, 1), (keys, 2), (keys, 3)].map(|(rows, seed)| noise(rows * 32, seed));
        let mut y = vec![0.0; q.len()];
        let pairs: usize = (keys - queries + 1..=keys).sum();
        group.throughput(Throughput::Elements((4 * 32 * pairs) as u64));
        group.bench_function(name, |b| b.iter(|| plain::attention(32, &q, &k, &v, &mut y)));
    }
    group.finish();
}

criterion_group!(benches, flash_attention);
criterion_main!(benches);
