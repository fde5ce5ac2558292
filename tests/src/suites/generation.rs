//! Greedy multi-horizon generation with the cache.

use super::{Case, Reference, Task};
use crate::compare::{Expected, Tolerance};
use crate::golden::Golden;
use crate::packages::Variant;

/// Errors of a pass feed the next one.
const TOLERANCE: Tolerance = Tolerance::Absolute(1e-4);

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let series = golden.matrix("series");
    let mut cases = Vec::new();
    for horizon in golden.suffixes("generate.") {
        let name = format!("generate.{horizon}");
        for variant in [Variant::Full, Variant::Last] {
            cases.push(Case {
                variant,
                name: name.clone(),
                task: Task::Generate {
                    series: series.clone(),
                    horizon: horizon.parse().unwrap_or_else(|error| panic!("{name}: {error}")),
                },
                reference: Reference::Values(Expected::float(golden.float(&name))),
                tolerance: TOLERANCE,
                rounded_tolerance: None,
            });
        }
    }
    cases
}
