//! A whole forecast: window normalisation, generation, and back.

use super::{Case, FLOAT32, Reference, Task};
use crate::compare::Expected;
use crate::golden::Golden;
use crate::packages::Variant;

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let mut cases = Vec::new();
    for horizon in golden.suffixes("sample.forecast.") {
        let name = format!("sample.forecast.{horizon}");
        cases.push(Case {
            variant: Variant::Last,
            task: Task::Forecast {
                series: golden.float("sample.series").iter().copied().map(f64::from).collect(),
                horizon: horizon.parse().unwrap_or_else(|error| panic!("{name}: {error}")),
            },
            reference: Reference::Values(Expected::float(golden.float(&name))),
            tolerance: FLOAT32,
            rounded_tolerance: None,
            name,
        });
    }
    cases
}
