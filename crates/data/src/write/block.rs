//! What is written of one series.

use crate::time::TimeColumn;
use crate::write::error::OutputError;

/// The results of one series.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// The series.
    pub id: &'a str,
    /// The time stamps of the results; steps from 1 are written where there are none.
    pub time: Option<&'a TimeColumn>,
    /// The values of every column, one per time stamp; NaN where there is none.
    pub columns: &'a [&'a [f32]],
    /// What was known, where history is written.
    pub history: Option<History<'a>>,
}

/// The known points of a series.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    /// Their time stamps; without any, steps that end at 0 are written.
    pub time: Option<&'a TimeColumn>,
    /// Their values; NaN where a point is missing.
    pub values: &'a [f64],
}

impl Block<'_> {
    /// The number of results.
    pub(super) fn len(&self) -> usize {
        self.columns.first().map_or(0, |column| column.len())
    }

    /// Checks that all is of one length and that there are as many columns as were named.
    pub(super) fn check(&self, columns: usize) -> Result<(), OutputError> {
        let error =
            |what, found, expected| Err(OutputError::Shape { id: self.id.to_owned(), what, found, expected });
        if self.columns.len() != columns {
            return error("columns", self.columns.len(), columns);
        }
        let length = self.len();
        if let Some(column) = self.columns.iter().find(|column| column.len() != length) {
            return error("values in a column", column.len(), length);
        }
        if let Some(time) = self.time.filter(|time| time.len() != length) {
            return error("time stamps", time.len(), length);
        }
        match &self.history {
            Some(History { time: Some(time), values }) if time.len() != values.len() => {
                error("time stamps of its history", time.len(), values.len())
            }
            _ => Ok(()),
        }
    }
}

impl History<'_> {
    /// The time stamps: those it has, or steps that end at 0.
    pub(super) fn axis(&self) -> TimeColumn {
        self.time.cloned().unwrap_or_else(|| TimeColumn::steps_to_zero(self.values.len()))
    }
}
