//! The step of a time axis: inferred from its time stamps and used to continue it.
//!
//! A step is either a constant duration (or number), or one of the calendar's: business days, and
//! months with the day of the month they fall on, which covers month starts and ends, quarters (3
//! months) and years (12 months).

mod parse;

use std::fmt;

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};

pub use parse::ParseFrequencyError;

use crate::mode::mode;
use crate::time::{Instant, TimeColumn, TimeValues};

/// The step between neighbouring rows of a time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// A constant difference of whole numbers.
    Integer(i64),
    /// A constant duration: nanoseconds to weeks.
    Elapsed(SignedDuration),
    /// Every day from Monday to Friday.
    BusinessDays,
    /// Every so many months.
    Months {
        /// The number of months, at least 1.
        count: i32,
        /// Where in the month.
        day: DayOfMonth,
    },
}

/// The day of the month a monthly step falls on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOfMonth {
    /// This day, 1 to 31, or the month's last day in months that are shorter.
    Day(i8),
    /// The last day.
    Last,
}

/// Why a time axis has no frequency or cannot be continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrequencyError {
    /// One row or none: there is no step to see.
    #[error("time column {column:?} has {rows} row(s); a frequency needs at least 2")]
    TooFewRows {
        /// The column's name.
        column: String,
        /// Its number of rows.
        rows: usize,
    },
    /// Most rows follow a step, this one does not.
    #[error(
        "time column {column:?} is irregular: {found} (data row {row}) follows {previous}, expected a step of {expected}"
    )]
    Irregular {
        /// The column's name.
        column: String,
        /// The first row (from 1, not counting the header) that is off the step.
        row: usize,
        /// The time stamp in that row.
        found: String,
        /// The time stamp in the row before.
        previous: String,
        /// The step that most rows follow.
        expected: String,
    },
    /// The continuation leaves the years 0 to 9999, or the range of 64-bit integers.
    #[error("time column {column:?} cannot be continued by {frequency} beyond {last}")]
    OutOfRange {
        /// The column's name.
        column: String,
        /// The step.
        frequency: String,
        /// The last time stamp that can be written.
        last: String,
    },
    /// The step and the column do not fit: hours on dates, months on integers.
    #[error("time column {column:?} with values such as {example:?} cannot be continued by {frequency}")]
    Mismatch {
        /// The column's name.
        column: String,
        /// The step.
        frequency: String,
        /// The column's last value.
        example: String,
    },
}

impl Frequency {
    /// Finds the step of a time column.
    ///
    /// Two rows are enough; where they fall on the same day (or both on the last day) of different
    /// months, the step is taken to be months rather than days.
    ///
    /// # Errors
    /// With fewer than two rows, or when a row is off the step that most rows follow.
    pub fn infer(time: &TimeColumn) -> Result<Self, FrequencyError> {
        let name = || time.name().to_owned();
        let Some(best) = best(time) else {
            return Err(FrequencyError::TooFewRows { column: name(), rows: time.len() });
        };
        match best.first_miss {
            None => Ok(best.frequency),
            Some(pair) => Err(FrequencyError::Irregular {
                column: name(),
                row: pair + 2,
                found: time.text(pair + 1).unwrap_or_default(),
                previous: time.text(pair).unwrap_or_default(),
                expected: best.frequency.to_string(),
            }),
        }
    }

    /// The step that most rows of a time column follow, whatever the others do; `None` with fewer
    /// than two rows. This is the step of an axis with gaps.
    #[must_use]
    pub fn most_common(time: &TimeColumn) -> Option<Self> {
        best(time).map(|best| best.frequency)
    }

    /// Whether one step leads from `a` to `b`, and `a` itself is a day that the step can fall on.
    pub(crate) fn leads(self, a: DateTime, b: DateTime) -> bool {
        let on_step = match self {
            Self::BusinessDays => !matches!(a.weekday(), Weekday::Saturday | Weekday::Sunday),
            Self::Months { day, .. } => a.day() == day.within(a),
            Self::Integer(_) | Self::Elapsed(_) => true,
        };
        on_step && self.after_civil(a) == Some(b)
    }

