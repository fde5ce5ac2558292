//! Predictions of every head, on an empty cache.

use ndarray::Array3;

use super::{Case, head_cases, points};
use crate::golden::Golden;

pub(super) fn cases(golden: &Golden) -> Vec<Case> {
    let series = golden.matrix("series");
    let predictions = golden.config().horizon_lengths().iter().map(|&horizon| {
        let name = format!("predictions.h{horizon}");
        let values = golden.float(&name).mapv(f64::from);
        let values: Array3<f64> =
            values.into_dimensionality().unwrap_or_else(|error| panic!("{name}: {error}"));
        (horizon, values)
    });
    head_cases("", predictions.collect(), None, |variant| points(variant, &series))
}
