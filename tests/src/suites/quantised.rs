//! Packages whose weights are rounded: fp16, bf16, int8.
//!
//! What such a package should compute is known exactly: what a float32 package of the rounded weights does. Only the graph
//! `plugin` rounds more: its cache to the weights' type, if that is a float's, and activations, to bfloat16 where the processor
//! multiplies that, always with int8, and on GPUs with every precision.
//!
//! For fp16 the goldens, computed from the weights as they are stored, bound how much the rounding may change besides.

use super::{Case, FLOAT32, Reference, Task, cache_parts, points};
use crate::compare::{Expected, Tolerance};
use crate::golden::Golden;
use crate::packages::Variant;

/// Half precision has 11 bits, so each weight is off by up to 1 part in 2048; this leaves room for a few layers.
const FP16_WEIGHTS: Tolerance = Tolerance::Relative(5e-3);
/// The same for activations, which are rounded once per layer; and tokens near the border of two experts may go to the other.
const FP16_ACTIVATIONS: Tolerance = Tolerance::Norm(1e-2);
/// bfloat16 has 8 bits, in the cache too; this leaves room for a few layers, and for such tokens.
const BF16_ACTIVATIONS: Tolerance = Tolerance::Norm(4e-2);
/// 127 steps up to the largest activation of a token, and such tokens.
const INT8_ACTIVATIONS: Tolerance = Tolerance::Norm(6e-2);

pub(super) fn fp16(golden: &Golden) -> Vec<Case> {
    let mut cases = of_rounded_weights(golden, Variant::Half, Variant::RoundedHalf, FP16_ACTIVATIONS);
    cases.extend(of_rounded_cache(golden, Variant::Half, Variant::RoundedHalf, FP16_ACTIVATIONS));
    for horizon in golden.config().horizon_lengths() {
        let output = format!("predictions.h{horizon}");
        let reference = Reference::Values(Expected::float(golden.float(&output)));
        let task = prefill(golden, Variant::Half, &output);
        cases.push(case(Variant::Half, output, task, reference, FP16_WEIGHTS, FP16_ACTIVATIONS));
    }
    cases
}

pub(super) fn bf16(golden: &Golden) -> Vec<Case> {
    let mut cases = of_rounded_weights(golden, Variant::Bf16, Variant::RoundedBf16, BF16_ACTIVATIONS);
    cases.extend(of_rounded_cache(golden, Variant::Bf16, Variant::RoundedBf16, BF16_ACTIVATIONS));
    cases
}

pub(super) fn int8(golden: &Golden) -> Vec<Case> {
    of_rounded_weights(golden, Variant::Int8, Variant::RoundedInt8, INT8_ACTIVATIONS)
}

/// The predictions of a variant against those of its rounded weights in float32.
fn of_rounded_weights(
    golden: &Golden,
    variant: Variant,
    rounded: Variant,
    rounded_tolerance: Tolerance,
) -> Vec<Case> {
    let outputs = golden.config().horizon_lengths().iter().map(|horizon| format!("predictions.h{horizon}"));
    let tasks = outputs.map(|output| (output.clone(), prefill(golden, variant, &output)));
    against(tasks, variant, rounded, rounded_tolerance)
}

/// The same of what the cache takes part in: itself after a pass on an empty one, the predictions of a pass that continues from the
/// golden cache, and a generation of two passes, which keeps its cache in the provider.
fn of_rounded_cache(
    golden: &Golden,
    variant: Variant,
    rounded: Variant,
    rounded_tolerance: Tolerance,
) -> Vec<Case> {
    let presents = cache_parts(golden).map(|part| format!("present.{part}"));
    let presents = presents.map(|output| (output.clone(), prefill(golden, variant, &output)));
    let horizons = golden.config().horizon_lengths().iter();
    let continued = horizons.clone().map(|horizon| {
        let output = format!("predictions.h{horizon}");
        (format!("continuation.{output}"), continuation(golden, variant, output))
    });
    let series = golden.matrix("series");
    let generation = Task::Generate { series, horizon: horizons.max().map_or(0, |longest| longest + 1) };
    let tasks = presents.chain(continued).chain([("generation".to_owned(), generation)]);
    against(tasks, variant, rounded, rounded_tolerance)
}

/// What a variant computes against what another one does.
fn against(
    tasks: impl Iterator<Item = (String, Task)>,
    variant: Variant,
    rounded: Variant,
    rounded_tolerance: Tolerance,
) -> Vec<Case> {
    let of_task = |(name, task)| {
        let (name, reference) = (format!("{name}.of-rounded-weights"), Reference::Package(rounded));
        case(variant, name, task, reference, FLOAT32, rounded_tolerance)
    };
    tasks.map(of_task).collect()
}

/// One pass on an empty cache.
fn prefill(golden: &Golden, variant: Variant, output: &str) -> Task {
    let inputs = points(variant, &golden.matrix("series"));
    Task::Output { inputs, output: output.to_owned() }
}

/// One pass on the golden cache, which narrower ones hold rounded.
fn continuation(golden: &Golden, variant: Variant, output: String) -> Task {
    let mut inputs = points(variant, &golden.matrix("continuation.series"));
    for part in cache_parts(golden) {
        inputs.insert(format!("past_key_values.{part}"), golden.float(&format!("present.{part}")).into());
    }
    Task::Output { inputs, output }
}

fn case(
    variant: Variant,
    name: String,
    task: Task,
    reference: Reference,
    tolerance: Tolerance,
    rounded_tolerance: Tolerance,
) -> Case {
    Case { variant, name, task, reference, tolerance, rounded_tolerance: Some(rounded_tolerance) }
}
