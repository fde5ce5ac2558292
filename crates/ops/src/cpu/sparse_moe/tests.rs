use std::num::NonZeroUsize;

use half::{bf16, f16};
use proptest::prelude::*;

use super::reference::{Near, Random, Rounding, dequantize, int8_weights, moe, multiply_int8, plus, route};
use super::*;
use crate::cpu::{ScopedThreads, Sequential};

const ACTIVATIONS: [Activation; 4] =
    [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu];

/// A mixture, its weights, and inputs.
#[derive(Clone)]
struct Case {
    shape: SparseMoeShape,
    seed: u64,
    x: Vec<f32>,
    logits: Vec<f32>,
    gate_up: Vec<f32>,
    down: Vec<f32>,
    addend: Option<Vec<f32>>,
}

/// All the rest follows from these.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tokens = self.x.len() / self.shape.hidden;
        write!(f, "{:?}, {tokens} tokens, seed {}", self.shape, self.seed)
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let sizes = (1usize..=64, 1usize..=40, 1usize..=40, 0usize..=300, any::<u64>());
    (sizes, 0.0f64..1.0, any::<[bool; 3]>(), 0usize..4).prop_map(
        |((experts, hidden, ffn, tokens, seed), top_k, [normalize_top_k, sigmoid, adds], activation)| {
            let top_k = 1 + (top_k * experts as f64) as usize;
            let activation = ACTIVATIONS[activation];
            let scoring = Scoring::ALL[usize::from(sigmoid)];
            let shape = SparseMoeShape { experts, hidden, ffn, top_k, activation, scoring, normalize_top_k };
            // The plain computation should not take long.
            let tokens = tokens.min(1_500_000 / (top_k * hidden * ffn * 3));
            let mut random = Random(seed);
            Case {
                shape,
                seed,
                x: random.awkward_numbers(tokens * hidden, 2.0),
                logits: awkward_logits(&mut random, tokens * experts),
                gate_up: random.awkward_numbers(experts * hidden * 2 * ffn, 2.0 / (hidden as f32).sqrt()),
                down: random.awkward_numbers(experts * ffn * hidden, 2.0 / (ffn as f32).sqrt()),
                addend: adds.then(|| random.numbers(tokens * hidden, 2.0)),
            }
        },
    )
}

/// Ordinary logits among equal, infinite, huge and denormal ones.
fn awkward_logits(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count)
        .map(|_| match ((random.number() + 1.0) * 16.0) as u32 {
            0 => f32::NEG_INFINITY,
            1 => 1e-40,
            2 | 3 => 0.0,
            4 => -0.0,
            5 => -1e30,
            6 if random.number() > 0.9 => 1e30,
            7 | 8 => 1.0,
            _ => random.number() * 4.0,
        })
        .collect()
}

fn run(moe: &SparseMoe, x: &[f32], logits: &[f32], parallel: &dyn Parallel) -> Vec<f32> {
    run_onto(moe, x, logits, None, parallel)
}

fn run_onto(
    moe: &SparseMoe,
    x: &[f32],
    logits: &[f32],
    addend: Option<&[f32]>,
    parallel: &dyn Parallel,
) -> Vec<f32> {
    let tokens = x.len() / moe.shape.hidden;
    let mut scratch = vec![f32::NAN; moe.scratch_len(tokens)];
    let mut y = vec![f32::NAN; x.len()];
    moe.run(x, logits, addend, &mut y, &mut scratch, parallel);
    y
}

fn all_plus(y: Vec<Near>, addend: Option<&[f32]>) -> Vec<Near> {
    match addend {
        Some(addend) => y.into_iter().zip(addend).map(|(y, &addend)| plus(y, addend)).collect(),
        None => y,
    }
}

