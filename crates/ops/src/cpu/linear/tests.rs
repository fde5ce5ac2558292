use std::num::NonZeroUsize;

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::cpu::sparse_moe::reference::{
    Near, Random, Rounding, exactly, int8_weights, multiply, multiply_int8,
};
use crate::cpu::{ScopedThreads, Sequential};

fn run(linear: &Linear, x: &[f32], parallel: &dyn Parallel) -> Vec<f32> {
    let rows = x.len() / linear.panels.depth;
    let mut scratch = vec![f32::NAN; linear.scratch_len(rows)];
    let mut y = vec![f32::NAN; rows * linear.panels.columns];
    linear.run(x, &mut y, &mut scratch, parallel);
    y
}

fn exact(x: &[f32], weight: &[f32], bias: Option<&[f32]>, input: usize, rounding: Rounding) -> Vec<Near> {
    let output = weight.len() / input;
    let weight: Vec<f64> = weight.iter().copied().map(f64::from).collect();
    let mut y = Vec::new();
    for x in x.chunks_exact(input) {
        let sums = multiply(&exactly(x), &weight, output, rounding).into_iter().enumerate();
        y.extend(sums.map(|(column, Near { value, tolerance })| {
            let value = value + bias.map_or(0.0, |bias| f64::from(bias[column]));
            Near { value, tolerance: tolerance + 1e-7 * value.abs() }
        }));
    }
    y
}

fn bits(y: &[f32]) -> Vec<u32> {
    y.iter().map(|y| y.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_instruction_set_and_precision_agrees_with_float64(
        (input, output, rows) in (1usize..=90, 1usize..=90, 0usize..=210), biased: bool, seed: u64
    ) {
        let mut random = Random(seed);
        let x = random.awkward_numbers(rows * input, 1.0);
        let weight = random.awkward_numbers(input * output, 1.0);
        let bias = biased.then(|| random.numbers(output, 1.0));
        let bias = bias.as_deref();
        // float16 ends at 65504.
        let half: Vec<_> = weight.iter().map(|value| f16::from_f32(value.clamp(-6e4, 6e4))).collect();
        let brain: Vec<_> = weight.iter().map(|&value| bf16::from_f32(value)).collect();
        let from_half: Vec<_> = half.iter().map(|value| value.to_f32()).collect();
        let from_brain: Vec<_> = brain.iter().map(|value| value.to_f32()).collect();
        for instructions in Instructions::all() {
            let brain_inputs =
                if instructions.bf16.rounds() { Rounding::Bfloat16 } else { Rounding::Float32 };
            for (weights, plain, rounding) in [
                (Weights::F32(&weight), &weight, Rounding::Float32),
                (Weights::F16(&half), &from_half, Rounding::Float32),
                (Weights::Bf16(&brain), &from_brain, brain_inputs),
            ] {
                let linear = Linear::with(instructions, input, output, weights, bias);
                let y = run(&linear, &x, &Sequential);
                for threads in [2, 7] {
                    let threads = ScopedThreads(NonZeroUsize::new(threads).expect("not zero"));
                    prop_assert_eq!(bits(&y), bits(&run(&linear, &x, &threads)));
                }
                for (y, expected) in y.iter().zip(exact(&x, plain, bias, input, rounding)) {
                    prop_assert!(expected.holds(*y), "{instructions:?}, {rounding:?}: {y}, {expected:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn int8_gives_the_bits_of_the_plain_computation_on_every_instruction_set(
        (input, output, rows) in (1usize..=90, 1usize..=90, 0usize..=210), biased: bool, seed: u64
    ) {
        let mut random = Random(seed);
        let scale = if random.number() > 0.8 { 1e-39 } else { 3.0 };
        let x = random.awkward_numbers(rows * input, scale);
        let values = int8_weights(&mut random, input * output);
        let scales = random.numbers(output, 0.1);
        let bias = biased.then(|| random.numbers(output, 1.0));
        let bias = bias.as_deref();
        let mut expected = Vec::new();
        for row in x.chunks_exact(input) {
            let sums = multiply_int8(row, &values, &scales).into_iter().enumerate();
            expected.extend(sums.map(|(column, sum)| sum + bias.map_or(0.0, |bias| bias[column])));
        }
        let weights = Weights::I8 { values: &values, scales: &scales };
        for instructions in Instructions::all() {
            let linear = Linear::with(instructions, input, output, weights, bias);
            for threads in [1, 2, 7] {
                let threads = ScopedThreads(NonZeroUsize::new(threads).expect("not zero"));
                prop_assert_eq!(&run(&linear, &x, &threads), &expected, "{:?}", instructions);
            }
        }
    }
}

#[test]
fn an_int8_row_with_an_infinite_element_or_a_nan_gives_nan_and_spares_the_others() {
    let weights = Weights::I8 { values: &[1, -128, 127, 5], scales: &[1.0, 0.5] };
    for instructions in Instructions::all() {
        let linear = Linear::with(instructions, 2, 2, weights, None);
        for odd in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let y = run(&linear, &[1.0, 0.0, odd, 1.0, 0.0, -2.0], &Sequential);
            assert!(y[2].is_nan() && y[3].is_nan());
            assert_eq!([y[0], y[1], y[4], y[5]], [1.0, -64.0, -254.0, -5.0]);
        }
    }
}

#[test]
fn a_layer_without_inputs_rows_or_outputs_works() {
    let empty = Linear::new(0, 3, Weights::F32(&[]), Some(&[1.0, 2.0, 3.0]));
    let mut y = [0.0; 6];
    empty.run(&[], &mut y, &mut [], &Sequential);
    assert_eq!(y, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
    let int8 = Weights::I8 { values: &[], scales: &[1.0] };
    Linear::new(0, 1, int8, Some(&[4.0])).run(&[], &mut y[..2], &mut [0.0; 2], &Sequential);
    assert_eq!(y[..2], [4.0, 4.0]);
    for instructions in Instructions::all() {
        let empty = Linear::with(instructions, 0, 3, Weights::Bf16(&[]), Some(&[1.0, 2.0, 3.0]));
        y.fill(0.0);
        empty.run(&[], &mut y, &mut [], &Sequential);
        assert_eq!(y, [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        let weights = [bf16::ONE; 4];
        Linear::with(instructions, 2, 2, Weights::Bf16(&weights), None).run(
            &[],
            &mut [],
            &mut [],
            &Sequential,
        );
    }
    Linear::new(3, 0, Weights::F32(&[]), None).run(&[1.0; 6], &mut [], &mut [], &Sequential);
    Linear::new(2, 2, Weights::F32(&[1.0; 4]), None).run(&[], &mut [], &mut [], &Sequential);
}
