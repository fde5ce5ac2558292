//! fp16 packages.
//!
//! The goldens were computed from the stored weights, so they bound only how much rounding the weights may change. What
//! an fp16 package should compute is known all the same: exactly what a float32 package of the rounded weights does.

use super::{Case, FLOAT32, Reference, Task, points};
use crate::compare::{Expected, Tolerance};
use crate::golden::Golden;
use crate::packages::Variant;

/// Half precision has 11 bits, so each weight is off by up to 1 part in 2048; this leaves room for a few layers.
const ROUNDING: Tolerance = Tolerance::Relative(5e-3);

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let series = golden.matrix("series");
    let mut cases = Vec::new();
    for horizon in golden.config().horizon_lengths() {
        let output = format!("predictions.h{horizon}");
        let against_golden = Case {
            variant: Variant::Half,
            name: output.clone(),
            task: Task::Output { inputs: points(Variant::Half, &series), output: output.clone() },
            reference: Reference::Values(Expected::float(golden.float(&output))),
            tolerance: ROUNDING,
        };
        let against_rounded = Case {
            name: format!("{output}.of-rounded-weights"),
            reference: Reference::Package(Variant::Rounded),
            tolerance: FLOAT32,
            ..against_golden.clone()
        };
        cases.extend([against_golden, against_rounded]);
    }
    cases
}
