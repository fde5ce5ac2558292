//! The backtest as a whole, on forecasters whose errors can be worked out by hand.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;

use tmoe_backtest::conformal::Calibration;
use tmoe_backtest::{Backtest, BacktestError, RollingOrigin, Window};

/// Every forecast is off by `error(series)`.
fn off_by(error: impl Fn(usize) -> f32) -> impl FnMut(&[Window<'_>]) -> Result<Vec<Vec<f32>>, Infallible> {
    move |windows| {
        let forecast =
            |window: &Window<'_>| window.truth.iter().map(|&y| y as f32 + error(window.series)).collect();
        Ok(windows.iter().map(forecast).collect())
    }
}

fn saw(length: usize) -> Vec<f64> {
    (0..length).map(|index| (index % 4) as f64).collect()
}

#[test]
fn errors_are_reported_per_series_and_merge_into_the_overall() {
    let (a, b) = (saw(40), saw(23));
    let backtest = Backtest::new(RollingOrigin::new(8, 4).with_stride(2)).with_season(1).with_batch(3);
    let reports = backtest.run(&[&a, &[1.0], &b], off_by(|series| series as f32)).unwrap();
    let mse: Vec<Option<f64>> = reports.iter().map(|report| report.points.mse()).collect();
    assert_eq!(mse, [Some(0.0), None, Some(4.0)]);
    let windows: Vec<u64> = reports.iter().map(|report| report.windows).collect();
    assert_eq!(windows, [15, 0, 6]);
    let mut overall = backtest.empty_report();
    for report in &reports {
        overall.merge(report).unwrap();
    }
    assert_eq!(overall.points.mae(), Some(2.0 * 24.0 / 84.0));
    assert_eq!(overall.quantiles.weighted_quantile_loss(), None);
}

#[test]
fn the_scale_of_mase_is_that_of_the_history_before_the_origin() {
    // Differences of 0 and 1 before the origin 4, of 100 after it.
    let values = [0.0, 0.0, 1.0, 1.0, 101.0];
    let backtest = Backtest::new(RollingOrigin::new(2, 1).with_windows(1));
    let reports = backtest.run(&[&values], off_by(|_| 2.0)).unwrap();
    assert_eq!(reports[0].points.mase(), Some(6.0));
}

#[test]
fn constant_errors_have_intervals_of_exactly_that_width() {
    let a = saw(200);
    let backtest = Backtest::new(RollingOrigin::new(16, 4).with_windows(5)).with_intervals(
        Calibration::new(16, 4),
        &[0.5, 0.95],
        &[0.25, 0.5],
    );
    let report = backtest.run(&[&a], off_by(|_| 0.5)).unwrap().remove(0);
    for interval in &report.intervals {
        assert_eq!(interval.points(), 20);
        assert!((interval.mean_width().unwrap() - 1.0).abs() < 1e-12);
    }
    // The truth lies on the lower bound, which is the quantile 0.25: no loss there, and 2 x 0.5 x 0.5 at the median, with
    // a mean truth of 1.5 in every window.
    let losses = report.quantiles.per_level().unwrap();
    assert!(losses[0].abs() < 1e-9 && (losses[1] - 0.5 / 1.5).abs() < 1e-9, "{losses:?}");
}

#[test]
fn every_origin_is_forecast_once_and_none_sees_beyond_itself() {
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    let seen = RefCell::new(Vec::new());
    let backtest = Backtest::new(RollingOrigin::new(10, 4).with_windows(6)).with_batch(5).with_intervals(
        Calibration::new(10, 4).with_origins(3),
        &[0.9],
        &[],
    );
    assert_eq!(backtest.forecasts(&values), 6 + 3);
    let reports = backtest.run(&[&values, &values], |windows| -> Result<_, Infallible> {
        assert!(windows.len() <= 5);
        for window in windows {
            assert_eq!(window.context.last(), Some(&(window.origin() as f64 - 1.0)));
            seen.borrow_mut().push((window.series, window.origin()));
        }
        Ok(vec![vec![0.0; 4]; windows.len()])
    });
    assert_eq!(reports.unwrap()[0].windows, 6);
    let seen = seen.into_inner();
    // Origins 96, 92 ... 76, and the three before 76; two series.
    assert_eq!(seen.len(), 2 * (6 + 3));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    assert_eq!(seen.iter().map(|(_, origin)| *origin).min(), Some(64));
}

#[test]
fn a_series_too_short_to_calibrate_has_the_intervals_of_the_others() {
    let (long, short) = (saw(300), saw(14));
    let layout = RollingOrigin::new(16, 8).with_windows(1).with_min_context(4);
    let backtest = Backtest::new(layout).with_intervals(Calibration::new(16, 8), &[0.9], &[]);
    let alone = backtest.run(&[&short], off_by(|_| 0.5)).unwrap();
    assert_eq!((alone[0].windows, alone[0].intervals[0].points()), (1, 0));
    let both = backtest.run(&[&long, &short], off_by(|_| 0.5)).unwrap();
    // Errors of 0.5 at the long series' deviation of sqrt(5) / 2, which is not that of 0, 1, 2, 3, 0, 1.
    let six = [0.0, 1.0, 2.0, 3.0, 0.0, 1.0_f64];
    let mean = six.iter().sum::<f64>() / 6.0;
    let deviation = (six.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 6.0).sqrt();
    let expected = 2.0 * 0.5 / (5.0_f64.sqrt() / 2.0) * deviation;
    assert!((both[1].intervals[0].mean_width().unwrap() - expected).abs() < 1e-9);
}

#[test]
fn measured_windows_are_shown_newest_first_with_their_forecast_and_intervals() {
    let mut values = saw(60);
    values[56..].fill(f64::NAN);
    let backtest = Backtest::new(RollingOrigin::new(8, 4).with_windows(3)).with_intervals(
        Calibration::new(8, 4),
        &[0.9],
        &[],
    );
    let mut seen = Vec::new();
    let reports = backtest.run_observed(&[&[1.0], &values], off_by(|_| 0.5), |measured| {
        let window = measured.window;
        assert_eq!(window.truth, &values[window.origin()..window.origin() + 4]);
        let expected: Vec<f32> = window.truth.iter().map(|&truth| truth as f32 + 0.5).collect();
        assert_eq!(measured.forecast, expected);
        let half_width = measured.distribution.and_then(|distribution| distribution.half_width(0.9, 0));
        assert!((half_width.unwrap() - 0.5).abs() < 1e-12);
        seen.push((window.series, window.origin()));
    });
    // Nothing is known of the window that ends with the series.
    assert_eq!(seen, [(1, 52), (1, 48)]);
    assert_eq!(reports.unwrap()[1].windows, 2);
}

#[test]
fn a_model_that_fails_or_forecasts_too_little_is_an_error() {
    let values = saw(40);
    let backtest = Backtest::new(RollingOrigin::new(8, 4));
    let failed = backtest.run(&[&values], |_| Err("out of memory"));
    assert!(matches!(failed, Err(BacktestError::Model("out of memory"))));
    let none = backtest.run(&[&values], |_| -> Result<_, Infallible> { Ok(vec![]) });
    assert!(matches!(none, Err(BacktestError::Forecasts { found: 0, expected: 8 })));
    let short = backtest
        .run(&[&values], |windows| -> Result<_, Infallible> { Ok(vec![vec![0.0; 3]; windows.len()]) });
    assert!(matches!(short, Err(BacktestError::Steps(_))));
}
