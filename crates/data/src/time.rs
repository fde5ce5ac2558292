//! The time axis of a table.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use crate::time_format::{self, TimeFormat};

/// A column of strictly increasing time stamps, all of one kind and in one textual form.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeColumn {
    name: String,
    values: TimeValues,
    /// The zone of the local times, where the file names one (only Parquet does).
    zone: Option<TimeZone>,
}

/// The values of a [`TimeColumn`].
#[derive(Debug, Clone, PartialEq)]
pub enum TimeValues {
    /// Whole numbers: a step counter, a year, seconds since some epoch.
    Integer(Vec<i64>),
    /// Dates, or local times without a zone; they are stepped as if no clock ever changed.
    Civil {
        /// The values; midnight when the form holds dates, the first day when it holds months.
        values: Vec<DateTime>,
        /// The form that every value is written in.
        format: TimeFormat,
    },
    /// Points in absolute time, written with an offset from UTC.
    Instant {
        /// The values.
        values: Vec<Instant>,
        /// The form that every value is written in.
        format: TimeFormat,
    },
}

/// A point in absolute time and the offset from UTC it is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant {
    /// The point in time.
    pub timestamp: Timestamp,
    /// The offset of the local time it is written in.
    pub offset: Offset,
}

impl Instant {
    /// The local date and time as written.
    #[must_use]
    pub fn civil(self) -> DateTime {
        self.offset.to_datetime(self.timestamp)
    }
}

/// Why a cell cannot continue a time column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The cell is empty.
    #[error("the time stamp is missing; every row needs one")]
    Missing,
    /// The cell holds something else.
    #[error(
        "{text:?} is not a time stamp (expected ISO 8601 such as 2016-07-01 or 2016-07-01 00:00:00, or a whole number)"
    )]
    NotATimeStamp {
        /// The cell.
        text: String,
    },
    /// The cell is a time stamp of another kind or form than the rows above.
    #[error("time stamp {text:?} is not written like the first one, {first:?}; a column has one format")]
    OtherFormat {
        /// The cell.
        text: String,
        /// The column's first cell.
        first: String,
    },
    /// The cell repeats the row above.
    #[error(
        "time stamp {text:?} occurs twice in a row; keep one row per time stamp (local times that a clock change \
         repeats need an offset, such as 2016-10-30T02:00:00+01:00)"
    )]
    Duplicate {
        /// The cell.
        text: String,
    },
    /// The cell is earlier than the row above.
    #[error(
        "time stamp {text:?} is earlier than {previous:?} in the row before; sort the rows, oldest first"
    )]
    Unsorted {
        /// The cell.
        text: String,
        /// The cell of the row before.
        previous: String,
    },
}

impl TimeColumn {
    /// The axis of a table without time stamps: a column `step` that counts up from `first`.
    ///
    /// A forecast's steps count from 1, so the last row of its context is step 0. Counting ends at
    /// the largest 64-bit integer.
    #[must_use]
    pub fn steps(first: i64, count: usize) -> Self {
        let values = (first..=i64::MAX).take(count).collect();
        Self::from_values("step".to_owned(), TimeValues::Integer(values))
    }

    /// The same for what is known before a forecast: `count` steps, the last of which is 0.
    #[must_use]
    pub fn steps_to_zero(count: usize) -> Self {
        Self::steps(1 - i64::try_from(count).unwrap_or(i64::MAX), count)
    }

    /// Reads a column from its cells.
    ///
    /// # Errors
    /// The position (from 0) of the first cell that cannot be read, and why.
    pub fn from_texts<'a>(
        name: impl Into<String>,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (usize, TimeError)> {
        let mut builder = TimeColumnBuilder::new(name);
        for (position, text) in texts.into_iter().enumerate() {
            builder.push(text).map_err(|error| (position, error))?;
        }
        Ok(builder.finish())
    }

    pub(crate) fn from_values(name: String, values: TimeValues) -> Self {
        Self { name, values, zone: None }
    }

    /// The same column in a named zone, whose clock changes its continuation follows.
    pub(crate) fn in_zone(self, zone: Option<TimeZone>) -> Self {
        Self { zone, ..self }
    }

