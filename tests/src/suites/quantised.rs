//! Packages whose weights are rounded: fp16, bf16, int8.
//!
//! What such a package should compute is known exactly: what a float32 package of the rounded weights does. Only the graph
//! `plugin` rounds activations too: to bfloat16 where the processor multiplies that, always with int8, and on GPUs with every
//! precision.
//!
//! For fp16 the goldens, computed from the weights as they are stored, bound how much the rounding may change besides.

use super::{Case, FLOAT32, Reference, Rounded, Task, points};
use crate::compare::{Expected, Tolerance};
use crate::golden::Golden;
use crate::packages::Variant;

/// Half precision has 11 bits, so each weight is off by up to 1 part in 2048; this leaves room for a few layers.
const FP16_WEIGHTS: Tolerance = Tolerance::Relative(5e-3);
/// The same for activations, which are rounded once per layer; and tokens near the border of two experts may go to the other.
const FP16_ACTIVATIONS: Tolerance = Tolerance::Norm(1e-2);
/// bfloat16 has 8 bits; this leaves room for a few layers, and for such tokens.
const BF16_ACTIVATIONS: Tolerance = Tolerance::Norm(4e-2);
/// 127 steps up to the largest activation of a token, and such tokens.
const INT8_ACTIVATIONS: Tolerance = Tolerance::Norm(6e-2);

pub(super) fn fp16(golden: &Golden) -> Vec<Case> {
    let on_gpu = Rounded { tolerance: FP16_ACTIVATIONS, on_gpu_only: true };
    let mut cases = of_rounded_weights(golden, Variant::Half, Variant::RoundedHalf, on_gpu);
    for horizon in golden.config().horizon_lengths() {
        let output = format!("predictions.h{horizon}");
        let reference = Reference::Values(Expected::float(golden.float(&output)));
        cases.push(case(golden, Variant::Half, *horizon, output, reference, FP16_WEIGHTS, Some(on_gpu)));
    }
    cases
}

pub(super) fn bf16(golden: &Golden) -> Vec<Case> {
    of_rounded_weights(golden, Variant::Bf16, Variant::RoundedBf16, everywhere(BF16_ACTIVATIONS))
}

pub(super) fn int8(golden: &Golden) -> Vec<Case> {
    of_rounded_weights(golden, Variant::Int8, Variant::RoundedInt8, everywhere(INT8_ACTIVATIONS))
}

fn everywhere(tolerance: Tolerance) -> Rounded {
    Rounded { tolerance, on_gpu_only: false }
}

/// The predictions of a variant against those of its rounded weights in float32.
fn of_rounded_weights(
    golden: &Golden,
    variant: Variant,
    rounded: Variant,
    rounded_tolerance: Rounded,
) -> Vec<Case> {
    let horizons = golden.config().horizon_lengths().iter();
    horizons
        .map(|&horizon| {
            let name = format!("predictions.h{horizon}.of-rounded-weights");
            case(
                golden,
                variant,
                horizon,
                name,
                Reference::Package(rounded),
                FLOAT32,
                Some(rounded_tolerance),
            )
        })
        .collect()
}

fn case(
    golden: &Golden,
    variant: Variant,
    horizon: usize,
    name: String,
    reference: Reference,
    tolerance: Tolerance,
    rounded_tolerance: Option<Rounded>,
) -> Case {
    let inputs = points(variant, &golden.matrix("series"));
    let task = Task::Output { inputs, output: format!("predictions.h{horizon}") };
    Case { variant, name, task, reference, tolerance, rounded_tolerance }
}
