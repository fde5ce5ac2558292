//! Time series in and out of files.
//!
//! # Many series, one after the other
//!
//! [`read::ReadOptions`] opens CSV, Parquet and JSON lines of any size, from a file or a stream, and
//! returns an iterator of [`TimeSeries`]: in order, on a regular axis, missing points as NaN.
//! [`write::WriteOptions`] opens a file of results that are appended as they come. Neither holds
//! more than it must.
//!
//! ```
//! use tmoe_data::read::ReadOptions;
//! use tmoe_data::write::{Block, OutputFormat, WriteOptions};
//!
//! let folder = tempfile::tempdir()?;
//! let (input, output) = (folder.path().join("sales.csv"), folder.path().join("naive.jsonl"));
//! std::fs::write(&input, "unique_id,ds,y\na,2024-01-31,1\na,2024-02-29,2\nb,2024-01-31,\n")?;
//!
//! let mut results = WriteOptions::new(OutputFormat::JsonLines, ["naive"]).create(&output, false)?;
//! for entry in ReadOptions::new().open(&input)?.in_background(64) {
//!     let entry = entry?; // the file cannot be read (any further)
//!     match entry.series {
//!         Ok(series) => {
//!             let last = series.values.last().copied().unwrap_or(f64::NAN) as f32;
//!             let time = series.future(2)?;
//!             let columns: &[&[f32]] = &[&[last, last]];
//!             results.append(&Block { id: &series.id, time: Some(&time), columns, history: None })?;
//!         }
//!         Err(error) => results.append_error(&entry.id, &error.to_string())?,
//!     }
//! }
//! results.finish()?;
//! assert_eq!(
//!     std::fs::read_to_string(&output)?,
//!     "{\"unique_id\":\"a\",\"ds\":[\"2024-03-31\",\"2024-04-30\"],\"naive\":[2.0,2.0]}\n\
//!      {\"unique_id\":\"b\",\"error\":\"the series has 1 point(s); at least 2 are needed\"}\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is done about [gaps](GapPolicy) and [missing points](Missing) is chosen in the options, and
//! what was done is in [`TimeSeries::repairs`]. A [`Frequency`] is inferred from the time stamps or
//! given, parsed from text such as `15min`, `B` or `ME`.
//!
//! # One table
//!
//! A [`Table`] is an optional time axis ([`TimeColumn`]) and any number of named [`Series`] of the
//! same length, all in memory. [`csv::read`] fills one from a wide CSV file,
//! [`Frequency::infer`] finds the step of its time axis, [`TimeColumn::continue_by`] continues the
//! axis in the input's own textual format, and [`csv::write`] and [`json::write`] write a table
//! again, whole or not at all with [`write_atomically`].
//!
//! ```
//! use tmoe_data::{Frequency, csv};
//!
//! let text = "date,load\n2024-01-31,1.5\n2024-02-29,\n2024-03-31,2.5\n";
//! let table = csv::read(text.as_bytes(), "example.csv")?;
//! assert!(table.series[0].values[1].is_nan()); // an empty cell is a missing point
//!
//! let time = table.time.expect("the first column holds dates");
//! let frequency = Frequency::infer(&time)?;
//! assert_eq!(frequency.to_string(), "1 month (on its last day)");
//! assert_eq!(time.continue_by(frequency, 2)?.texts(), ["2024-04-30", "2024-05-31"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod atomic;
pub mod csv;
pub mod frequency;
pub mod json;
mod missing;
mod mode;
pub mod number;
pub mod read;
mod regular;
mod rows;
pub mod table;
pub mod time;
pub mod time_format;
mod time_series;
pub mod write;

pub use atomic::{AtomicFile, WriteError, write_atomically};
pub use frequency::{Frequency, FrequencyError, ParseFrequencyError};
pub use missing::Missing;
pub use regular::{GapPolicy, MAX_FILLED_POINTS};
pub use rows::Rows;
pub use table::{Series, Table};
pub use time::{TimeColumn, TimeError, TimeValues};
pub use time_series::{Repairs, SeriesError, TimeSeries};