    /// The zone of the local times, where the file names one.
    #[must_use]
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &TimeValues {
        &self.values
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.values {
            TimeValues::Integer(values) => values.len(),
            TimeValues::Civil { values, .. } => values.len(),
            TimeValues::Instant { values, .. } => values.len(),
        }
    }

    /// Whether the column has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cell of a row (from 0) as it is written to a file; `None` beyond the last row.
    #[must_use]
    pub fn text(&self, row: usize) -> Option<String> {
        Some(match &self.values {
            TimeValues::Integer(values) => values.get(row)?.to_string(),
            TimeValues::Civil { values, format } => format.write(*values.get(row)?, None),
            TimeValues::Instant { values, format } => {
                let value = values.get(row)?;
                format.write(value.civil(), Some(value.offset))
            }
        })
    }

    /// Every cell as it is written to a file.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        (0..self.len()).filter_map(|row| self.text(row)).collect()
    }

    /// The local date and time of a row; `None` beyond the last row and in integer columns.
    #[must_use]
    pub fn civil(&self, row: usize) -> Option<DateTime> {
        match &self.values {
            TimeValues::Integer(_) => None,
            TimeValues::Civil { values, .. } => values.get(row).copied(),
            TimeValues::Instant { values, .. } => values.get(row).map(|value| value.civil()),
        }
    }

    /// Appends the rows of a column of the same kind, such as its own continuation.
    pub(crate) fn append(&mut self, other: Self) {
        match (&mut self.values, other.values) {
            (TimeValues::Integer(values), TimeValues::Integer(more)) => values.extend(more),
            (TimeValues::Civil { values, .. }, TimeValues::Civil { values: more, .. }) => values.extend(more),
            (TimeValues::Instant { values, .. }, TimeValues::Instant { values: more, .. }) => {
                values.extend(more);
            }
            _ => {}
        }
    }

    /// The rows at these positions (from 0), in their order.
    pub(crate) fn pick(&self, rows: &[usize]) -> Self {
        let values = match &self.values {
            TimeValues::Integer(values) => TimeValues::Integer(picked(values, rows)),
            TimeValues::Civil { values, format } => {
                TimeValues::Civil { values: picked(values, rows), format: *format }
            }
            TimeValues::Instant { values, format } => {
                TimeValues::Instant { values: picked(values, rows), format: *format }
            }
        };
        Self { name: self.name.clone(), values, zone: self.zone.clone() }
    }

    /// Whether two rows (from 0) are the same point in time, however it is written.
    pub(crate) fn same(&self, a: usize, b: usize) -> bool {
        match &self.values {
            TimeValues::Integer(values) => values.get(a) == values.get(b),
            TimeValues::Civil { values, .. } => values.get(a) == values.get(b),
            TimeValues::Instant { values, .. } => {
                values.get(a).map(|value| value.timestamp) == values.get(b).map(|value| value.timestamp)
            }
        }
    }

    /// The rows in a range (from 0), cut to the rows there are.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let end = rows.end.min(self.len());
        let rows = rows.start.min(end)..end;
        let values = match &self.values {
            TimeValues::Integer(values) => TimeValues::Integer(cut(values, rows)),
            TimeValues::Civil { values, format } => {
                TimeValues::Civil { values: cut(values, rows), format: *format }
            }
            TimeValues::Instant { values, format } => {
                TimeValues::Instant { values: cut(values, rows), format: *format }
            }
        };
        Self { name: self.name.clone(), values, zone: self.zone.clone() }
    }
}

fn picked<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().filter_map(|row| values.get(*row).copied()).collect()
}

fn cut<T: Copy>(values: &[T], rows: Range<usize>) -> Vec<T> {
    values.get(rows).unwrap_or_default().to_vec()
}

/// Reads a time column cell by cell, so that a reader can say at which line an error is.
#[derive(Debug, Clone)]
pub struct TimeColumnBuilder {
    name: String,
    first: String,
    values: Option<TimeValues>,
    zone: Option<TimeZone>,
    ordered: bool,
}

/// A time stamp of a binary file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stamp {
    Integer(i64),
    Civil(DateTime, TimeFormat),
    Instant(Instant, TimeFormat),
}

