//! Frequencies as people write them.
//!
//! A count (1 unless said) and a unit, in the notation of pandas or in words: `15min`, `h`, `D`,
//! `B`, `2W`, `MS`, `ME`, `QE-DEC`, `YS`, `10 minutes`, `1 month (on day 15)`. A number alone is the
//! step of a column of whole numbers. What [`Frequency`] displays reads back as the same.

use std::str::FromStr;

use jiff::SignedDuration;

use crate::frequency::{DayOfMonth, Frequency};

/// A text that names no frequency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no frequency; expected a count and a unit such as 15min, h, D, B (business days), W, MS or ME \
     (start or end of month), QS, QE, YS, YE, or a whole number for a column of whole numbers"
)]
pub struct ParseFrequencyError {
    /// The text.
    pub text: String,
}

impl FromStr for Frequency {
    type Err = ParseFrequencyError;

    /// Reads a frequency. The anchors of pandas (`W-SUN`, `QE-NOV`) are accepted and say nothing
    /// new: the phase of an axis is that of its time stamps.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text.trim()).ok_or_else(|| ParseFrequencyError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Frequency> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    let count: i64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    if count < 1 {
        return None;
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return (digits > 0).then_some(Frequency::Integer(count));
    }
    let (unit, day) = split_day(unit)?;
    let (unit, anchor) = unit.split_once('-').map_or((unit, None), |(unit, anchor)| (unit, Some(anchor)));
    if let Some(anchor) = anchor {
        let known: &[&str] = match unit {
            "W" => &["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"],
            "Q" | "QE" | "QS" | "A" | "AS" | "Y" | "YE" | "YS" => {
                &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
            }
            _ => return None,
        };
        known.iter().find(|known| known.eq_ignore_ascii_case(anchor))?;
    }
    // Months and minutes differ by case in pandas' notation, words do not.
    let months = |each: i64, usual: DayOfMonth| {
        let count = i32::try_from(count.checked_mul(each)?).ok()?;
        Some(Frequency::Months { count, day: day.unwrap_or(usual) })
    };
    let (first, last) = (DayOfMonth::Day(1), DayOfMonth::Last);
    match unit {
        "M" | "ME" => return months(1, last),
        "MS" => return months(1, first),
        "Q" | "QE" => return months(3, last),
        "QS" => return months(3, first),
        "A" | "Y" | "YE" => return months(12, last),
        "AS" | "YS" => return months(12, first),
        _ => {}
    }
    let word = unit.to_ascii_lowercase();
    match word.strip_suffix('s').filter(|word| word.len() > 2).unwrap_or(&word) {
        "month" => return months(1, first),
        "quarter" => return months(3, first),
        "year" => return months(12, first),
        _ if day.is_some() => return None,
        "b" | "business day" => return (count == 1).then_some(Frequency::BusinessDays),
        _ => {}
    }
    let nanoseconds: i64 = match unit {
        "ns" | "N" => 1,
        "us" | "U" => 1_000,
        "ms" | "L" => 1_000_000,
        "T" => 60_000_000_000,
        _ => match word.strip_suffix('s').filter(|word| word.len() > 2).unwrap_or(&word) {
            "nanosecond" => 1,
            "microsecond" => 1_000,
            "millisecond" => 1_000_000,
            "s" | "sec" | "second" => 1_000_000_000,
            "min" | "minute" => 60_000_000_000,
            "h" | "hour" => 3_600_000_000_000,
            "d" | "day" => 86_400_000_000_000,
            "w" | "week" => 604_800_000_000_000,
            _ => return None,
        },
    };
    let total = i128::from(nanoseconds).checked_mul(count.into())?;
    let seconds = i64::try_from(total / 1_000_000_000).ok()?;
    let rest = i32::try_from(total % 1_000_000_000).ok()?;
    Some(Frequency::Elapsed(SignedDuration::new(seconds, rest)))
}

/// Takes `(on day 15)` or `(on its last day)` off the end.
fn split_day(unit: &str) -> Option<(&str, Option<DayOfMonth>)> {
    let Some((unit, day)) = unit.split_once(" (on ") else { return Some((unit, None)) };
    let day = match day.strip_suffix(')')? {
        "its last day" => DayOfMonth::Last,
        day => {
            let day = day.strip_prefix("day ")?.parse().ok()?;
            DayOfMonth::Day((1..=31).contains(&day).then_some(day)?)
        }
    };
    Some((unit, Some(day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        text.parse::<Frequency>().ok().map(|frequency| frequency.to_string())
    }

    #[test]
    fn the_notation_of_pandas_is_read() {
        for (text, expected) in [
            ("h", "1 hour"),
            ("H", "1 hour"),
            ("15min", "15 minutes"),
            ("15T", "15 minutes"),
            ("s", "1 second"),
            ("100ms", "100 milliseconds"),
            ("5us", "5 microseconds"),
            ("ns", "1 nanosecond"),
            ("D", "1 day"),
            ("B", "1 business day"),
            ("W-SUN", "1 week"),
            ("2W", "2 weeks"),
            ("MS", "1 month"),
            ("M", "1 month (on its last day)"),
            ("ME", "1 month (on its last day)"),
            ("QS-FEB", "3 months"),
            ("QE-DEC", "3 months (on its last day)"),
            ("YS", "1 year"),
            ("A-JUN", "1 year (on its last day)"),
            ("3", "3"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_displayed_reads_back() {
        for text in [
            "1 hour",
            "15 minutes",
            "1 business day",
            "2 months",
            "3 months (on its last day)",
            "1 month (on day 15)",
            "2 years",
            "1 week",
            "250 milliseconds",
            "7",
        ] {
            assert_eq!(parsed(text).as_deref(), Some(text));
        }
        assert_eq!(parsed("1 Quarter").as_deref(), Some("3 months"));
    }

    #[test]
    fn what_is_no_frequency_is_refused() {
        for text in [
            "",
            "0h",
            "-1h",
            "fortnight",
            "1.5h",
            "2B",
            "h-SUN",
            "W-JAN",
            "QE-MON",
            "m",
            "1 month (on day 32)",
            "1 hour (on day 3)",
            "99999999999999999999h",
            "99999999999999W",
            "9999999999M",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
