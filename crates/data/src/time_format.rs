//! The textual form of a time stamp, kept so that a forecast continues in the input's own format.
//!
//! Read are ISO 8601 and its usual relatives: `2016-07-01`, `2016/7/1`, `2016.07.01`, `20160701`,
//! `2016-07`, each day form optionally followed by `T` or a space, a time `00:00`, `00:00:00` or
//! `00:00:00.123456789`, and an offset `Z`, ` UTC`, `+02`, `+0200` or `+02:00`. Forms whose day and
//! month could be confused (`01/02/2016`) are not read.

use std::fmt::Write as _;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// How a column writes its time stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeFormat {
    separator: Option<char>,
    months_only: bool,
    padded_date: bool,
    clock: Option<Clock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    separator: char,
    padded_hour: bool,
    precision: Precision,
    offset: Option<OffsetStyle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    Minutes,
    Seconds,
    /// Decimals of a second, 1 to 9.
    Fraction(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OffsetStyle {
    /// `Z` or `z`.
    Letter(char),
    /// ` UTC`, as database exports write it.
    Utc,
    /// `+02`.
    Hours,
    /// `+0200`.
    Compact,
    /// `+02:00`.
    Colon,
}

/// A time stamp as it stands in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The date and time as written; midnight for a date, the first day for a month.
    pub civil: DateTime,
    /// The offset from UTC where the text has one.
    pub offset: Option<Offset>,
    /// The form of the text.
    pub format: TimeFormat,
}

impl TimeFormat {
    /// `2016-07-01`: how dates of binary files are written.
    pub(crate) const DATE: Self =
        Self { separator: Some('-'), months_only: false, padded_date: true, clock: None };

    /// `2016-07-01 00:00:00`, with as many decimals as are wanted and an offset where it has one:
    /// how time stamps of binary files are written.
    pub(crate) const fn of_stamps(decimals: u8, offset: Option<Offset>) -> Self {
        let precision = if decimals == 0 { Precision::Seconds } else { Precision::Fraction(decimals) };
        let (separator, offset) = match offset {
            None => (' ', None),
            Some(offset) if offset.seconds() == 0 => ('T', Some(OffsetStyle::Letter('Z'))),
            Some(_) => ('T', Some(OffsetStyle::Colon)),
        };
        Self { clock: Some(Clock { separator, padded_hour: true, precision, offset }), ..Self::DATE }
    }

    /// Whether the form holds only dates (or months), without a time of day.
    #[must_use]
    pub fn is_date(&self) -> bool {
        self.clock.is_none()
    }

    /// The form that writes everything either form writes, or `None` when one column cannot hold
    /// both: dates beside times, local times beside offsets, other separators.
    #[must_use]
    pub fn merge(self, other: Self) -> Option<Self> {
        let clock = match (self.clock, other.clock) {
            (None, None) => None,
            (Some(a), Some(b)) if a.separator == b.separator && a.offset.is_some() == b.offset.is_some() => {
                Some(Clock {
                    separator: a.separator,
                    padded_hour: a.padded_hour && b.padded_hour,
                    precision: a.precision.max(b.precision),
                    offset: a.offset.zip(b.offset).map(|(a, b)| a.merge(b)),
                })
            }
            _ => return None,
        };
        (self.separator == other.separator && self.months_only == other.months_only).then_some(Self {
            padded_date: self.padded_date && other.padded_date,
            clock,
            ..self
        })
    }

    /// Whether the form can write this date and time without losing any of it.
    #[must_use]
    pub fn represents(&self, civil: DateTime) -> bool {
        if !(0..=9999).contains(&civil.year()) || (self.months_only && civil.day() != 1) {
            return false;
        }
        let nanoseconds = civil.subsec_nanosecond();
        match self.clock.map(|clock| clock.precision) {
            None => civil.time() == Time::midnight(),
            Some(Precision::Minutes) => civil.second() == 0 && nanoseconds == 0,
            Some(Precision::Seconds) => nanoseconds == 0,
            Some(Precision::Fraction(digits)) => {
                nanoseconds % 10_i32.pow(9_u32.saturating_sub(digits.into())) == 0
            }
        }
    }

    /// Writes a date and time in this form.
    #[must_use]
    pub fn write(&self, civil: DateTime, offset: Option<Offset>) -> String {
        let mut text = String::with_capacity(32);
        // Writing to a String cannot fail.
        let _ = self.write_to(&mut text, civil, offset);
        text
    }

