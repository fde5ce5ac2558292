//! The key/value cache after a pass on an empty one.

use super::{Case, cache_parts, points};
use crate::compare::Expected;
use crate::golden::Golden;
use crate::packages::Variant;

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let series = golden.matrix("series");
    let mut cases = Vec::new();
    for part in cache_parts(golden) {
        let name = format!("present.{part}");
        for variant in [Variant::Full, Variant::Last] {
            let expected = Expected::float(golden.float(&name));
            cases.push(Case::of_output(variant, &name, points(variant, &series), &name, expected));
        }
    }
    cases
}
