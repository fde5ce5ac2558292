//! How fast bytes are hashed, next to copying them.
//!
//! Hashing is what opening a package costs: every byte of the weights passes through it once.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tmoe_package::hash_bytes;

/// Larger than the processor's caches, as weights are.
const BYTES: usize = 64 << 20;

fn sha256(c: &mut Criterion) {
    let bytes: Vec<u8> = (0..BYTES).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut group = c.benchmark_group("sha256-64MiB");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(20);
    group.bench_function("hash_bytes", |b| b.iter(|| hash_bytes(black_box(&bytes))));
    let mut copy = vec![0; BYTES];
    group.bench_function("memcpy", |b| {
        b.iter(|| black_box(copy.as_mut_slice()).copy_from_slice(black_box(&bytes)));
    });
    group.finish();
}

criterion_group!(benches, sha256);
criterion_main!(benches);