impl TimeColumnBuilder {
    /// An empty column; its first cell decides the kind of all.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), first: String::new(), values: None, zone: None, ordered: true }
    }

    /// An empty column whose time stamps may come in any order, and more than once: what a file
    /// holds before it is sorted. The order must be seen to before anything else is done with it.
    pub(crate) fn unordered(name: impl Into<String>) -> Self {
        Self { ordered: false, ..Self::new(name) }
    }

    /// Names the zone of the local times.
    pub(crate) fn set_zone(&mut self, zone: Option<TimeZone>) {
        self.zone = zone;
    }

    /// The values so far.
    pub(crate) fn values(&self) -> Option<&TimeValues> {
        self.values.as_ref()
    }

    /// Appends a time stamp in any order; a column's are of one kind.
    pub(crate) fn push_stamp(&mut self, stamp: Stamp) {
        match (stamp, &mut self.values) {
            (Stamp::Integer(value), Some(TimeValues::Integer(values))) => values.push(value),
            (Stamp::Civil(value, form), Some(TimeValues::Civil { values, format })) => {
                if form != *format {
                    *format = format.merge(form).unwrap_or(*format);
                }
                values.push(value);
            }
            (Stamp::Instant(value, form), Some(TimeValues::Instant { values, format })) => {
                if form != *format {
                    *format = format.merge(form).unwrap_or(*format);
                }
                values.push(value);
            }
            (Stamp::Integer(value), values) => *values = Some(TimeValues::Integer(vec![value])),
            (Stamp::Civil(value, format), values) => {
                *values = Some(TimeValues::Civil { values: vec![value], format });
            }
            (Stamp::Instant(value, format), values) => {
                *values = Some(TimeValues::Instant { values: vec![value], format });
            }
        }
    }

    /// The column's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends a cell.
    ///
    /// # Errors
    /// When the cell is missing, cannot be read, is of another kind or form than the cells before,
    /// or is not later than the one before.
    pub fn push(&mut self, text: &str) -> Result<(), TimeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TimeError::Missing);
        }
        let ordered = self.ordered;
        let Some(values) = &mut self.values else {
            self.values =
                Some(first_value(text).ok_or_else(|| TimeError::NotATimeStamp { text: text.to_owned() })?);
            text.clone_into(&mut self.first);
            return Ok(());
        };
        let other_format = || {
            let (text, first) = (text.to_owned(), self.first.clone());
            match time_format::parse(&text) {
                None if text.parse::<i64>().is_err() => TimeError::NotATimeStamp { text },
                _ => TimeError::OtherFormat { text, first },
            }
        };
        match values {
            TimeValues::Integer(values) => {
                let value = text.parse().map_err(|_| other_format())?;
                if ordered {
                    check_order(values.last(), &value, text, ToString::to_string)?;
                }
                values.push(value);
            }
            TimeValues::Civil { values, format } => {
                let stamp = time_format::parse(text).ok_or_else(other_format)?;
                let merged = format.merge(stamp.format).ok_or_else(other_format)?;
                if ordered {
                    check_order(values.last(), &stamp.civil, text, |last| merged.write(*last, None))?;
                }
                values.push(stamp.civil);
                *format = merged;
            }
            TimeValues::Instant { values, format } => {
                let stamp = time_format::parse(text).ok_or_else(other_format)?;
                let merged = format.merge(stamp.format).ok_or_else(other_format)?;
                let value = instant(&stamp).ok_or_else(other_format)?;
                let last = values.last().filter(|_| ordered);
                check_order(last.map(|last| &last.timestamp), &value.timestamp, text, |_| {
                    last.map(|last| merged.write(last.civil(), Some(last.offset))).unwrap_or_default()
                })?;
                values.push(value);
                *format = merged;
            }
        }
        Ok(())
    }

    /// The column; without any cell it is an empty column of integers.
    #[must_use]
    pub fn finish(self) -> TimeColumn {
        let values = self.values.unwrap_or(TimeValues::Integer(Vec::new()));
        TimeColumn { name: self.name, values, zone: self.zone }
    }
}

