//! Where the ticks of an axis are, and what they say.

use jiff::civil::DateTime;
use tmoe_data::{TimeColumn, TimeValues};

/// A tick of the time axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TimeTick {
    /// The point it stands at, counted from the start of the panel.
    pub(super) position: usize,
    /// What it says, such as `06:00` or `2 Jul`.
    pub(super) label: String,
    /// What that is part of, such as the day or the year, on the first tick and where it changes.
    pub(super) within: Option<String>,
}

/// A tick of the value axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueTick {
    pub(super) value: f64,
    pub(super) label: String,
}

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;

/// The distance between two ticks of the calendar.
#[derive(Debug, Clone, Copy)]
enum Unit {
    /// Nanoseconds, at most four days.
    Duration(i128),
    /// Weeks beginning on Monday.
    Weeks(i128),
    Months(i128),
    Years(i128),
}

#[rustfmt::skip]
const UNITS: [Unit; 36] = {
    use Unit::{Duration as D, Months as M, Weeks as W, Years as Y};
    [
        D(SECOND / 1000), D(SECOND / 100), D(SECOND / 10),
        D(SECOND), D(2 * SECOND), D(5 * SECOND), D(10 * SECOND), D(15 * SECOND), D(30 * SECOND),
        D(MINUTE), D(2 * MINUTE), D(5 * MINUTE), D(10 * MINUTE), D(15 * MINUTE), D(30 * MINUTE),
        D(HOUR), D(2 * HOUR), D(3 * HOUR), D(6 * HOUR), D(12 * HOUR),
        D(DAY), D(2 * DAY), D(4 * DAY), W(1), W(2), M(1), M(2), M(3), M(6),
        Y(1), Y(2), Y(5), Y(10), Y(20), Y(50), Y(100),
    ]
};

impl Unit {
    /// The number of the interval that a time lies in; it changes where a tick belongs.
    fn interval(self, at: DateTime) -> i128 {
        let elapsed = at.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_nanos();
        let month = i128::from(at.year()) * 12 + i128::from(at.month()) - 1;
        match self {
            Self::Duration(length) => elapsed.div_euclid(length),
            // 1 January 1970 was a Thursday.
            Self::Weeks(count) => (elapsed + 3 * DAY).div_euclid(7 * DAY * count),
            Self::Months(count) => month.div_euclid(count),
            Self::Years(count) => i128::from(at.year()).div_euclid(count),
        }
    }

    fn label(self, at: DateTime) -> String {
        let format = match self {
            Self::Duration(length) if length < SECOND => "%H:%M:%S%.3f",
            Self::Duration(length) if length < MINUTE => "%H:%M:%S",
            Self::Duration(length) if length < DAY => "%H:%M",
            Self::Duration(_) | Self::Weeks(_) => "%-d %b",
            Self::Months(_) => "%b",
            Self::Years(_) => "%Y",
        };
        at.strftime(format).to_string()
    }

    fn within(self, at: DateTime) -> Option<String> {
        let format = match self {
            Self::Duration(length) if length < DAY => "%-d %b %Y",
            Self::Duration(_) | Self::Weeks(_) | Self::Months(_) => "%Y",
            Self::Years(_) => return None,
        };
        Some(at.strftime(format).to_string())
    }
}

/// At most `most` ticks for the time stamps of a panel, at round dates, times or numbers.
pub(super) fn time_ticks(history: &TimeColumn, forecast: &TimeColumn, most: usize) -> Vec<TimeTick> {
    let stamps = || {
        let of =
            |column: &TimeColumn| (0..column.len()).map_while(|row| column.civil(row)).collect::<Vec<_>>();
        [of(history), of(forecast)].concat()
    };
    let numbers = |column: &TimeColumn| match column.values() {
        TimeValues::Integer(values) => Some(values.clone()),
        _ => None,
    };
    match (numbers(history), numbers(forecast)) {
        (None, None) => calendar_ticks(&stamps(), most),
        (Some(past), Some(future)) => integer_ticks(&[past, future].concat(), most),
        // A history whose time stamps could not be continued: count from the start of the forecast.
        (None, Some(future)) => {
            let past = i64::try_from(history.len()).unwrap_or(i64::MAX);
            let past = (0..past).map(|row| row.saturating_add(1).saturating_sub(past)).collect();
            integer_ticks(&[past, future].concat(), most)
        }
        (Some(_), None) => Vec::new(),
    }
}

fn calendar_ticks(stamps: &[DateTime], most: usize) -> Vec<TimeTick> {
    let before = before_first(stamps, |a, b| a.checked_sub(b.duration_since(*a)).ok());
    let positions = |unit: Unit| changes(before, stamps, |at| unit.interval(*at));
    let candidates = UNITS.iter().map(|unit| (*unit, positions(*unit)));
    let Some((unit, positions)) = candidates.into_iter().find(|(_, positions)| positions.len() <= most)
    else {
        return Vec::new();
    };
    let mut shown = None;
    let ticks = spaced(positions, stamps.len(), most).into_iter().filter_map(|position| {
        let at = *stamps.get(position)?;
        let within = unit.within(at).filter(|within| shown.as_ref() != Some(within));
        shown = within.clone().or(shown.take());
        Some(TimeTick { position, label: unit.label(at), within })
    });
    ticks.collect()
}

fn integer_ticks(values: &[i64], most: usize) -> Vec<TimeTick> {
    let steps =
        (0..19).flat_map(|power| [1, 2, 5].map(|digit| i64::checked_mul(digit, 10_i64.checked_pow(power)?)));
    let before = before_first(values, |a, b| a.checked_sub(b.checked_sub(*a)?));
    for step in steps.flatten() {
        let positions = changes(before, values, |value| value.div_euclid(step));
        if positions.len() <= most {
            let label = |position| values.get(position).map(ToString::to_string).unwrap_or_default();
            let ticks = spaced(positions, values.len(), most).into_iter();
            return ticks
                .map(|position| TimeTick { position, label: label(position), within: None })
                .collect();
        }
    }
    Vec::new()
}