fn threads(count: usize) -> ScopedThreads {
    ScopedThreads(NonZeroUsize::new(count).expect("not zero"))
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

#[track_caller]
fn assert_near(y: &[f32], expected: &[Near], hidden: usize, what: &str) {
    assert_eq!(y.len(), expected.len());
    for (index, (y, expected)) in y.iter().zip(expected).enumerate() {
        let (row, column) = (index / hidden, index % hidden);
        assert!(expected.holds(*y), "{what}: [{row}, {column}] is {y} rather than {expected:?}");
    }
}

#[track_caller]
fn assert_close(y: &[f32], expected: &[f64], hidden: usize, tolerance: f64, what: &str) {
    assert_eq!(y.len(), expected.len());
    for (row, (y, expected)) in y.chunks(hidden).zip(expected.chunks(hidden)).enumerate() {
        let size = expected.iter().fold(1.0f64, |size, value| size.max(value.abs()));
        for (column, (y, expected)) in y.iter().zip(expected).enumerate() {
            let difference = (f64::from(*y) - expected).abs();
            assert!(
                difference <= tolerance * size,
                "{what}: [{row}, {column}] is {y} rather than {expected}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_instruction_set_and_precision_agrees_with_float64(case in cases()) {
        let Case { shape, x, logits, gate_up, down, addend, .. } = case;
        let addend = addend.as_deref();
        // float16 ends at 65504.
        let half =
            |values: &[f32]| values.iter().map(|v| f16::from_f32(v.clamp(-6e4, 6e4))).collect::<Vec<_>>();
        let brain = |values: &[f32]| values.iter().map(|&value| bf16::from_f32(value)).collect::<Vec<_>>();
        let (half, brain) = ([half(&gate_up), half(&down)], [brain(&gate_up), brain(&down)]);
        let float = [wide(&gate_up), wide(&down)];
        let from_half = half.each_ref().map(|values| values.iter().map(|v| v.to_f64()).collect::<Vec<_>>());
        let from_brain = brain.each_ref().map(|values| values.iter().map(|v| v.to_f64()).collect::<Vec<_>>());
        let exact = |[gate_up, down]: &[Vec<f64>; 2], rounding| {
            all_plus(moe(&shape, &x, &logits, gate_up, down, rounding), addend)
        };
        let (float, from_half) = (exact(&float, Rounding::Float32), exact(&from_half, Rounding::Float32));
        let from_brain =
            [exact(&from_brain, Rounding::Float32), exact(&from_brain, Rounding::Bfloat16)];
        for instructions in Instructions::all() {
            let from_brain = &from_brain[usize::from(instructions.bf16.rounds())];
            for (name, gate_up, down, exact) in [
                ("float32", Weights::F32(&gate_up), Weights::F32(&down), &float),
                ("float16", Weights::F16(&half[0]), Weights::F16(&half[1]), &from_half),
                ("bfloat16", Weights::Bf16(&brain[0]), Weights::Bf16(&brain[1]), from_brain),
            ] {
                let moe = SparseMoe::with(instructions, shape, gate_up, down);
                let y = run_onto(&moe, &x, &logits, addend, &Sequential);
                let what = format!("{instructions:?}, {name}, {shape:?}");
                assert_near(&y, exact, shape.hidden, &what);
                let together = run_onto(&moe, &x, &logits, addend, &threads(3));
                prop_assert!(y.iter().zip(&together).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", what);
            }
        }
    }

    #[test]
    fn results_are_the_same_bits_on_any_number_of_threads(case in cases()) {
        let Case { shape, x, logits, gate_up, down, addend, .. } = case;
        let moe = SparseMoe::new(shape, Weights::F32(&gate_up), Weights::F32(&down));
        let alone = run_onto(&moe, &x, &logits, addend.as_deref(), &Sequential);
        for count in [2, 3, 5, 8] {
            let together = run_onto(&moe, &x, &logits, addend.as_deref(), &threads(count));
            prop_assert!(alone.iter().zip(&together).all(|(a, b)| a.to_bits() == b.to_bits()));
        }
    }
}

/// The mixture by int8, where the activation rounds nothing.
fn moe_int8(case: &Case, gate_up: (&[i8], &[f32]), down: (&[i8], &[f32])) -> Vec<f64> {
    let SparseMoeShape { experts, hidden, ffn, .. } = case.shape;
    let mut y = Vec::new();
    for (x, logits) in case.x.chunks_exact(hidden).zip(case.logits.chunks_exact(experts)) {
        let mut sum = vec![0.0; hidden];
        for (expert, weight) in route(logits, &case.shape) {
            let values = &gate_up.0[expert * hidden * 2 * ffn..][..hidden * 2 * ffn];
            let both = multiply_int8(x, values, &gate_up.1[expert * 2 * ffn..][..2 * ffn]);
            let inner: Vec<f32> = (0..ffn).map(|column| both[column].max(0.0) * both[ffn + column]).collect();
            let values = &down.0[expert * ffn * hidden..][..ffn * hidden];
            let output = multiply_int8(&inner, values, &down.1[expert * hidden..][..hidden]);
            sum.iter_mut().zip(output).for_each(|(sum, output)| *sum += weight * f64::from(output));
        }
        y.extend(sum);
    }
    y
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn int8_agrees_with_the_plain_computation_and_is_near_float64(mut case in cases()) {
        let SparseMoeShape { experts, hidden, ffn, .. } = case.shape;
        let mut random = Random(case.seed);
        case.x = random.numbers(case.x.len(), 2.0);
        let (gate_up, down) =
            (int8_weights(&mut random, case.gate_up.len()), int8_weights(&mut random, case.down.len()));
        let scales = |random: &mut Random, count, depth: usize| -> Vec<f32> {
            (0..count).map(|_| (1.5 + random.number()) / (127.0 * (depth as f32).sqrt())).collect()
        };
        let gate_up_scales = scales(&mut random, experts * 2 * ffn, hidden);
        let down_scales = scales(&mut random, experts * hidden, ffn);
        let plain = [
            dequantize(&gate_up, &gate_up_scales, hidden, 2 * ffn),
            dequantize(&down, &down_scales, ffn, hidden),
        ];
        let weights = (
            Weights::I8 { values: &gate_up, scales: &gate_up_scales },
            Weights::I8 { values: &down, scales: &down_scales },
        );
        for instructions in Instructions::all() {
            let kernel = SparseMoe::with(instructions, case.shape, weights.0, weights.1);
            let y = run(&kernel, &case.x, &case.logits, &Sequential);
            prop_assert_eq!(&y, &run(&kernel, &case.x, &case.logits, &threads(3)));
            // Of a narrow row, one unlucky rounding is not outweighed by many others.
            if hidden >= 8 {
                let exact = moe(&case.shape, &case.x, &case.logits, &plain[0], &plain[1], Rounding::Float32);
                let exact: Vec<f64> = exact.iter().map(|exact| exact.value).collect();
                assert_close(&y, &exact, hidden, 0.1, &format!("{instructions:?}, {case:?}, float64"));
            }
        }
        case.shape.activation = Activation::Relu;
        let expected = moe_int8(&case, (&gate_up, &gate_up_scales), (&down, &down_scales));
        for instructions in Instructions::all() {
            let kernel = SparseMoe::with(instructions, case.shape, weights.0, weights.1);
            let y = run(&kernel, &case.x, &case.logits, &Sequential);
            assert_close(&y, &expected, hidden, 2e-6, &format!("{instructions:?}, {case:?}, int8"));
        }
    }
}

fn small(top_k: usize) -> (SparseMoeShape, Vec<f32>, Vec<f32>) {
    let shape = SparseMoeShape {
        experts: 4,
        hidden: 19,
        ffn: 21,
        top_k,
        activation: Activation::Silu,
        scoring: Scoring::Softmax,
        normalize_top_k: false,
    };
    let mut random = Random(5);
    (shape, random.numbers(4 * 19 * 42, 1.0), random.numbers(4 * 21 * 19, 1.0))
}

#[test]
fn a_token_s_result_does_not_depend_on_the_other_tokens() {
    for top_k in [1, 2] {
        let (shape, gate_up, down) = small(top_k);
        let mut random = Random(6);
        let tokens = CHUNK + 130;
        let (x, logits) = (random.numbers(tokens * shape.hidden, 1.0), random.numbers(tokens * 4, 3.0));
        for instructions in Instructions::all() {
            let moe = SparseMoe::with(instructions, shape, Weights::F32(&gate_up), Weights::F32(&down));
            let together = run(&moe, &x, &logits, &threads(2));
            for token in (0..tokens).step_by(97) {
                let (x, logits) = (&x[token * 19..][..19], &logits[token * 4..][..4]);
                assert_eq!(
                    run(&moe, x, logits, &Sequential),
                    together[token * 19..][..19],
                    "{instructions:?}"
                );
            }
        }
    }
}

#[test]
fn no_tokens_give_no_outputs_in_every_precision() {
    let (shape, gate_up, down) = small(2);
    let brain = |values: &[f32]| values.iter().map(|&value| bf16::from_f32(value)).collect::<Vec<_>>();
    let (brain_gate_up, brain_down) = (brain(&gate_up), brain(&down));
    let int8 = |values: &[f32]| vec![1; values.len()];
    let (int8_gate_up, int8_down) = (int8(&gate_up), int8(&down));
    for instructions in Instructions::all() {
        for (gate_up, down) in [
            (Weights::F32(&gate_up), Weights::F32(&down)),
            (Weights::Bf16(&brain_gate_up), Weights::Bf16(&brain_down)),
            (
                Weights::I8 { values: &int8_gate_up, scales: &[1.0; 4 * 42] },
                Weights::I8 { values: &int8_down, scales: &[1.0; 4 * 19] },
            ),
        ] {
            let moe = SparseMoe::with(instructions, shape, gate_up, down);
            assert_eq!(moe.scratch_len(0), 5);
            assert!(run(&moe, &[], &[], &threads(2)).is_empty());
        }
    }
}

#[test]
fn experts_without_weight_do_not_work() {
    for top_k in [1, 2, 4] {
        let (shape, mut gate_up, down) = small(top_k);
        // Whoever reads the weights of expert 2 gets no numbers.
        gate_up[2 * 19 * 42..3 * 19 * 42].fill(f32::NAN);
        let x = Random(7).numbers(3 * 19, 1.0);
        let none = f32::NEG_INFINITY;
        let logits = [1.0, 1.0, none, none, none, none, none, none, 3e30, 0.0, 1e30, -1e30];
        let moe = SparseMoe::new(shape, Weights::F32(&gate_up), Weights::F32(&down));
        let y = run(&moe, &x, &logits, &Sequential);
        assert!(y.iter().all(|y| y.is_finite()), "top-{top_k}: {y:?}");
        assert!(y[19..38].iter().all(|&y| y == 0.0), "a row without logits: {:?}", &y[19..38]);
        assert!(y[38..].iter().any(|&y| y != 0.0));
    }
}

#[test]
fn a_token_without_experts_gets_the_addend() {
    for top_k in [1, 2] {
        for scoring in Scoring::ALL {
            let (shape, gate_up, down) = small(top_k);
            let shape = SparseMoeShape { scoring, ..shape };
            let mut random = Random(10);
            let (x, addend) = (random.numbers(3 * 19, 1.0), random.numbers(3 * 19, 1.0));
            let mut logits = random.numbers(12, 1.0);
            logits[4..8].fill(f32::NEG_INFINITY);
            let moe = SparseMoe::new(shape, Weights::F32(&gate_up), Weights::F32(&down));
            let y = run_onto(&moe, &x, &logits, Some(&addend), &Sequential);
            assert_eq!(y[19..38], addend[19..38], "top-{top_k}, {scoring:?}");
            assert_ne!(y[..19], addend[..19], "top-{top_k}, {scoring:?}");
        }
    }
}

#[test]
fn a_sigmoid_depends_on_its_own_logit_only_down_to_the_smallest_numbers() {
    let (shape, gate_up, down) = small(1);
    let shape = SparseMoeShape { experts: 1, scoring: Scoring::Sigmoid, ..shape };
    let moe = SparseMoe::new(shape, Weights::F32(&gate_up[..19 * 42]), Weights::F32(&down[..21 * 19]));
    let x = Random(11).numbers(19, 1.0);
    let whole = run(&moe, &x, &[f32::INFINITY], &Sequential);
    for logit in [-f32::INFINITY, -1e30, -95.0, -20.0, -1.0, 0.0, 0.5, 30.0, 1e30] {
        let factor = 1.0 / (1.0 + (-f64::from(logit)).exp());
        for (y, whole) in run(&moe, &x, &[logit], &Sequential).into_iter().zip(&whole) {
            let expected = factor * f64::from(*whole);
            let near = (f64::from(y) - expected).abs() <= 1e-6 * expected.abs() + 3e-45;
            assert!(near, "{logit}: {y} rather than {expected}");
        }
    }
    assert!(run(&moe, &x, &[f32::NAN], &Sequential).iter().all(|y| y.is_nan()));
}

#[test]
fn infinite_logits_share_the_weight() {
    let (shape, gate_up, down) = small(2);
    let x = Random(8).numbers(19, 1.0);
    let moe = SparseMoe::new(shape, Weights::F32(&gate_up), Weights::F32(&down));
    let infinite = run(&moe, &x, &[f32::INFINITY, 0.0, f32::INFINITY, 1.0], &Sequential);
    assert_eq!(infinite, run(&moe, &x, &[1e30, 0.0, 1e30, 1.0], &Sequential));
}

#[test]
fn a_nan_reaches_the_output_of_its_token_only() {
    for top_k in [1, 2, 4] {
        let (shape, gate_up, down) = small(top_k);
        let mut random = Random(9);
        let (x, mut logits) = (random.numbers(3 * 19, 1.0), random.numbers(12, 1.0));
        logits[5] = f32::NAN;
        let moe = SparseMoe::new(shape, Weights::F32(&gate_up), Weights::F32(&down));
        let y = run(&moe, &x, &logits, &Sequential);
        assert!(y[19..38].iter().all(|y| y.is_nan()), "top-{top_k}");
        assert!(y[..19].iter().chain(&y[38..]).all(|y| y.is_finite()), "top-{top_k}");
    }
}
