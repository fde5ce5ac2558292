//! Files of series to forecasts.
//!
//! [`FileForecaster`] joins what reads ([`tmoe_data::read`]), what forecasts ([`tmoe_runner::Forecaster`]) and what takes the
//! results, such as [`tmoe_data::write`]. Series stream through it: a file of any size is forecast in bounded memory, and the
//! results come in the order of the file.
//!
//! ```no_run
//! use tmoe_data::read::ReadOptions;
//! use tmoe_data::write::{Block, OutputError, OutputFormat, WriteOptions};
//! use tmoe_forecast::FileForecaster;
//! use tmoe_runner::{Control, Forecaster, Package, Session, SessionOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::open(&Package::open("package")?, &SessionOptions::default())?;
//! let forecaster = Forecaster::new(session).with_context(512);
//! let entries = ReadOptions::new().open("sales.parquet".as_ref())?.in_background(1024);
//! let mut writer = WriteOptions::new(OutputFormat::Parquet, ["forecast"])
//!     .errors(true)
//!     .create("forecast.parquet".as_ref(), false)?;
//! let summary = FileForecaster::new(forecaster, 96).run(entries, &Control::new(), |series| match &series.result {
//!     Ok(forecasted) => writer.append(&Block {
//!         id: &series.id,
//!         time: Some(&forecasted.time),
//!         columns: &[&forecasted.forecast.values],
//!         history: None,
//!     }),
//!     Err(problem) => writer.append_error(&series.id, &problem.to_string()),
//! })?;
//! writer.finish()?;
//! println!("{} forecasts, {} series without", summary.forecast, summary.failed);
//! # Ok(())
//! # }
//! ```

mod chunk;
mod error;
mod order;
mod stream;

pub use self::chunk::{CHUNK_POINTS, next_chunk};
pub use self::error::{RunError, SeriesProblem};
pub use self::stream::{FileForecaster, Forecasted, SeriesForecast, Summary};
