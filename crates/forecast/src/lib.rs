//! Forecasts with a Time-MoE package: of series in memory and of files, with prediction intervals, and how good they are.
//!
//! This page is the guide to the Rust interface. It builds on [`tmoe_runner`] (packages, sessions, points), [`tmoe_data`] (files)
//! and [`tmoe_backtest`] (metrics, baselines, conformal prediction); its own part is what joins them.
//!
//! # Series in memory
//!
//! A package is a folder that `tmoe-export` wrote. A [`Session`](tmoe_runner::Session) loads it on a provider; a
//! [`Forecaster`](tmoe_runner::Forecaster) takes series of any lengths. Missing points are NaN.
//!
//! ```
//! use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let packages = tmoe_tests::packages::Packages::new()?;
//! # let folder = packages.example()?;
//! let session = Session::open(&Package::open(folder)?, &SessionOptions::default())?;
//! let forecaster = Forecaster::new(session).with_context(96);
//!
//! let load: Vec<f64> = (0..240).map(|hour| 100.0 + 10.0 * (f64::from(hour) * 0.2618).sin()).collect();
//! let sales = [3.0, 4.0, f64::NAN, 5.0, 6.0];
//! let forecasts = forecaster.forecast([&load[..], &sales[..]], 24)?;
//! assert_eq!(forecasts[0].values.len(), 24);
//! assert!(forecasts[0].values.iter().all(|value| (80.0..120.0).contains(value)));
//! # Ok(())
//! # }
//! ```
//!
//! # Prediction intervals
//!
//! The model gives points. [`Intervals`] forecasts each series again from earlier origins and learns from those errors how far the
//! points may be off.
//!
//! ```
//! use tmoe_forecast::Intervals;
//! use tmoe_runner::{Control, Series};
//! # use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let packages = tmoe_tests::packages::Packages::new()?;
//! # let session = Session::open(&Package::open(packages.example()?)?, &SessionOptions::default())?;
//! # let forecaster = Forecaster::new(session).with_context(96);
//! # let load: Vec<f64> = (0..240).map(|hour| 100.0 + f64::from(hour * 7 % 24)).collect();
//! let intervals = Intervals::of_levels([0.8, 0.95])?;
//! assert_eq!(intervals.quantiles().len(), 4); // 0.025, 0.1, 0.9, 0.975
//! let series = [Series::new(&load[..]).named("load")];
//! for forecast in intervals.forecast(&forecaster, &series, 12, &Control::new())? {
//!     let forecast = forecast?; // a series that cannot be forecast spoils no other
//!     let quantiles = forecast.quantiles.expect("240 points have earlier origins");
//!     for step in 0..12 {
//!         assert!(quantiles[0][step] <= quantiles[1][step]);
//!         assert!(quantiles[1][step] <= forecast.points.values[step]);
//!         assert!(forecast.points.values[step] <= quantiles[3][step]);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Files
//!
//! [`FileForecaster`] joins what reads ([`tmoe_data::read`]), what forecasts and what takes the results, such as
//! [`tmoe_data::write`]. Series stream through it: a file of any size is forecast in bounded memory, and the results come in the
//! order of the file.
//!
//! ```
//! use tmoe_data::read::ReadOptions;
//! use tmoe_data::write::{Block, OutputError, OutputFormat, WriteOptions};
//! use tmoe_forecast::FileForecaster;
//! use tmoe_runner::Control;
//! # use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let packages = tmoe_tests::packages::Packages::new()?;
//! # let session = Session::open(&Package::open(packages.example()?)?, &SessionOptions::default())?;
//! # let forecaster = Forecaster::new(session).with_context(96);
//! # let folder = tempfile::tempdir()?;
//! # let (input, output) = (folder.path().join("sales.csv"), folder.path().join("forecast.parquet"));
//! # std::fs::write(&input, "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\na,2024-01-03,3\nb,2024-01-01,\n")?;
//! let entries = ReadOptions::new().open(&input)?.in_background(1024);
//! let mut writer =
//!     WriteOptions::new(OutputFormat::Parquet, ["forecast"]).errors(true).create(&output, false)?;
//! let files = FileForecaster::new(forecaster, 24);
//! let summary = files.run(entries, &Control::new(), |series| match &series.result {
//!     Ok(forecasted) => writer.append(&Block {
//!         id: &series.id,
//!         time: Some(&forecasted.time),
//!         columns: &[&forecasted.forecast.values],
//!         history: None,
//!     }),
//!     Err(problem) => writer.append_error(&series.id, &problem.to_string()),
//! })?;
//! writer.finish()?; // the file appears here, whole
//! assert_eq!((summary.forecast, summary.failed), (1, 1)); // all points of b are missing
//! # Ok(())
//! # }
//! ```
//!
//! [`FileForecaster::with_intervals`] adds quantiles, [`FileForecaster::with_another`] sessions that work side by side.
//!
//! # How good is it?
//!
//! [`tmoe_backtest`] measures any function from windows to forecasts; here it is a forecaster, beside the seasonal naive forecast
//! that it has to beat.
//!
//! ```
//! use tmoe_backtest::baselines::seasonal_naive;
//! use tmoe_backtest::{Backtest, RollingOrigin, Window};
//! # use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let packages = tmoe_tests::packages::Packages::new()?;
//! # let session = Session::open(&Package::open(packages.example()?)?, &SessionOptions::default())?;
//! # let forecaster = Forecaster::new(session).with_context(96);
//! # let load: Vec<f64> = (0..240).map(|hour| 100.0 + f64::from(hour * 7 % 24) + f64::from(hour * hour % 17)).collect();
//! // The newest three windows of 96 points seen and 12 forecast.
//! let backtest = Backtest::new(RollingOrigin::new(96, 12).with_windows(3)).with_season(24);
//! let model = |windows: &[Window<'_>]| -> Result<Vec<Vec<f32>>, tmoe_runner::Error> {
//!     let forecasts = forecaster.forecast(windows.iter().map(|window| window.context), 12)?;
//!     Ok(forecasts.into_iter().map(|forecast| forecast.values).collect())
//! };
//! let baseline = |windows: &[Window<'_>]| -> Result<Vec<Vec<f32>>, tmoe_runner::Error> {
//!     let naive = |window: &Window<'_>| seasonal_naive(window.history, 24, 12);
//!     let to_f32 = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
//!     Ok(windows.iter().map(naive).map(to_f32).collect())
//! };
//! let ours = &backtest.run(&[&load], model)?[0];
//! let naive = &backtest.run(&[&load], baseline)?[0];
//! assert_eq!((ours.windows, naive.windows), (3, 3));
//! println!("MASE {:?}, of the seasonal naive forecast {:?}", ours.points.mase(), naive.points.mase());
//! # Ok(())
//! # }
//! ```

mod chunk;
mod error;
mod intervals;
mod order;
mod stream;

pub use self::chunk::{CHUNK_POINTS, next_chunk};
pub use self::error::{RunError, SeriesProblem};
pub use self::intervals::{IntervalForecast, Intervals, LevelError};
pub use self::stream::{FileForecaster, Forecasted, SeriesForecast, Summary};
