//! How good forecasts are, and how sure: rolling-origin windows, error metrics, baselines, the evaluation protocol of the
//! original Time-MoE, and conformal prediction intervals.
//!
//! Nothing here knows a model: a forecaster is a function from windows to forecasts.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use tmoe_backtest::baselines::{naive, seasonal_naive};
//! use tmoe_backtest::conformal::Calibration;
//! use tmoe_backtest::{Backtest, RollingOrigin, Window};
//!
//! // Two weeks of hours with a daily cycle, two series.
//! let load = |offset: usize| -> Vec<f64> {
//!     (0..336).map(|hour| (hour % 24) as f64 + (hour * (7 + offset) % 5) as f64).collect()
//! };
//! let series = [load(0), load(1)];
//! let series: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
//!
//! // The last three windows of 12 hours, forecast from 48, with intervals of 80 and 95 %.
//! let backtest = Backtest::new(RollingOrigin::new(48, 12).with_windows(3))
//!     .with_season(24)
//!     .with_intervals(Calibration::new(48, 12), &[0.8, 0.95], &[0.1, 0.5, 0.9]);
//!
//! let to_f32 = |forecast: Vec<f64>| forecast.into_iter().map(|value| value as f32).collect();
//! let mut mase = Vec::new();
//! for season in [1, 24] {
//!     let model = |windows: &[Window<'_>]| -> Result<Vec<Vec<f32>>, Infallible> {
//!         Ok(windows.iter().map(|window| to_f32(seasonal_naive(window.history, season, 12))).collect())
//!     };
//!     let mut overall = backtest.empty_report();
//!     for report in backtest.run(&series, model)? {
//!         overall.merge(&report)?;
//!     }
//!     assert_eq!(overall.windows, 6);
//!     assert!(overall.intervals[1].coverage() > Some(0.9));
//!     mase.extend(overall.points.mase());
//! }
//! assert!(mase[1] < mase[0], "the seasonal naive forecast is better: {mase:?}");
//! assert_eq!(naive(series[0], 2), seasonal_naive(series[0], 1, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backtest;
pub mod baselines;
pub mod conformal;
pub mod metrics;
pub mod seasonality;
pub mod time_moe;
mod windows;

pub use backtest::{Backtest, BacktestError, Measured, Report};
pub use windows::{RollingOrigin, Window, Windows};
