//! Series cut into windows of context and truth.

use tmoe_data::Table;
use tmoe_runner::Normalization;

use crate::Failure;

/// Points that a forecast is made from, those that it is measured by, and how the series is scaled for that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<'a> {
    pub(super) context: &'a [f64],
    pub(super) truth: &'a [f64],
    /// Standard deviation of the whole series; 1 where it is constant.
    pub(super) deviation: f64,
}

/// Every window of every series, oldest first. A window whose context or truth has no point at all is left out.
pub(super) fn windows(
    table: &Table,
    context: usize,
    horizon: usize,
    stride: usize,
) -> Result<Vec<Window<'_>>, Failure> {
    if context == 0 || horizon == 0 || stride == 0 {
        return Err("context, horizon and stride must be at least 1".into());
    }
    let length = context.saturating_add(horizon);
    if table.rows() < length {
        let rows = table.rows();
        return Err(format!(
            "{rows} rows are fewer than the {length} of one window (context {context} and horizon {horizon}); reduce \
             one of them"
        )
        .into());
    }
    let mut windows = Vec::new();
    for series in &table.series {
        let deviation = Normalization::Window.scale(&series.values).standard_deviation;
        for window in series.values.windows(length).step_by(stride) {
            let (context, truth) = window.split_at(context);
            let is_empty = |part: &[f64]| part.iter().all(|value| value.is_nan());
            if !is_empty(context) && !is_empty(truth) {
                windows.push(Window { context, truth, deviation });
            }
        }
    }
    if windows.is_empty() {
        return Err("no window has both a context and something to compare with".into());
    }
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use tmoe_data::Series;

    use super::*;

    fn table(values: &[f64]) -> Table {
        Table { time: None, series: vec![Series::new("a", values.to_vec())] }
    }

    #[test]
    fn windows_follow_each_other_by_the_stride_and_end_within_the_series() {
        let table = table(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let windows = windows(&table, 3, 2, 2).unwrap();
        let first: Vec<f64> = windows.iter().map(|window| window.context[0]).collect();
        assert_eq!(first, [0.0, 2.0]);
        assert_eq!(windows[1].context, [2.0, 3.0, 4.0]);
        assert_eq!(windows[1].truth, [5.0, 6.0]);
        // The variance of 0 to 7 is 5.25.
        assert!((windows[0].deviation - 5.25_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn windows_without_anything_to_compare_are_left_out() {
        let nan = f64::NAN;
        let table = table(&[1.0, 2.0, nan, nan, 3.0, 3.0]);
        let windows = windows(&table, 2, 2, 1).unwrap();
        assert_eq!(windows.len(), 1, "{windows:?}");
        assert_eq!(windows[0].context[0], 2.0);
    }

    #[test]
    fn a_series_shorter_than_a_window_is_an_error_with_both_lengths() {
        let message = windows(&table(&[1.0; 9]), 8, 2, 1).unwrap_err().to_string();
        assert!(message.contains('9') && message.contains("10"), "{message}");
        assert!(windows(&table(&[1.0; 9]), 0, 2, 1).is_err());
    }
}
