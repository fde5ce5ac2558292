//! The mixture of experts of Time-MoE 50M, beside the plain formula and the processor's peak.
//!
//! `cargo bench -p tmoe-ops --bench sparse_moe`; with `-- --summary [WORD]…` only a table, of medians and of the lines that have
//! every word, is printed.

mod support;

use std::time::Instant;

use self::support::{Pair, noise, plain, scaled_noise};
use criterion::{BenchmarkId, Criterion, Throughput};
use half::bf16;
use tmoe_ops::cpu::{
    Activation, Parallel, Scoring, Sequential, SparseMoe, SparseMoeShape, Weights, peak_gflops,
};

struct Inputs {
    shape: SparseMoeShape,
    moe: SparseMoe,
    x: Vec<f32>,
    logits: Vec<f32>,
    y: Vec<f32>,
    scratch: Vec<f32>,
}

impl Inputs {
    fn new(experts: usize, ffn: usize, top_k: usize, precision: &str, tokens: usize) -> Self {
        let shape = SparseMoeShape {
            experts,
            hidden: 384,
            ffn,
            top_k,
            activation: Activation::Silu,
            scoring: Scoring::Softmax,
            normalize_top_k: false,
        };
        let (gate_up, down) =
            (scaled_noise(experts * 384 * 2 * ffn, 1, 0.05), scaled_noise(experts * ffn * 384, 2, 0.05));
        let moe = match precision {
            "float32" => SparseMoe::new(shape, Weights::F32(&gate_up), Weights::F32(&down)),
            "bfloat16" => {
                let brain = |values: &[f32]| values.iter().map(|&v| bf16::from_f32(v)).collect::<Vec<_>>();
                SparseMoe::new(shape, Weights::Bf16(&brain(&gate_up)), Weights::Bf16(&brain(&down)))
            }
            _ => {
                let int8 =
                    |values: &[f32]| values.iter().map(|&v| (v * 127.0 / 0.05) as i8).collect::<Vec<_>>();
                let scales = vec![0.05 / 127.0; experts * (2 * ffn).max(384)];
                let (gate_up, down) = (int8(&gate_up), int8(&down));
                SparseMoe::new(
                    shape,
                    Weights::I8 { values: &gate_up, scales: &scales[..experts * 2 * ffn] },
                    Weights::I8 { values: &down, scales: &scales[..experts * 384] },
                )
            }
        };
        let scratch = vec![0.0; moe.scratch_len(tokens)];
        Self {
            shape,
            moe,
            x: noise(tokens * 384, 3),
            logits: scaled_noise(tokens * experts, 4, 2.0),
            y: vec![0.0; tokens * 384],
            scratch,
        }
    }

    fn run(&mut self, parallel: &dyn Parallel) {
        self.moe.run(&self.x, &self.logits, None, &mut self.y, &mut self.scratch, parallel);
    }

    fn flops(&self) -> u64 {
        (self.y.len() * self.shape.top_k * self.shape.ffn * 6) as u64
    }
}

/// (name, experts, ffn, top_k, tokens)
const MIXTURES: [(&str, usize, usize, usize, usize); 7] = [
    ("sparse", 8, 768, 2, 512),
    ("sparse", 8, 768, 2, 4096),
    ("sparse", 8, 768, 2, 64),
    ("sparse", 8, 768, 2, 1),
    ("dense", 1, 1536, 1, 512),
    ("dense", 1, 1536, 1, 4096),
    ("dense", 1, 1536, 1, 1),
];

fn summary(words: &[String]) {
    for threads in [1, 2] {
        let threads: Box<dyn Parallel> =
            if threads == 2 { Box::new(Pair::new()) } else { Box::new(Sequential) };
        for (name, experts, ffn, top_k, tokens) in MIXTURES {
            for precision in ["float32", "bfloat16", "int8"] {
                let line = format!("{} threads, {name} {tokens} tokens, {precision}", threads.threads());
                if !words.iter().all(|word| line.split([' ', ',']).any(|part| part == word)) {
                    continue;
                }
                let mut inputs = Inputs::new(experts, ffn, top_k, precision, tokens);
                inputs.run(&*threads);
                let mut ratios = Vec::new();
                let mut seconds = Vec::new();
                for _ in 0..if tokens > 1000 { 7 } else { 15 } {
                    let peak = peak_gflops(&*threads);
                    let repeats = (300 / tokens).max(1);
                    let start = Instant::now();
                    for _ in 0..repeats {
                        inputs.run(&*threads);
                    }
                    seconds.push(start.elapsed().as_secs_f64() / repeats as f64);
                    ratios.push(inputs.flops() as f64 / seconds[seconds.len() - 1] / 1e9 / peak);
                }
                seconds.sort_by(f64::total_cmp);
                ratios.sort_by(f64::total_cmp);
                let (median, ratio) = (seconds[seconds.len() / 2], ratios[ratios.len() / 2]);
                println!(
                    "{line:40} {:9.1} us, {:6.1} GFLOP/s, {:.3} of peak (best {:.3})",
                    median * 1e6,
                    inputs.flops() as f64 / median / 1e9,
                    ratio,
                    ratios[ratios.len() - 1]
                );
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args();
    if arguments.any(|argument| argument == "--summary") {
        return summary(&arguments.filter(|word| word != "--bench").collect::<Vec<_>>());
    }
    let mut criterion = Criterion::default().configure_from_args();
    let threads = Pair::new();
    for (name, experts, ffn, top_k, tokens) in MIXTURES {
        let mut group = criterion.benchmark_group(format!("sparse_moe/{name}"));
        for precision in ["float32", "bfloat16", "int8"] {
            let mut inputs = Inputs::new(experts, ffn, top_k, precision, tokens);
            group.throughput(Throughput::Elements(inputs.flops()));
            group.bench_function(BenchmarkId::new(precision, tokens), |b| b.iter(|| inputs.run(&threads)));
        }
        if tokens <= 64 {
            let weights =
                [scaled_noise(experts * 384 * 2 * ffn, 1, 0.05), scaled_noise(experts * ffn * 384, 2, 0.05)];
            let Inputs { x, logits, y, .. } = &mut Inputs::new(experts, ffn, top_k, "float32", tokens);
            let sizes = [384, ffn, experts, top_k];
            group.bench_function(BenchmarkId::new("plain", tokens), |b| {
                b.iter(|| plain::sparse_moe(sizes, x, logits, &weights[0], &weights[1], y));
            });
        }
    }
    criterion.final_summary();
}