    pub(crate) fn after_integer(self, value: i64) -> Option<i64> {
        match self {
            Self::Integer(step) => value.checked_add(step),
            _ => None,
        }
    }

    pub(crate) fn after_civil(self, value: DateTime) -> Option<DateTime> {
        match self {
            Self::Integer(_) => None,
            Self::Elapsed(duration) => value.checked_add(duration).ok(),
            Self::BusinessDays => {
                let days = match value.weekday() {
                    Weekday::Friday => 3,
                    Weekday::Saturday => 2,
                    _ => 1,
                };
                value.checked_add(days.days()).ok()
            }
            Self::Months { count, day } => {
                let month = value.first_of_month().checked_add(count.months()).ok()?;
                month.with().day(day.within(month)).build().ok()
            }
        }
    }

    /// A step in absolute time, or in local time for whole days in a named zone and for steps of
    /// the calendar. Without a zone the offset stays as it is.
    pub(crate) fn after_instant(self, value: Instant, zone: Option<&TimeZone>) -> Option<Instant> {
        let timestamp = match (self, zone) {
            (Self::Elapsed(duration), zone) if zone.is_none() || !is_whole_days(duration) => {
                value.timestamp.checked_add(duration).ok()?
            }
            (_, Some(zone)) => {
                zone.to_ambiguous_timestamp(self.after_civil(value.civil())?).compatible().ok()?
            }
            (_, None) => value.offset.to_timestamp(self.after_civil(value.civil())?).ok()?,
        };
        let offset = zone.map_or(value.offset, |zone| zone.to_offset(timestamp));
        Some(Instant { timestamp, offset })
    }

    /// Whether a step can be taken on an axis of this kind: numbers on integers, all else on dates
    /// and times.
    pub(crate) fn fits(self, values: &TimeValues) -> bool {
        matches!(values, TimeValues::Integer(_)) == matches!(self, Self::Integer(_))
    }
}

fn is_whole_days(duration: SignedDuration) -> bool {
    duration.as_nanos() % 86_400_000_000_000 == 0
}

impl DayOfMonth {
    /// The day in the month of this date.
    fn within(self, month: DateTime) -> i8 {
        match self {
            Self::Day(day) => day.min(month.days_in_month()),
            Self::Last => month.days_in_month(),
        }
    }
}

/// A candidate step and the first pair of rows (from 0) that does not follow it.
struct Best {
    frequency: Frequency,
    first_miss: Option<usize>,
}

fn best(time: &TimeColumn) -> Option<Best> {
    if let Some(frequency) = constant(time.values()) {
        return Some(Best { frequency, first_miss: None });
    }
    match time.values() {
        TimeValues::Integer(values) => best_of(values, integer_candidates(values), |frequency, a, b| {
            frequency.after_integer(*a) == Some(*b)
        }),
        TimeValues::Civil { values, .. } => {
            best_of(values, civil_candidates(values), |frequency, a, b| frequency.leads(*a, *b))
        }
        TimeValues::Instant { values, .. } => {
            // Clocks may change between two rows: a step is followed when it leads to the next row
            // either in absolute time (hourly data) or in local time (daily data).
            let local: Vec<DateTime> = values.iter().map(|value| value.civil()).collect();
            let mut candidates = civil_candidates(&local);
            let elapsed = pairs(values).map(|(a, b)| b.timestamp.duration_since(a.timestamp));
            candidates.extend(mode(elapsed).map(Frequency::Elapsed));
            best_of(values, candidates, follows_instant)
        }
    }
}

/// Whether a step leads from one point in time to the next, in absolute or in local time.
pub(crate) fn follows_instant(frequency: Frequency, a: &Instant, b: &Instant) -> bool {
    let elapsed = b.timestamp.duration_since(a.timestamp);
    frequency == Frequency::Elapsed(elapsed) || frequency.leads(a.civil(), b.civil())
}

