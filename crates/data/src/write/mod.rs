//! Results into files, series by series as they come.
//!
//! [`WriteOptions`] opens a [`SeriesWriter`]; every series is one [`Block`], and
//! [`SeriesWriter::finish`] puts the file in its place. Until then, and for good when anything fails,
//! the path holds what it held before.
//!
//! What a file looks like, for columns `forecast` and `hi`:
//!
//! - **Long** (CSV, Parquet): columns `unique_id`, `ds`, `forecast`, `hi`; a row for each series and
//!   time stamp. With history, a column `y` with the known values before them; with errors, a last
//!   column `error`.
//! - **Wide** (CSV, Parquet, JSON): the time column, and for each series its first column under the
//!   name of the series and the others as `<series>-hi`. All series have one axis; the table is held
//!   until it is finished.
//! - **JSON** (long) is a list of objects, **JSON lines** one object per line:
//!   `{"unique_id":"a","ds":[...],"forecast":[...],"hi":[...]}`, with `"history":{"ds":[...],"y":[...]}`,
//!   or with `"error"` and nothing else.
//!
//! Time stamps are written in the input's own form; Parquet has dates, time stamps (microseconds) or
//! whole numbers.
//!
//! ```
//! use tmoe_data::TimeColumn;
//! use tmoe_data::write::{Block, OutputFormat, WriteOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("forecast.csv");
//! let mut writer = WriteOptions::new(OutputFormat::Csv, ["forecast", "hi"]).create(&path, false)?;
//! let time = TimeColumn::from_texts("ds", ["2024-01-03", "2024-01-04"]).expect("two dates");
//! writer.append(&Block { id: "a", time: Some(&time), columns: &[&[1.5, 2.5], &[3.0, 4.0]], history: None })?;
//! assert!(!path.exists());
//! writer.finish()?;
//! assert_eq!(
//!     std::fs::read_to_string(&path)?,
//!     "unique_id,ds,forecast,hi\na,2024-01-03,1.5,3.0\na,2024-01-04,2.5,4.0\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod error;
mod json;
mod long_csv;
mod options;
mod parquet;
mod target;
mod wide;
mod writer;

pub use block::{Block, History};
pub use error::OutputError;
pub use options::{OutputFormat, OutputLayout, WriteOptions};
pub use writer::SeriesWriter;
