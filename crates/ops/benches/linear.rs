//! The linear layers of Time-MoE 50M, beside the plain formula and the processor's peak.
//!
//! `cargo bench -p tmoe-ops --bench linear`; with `-- --summary` only a table, of medians, is printed.

mod support;

use std::time::Instant;

use self::support::{Pair, noise, plain};
use criterion::{BenchmarkId, Criterion, Throughput};
use tmoe_ops::cpu::{Linear, Parallel, Sequential, Weights, peak_gflops};

/// (input, output): q, k and v; o; router and shared expert's gate; a head; what fits the first-level cache.
const LAYERS: [(usize, usize); 5] = [(384, 1152), (384, 384), (384, 9), (384, 64), (128, 64)];
const ROWS: [usize; 3] = [1, 512, 4096];

struct Inputs {
    linear: Linear,
    weight: Vec<f32>,
    x: Vec<f32>,
    y: Vec<f32>,
    scratch: Vec<f32>,
}

impl Inputs {
    fn new(input: usize, output: usize, rows: usize) -> Self {
        let weight = noise(input * output, 1);
        let linear = Linear::new(input, output, Weights::F32(&weight), Some(&noise(output, 2)));
        let scratch = vec![0.0; linear.scratch_len(rows)];
        Self { linear, weight, x: noise(rows * input, 3), y: vec![0.0; rows * output], scratch }
    }

    fn run(&mut self, parallel: &dyn Parallel) {
        self.linear.run(&self.x, &mut self.y, &mut self.scratch, parallel);
    }
}

fn summary() {
    for threads in [1, 2] {
        let threads: Box<dyn Parallel> =
            if threads == 2 { Box::new(Pair::new()) } else { Box::new(Sequential) };
        for (input, output) in LAYERS {
            for rows in ROWS {
                let mut inputs = Inputs::new(input, output, rows);
                let flops = (2 * rows * input * output) as f64;
                let repeats = (2e7 / flops).max(1.0) as u32;
                let mut ratios = Vec::new();
                for _ in 0..21 {
                    let peak = peak_gflops(&*threads);
                    let start = Instant::now();
                    for _ in 0..repeats {
                        inputs.run(&*threads);
                    }
                    let seconds = start.elapsed().as_secs_f64() / f64::from(repeats);
                    ratios.push((flops / seconds / 1e9 / peak, seconds));
                }
                ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (ratio, seconds) = ratios[ratios.len() / 2];
                println!(
                    "{} threads, {input}x{output}, {rows} rows: {:.1} us, {ratio:.3} of peak (best {:.3})",
                    threads.threads(),
                    seconds * 1e6,
                    ratios[ratios.len() - 1].0
                );
            }
        }
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--summary") {
        return summary();
    }
    let mut criterion = Criterion::default().configure_from_args();
    let threads = Pair::new();
    for (input, output) in LAYERS {
        let mut group = criterion.benchmark_group(format!("linear/{input}x{output}"));
        for rows in ROWS {
            let mut inputs = Inputs::new(input, output, rows);
            group.throughput(Throughput::Elements((2 * rows * input * output) as u64));
            group.bench_function(BenchmarkId::new("2-threads", rows), |b| b.iter(|| inputs.run(&threads)));
            group.bench_function(BenchmarkId::new("1-thread", rows), |b| b.iter(|| inputs.run(&Sequential)));
            if rows <= 512 {
                let Inputs { weight, x, y, .. } = &mut inputs;
                let plain =
                    |b: &mut criterion::Bencher<'_>| b.iter(|| plain::linear(x, weight, input, output, y));
                group.bench_function(BenchmarkId::new("plain", rows), plain);
            }
        }
    }
    criterion.final_summary();
}
