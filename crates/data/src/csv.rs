//! Wide tables in CSV: a header row, an optional first column of time stamps, then one column per
//! series.
//!
//! - The separator is a comma, a semicolon or a tab, whichever the header row has most of. Fields
//!   may be quoted; a byte order mark, CRLF line ends and empty lines are skipped.
//! - The first column is the time axis when its header is one of [`TIME_NAMES`] or
//!   [`COUNTER_NAMES`], or its first cell is a date or time stamp. Whole numbers are time stamps
//!   only below such a header. Time stamps must increase strictly.
//! - Every other column is a series. Empty cells and `NaN`, `NA`, `N/A`, `<NA>`, `null`, `None` (in
//!   any case) are missing points. Anything else that is not a finite decimal number is an error
//!   that names its row and column; decimal commas are not read.
//!
//! Rows in errors are the file's lines, the header being row 1.

mod error;
mod header;
mod reader;
mod records;
mod writer;

pub use error::{Problem, ReadError};
pub use header::{COUNTER_NAMES, TIME_NAMES};
pub(crate) use header::{check_is_header, check_names, is_time_column};
pub(crate) use reader::parse_value;
pub use reader::{open, read};
pub use records::{MAX_COLUMNS, MAX_RECORD_BYTES};
pub(crate) use records::{Records, sniff};
pub(crate) use writer::header_style;
pub use writer::write;
