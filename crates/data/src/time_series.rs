//! One series with a time axis of its own, as the streaming readers hand it out.

use std::sync::Arc;

use crate::frequency::{Frequency, FrequencyError};
use crate::rows::Rows;
use crate::time::TimeColumn;

/// A series that is ready for a model: in order, on a regular axis, missing points as NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeSeries {
    /// What the file calls it: the id of a long file, the column of a wide one.
    pub id: String,
    /// The time axis, one stamp per value; `None` when the file has none. The series of a wide file
    /// share one.
    pub time: Option<Arc<TimeColumn>>,
    /// The step of the axis; `None` without an axis or with a single point.
    pub frequency: Option<Frequency>,
    /// The values, oldest first; NaN where the point is missing. Never infinite.
    pub values: Vec<f64>,
    /// How many values are missing.
    pub missing: usize,
    /// Where each value stands in the file.
    pub rows: Arc<Rows>,
    /// What had to be done to the rows.
    pub repairs: Repairs,
}

impl TimeSeries {
    /// The `count` time stamps after the last: the axis continued by its frequency, or steps from 1
    /// where there is no axis.
    ///
    /// # Errors
    /// When the continuation leaves the calendar, or the axis has a single stamp and no frequency.
    pub fn future(&self, count: usize) -> Result<TimeColumn, FrequencyError> {
        match (&self.time, self.frequency) {
            (Some(time), Some(frequency)) => time.continue_by(frequency, count),
            (Some(time), None) => time.continue_by(Frequency::infer(time)?, count),
            (None, _) => Ok(TimeColumn::steps(1, count)),
        }
    }
}

/// What was done to the rows of a series to put it on a regular axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Points filled in where time stamps were left out.
    pub filled: usize,
    /// Rows dropped because they repeat a time stamp with the same value.
    pub repeated: usize,
    /// Rows that were earlier than the one before, and were sorted.
    pub unsorted: usize,
    /// Missing points that were interpolated.
    pub interpolated: usize,
    /// The first row where any of this was needed.
    pub first_row: Option<u64>,
}

impl Repairs {
    /// Whether the rows were right as they were.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled + self.repeated + self.unsorted + self.interpolated == 0
    }

    pub(crate) fn at(&mut self, row: Option<u64>) {
        self.first_row = match (self.first_row, row) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Why a series cannot be forecast, although its file is sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// No point has a value.
    #[error("all {points} points are missing")]
    AllMissing {
        /// How many points there are.
        points: usize,
    },
    /// There is too little to go by.
    #[error("the series has {points} point(s); at least 2 are needed")]
    TooShort {
        /// How many points there are.
        points: usize,
    },
    /// A point is missing and that was not accepted.
    #[error("row {row}: the value is missing")]
    Missing {
        /// The row.
        row: u64,
    },
    /// Time stamps are left out and that was not accepted.
    #[error(
        "row {row}: {found} follows {previous}, so that {points} time stamp(s) of a step of {step} are left out"
    )]
    Gap {
        /// The row after the gap.
        row: u64,
        /// Its time stamp.
        found: String,
        /// The time stamp before.
        previous: String,
        /// How many are left out.
        points: usize,
        /// The step.
        step: String,
    },
    /// So many time stamps are left out that the step must be wrong.
    #[error(
        "row {row}: {found} follows {previous}, which leaves out more than {limit} time stamps of a step of {step}; \
         give the frequency, or split the series"
    )]
    GapTooLong {
        /// The row after the gap.
        row: u64,
        /// Its time stamp.
        found: String,
        /// The time stamp before.
        previous: String,
        /// How many may be left out.
        limit: usize,
        /// The step.
        step: String,
    },
    /// A time stamp is not on the axis that the others are on.
    #[error("row {row}: {found} is no multiple of {step} after {previous}; the time stamps are irregular")]
    OffStep {
        /// The row.
        row: u64,
        /// Its time stamp.
        found: String,
        /// The time stamp before.
        previous: String,
        /// The step.
        step: String,
    },
    /// A time stamp occurs twice.
    #[error("row {row}: time stamp {found} occurs in row {first} already")]
    Repeated {
        /// The row.
        row: u64,
        /// Its time stamp.
        found: String,
        /// The row that has it first.
        first: u64,
    },
    /// A time stamp occurs twice with two values, of which nobody can say which is right.
    #[error("row {row}: time stamp {found} occurs in row {first} already, with another value; keep one row")]
    Conflicting {
        /// The row.
        row: u64,
        /// Its time stamp.
        found: String,
        /// The row that has it first.
        first: u64,
    },
    /// Rows are out of order and that was not accepted.
    #[error("row {row}: time stamp {found} is earlier than {previous} in the row before; sort the rows")]
    Unsorted {
        /// The row.
        row: u64,
        /// Its time stamp.
        found: String,
        /// The time stamp of the series' row before.
        previous: String,
    },
    /// The frequency and the time stamps do not fit.
    #[error(transparent)]
    Frequency(#[from] FrequencyError),
}
