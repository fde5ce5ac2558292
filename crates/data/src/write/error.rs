//! Why results cannot be written.

use std::io;

use crate::atomic::WriteError;

/// Results that cannot be written. The path holds what it held before.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file; see [`WriteError`].
    #[error(transparent)]
    File(#[from] WriteError),
    /// The stream.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
    /// Encoding as Parquet failed.
    #[error("cannot write Parquet: {message}")]
    Parquet {
        /// What went wrong.
        message: String,
    },
    /// What was given does not fit together.
    #[error("series {id:?} has {found} {what} where {expected} are expected")]
    Shape {
        /// The series.
        id: String,
        /// Of what there are too many or too few.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// The time stamps are of another kind than those of the series before.
    #[error(
        "series {id:?} has {found} for time stamps where those before have {expected}; one Parquet column cannot hold both: write CSV or JSON lines"
    )]
    TimeKind {
        /// The series.
        id: String,
        /// Their kind.
        found: &'static str,
        /// The kind before.
        expected: &'static str,
    },
    /// A wide table has one axis for all series.
    #[error(
        "series {id:?} has other time stamps than the series before; a wide table has one time axis: write the long form"
    )]
    OtherAxis {
        /// The series.
        id: String,
    },
    /// Two series of a wide table would have one column.
    #[error("two columns of the wide table would be called {name:?}; write the long form")]
    ColumnTwice {
        /// The name.
        name: String,
    },
    /// JSON lines have no wide form.
    #[error("JSON lines hold one series per line and have no wide form; write the long form, or JSON")]
    NoWideForm,
}