    fn write_to(&self, out: &mut String, civil: DateTime, offset: Option<Offset>) -> std::fmt::Result {
        let width = if self.padded_date { 2 } else { 1 };
        let separator = self.separator.map(String::from).unwrap_or_default();
        write!(out, "{:04}{separator}{:0width$}", civil.year(), civil.month())?;
        if !self.months_only {
            write!(out, "{separator}{:0width$}", civil.day())?;
        }
        let Some(clock) = self.clock else { return Ok(()) };
        let width = if clock.padded_hour { 2 } else { 1 };
        write!(out, "{}{:0width$}:{:02}", clock.separator, civil.hour(), civil.minute())?;
        if clock.precision >= Precision::Seconds {
            write!(out, ":{:02}", civil.second())?;
        }
        if let Precision::Fraction(digits) = clock.precision {
            let fraction = format!("{:09}", civil.subsec_nanosecond());
            write!(out, ".{}", fraction.get(..usize::from(digits)).unwrap_or(&fraction))?;
        }
        clock.offset.map_or(Ok(()), |style| style.write_to(out, offset.unwrap_or(Offset::UTC)))
    }
}

impl OffsetStyle {
    /// `Z` in winter and `+01:00` in summer become `+00:00` and `+01:00`.
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::Letter(_) | Self::Utc, numeric) => numeric,
            (numeric, Self::Letter(_) | Self::Utc) => numeric,
            (a, b) if a == b => a,
            _ => Self::Colon,
        }
    }

    fn write_to(self, out: &mut String, offset: Offset) -> std::fmt::Result {
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        match self {
            Self::Letter(letter) => write!(out, "{letter}"),
            Self::Utc => out.write_str(" UTC"),
            Self::Hours if minutes == 0 => write!(out, "{sign}{hours:02}"),
            Self::Compact => write!(out, "{sign}{hours:02}{minutes:02}"),
            Self::Hours | Self::Colon => write!(out, "{sign}{hours:02}:{minutes:02}"),
        }
    }
}

/// Reads a time stamp; `None` when the text is not one of the forms this module reads, or names a
/// day or time that does not exist.
#[must_use]
pub fn parse(text: &str) -> Option<Stamp> {
    let mut cursor = Cursor { rest: text.trim().as_bytes() };
    let (date, mut format) = cursor.date()?;
    let Some(separator) = cursor.take_any(b"Tt ") else {
        return cursor.rest.is_empty().then_some(Stamp {
            civil: date.to_datetime(Time::midnight()),
            offset: None,
            format,
        });
    };
    if format.months_only {
        return None;
    }
    let (time, mut clock) = cursor.time(separator)?;
    let offset = if cursor.rest.is_empty() {
        None
    } else {
        let (offset, style) = cursor.offset()?;
        clock.offset = Some(style);
        Some(offset)
    };
    format.clock = Some(clock);
    Some(Stamp { civil: date.to_datetime(time), offset, format })
}

