//! When a forecast begins: so many steps after its series did.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The frequencies of the endpoint, each by its two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Frequency {
    #[serde(rename = "second")]
    Second,
    #[serde(rename = "S")]
    SecondShort,
    #[serde(rename = "minute")]
    Minute,
    #[serde(rename = "T")]
    MinuteShort,
    #[serde(rename = "hour")]
    Hour,
    #[serde(rename = "H")]
    HourShort,
    #[serde(rename = "day")]
    Day,
    #[serde(rename = "D")]
    DayShort,
    #[serde(rename = "week")]
    Week,
    #[serde(rename = "W")]
    WeekShort,
    #[serde(rename = "month")]
    Month,
    #[serde(rename = "M")]
    MonthShort,
    #[serde(rename = "quarter")]
    Quarter,
    #[serde(rename = "Q")]
    QuarterShort,
    #[serde(rename = "year")]
    Year,
    #[serde(rename = "Y")]
    YearShort,
}

/// Why there is no time so many steps later.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum CalendarError {
    /// Not a time stamp.
    #[error(
        "the time stamp {found:?} is not in ISO 8601; write it as in 2026-03-14T08:00:00Z, with or without an offset"
    )]
    NotATime {
        /// As it stands in the request.
        found: String,
    },
    /// Beyond the calendar.
    #[error("{steps} steps after {start} lie beyond the year 9999; check start_timestamp and frequency")]
    Beyond {
        /// As it stands in the request.
        start: String,
        /// How many.
        steps: usize,
    },
}

impl Frequency {
    /// So many steps.
    fn steps(self, count: i64) -> Option<Span> {
        let months =
            |each: i64| count.checked_mul(each).and_then(|months| Span::new().try_months(months).ok());
        match self {
            Self::Second | Self::SecondShort => Span::new().try_seconds(count).ok(),
            Self::Minute | Self::MinuteShort => Span::new().try_minutes(count).ok(),
            Self::Hour | Self::HourShort => Span::new().try_hours(count).ok(),
            Self::Day | Self::DayShort => Span::new().try_days(count).ok(),
            Self::Week | Self::WeekShort => Span::new().try_weeks(count).ok(),
            Self::Month | Self::MonthShort => months(1),
            Self::Quarter | Self::QuarterShort => months(3),
            Self::Year | Self::YearShort => months(12),
        }
    }
}

/// The time stamp of step `steps` of a series that begins at `start`, which is step 0. It has an offset if `start` has one, and
/// the same.
pub(super) fn after(start: &str, frequency: Frequency, steps: usize) -> Result<String, CalendarError> {
    let beyond = || CalendarError::Beyond { start: start.to_owned(), steps };
    let span = i64::try_from(steps).ok().and_then(|steps| frequency.steps(steps)).ok_or_else(beyond)?;
    if let Ok(pieces) = jiff::fmt::temporal::Pieces::parse(start)
        && let (Some(offset), Ok(instant)) = (pieces.to_numeric_offset(), start.parse::<Timestamp>())
    {
        let later = offset.to_datetime(instant).checked_add(span).map_err(|_| beyond())?;
        let is_utc = start.ends_with(['Z', 'z']);
        return Ok(if is_utc { format!("{later}Z") } else { format!("{later}{}", written(offset)) });
    }
    let civil: DateTime =
        start.parse().map_err(|_| CalendarError::NotATime { found: start.chars().take(64).collect() })?;
    Ok(civil.checked_add(span).map_err(|_| beyond())?.to_string())
}

/// As in `+05:30`.
fn written(offset: Offset) -> String {
    let minutes = offset.seconds().abs() / 60;
    let sign = if offset.seconds() < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequency(text: &str) -> Frequency {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn steps_of_every_frequency_follow_the_calendar() {
        for (name, start, steps, expected) in [
            ("second", "2026-03-14T08:00:00Z", 90, "2026-03-14T08:01:30Z"),
            ("T", "2026-03-14T23:59:00", 2, "2026-03-15T00:01:00"),
            ("H", "2026-03-14T08:00:00+02:00", 24, "2026-03-15T08:00:00+02:00"),
            ("hour", "2026-03-14T08:00:00.5-05:30", 1, "2026-03-14T09:00:00.5-05:30"),
            ("D", "2024-02-28", 2, "2024-03-01T00:00:00"),
            ("W", "2026-01-01T00:00:00", 1, "2026-01-08T00:00:00"),
            ("month", "2024-01-31T00:00:00Z", 1, "2024-02-29T00:00:00Z"),
            ("Q", "2024-01-31", 1, "2024-04-30T00:00:00"),
            ("Y", "2024-02-29", 1, "2025-02-28T00:00:00"),
        ] {
            assert_eq!(after(start, frequency(name), steps).as_deref(), Ok(expected), "{name} {start}");
        }
    }

    #[test]
    fn what_is_no_time_or_beyond_the_calendar_is_refused() {
        for start in ["", "yesterday", "2026-13-01", "1772870400"] {
            let error = after(start, Frequency::Day, 1).unwrap_err();
            assert!(matches!(error, CalendarError::NotATime { .. }), "{start}: {error}");
        }
        for steps in [10_000, usize::MAX] {
            let error = after("2026-01-01", Frequency::Year, steps).unwrap_err();
            assert!(matches!(error, CalendarError::Beyond { .. }), "{error}");
        }
    }
}
