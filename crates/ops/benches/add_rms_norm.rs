//! Residual sum and norm at the width of Time-MoE 50M, beside the plain formula.
//!
//! `cargo bench -p tmoe-ops --bench add_rms_norm`

mod support;

use self::support::{Pair, noise, plain};
use criterion::{BenchmarkId, Criterion, Throughput};
use tmoe_ops::cpu::AddRmsNorm;

const HIDDEN: usize = 384;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let threads = Pair::new();
    let mut group = criterion.benchmark_group("add_rms_norm");
    for rows in [1, 512, 4096] {
        let (x, residual) = (noise(rows * HIDDEN, 1), noise(rows * HIDDEN, 2));
        let weight = noise(HIDDEN, 3);
        let (mut y, mut sum) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        // Two tensors in, two out.
        group.throughput(Throughput::Bytes((4 * size_of_val(&x[..])) as u64));
        let norm = AddRmsNorm { epsilon: 1e-6 };
        group.bench_function(BenchmarkId::new("kernel", rows), |b| {
            b.iter(|| norm.run(&x, &residual, &weight, &mut y, &mut sum, &threads));
        });
        group.bench_function(BenchmarkId::new("plain", rows), |b| {
            b.iter(|| plain::add_rms_norm(&x, &residual, &weight, 1e-6, &mut y, &mut sum));
        });
    }
    group.finish();
    criterion.final_summary();
}
