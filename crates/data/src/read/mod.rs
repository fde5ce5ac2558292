//! Series out of files of any size, one after the other.
//!
//! [`ReadOptions`] opens CSV, Parquet and JSON lines, plain or compressed with gzip or zstd, from a
//! file or a stream; the kind is seen from the first bytes. The [`SeriesReader`] it returns is an
//! iterator of [`Entry`]s that holds no more than [`ReadOptions::memory`] (a line or row being read
//! aside, see the limits below).
//!
//! # Layouts
//!
//! - **Long**: one row for each series and time stamp, in columns for the id, the time (optional) and
//!   the value. Recognised by the names [`ID_NAMES`] and [`TARGET_NAMES`]
//!   ([`TIME_NAMES`](crate::csv::TIME_NAMES) for the time), or named in [`Columns`]. A file sorted by
//!   id is streamed. Rows of several series may be mixed in any way, as long as the file fits into
//!   the memory limit; beyond it, that is an error with the row that shows it.
//! - **Wide**: one column per series, and perhaps a time column. CSV must fit into the memory limit as
//!   a whole, since every series ends in the last row; Parquet is read column by column.
//! - **Lists**: one row (Parquet) or line (JSON, see [`MAX_LINE_BYTES`]) per series.
//!
//! # Errors
//!
//! What makes a *file* unreadable ends the iterator with a [`ReadError`], which names row and
//! column. What is wrong with one *series* (all missing, too short, gaps that were not accepted) is a
//! value, [`Entry::series`], and the next series follows.
//!
//! ```
//! use tmoe_data::read::ReadOptions;
//!
//! let text = "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\na,2024-01-04,4\nb,2024-01-01,\n";
//! let mut entries = ReadOptions::new().read(text.as_bytes(), "example.csv")?;
//! assert_eq!(entries.columns().target.as_deref(), Some("y")); // by its usual name
//!
//! let a = entries.next().expect("a first series")?.series?;
//! assert_eq!((a.id.as_str(), a.repairs.filled), ("a", 1));
//! assert!(a.values[2].is_nan()); // 3 January is left out, and now a missing point
//! assert_eq!(a.rows.get(3), Some(4)); // the line of its last value
//! assert_eq!(a.future(1)?.texts(), ["2024-01-05"]);
//!
//! let b = entries.next().expect("a second series")?;
//! assert_eq!(b.series.unwrap_err().to_string(), "the series has 1 point(s); at least 2 are needed");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! [`MAX_RECORD_BYTES`](crate::csv::MAX_RECORD_BYTES) for a row of CSV, [`MAX_LINE_BYTES`] for a line
//! of JSON, [`MAX_COLUMNS`](crate::csv::MAX_COLUMNS) for the columns of a table,
//! [`MAX_FILLED_POINTS`](crate::MAX_FILLED_POINTS) for the points filled into gaps of one series. Of
//! every series that was given out before the end of a long file, two hashes are kept (about 32
//! bytes).

mod assembler;
mod background;
mod columns;
mod csv_long;
mod csv_wide;
mod error;
mod input;
mod jsonl;
mod memory;
mod options;
mod parquet;
mod prepare;
mod reader;
mod source;

pub use background::{Background, ReadShare};
pub use columns::{ID_NAMES, TARGET_NAMES};
pub use error::{Problem, ReadError};
pub use jsonl::MAX_LINE_BYTES;
pub use memory::DEFAULT_MEMORY;
pub use options::{Columns, Format, Layout, ReadOptions, UnknownWord};
pub use reader::{Entry, SeriesReader};
