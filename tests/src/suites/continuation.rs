//! More points on top of the golden cache.

use super::{Case, cache_parts, head_cases, points};
use crate::golden::Golden;

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let series = golden.matrix("continuation.series");
    let predictions = golden.predictions_of("continuation.last_hidden_state");
    head_cases("continuation.", predictions, None, |variant| {
        let mut inputs = points(variant, &series);
        for part in cache_parts(golden) {
            inputs.insert(format!("past_key_values.{part}"), golden.float(&format!("present.{part}")).into());
        }
        inputs
    })
}
