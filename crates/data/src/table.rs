//! A table of series that share a time axis.

use crate::number::Number;
use crate::time::TimeColumn;

/// One named sequence of numbers; NaN stands for a missing point.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<T = f64> {
    /// The column's name in the file.
    pub name: String,
    /// The values, oldest first; NaN where the point is missing. Never infinite when read from a
    /// file.
    pub values: Vec<T>,
}

impl<T: Number> Series<T> {
    /// A series with this name and these values.
    pub fn new(name: impl Into<String>, values: Vec<T>) -> Self {
        Self { name: name.into(), values }
    }

    /// How many points are not missing.
    #[must_use]
    pub fn present(&self) -> usize {
        self.values.iter().filter(|value| !value.is_missing()).count()
    }
}

/// A wide table: an optional time axis and series of one common length, in the file's column order.
///
/// Readers produce `Table<f64>`; a forecast is a `Table<f32>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T = f64> {
    /// The time axis, as long as every series; `None` when the file has no time column.
    pub time: Option<TimeColumn>,
    /// The series, all of one length.
    pub series: Vec<Series<T>>,
}

impl<T: Number> Table<T> {
    /// The number of rows: the length of the time axis or of the longest series.
    #[must_use]
    pub fn rows(&self) -> usize {
        let time = self.time.as_ref().map_or(0, TimeColumn::len);
        self.series.iter().map(|series| series.values.len()).max().unwrap_or(0).max(time)
    }

    /// Checks that the time axis and every series have the same length.
    ///
    /// # Errors
    /// Names the first series that is shorter or longer than the table has rows.
    pub fn check_lengths(&self) -> Result<(), LengthError> {
        let rows = self.rows();
        let time = self.time.iter().map(|time| (time.name(), time.len()));
        let series = self.series.iter().map(|series| (series.name.as_str(), series.values.len()));
        for (column, found) in time.chain(series) {
            if found != rows {
                return Err(LengthError { column: column.to_owned(), found, expected: rows });
            }
        }
        Ok(())
    }
}

/// A column whose length differs from the table's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column:?} has {found} rows where the table has {expected}")]
pub struct LengthError {
    /// The column's name.
    pub column: String,
    /// Its length.
    pub found: usize,
    /// The table's number of rows.
    pub expected: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_points_are_not_counted_as_present() {
        assert_eq!(Series::new("a", vec![1.0, f64::NAN, 3.0]).present(), 2);
    }

    #[test]
    fn a_series_shorter_than_the_time_axis_is_named() {
        let table = Table { time: Some(TimeColumn::steps(1, 3)), series: vec![Series::new("a", vec![1.0])] };
        let error = table.check_lengths().expect_err("lengths differ");
        assert_eq!(error.to_string(), "column \"a\" has 1 rows where the table has 3");
    }
}