/// What is left of a cell.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn take_any(&mut self, accepted: &[u8]) -> Option<char> {
        let (&first, rest) = self.rest.split_first()?;
        accepted.contains(&first).then(|| {
            self.rest = rest;
            char::from(first)
        })
    }

    /// A number of `min` to `max` digits, and how many digits it had.
    fn digits(&mut self, min: usize, max: usize) -> Option<(i32, usize)> {
        let count = self.rest.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at_checked(count)?;
        let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (count >= min).then(|| {
            self.rest = rest;
            (value, count)
        })
    }

    fn date(&mut self) -> Option<(Date, TimeFormat)> {
        let (year, _) = self.digits(4, 4)?;
        let separator = self.take_any(b"-/.");
        let (month, month_digits) = self.digits(if separator.is_some() { 1 } else { 2 }, 2)?;
        let (mut day, mut day_digits, mut months_only) = (1, 2, false);
        match separator {
            Some(separator) if self.rest.first() == Some(&(separator as u8)) => {
                self.take_any(&[separator as u8])?;
                (day, day_digits) = self.digits(1, 2)?;
            }
            // "2016.07" is a number, not a month.
            Some('.') => return None,
            Some(_) => months_only = true,
            None => (day, day_digits) = self.digits(2, 2)?,
        }
        let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
        let padded_date = month_digits == 2 && day_digits == 2;
        Some((date, TimeFormat { separator, months_only, padded_date, clock: None }))
    }

    fn time(&mut self, separator: char) -> Option<(Time, Clock)> {
        let (hour, hour_digits) = self.digits(1, 2)?;
        self.take_any(b":")?;
        let (minute, _) = self.digits(2, 2)?;
        let (mut second, mut nanosecond, mut precision) = (0, 0, Precision::Minutes);
        if self.take_any(b":").is_some() {
            (second, _) = self.digits(2, 2)?;
            precision = Precision::Seconds;
            if self.take_any(b".").is_some() {
                let (fraction, digits) = self.digits(1, 9)?;
                nanosecond =
                    fraction.checked_mul(10_i32.checked_pow(9_u32.checked_sub(digits.try_into().ok()?)?)?)?;
                precision = Precision::Fraction(digits.try_into().ok()?);
            }
        }
        let time =
            Time::new(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?, nanosecond)
                .ok()?;
        Some((time, Clock { separator, padded_hour: hour_digits == 2, precision, offset: None }))
    }

    /// The offset at the end of the text.
    fn offset(&mut self) -> Option<(Offset, OffsetStyle)> {
        if self.rest.eq_ignore_ascii_case(b" UTC") {
            return Some((Offset::UTC, OffsetStyle::Utc));
        }
        let sign = self.take_any(b"Zz+-")?;
        if let 'Z' | 'z' = sign {
            return self.rest.is_empty().then_some((Offset::UTC, OffsetStyle::Letter(sign)));
        }
        let (hours, _) = self.digits(2, 2)?;
        let (minutes, style) = if self.rest.is_empty() {
            (0, OffsetStyle::Hours)
        } else if self.take_any(b":").is_some() {
            (self.digits(2, 2)?.0, OffsetStyle::Colon)
        } else {
            (self.digits(2, 2)?.0, OffsetStyle::Compact)
        };
        if !self.rest.is_empty() || minutes > 59 {
            return None;
        }
        let seconds = (hours * 60 + minutes) * 60;
        let offset = Offset::from_seconds(if sign == '-' { -seconds } else { seconds }).ok()?;
        Some((offset, style))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_form_is_written_as_it_was_read() {
        for text in [
            "2016-07-01",
            "2016/07/01",
            "2016.07.01",
            "2016/7/1",
            "20160701",
            "2016-07",
            "2016-07-01 00:00:00",
            "2016-07-01 00:00",
            "2016/7/1 0:00",
            "2016/07/01 00:00",
            "2016-07-01T23:59:59",
            "2016-07-01T00:00:00Z",
            "2016-07-01T00:00:00.250Z",
            "2016-07-01 00:00:00.123456789",
            "2016-07-01 12:30:00 UTC",
            "2016-07-01T00:00:00+02:00",
            "2016-07-01T00:00:00-0530",
            "2016-07-01T00:00:00+02",
        ] {
            let stamp = parse(text).unwrap_or_else(|| panic!("{text} is read"));
            assert!(stamp.format.represents(stamp.civil), "{text}");
            assert_eq!(stamp.format.write(stamp.civil, stamp.offset), text);
        }
    }

    #[test]
    fn texts_that_are_not_time_stamps_are_refused() {
        for text in [
            "",
            "2016",
            "2016.07",
            "12.5",
            "01/02/2016",
            "2016-02-30",
            "2016-13-01",
            "2016-07-01 24:00",
            "2016-07-01 00:61",
            "2016-07-01X00:00",
            "2016-07-01T00:00:00+25:61",
            "2016-07-01T00:00:00.1234567890",
            "2016-07-01 00:00:00Zulu",
            "2016-07-01-",
            "2016-07-01é",
            "201607",
            "-2016-07-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_column_form_covers_all_its_cells_or_does_not_exist() {
        let merged = |a: &str, b: &str| parse(a)?.format.merge(parse(b)?.format);
        let written =
            |a, b| merged(a, b).map(|format| format.write(DateTime::constant(2016, 1, 2, 3, 4, 5, 0), None));
        assert_eq!(
            written("2016-07-01T00:00:00", "2016-07-01T00:00:00.5").as_deref(),
            Some("2016-01-02T03:04:05.0")
        );
        assert_eq!(written("2016/10/12", "2016/7/1").as_deref(), Some("2016/1/2"));
        assert_eq!(
            written("2016-01-01T00:00Z", "2016-07-01T00:00+01:00").as_deref(),
            Some("2016-01-02T03:04+00:00")
        );
        assert_eq!(merged("2016-07-01", "2016-07-01 00:00"), None);
        assert_eq!(merged("2016-07-01 00:00", "2016-07-01T00:00"), None);
        assert_eq!(merged("2016-07-01T00:00Z", "2016-07-01T00:00"), None);
        assert_eq!(merged("2016-07-01", "2016/07/01"), None);
    }

    #[test]
    fn a_form_says_when_it_would_lose_part_of_a_time_stamp() {
        let represents = |form: &str, stamp: &str| Some(parse(form)?.format.represents(parse(stamp)?.civil));
        assert_eq!(represents("2016-07-01", "2016-07-01 01:00"), Some(false));
        assert_eq!(represents("2016-07", "2016-07-02"), Some(false));
        assert_eq!(represents("2016-07-01 00:00", "2016-07-01 00:00:30"), Some(false));
        assert_eq!(represents("2016-07-01 00:00:00", "2016-07-01 00:00:00.5"), Some(false));
        assert_eq!(represents("2016-07-01 00:00:00.0", "2016-07-01 00:00:00.55"), Some(false));
        assert_eq!(represents("2016-07-01 00:00:00.00", "2016-07-01 00:00:00.55"), Some(true));
    }
}
