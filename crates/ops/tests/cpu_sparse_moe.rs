//! The mixture of experts as its users call it, at the sizes of Time-MoE 50M.

use std::num::NonZeroUsize;

use half::bf16;
use tmoe_ops::cpu::{
    Activation, Parallel, ScopedThreads, Scoring, Sequential, SparseMoe, SparseMoeShape, Weights,
};

#[allow(dead_code)]
#[path = "../src/cpu/sparse_moe/reference.rs"]
mod reference;
use self::reference::{Near, Random, Rounding, moe};

const HIDDEN: usize = 384;

fn shape(experts: usize, ffn: usize, top_k: usize) -> SparseMoeShape {
    let (activation, scoring) = (Activation::Silu, Scoring::Softmax);
    SparseMoeShape { experts, hidden: HIDDEN, ffn, top_k, activation, scoring, normalize_top_k: false }
}

struct Inputs {
    x: Vec<f32>,
    logits: Vec<f32>,
    gate_up: Vec<f32>,
    down: Vec<f32>,
}

fn inputs(shape: &SparseMoeShape, tokens: usize) -> Inputs {
    let mut random = Random(42);
    Inputs {
        x: random.numbers(tokens * HIDDEN, 1.5),
        logits: random.numbers(tokens * shape.experts, 3.0),
        gate_up: random.numbers(shape.experts * HIDDEN * 2 * shape.ffn, 0.08),
        down: random.numbers(shape.experts * shape.ffn * HIDDEN, 0.06),
    }
}

fn run(moe: &SparseMoe, inputs: &Inputs, parallel: &dyn Parallel) -> Vec<f32> {
    let tokens = inputs.x.len() / HIDDEN;
    let mut scratch = vec![f32::NAN; moe.scratch_len(tokens)];
    let mut y = vec![f32::NAN; inputs.x.len()];
    moe.run(&inputs.x, &inputs.logits, None, &mut y, &mut scratch, parallel);
    y
}

fn worst(y: &[f32], expected: &[Near]) -> f64 {
    assert_eq!(y.len(), expected.len());
    y.iter().zip(expected).map(|(y, expected)| (f64::from(*y) - expected.value).abs()).fold(0.0, f64::max)
}

/// What the kernel does to its inputs for bfloat16 weights, and how far it may then be from the reference.
fn brain_rounding() -> (Rounding, f64) {
    #[cfg(target_arch = "x86_64")]
    let rounds = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let rounds = std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let rounds = false;
    if rounds {
        // What lies between the products is rounded too, and near a tie to either side.
        return (Rounding::Bfloat16, 1e-3);
    }
    (Rounding::Float32, 3e-6)
}

#[test]
fn the_sizes_of_time_moe_50m_agree_with_float64_in_every_precision() {
    for (shape, tokens) in [(shape(8, 768, 2), 29), (shape(1, 1536, 1), 7)] {
        let inputs = inputs(&shape, tokens);
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let weights = (wide(&inputs.gate_up), wide(&inputs.down));
        let exact = moe(&shape, &inputs.x, &inputs.logits, &weights.0, &weights.1, Rounding::Float32);
        let size = exact.iter().fold(0f64, |size, y| size.max(y.value.abs()));
        let float = SparseMoe::new(shape, Weights::F32(&inputs.gate_up), Weights::F32(&inputs.down));
        assert!(worst(&run(&float, &inputs, &Sequential), &exact) < 3e-6 * size);

        let brain = |values: &[f32]| values.iter().map(|&value| bf16::from_f32(value)).collect::<Vec<_>>();
        let (gate_up, down) = (brain(&inputs.gate_up), brain(&inputs.down));
        let brain = SparseMoe::new(shape, Weights::Bf16(&gate_up), Weights::Bf16(&down));
        let wide = |values: &[bf16]| values.iter().map(|value| value.to_f64()).collect::<Vec<_>>();
        let (rounding, tolerance) = brain_rounding();
        let of_brain = moe(&shape, &inputs.x, &inputs.logits, &wide(&gate_up), &wide(&down), rounding);
        assert!(worst(&run(&brain, &inputs, &Sequential), &of_brain) < tolerance * size);

        let int8 = |values: &[f32], scale: f32| {
            values.iter().map(|&value| (value / scale * 127.0).round() as i8).collect::<Vec<_>>()
        };
        let (gate_up, down) = (int8(&inputs.gate_up, 0.08), int8(&inputs.down, 0.06));
        let int8 = SparseMoe::new(
            shape,
            Weights::I8 { values: &gate_up, scales: &vec![0.08 / 127.0; shape.experts * 2 * shape.ffn] },
            Weights::I8 { values: &down, scales: &vec![0.06 / 127.0; shape.experts * HIDDEN] },
        );
        assert!(worst(&run(&int8, &inputs, &Sequential), &exact) < 0.05 * size);
    }
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    let shape = shape(8, 96, 2);
    for tokens in [1, 5, 64, 512] {
        let inputs = inputs(&shape, tokens);
        let moe = SparseMoe::new(shape, Weights::F32(&inputs.gate_up), Weights::F32(&inputs.down));
        let alone = run(&moe, &inputs, &Sequential);
        for threads in 2..=8 {
            let threads = ScopedThreads(NonZeroUsize::new(threads).expect("not zero"));
            assert_eq!(run(&moe, &inputs, &threads), alone, "{tokens} tokens, {threads:?}");
        }
    }
}

#[test]
fn a_mixture_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<SparseMoe>();
    shared::<tmoe_ops::cpu::Linear>();
}

#[test]
#[should_panic(expected = "scratch memory")]
fn too_little_scratch_memory_is_refused() {
    let shape = shape(2, 8, 1);
    let inputs = inputs(&shape, 3);
    let moe = SparseMoe::new(shape, Weights::F32(&inputs.gate_up), Weights::F32(&inputs.down));
    let mut scratch = vec![0.0; moe.scratch_len(3) - 1];
    moe.run(&inputs.x, &inputs.logits, None, &mut vec![0.0; inputs.x.len()], &mut scratch, &Sequential);
}

#[test]
#[should_panic(expected = "weights of [2, 8, 384]")]
fn weights_of_another_size_are_refused() {
    SparseMoe::new(shape(2, 8, 1), Weights::F32(&[0.0; 2 * 384 * 16]), Weights::F32(&[0.0; 5]));
}