/// The step of an axis whose rows are all equally far apart, and nearer than a month could be: what
/// the search among candidates finds too, at a fraction of its cost.
fn constant(values: &TimeValues) -> Option<Frequency> {
    const SHORTEST_MONTH: SignedDuration = SignedDuration::from_hours(28 * 24);
    match values {
        TimeValues::Integer(values) => {
            let mut steps = pairs(values).map(|(a, b)| b.checked_sub(*a));
            let first = steps.next()??;
            steps.all(|step| step == Some(first)).then_some(Frequency::Integer(first))
        }
        TimeValues::Civil { values, .. } => {
            let mut steps = pairs(values).map(|(a, b)| b.duration_since(*a));
            let first = steps.next().filter(|step| step.is_positive() && *step < SHORTEST_MONTH)?;
            steps.all(|step| step == first).then_some(Frequency::Elapsed(first))
        }
        TimeValues::Instant { values, .. } => {
            let is_utc = values.iter().all(|value| value.offset == jiff::tz::Offset::UTC);
            let mut steps = pairs(values).map(|(a, b)| b.timestamp.duration_since(a.timestamp));
            let first = steps.next().filter(|step| step.is_positive() && *step < SHORTEST_MONTH)?;
            (is_utc && steps.all(|step| step == first)).then_some(Frequency::Elapsed(first))
        }
    }
}

/// The candidate that most pairs of rows follow; of equally good ones the first.
fn best_of<T>(
    values: &[T],
    candidates: Vec<Frequency>,
    follows: impl Fn(Frequency, &T, &T) -> bool,
) -> Option<Best> {
    let mut best: Option<(usize, Best)> = None;
    for frequency in candidates {
        let mut first_miss = None;
        let mut hits = 0;
        for (pair, (a, b)) in pairs(values).enumerate() {
            if follows(frequency, a, b) {
                hits += 1;
            } else {
                first_miss = first_miss.or(Some(pair));
            }
        }
        if best.as_ref().is_none_or(|(most, _)| hits > *most) {
            best = Some((hits, Best { frequency, first_miss }));
        }
    }
    best.map(|(_, best)| best)
}

fn pairs<T>(values: &[T]) -> impl Iterator<Item = (&T, &T)> {
    values.iter().zip(values.iter().skip(1))
}

fn integer_candidates(values: &[i64]) -> Vec<Frequency> {
    mode(pairs(values).map(|(a, b)| b.saturating_sub(*a))).map(Frequency::Integer).into_iter().collect()
}

/// Candidate steps, the more specific first: months before days, because 31 days between two rows
/// are a month when both fall on the same day.
fn civil_candidates(values: &[DateTime]) -> Vec<Frequency> {
    let months = |value: &DateTime| i32::from(value.year()) * 12 + i32::from(value.month());
    let mut candidates = Vec::new();
    if let Some(count) = mode(pairs(values).map(|(a, b)| months(b) - months(a))).filter(|count| *count > 0) {
        candidates.push(Frequency::Months { count, day: DayOfMonth::Last });
        // The latest day is the one meant: every 30th shows as the 28th in February.
        let day = values.iter().map(|value| value.day()).max().unwrap_or(1);
        candidates.push(Frequency::Months { count, day: DayOfMonth::Day(day) });
    }
    // Local time stands still or runs backwards where a clock is set back: no step of any axis.
    let elapsed = mode(pairs(values).map(|(a, b)| b.duration_since(*a))).filter(|step| step.is_positive());
    candidates.extend(elapsed.map(Frequency::Elapsed));
    if !candidates.is_empty() {
        candidates.push(Frequency::BusinessDays);
    }
    candidates
}

