use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::cpu::sparse_moe::reference::Random;
use crate::cpu::{ScopedThreads, Sequential};

/// y and the sum.
fn run(
    level: Level,
    norm: AddRmsNorm,
    inputs: [&[f32]; 2],
    weight: &[f32],
    parallel: &dyn Parallel,
) -> [Vec<f32>; 2] {
    let (mut y, mut sum) = (vec![f32::NAN; inputs[0].len()], vec![f32::NAN; inputs[0].len()]);
    norm.run_on(level, inputs, weight, [&mut y, &mut sum], parallel);
    [y, sum]
}

fn bits(outputs: &[Vec<f32>; 2]) -> Vec<u32> {
    outputs.iter().flatten().map(|value| value.to_bits()).collect()
}

fn threads(count: usize) -> ScopedThreads {
    ScopedThreads(NonZeroUsize::new(count).expect("not zero"))
}

/// y and the sum of one row, in float64.
fn exact(x: &[f32], residual: &[f32], weight: &[f32], epsilon: f32) -> Vec<(f64, f64)> {
    let sums: Vec<f64> = x.iter().zip(residual).map(|(x, r)| f64::from(*x) + f64::from(*r)).collect();
    let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
    let root = (squares / sums.len() as f64 + f64::from(epsilon)).sqrt();
    sums.iter().zip(weight).map(|(sum, weight)| (sum / root * f64::from(*weight), *sum)).collect()
}

proptest! {
    #[test]
    fn every_instruction_set_agrees_with_float64(
        hidden in 1usize..=200, rows in 0usize..=300, exponent in -12i32..=12, seed: u64
    ) {
        let mut random = Random(seed);
        let scale = 10f32.powi(exponent);
        let (mut x, residual) = (random.numbers(rows * hidden, scale), random.numbers(rows * hidden, scale));
        // A row of which nothing is left.
        if rows > 2 {
            for (x, residual) in x.iter_mut().zip(&residual).skip(hidden).take(hidden) {
                *x = -residual;
            }
        }
        let weight = random.numbers(hidden, 2.0);
        let norm = AddRmsNorm { epsilon: 1e-6 };
        for level in Level::all() {
            let outputs = run(level, norm, [&x, &residual], &weight, &Sequential);
            for count in [2, 3, 7] {
                let together = run(level, norm, [&x, &residual], &weight, &threads(count));
                prop_assert_eq!(bits(&outputs), bits(&together), "{:?}", level);
            }
            for row in 0..rows {
                let part = row * hidden..(row + 1) * hidden;
                let exact = exact(&x[part.clone()], &residual[part.clone()], &weight, norm.epsilon);
                // The root mean square, which a sum that cancelled is small against.
                let size = exact.iter().map(|(_, sum)| sum * sum).sum::<f64>() / hidden as f64;
                let root = (size + f64::from(norm.epsilon)).sqrt();
                for ((index, (y, sum)), weight) in part.zip(exact).zip(&weight) {
                    let rounding = 6e-8 * sum.abs();
                    prop_assert!((f64::from(outputs[1][index]) - sum).abs() <= rounding, "{level:?}: sum {index}");
                    let tolerance = 2e-6 * y.abs() + rounding / root * f64::from(weight.abs()) + 1e-44;
                    let found = f64::from(outputs[0][index]);
                    prop_assert!((found - y).abs() <= tolerance, "{level:?}: y[{index}] is {found}, not {y}");
                }
            }
        }
    }
}

#[test]
fn a_row_that_is_no_number_spares_the_others() {
    for level in Level::all() {
        let mut x = vec![1.0; 3 * 37];
        x[37 + 5] = f32::NAN;
        let [y, sum] = run(level, AddRmsNorm { epsilon: 0.0 }, [&x, &[1.0; 3 * 37]], &[1.0; 37], &Sequential);
        assert!(y[37..74].iter().all(|y| y.is_nan()), "{level:?}");
        assert!(y[..37].iter().chain(&y[74..]).all(|&y| y == 1.0), "{level:?}: {y:?}");
        assert_eq!(sum[37], 2.0);
    }
}

#[test]
fn rows_of_zeros_stay_zero_and_no_rows_are_none() {
    for level in Level::all() {
        let [y, sum] =
            run(level, AddRmsNorm { epsilon: 1e-6 }, [&[0.0; 40], &[0.0; 40]], &[3.0; 20], &Sequential);
        assert!(y.iter().chain(&sum).all(|&value| value == 0.0));
        run(level, AddRmsNorm { epsilon: 1e-6 }, [&[], &[]], &[3.0; 20], &threads(2));
    }
}

#[test]
#[should_panic(expected = "elements of the residual, [2, 3]")]
fn a_residual_of_another_size_is_refused() {
    let (mut y, mut sum) = ([0.0; 6], [0.0; 6]);
    AddRmsNorm { epsilon: 0.0 }.run(&[0.0; 6], &[0.0; 3], &[1.0; 3], &mut y, &mut sum, &Sequential);
}
