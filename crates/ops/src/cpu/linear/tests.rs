use std::num::NonZeroUsize;

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::cpu::sparse_moe::reference::{Random, multiply};
use crate::cpu::{ScopedThreads, Sequential};

fn run(linear: &Linear, x: &[f32], parallel: &dyn Parallel) -> Vec<f32> {
    let rows = x.len() / linear.panels.depth;
    let mut scratch = vec![f32::NAN; linear.scratch_len(rows, parallel.threads().get())];
    let mut y = vec![f32::NAN; rows * linear.panels.columns];
    linear.run(x, &mut y, &mut scratch, parallel);
    y
}

fn exact(x: &[f32], weight: &[f32], bias: Option<&[f32]>, input: usize, output: usize) -> Vec<f64> {
    let weight: Vec<f64> = weight.iter().copied().map(f64::from).collect();
    let mut y = Vec::new();
    for x in x.chunks_exact(input) {
        let x: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let sums = multiply(&x, &weight, output).into_iter().enumerate();
        y.extend(sums.map(|(column, sum)| sum + bias.map_or(0.0, |bias| f64::from(bias[column]))));
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_instruction_set_and_precision_agrees_with_float64(
        (input, output, rows) in (1usize..=90, 1usize..=90, 0usize..=210), biased: bool, seed: u64
    ) {
        let mut random = Random(seed);
        let (x, weight) = (random.numbers(rows * input, 1.0), random.numbers(input * output, 1.0));
        let bias = biased.then(|| random.numbers(output, 1.0));
        let bias = bias.as_deref();
        let half: Vec<_> = weight.iter().map(|&value| f16::from_f32(value)).collect();
        let brain: Vec<_> = weight.iter().map(|&value| bf16::from_f32(value)).collect();
        let from_half: Vec<_> = half.iter().map(|value| value.to_f32()).collect();
        let from_brain: Vec<_> = brain.iter().map(|value| value.to_f32()).collect();
        for level in Level::all() {
            for (weights, plain) in [
                (Weights::F32(&weight), &weight),
                (Weights::F16(&half), &from_half),
                (Weights::Bf16(&brain), &from_brain),
            ] {
                let linear = Linear::for_level(level, input, output, weights, bias);
                let y = run(&linear, &x, &Sequential);
                for threads in [2, 7] {
                    let threads = ScopedThreads(NonZeroUsize::new(threads).expect("not zero"));
                    prop_assert_eq!(&y, &run(&linear, &x, &threads));
                }
                for (y, expected) in y.iter().zip(exact(&x, plain, bias, input, output)) {
                    let tolerance = 2e-6 * (input as f64).sqrt() * 2.0;
                    prop_assert!((f64::from(*y) - expected).abs() < tolerance, "{level:?}: {y}, {expected}");
                }
            }
        }
    }
}

#[test]
fn a_layer_without_inputs_rows_or_outputs_works() {
    let empty = Linear::new(0, 3, Weights::F32(&[]), Some(&[1.0, 2.0, 3.0]));
    let mut y = [0.0; 6];
    empty.run(&[], &mut y, &mut [], &Sequential);
    assert_eq!(y, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    Linear::new(3, 0, Weights::F32(&[]), None).run(&[1.0; 6], &mut [], &mut [], &Sequential);
    Linear::new(2, 2, Weights::F32(&[1.0; 4]), None).run(&[], &mut [], &mut [], &Sequential);
}