impl TimeColumn {
    /// The next `count` time stamps after the column's last, in the column's own format.
    ///
    /// Local times without an offset are stepped as they stand; with an offset, durations are
    /// stepped in absolute time and the last row's offset is kept. In a named zone (Parquet), whole
    /// days are stepped in local time, and offsets are the zone's.
    ///
    /// # Errors
    /// When the column is empty, when the frequency does not fit the column's kind or would need a
    /// finer format than the column has, or when the result cannot be represented.
    pub fn continue_by(&self, frequency: Frequency, count: usize) -> Result<Self, FrequencyError> {
        let too_few = || FrequencyError::TooFewRows { column: self.name().to_owned(), rows: 0 };
        let last_text = self.len().checked_sub(1).and_then(|row| self.text(row)).ok_or_else(too_few)?;
        let mismatch = || FrequencyError::Mismatch {
            column: self.name().to_owned(),
            frequency: frequency.to_string(),
            example: last_text.clone(),
        };
        let out_of_range = |last: String| FrequencyError::OutOfRange {
            column: self.name().to_owned(),
            frequency: frequency.to_string(),
            last,
        };
        let is_integer = matches!(self.values(), TimeValues::Integer(_));
        if is_integer != matches!(frequency, Frequency::Integer(_)) {
            return Err(mismatch());
        }
        let values = match self.values() {
            TimeValues::Integer(values) => {
                let last = *values.last().ok_or_else(too_few)?;
                let next = |value: &i64| {
                    frequency.after_integer(*value).ok_or_else(|| out_of_range(value.to_string()))
                };
                TimeValues::Integer(continued(last, count, next)?)
            }
            TimeValues::Civil { values, format } => {
                let last = *values.last().ok_or_else(too_few)?;
                let next = |value: &DateTime| {
                    let next = frequency.after_civil(*value).filter(|next| next.year() >= 0);
                    let next = next.ok_or_else(|| out_of_range(format.write(*value, None)))?;
                    if format.represents(next) { Ok(next) } else { Err(mismatch()) }
                };
                TimeValues::Civil { values: continued(last, count, next)?, format: *format }
            }
            TimeValues::Instant { values, format } => {
                let last = *values.last().ok_or_else(too_few)?;
                let next = |value: &Instant| {
                    let next =
                        frequency.after_instant(*value, self.zone()).filter(|next| next.civil().year() >= 0);
                    let next =
                        next.ok_or_else(|| out_of_range(format.write(value.civil(), Some(value.offset))))?;
                    if format.represents(next.civil()) { Ok(next) } else { Err(mismatch()) }
                };
                TimeValues::Instant { values: continued(last, count, next)?, format: *format }
            }
        };
        Ok(Self::from_values(self.name().to_owned(), values).in_zone(self.zone().cloned()))
    }
}

/// The `count` values after `last`. Grows as it goes: `count` may be far beyond what can be
/// represented.
fn continued<T: Copy, E>(last: T, count: usize, next: impl Fn(&T) -> Result<T, E>) -> Result<Vec<T>, E> {
    let mut value = last;
    let mut values = Vec::new();
    for _ in 0..count {
        value = next(&value)?;
        values.push(value);
    }
    Ok(values)
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: i128| if count == 1 { "" } else { "s" };
        match *self {
            Self::Integer(step) => write!(f, "{step}"),
            Self::BusinessDays => f.write_str("1 business day"),
            Self::Months { count, day } => {
                let (count, unit) = if count % 12 == 0 { (count / 12, "year") } else { (count, "month") };
                write!(f, "{count} {unit}{}", plural(count.into()))?;
                match day {
                    DayOfMonth::Last => write!(f, " (on its last day)"),
                    DayOfMonth::Day(1) => Ok(()),
                    DayOfMonth::Day(day) => write!(f, " (on day {day})"),
                }
            }
            Self::Elapsed(duration) => {
                const UNITS: [(i128, &str); 8] = [
                    (604_800_000_000_000, "week"),
                    (86_400_000_000_000, "day"),
                    (3_600_000_000_000, "hour"),
                    (60_000_000_000, "minute"),
                    (1_000_000_000, "second"),
                    (1_000_000, "millisecond"),
                    (1_000, "microsecond"),
                    (1, "nanosecond"),
                ];
                let total = duration.as_nanos();
                let fits = |(unit, _): &&(i128, &str)| total != 0 && total % unit == 0;
                let (unit, name) = UNITS.iter().find(fits).copied().unwrap_or((1, "nanosecond"));
                let count = total / unit;
                write!(f, "{count} {name}{}", plural(count))
            }
        }
    }
}
