//! The linear layer as its users call it, at the sizes of Time-MoE 50M.

use std::num::NonZeroUsize;

use tmoe_ops::cpu::{Linear, Parallel, ScopedThreads, Sequential, Weights};

/// Small integers: every sum of products is exact in float32, whatever its order.
fn integers(count: usize, modulus: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + i / 13) % modulus) as f32 - (modulus / 2) as f32).collect()
}

fn run(linear: &Linear, x: &[f32], rows: usize, output: usize, parallel: &dyn Parallel) -> Vec<f32> {
    let mut scratch = vec![f32::NAN; linear.scratch_len(rows)];
    let mut y = vec![f32::NAN; rows * output];
    linear.run(x, &mut y, &mut scratch, parallel);
    y
}

#[test]
fn products_of_integers_are_exact_at_the_sizes_of_time_moe_50m() {
    for (input, output) in [(384, 1152), (384, 384), (384, 9), (384, 64), (384, 1)] {
        let (weight, bias) = (integers(input * output, 17), integers(output, 101));
        let linear = Linear::new(input, output, Weights::F32(&weight), Some(&bias));
        for rows in [0, 1, 2, 3, 7, 65, 200] {
            let x = integers(rows * input, 23);
            let mut expected = Vec::new();
            for x in x.chunks_exact(input) {
                let mut sums = bias.clone();
                for (x, weights) in x.iter().zip(weight.chunks_exact(output)) {
                    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
                }
                expected.extend(sums);
            }
            assert_eq!(
                run(&linear, &x, rows, output, &Sequential),
                expected,
                "{input}x{output}, {rows} rows"
            );
            let threads = ScopedThreads(NonZeroUsize::new(3).expect("not zero"));
            assert_eq!(run(&linear, &x, rows, output, &threads), expected, "{input}x{output}, {rows} rows");
        }
    }
}

#[test]
#[should_panic(expected = "elements of x, [2, 3]")]
fn inputs_of_another_size_are_refused() {
    Linear::new(3, 2, Weights::F32(&[0.0; 6]), None).run(&[0.0; 5], &mut [0.0; 4], &mut [], &Sequential);
}

#[test]
#[should_panic(expected = "elements of the bias")]
fn a_bias_of_another_size_is_refused() {
    Linear::new(3, 2, Weights::F32(&[0.0; 6]), Some(&[0.0; 3]));
}
