//! A batch whose first row is padded on the left.

use super::{Case, head_cases, points};
use crate::golden::Golden;

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let series = golden.matrix("padded.series");
    let mask = golden.integers("padded.attention_mask");
    let predictions = golden.predictions_of("padded.last_hidden_state");
    head_cases("padded.", predictions, Some(&mask), |variant| {
        let mut inputs = points(variant, &series);
        inputs.insert("attention_mask".to_owned(), mask.clone().into());
        inputs
    })
}