/// The value that would stand before the first one, one step earlier.
fn before_first<T>(values: &[T], step_back: impl Fn(&T, &T) -> Option<T>) -> Option<T> {
    step_back(values.first()?, values.get(1)?)
}

/// The positions at which a key changes; `before` is what the first value is compared with.
fn changes<T, K: PartialEq>(before: Option<T>, values: &[T], key: impl Fn(&T) -> K) -> Vec<usize> {
    let mut last = before.as_ref().or(values.first()).map(&key);
    let mut positions = Vec::new();
    for (position, value) in values.iter().enumerate() {
        let key = Some(key(value));
        if key != last {
            positions.push(position);
            last = key;
        }
    }
    positions
}

/// Drops ticks whose labels would touch, where points are unevenly spaced in time.
fn spaced(positions: Vec<usize>, points: usize, most: usize) -> Vec<usize> {
    let gap = points / most.saturating_mul(2).max(1);
    let mut last = None;
    let keep = |position: &usize| {
        let fits = last.is_none_or(|last| *position >= last + gap);
        if fits {
            last = Some(*position);
        }
        fits
    };
    positions.into_iter().filter(keep).collect()
}

/// About `wanted` ticks at round values between `low` and `high`.
pub(super) fn value_ticks(low: f64, high: f64, wanted: u32) -> Vec<ValueTick> {
    let rough = (high - low) / f64::from(wanted.max(1));
    if !(rough.is_finite() && rough > 0.0) {
        return Vec::new();
    }
    let power = rough.log10().floor();
    let magnitude = 10_f64.powf(power);
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(|factor| factor * magnitude >= rough).unwrap_or(10.0);
    let step = factor * magnitude;
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).clamp(0.0, 100.0) as u32;
    let ticks = (0..=count).map(|index| {
        // The sum could be a negative zero.
        let value = (first + f64::from(index)) * step + 0.0;
        ValueTick { value, label: value_label(value, step, low.abs().max(high.abs())) }
    });
    ticks.filter(|tick| tick.value >= low && tick.value <= high).collect()
}

/// A value with as many decimals as tell `step` apart, in exponent form when `largest` is far from 1.
pub(super) fn value_label(value: f64, step: f64, largest: f64) -> String {
    let decimals = |step: f64| {
        let power = -step.log10().floor();
        // Steps of 2.5 and 0.25 need one digit more.
        let one_more = (step * 10_f64.powf(power)).fract().abs() > 1e-6;
        (power + f64::from(u8::from(one_more))).clamp(0.0, 12.0) as usize
    };
    let text = if largest >= 1e6 || (largest < 1e-3 && largest > 0.0) {
        let scale = 10_f64.powf(largest.log10().floor());
        format!("{value:.0$e}", decimals(step / scale))
    } else {
        format!("{value:.0$}", decimals(step))
    };
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmoe_data::Frequency;

    fn ticks(start: &[&str], count: usize, most: usize) -> Vec<String> {
        let start = TimeColumn::from_texts("t", start.iter().copied()).expect("valid");
        let frequency = Frequency::infer(&start).expect("regular");
        let rest = start.continue_by(frequency, count).expect("in range");
        time_ticks(&start, &rest, most)
            .into_iter()
            .map(|tick| match tick.within {
                Some(within) => format!("{}:{}|{within}", tick.position, tick.label),
                None => format!("{}:{}", tick.position, tick.label),
            })
            .collect()
    }

    #[test]
    fn ticks_stand_at_round_times_and_name_the_day_or_year_once() {
        assert_eq!(
            ticks(&["2018-06-25 20:00", "2018-06-25 21:00"], 30, 4),
            ["4:00:00|26 Jun 2018", "16:12:00", "28:00:00|27 Jun 2018"]
        );
        assert_eq!(
            ticks(&["2018-12-28", "2018-12-29"], 8, 5),
            ["1:29 Dec|2018", "3:31 Dec", "5:2 Jan|2019", "7:4 Jan", "9:6 Jan"]
        );
        assert_eq!(ticks(&["2018-11", "2018-12"], 5, 4), ["0:Nov|2018", "2:Jan|2019", "4:Mar", "6:May"]);
        assert_eq!(ticks(&["1990-12-31", "1991-12-31"], 20, 3), ["0:1990", "10:2000", "20:2010"]);
    }

    #[test]
    fn integer_ticks_are_round_numbers() {
        assert_eq!(ticks(&["-47", "-46"], 60, 4), ["7:-40", "27:-20", "47:0"]);
        assert_eq!(ticks(&["900", "1800"], 4, 8).len(), 6);
    }

    #[test]
    fn value_ticks_are_round_and_within_the_range() {
        let labels =
            |low, high| value_ticks(low, high, 5).into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(-3.2, 12.9), ["0", "5", "10"]);
        assert_eq!(labels(-0.11, 0.12), ["\u{2212}0.10", "\u{2212}0.05", "0.00", "0.05", "0.10"]);
        assert_eq!(labels(0.0, 11.0), ["0.0", "2.5", "5.0", "7.5", "10.0"]);
        assert_eq!(labels(0.0, 4e7), ["0e0", "1e7", "2e7", "3e7", "4e7"]);
        assert!(labels(1.0, 1.0).is_empty());
        assert!(labels(f64::NAN, 1.0).is_empty());
    }
}
