//! What can be wrong with a CSV file.

use std::io;

use crate::csv::{MAX_COLUMNS, MAX_RECORD_BYTES};
use crate::time::TimeError;

/// A CSV file that cannot be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ReadError {
    /// The file's path, or the label given for a stream.
    pub file: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a CSV file; a `row` is a line of the file, the header being row 1.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file holds nothing.
    #[error("the file is empty; expected a header row and rows of numbers")]
    Empty,
    /// The file holds a header row and nothing else.
    #[error("the file has a header row and no rows of numbers below it")]
    HeaderOnly,
    /// The first row holds data.
    #[error("row 1 holds values ({first:?}, ...) where the column names belong; add a header row")]
    NoHeader {
        /// The first cell of row 1.
        first: String,
    },
    /// A column has no name.
    #[error("row 1: column {position} has no name; give every series a name")]
    UnnamedColumn {
        /// The column, from 1.
        position: usize,
    },
    /// Two columns have one name.
    #[error("row 1: column name {name:?} occurs twice (columns {first} and {second}); rename one")]
    DuplicateColumn {
        /// The name.
        name: String,
        /// The first column of that name, from 1.
        first: usize,
        /// The second, from 1.
        second: usize,
    },
    /// No column holds numbers.
    #[error("no column holds numbers (columns: {columns}); expected one column of numbers per series")]
    NoNumericColumns {
        /// The names of the columns, shortened when there are many.
        columns: String,
    },
    /// A row has more or fewer cells than the header.
    #[error("row {row} has {found} cells where the header has {expected}")]
    RaggedRow {
        /// The line of the file.
        row: u64,
        /// The cells in the row.
        found: usize,
        /// The cells in the header.
        expected: usize,
    },
    /// A cell is neither a number nor missing.
    #[error("row {row}, column {column:?}: {text:?} is not a number (a missing point is an empty cell)")]
    NotANumber {
        /// The line of the file.
        row: u64,
        /// The column's name.
        column: String,
        /// The cell, shortened when it is long.
        text: String,
    },
    /// A cell is a number with a decimal comma.
    #[error("row {row}, column {column:?}: {text:?} has a decimal comma; write a decimal point, as in 1.5")]
    DecimalComma {
        /// The line of the file.
        row: u64,
        /// The column's name.
        column: String,
        /// The cell.
        text: String,
    },
    /// A cell is infinite.
    #[error(
        "row {row}, column {column:?}: {text:?} is infinite or too large; leave the cell empty if it is missing"
    )]
    Infinite {
        /// The line of the file.
        row: u64,
        /// The column's name.
        column: String,
        /// The cell, shortened when it is long.
        text: String,
    },
    /// A time stamp is missing, unreadable, of another form, duplicate or out of order.
    #[error("row {row}, column {column:?}: {error}")]
    Time {
        /// The line of the file.
        row: u64,
        /// The column's name.
        column: String,
        /// What is wrong with the time stamp.
        error: TimeError,
    },
    /// The text is not UTF-8.
    #[error("row {row}, column {column}: the text is not valid UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The line of the file.
        row: u64,
        /// The column, from 1.
        column: usize,
    },
    /// A row is longer than any table's row.
    #[error(
        "row {row} is longer than {} MiB; expected lines of text (is a quote not closed, or is this no CSV file?)",
        MAX_RECORD_BYTES >> 20
    )]
    RowTooLong {
        /// The line of the file on which the row begins.
        row: u64,
    },
    /// A row has more columns than are read.
    #[error("row {row} has more than {MAX_COLUMNS} columns; split the table")]
    TooManyColumns {
        /// The line of the file.
        row: u64,
    },
}
