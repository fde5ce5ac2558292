//! How much quantised weights change what the model forecasts.

use tmoe_model::Config;

use super::cases::Case;
use super::engine::self_test_error;
use crate::error::ExportError;
use crate::lower::output_name;

/// Forecasts from the package's weights against those from the checkpoint's, on the inputs of the self-test, all computed in
/// float32.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy {
    /// One per case and horizon head.
    pub rows: Vec<AccuracyRow>,
}

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub struct AccuracyRow {
    /// The case of the self-test.
    pub case: String,
    /// The graph's output.
    pub output: String,
    /// Root mean square of the difference over that of the checkpoint's forecast.
    pub relative_error: f64,
}

impl Accuracy {
    /// The row with the largest error.
    pub fn worst(&self) -> Option<&AccuracyRow> {
        self.rows.iter().max_by(|left, right| left.relative_error.total_cmp(&right.relative_error))
    }
}

/// Compares the forecasts of the same cases.
pub(super) fn compare(exact: &[Case], written: &[Case], config: &Config) -> Result<Accuracy, ExportError> {
    let mut rows = Vec::new();
    for (exact, written) in exact.iter().zip(written) {
        for &horizon in config.horizon_lengths() {
            let output = output_name(horizon);
            let (expected, found) = (values(exact, &output)?, values(written, &output)?);
            let sum = |terms: &mut dyn Iterator<Item = f64>| terms.map(|term| term * term).sum::<f64>();
            let difference = sum(&mut expected.iter().zip(&found).map(|(expected, found)| expected - found));
            let size = sum(&mut expected.iter().copied());
            // A forecast of nothing but zeros has no size to compare with.
            let relative_error = if size > 0.0 { (difference / size).sqrt() } else { difference.sqrt() };
            rows.push(AccuracyRow { case: exact.name().to_owned(), output, relative_error });
        }
    }
    Ok(Accuracy { rows })
}

fn values(case: &Case, output: &str) -> Result<Vec<f64>, ExportError> {
    let tensor = case.values.get(output);
    let tensor = tensor.ok_or_else(|| self_test_error(case.name(), format!("nothing computed {output}")))?;
    let view = tensor.to_plain_array_view::<f32>();
    let view = view.map_err(|error| self_test_error(case.name(), format!("{error:#}")))?;
    Ok(view.iter().copied().map(f64::from).collect())
}
