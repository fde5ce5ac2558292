//! Time-stamped series in and out of files.
//!
//! A [`Table`] is an optional time axis ([`TimeColumn`]) and any number of named [`Series`] of the
//! same length. [`csv::read`] fills one from a file or from standard input,
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
