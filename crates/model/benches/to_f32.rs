//! How fast stored weights become float32, next to copying as many float32 bytes.
//!
//! Throughput counts the float32 bytes that are written, so that every line is the same work for the
//! memory: a 16-bit type that keeps up with `memcpy` costs nothing on top of writing its result.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tmoe_model::FloatType;

/// One weight matrix, [4096, 4096]: larger than the processor's caches.
const ELEMENTS: usize = 4096 * 4096;

fn to_f32(c: &mut Criterion) {
    let mut group = c.benchmark_group("to-f32-16M-elements");
    group.throughput(Throughput::Bytes(4 * ELEMENTS as u64)).sample_size(20);
    let mut out = vec![0.0_f32; ELEMENTS];
    for float_type in FloatType::ALL {
        // Finite in all three types: NaN and infinity are refused before weights are converted.
        let bytes: Vec<u8> = (0..ELEMENTS * float_type.size()).map(|index| (index % 61) as u8).collect();
        group.bench_function(float_type.to_string(), |b| {
            b.iter(|| float_type.copy_to_f32(black_box(&bytes), black_box(&mut out)).expect("equal lengths"));
        });
    }
    let source = vec![1.0_f32; ELEMENTS];
    group.bench_function("memcpy", |b| {
        b.iter(|| black_box(out.as_mut_slice()).copy_from_slice(black_box(&source)));
    });
    group.finish();
}

criterion_group!(benches, to_f32);
criterion_main!(benches);
