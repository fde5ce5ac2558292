//! What can be wrong with a file of series.

use std::io;

use crate::csv;
use crate::read::jsonl::MAX_LINE_BYTES;
use crate::time::TimeError;

/// A file that cannot be read, or not any further, and why.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct ReadError {
    /// The file's path, or the label given for a stream.
    pub file: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file. Rows are the lines of a text file (the header of a CSV file being row
/// 1) and the rows of a Parquet file, counted from 1.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A cell, a row or the header of a table; see [`csv::Problem`].
    #[error(transparent)]
    Table(csv::Problem),
    /// The file cannot be opened or read, or its compressed data are damaged.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file holds no series.
    #[error("the file holds no series")]
    Empty,
    /// A column that was named is not there.
    #[error("there is no column {name:?}; the columns are {columns}")]
    NoColumn {
        /// The name that was given.
        name: String,
        /// The names there are, shortened when there are many.
        columns: String,
    },
    /// A long table was asked for and its columns are not known.
    #[error("no column is known to hold the {role}; name it (the columns are {columns})")]
    UnknownColumn {
        /// What the column should hold: the ids, or the values.
        role: &'static str,
        /// The names there are, shortened when there are many.
        columns: String,
    },
    /// One column is to hold two things.
    #[error("column {name:?} cannot be two of id, time and target")]
    ColumnTwice {
        /// The column.
        name: String,
    },
    /// A column holds something that cannot be read.
    #[error("column {column:?} holds {found}; expected {expected}")]
    ColumnType {
        /// The column.
        column: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A row of a long table does not say which series it belongs to.
    #[error("row {row}, column {column:?}: the id is missing")]
    MissingId {
        /// The row.
        row: u64,
        /// The column of ids.
        column: String,
    },
    /// The rows of a series are apart and the file is too large to be held in memory.
    #[error(
        "row {row}: series {id:?} goes on here after rows of other series, and the file does not fit into the {limit} MiB \
         that may be used; sort its rows by id, or allow more memory"
    )]
    Interleaved {
        /// The row that showed it.
        row: u64,
        /// The series.
        id: String,
        /// The memory limit in MiB.
        limit: usize,
    },
    /// What must be held at once does not fit.
    #[error(
        "row {row}: {what} is larger than the {limit} MiB that may be used; {advice}, or allow more memory"
    )]
    TooLarge {
        /// The last row read.
        row: u64,
        /// What does not fit.
        what: &'static str,
        /// The memory limit in MiB.
        limit: usize,
        /// What helps.
        advice: &'static str,
    },
    /// A line of JSON is not what it should be.
    #[error(
        "line {row}, column {column}: {message}; expected an object such as {{\"sequence\": [1.5, null, 2]}}"
    )]
    Json {
        /// The line.
        row: u64,
        /// The position in the line, in bytes from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A line is not text.
    #[error("line {row}, column {column}: the text is not valid UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The line.
        row: u64,
        /// The position in the line, in bytes from 1.
        column: usize,
    },
    /// A line has no end.
    #[error("line {row} is longer than {} MiB; expected one series per line", MAX_LINE_BYTES >> 20)]
    LineTooLong {
        /// The line.
        row: u64,
    },
    /// A Parquet file is damaged, or uses what is not supported.
    #[error("the Parquet data cannot be read{}: {message}", after(*.row))]
    Parquet {
        /// The last row that could be read; 0 when it is the file's description.
        row: u64,
        /// What is wrong.
        message: String,
    },
    /// A column of a Parquet file is compressed in a way that is not read.
    #[error("column {column:?} is compressed with {codec}; write it with snappy, gzip or zstd")]
    Codec {
        /// The column.
        column: String,
        /// The compression.
        codec: String,
    },
    /// The file is of a kind that was not expected.
    #[error("the file is {found}, not {expected}")]
    Format {
        /// What its first bytes say.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// A time zone has no rules on this system.
    #[error("column {column:?} is in time zone {zone:?}, which this system does not know; store it in UTC")]
    UnknownZone {
        /// The column.
        column: String,
        /// The zone.
        zone: String,
    },
}

impl From<csv::Problem> for Problem {
    fn from(problem: csv::Problem) -> Self {
        match problem {
            csv::Problem::Io(error) => Self::Io(error),
            problem => Self::Table(problem),
        }
    }
}

impl Problem {
    /// A time stamp that cannot be read or does not fit.
    pub(super) fn time(row: u64, column: &str, error: TimeError) -> Self {
        Self::Table(csv::Problem::Time { row, column: column.to_owned(), error })
    }
}

fn after(row: u64) -> String {
    if row == 0 { String::new() } else { format!(" after row {row}") }
}

/// Names for an error, shortened when there are many.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = Vec::new();
    for (position, name) in names.enumerate() {
        if position == SHOWN {
            shown.push("...".to_owned());
            break;
        }
        shown.push(format!("{:?}", name.chars().take(60).collect::<String>()));
    }
    shown.join(", ")
}