fn first_value(text: &str) -> Option<TimeValues> {
    let stamp = time_format::parse(text);
    if let Ok(value) = text.parse::<i64>() {
        // Eight digits are a date such as 20160701 when they can be one in our times.
        let date = stamp.filter(|stamp| (1900..=2100).contains(&stamp.civil.year()));
        return Some(match date {
            Some(stamp) => TimeValues::Civil { values: vec![stamp.civil], format: stamp.format },
            None => TimeValues::Integer(vec![value]),
        });
    }
    let stamp = stamp?;
    Some(if stamp.offset.is_some() {
        TimeValues::Instant { values: vec![instant(&stamp)?], format: stamp.format }
    } else {
        TimeValues::Civil { values: vec![stamp.civil], format: stamp.format }
    })
}

fn instant(stamp: &time_format::Stamp) -> Option<Instant> {
    let offset = stamp.offset?;
    let timestamp = offset.to_timestamp(stamp.civil).ok()?;
    Some(Instant { timestamp, offset })
}

fn check_order<T: Ord>(
    last: Option<&T>,
    value: &T,
    text: &str,
    write: impl Fn(&T) -> String,
) -> Result<(), TimeError> {
    match last {
        Some(last) if last == value => Err(TimeError::Duplicate { text: text.to_owned() }),
        Some(last) if last > value => {
            Err(TimeError::Unsorted { text: text.to_owned(), previous: write(last) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(texts: &[&str]) -> Result<TimeColumn, (usize, TimeError)> {
        TimeColumn::from_texts("date", texts.iter().copied())
    }

    #[test]
    fn the_first_cell_decides_what_a_column_holds() {
        let values = |text| column(&[text]).map(|column| column.values);
        assert!(matches!(values("7"), Ok(TimeValues::Integer(_))));
        assert!(matches!(values("-7"), Ok(TimeValues::Integer(_))));
        assert!(matches!(values("2016"), Ok(TimeValues::Integer(_))));
        assert!(matches!(values("20160701"), Ok(TimeValues::Civil { .. })));
        assert!(matches!(values("99999999"), Ok(TimeValues::Integer(_))));
        assert!(matches!(values("2016-07-01"), Ok(TimeValues::Civil { .. })));
        assert!(matches!(values("2016-07-01T00:00Z"), Ok(TimeValues::Instant { .. })));
    }

    #[test]
    fn cells_that_break_a_column_are_reported_with_their_position() {
        let broken = |texts: &[&str]| column(texts).expect_err("the column is broken");
        assert_eq!(broken(&["2016-07-01", " "]), (1, TimeError::Missing));
        assert!(matches!(broken(&["2016-07-01", "soon"]), (1, TimeError::NotATimeStamp { .. })));
        assert!(matches!(broken(&["soon"]), (0, TimeError::NotATimeStamp { .. })));
        assert!(matches!(broken(&["1", "1.5"]), (1, TimeError::NotATimeStamp { .. })));
        assert!(matches!(broken(&["2016-07-01", "2"]), (1, TimeError::OtherFormat { .. })));
        assert!(matches!(broken(&["1", "2016-07-01"]), (1, TimeError::OtherFormat { .. })));
        assert!(matches!(
            broken(&["2016-07-01T00:00", "2016-07-01T00:00Z"]),
            (1, TimeError::OtherFormat { .. })
        ));
        assert!(matches!(broken(&["2016-07-01", "2016-07-01"]), (1, TimeError::Duplicate { .. })));
        let expected =
            TimeError::Unsorted { text: "2016-06-30".to_owned(), previous: "2016-07-01".to_owned() };
        assert_eq!(broken(&["2016-07-01", "2016-06-30"]), (1, expected));
    }

    #[test]
    fn stamps_with_offsets_are_ordered_in_absolute_time() {
        let autumn = ["2016-10-30T02:30:00+02:00", "2016-10-30T02:00:00+01:00"];
        assert_eq!(column(&autumn).map(|column| column.texts()), Ok(autumn.map(str::to_owned).to_vec()));
        assert!(matches!(
            column(&["2016-10-30T02:00:00+02:00", "2016-10-30T01:00:00+01:00"]),
            Err((1, TimeError::Duplicate { .. }))
        ));
    }

    #[test]
    fn a_slice_is_cut_to_the_rows_there_are() {
        let steps = TimeColumn::steps(1, 4);
        assert_eq!(steps.slice(2..9).texts(), ["3", "4"]);
        assert!(steps.slice(7..9).is_empty());
    }
}
