//! How many points a season has on a time axis.

use tmoe_backtest::seasonality::{Unit, season};
use tmoe_data::{Frequency, TimeSeries};

/// Points in a season of a series: as many as were given, or the usual number at its frequency. 1, which is no season, on an axis of
/// whole numbers or without one.
pub(super) fn of(series: &TimeSeries, given: Option<usize>) -> usize {
    given.unwrap_or_else(|| series.frequency.map_or(1, at))
}

fn at(frequency: Frequency) -> usize {
    match frequency {
        Frequency::Integer(_) => 1,
        Frequency::Elapsed(step) => {
            let units = [(Unit::Day, 86_400), (Unit::Hour, 3_600), (Unit::Minute, 60), (Unit::Second, 1)];
            let nanoseconds = step.as_nanos();
            let whole = |&(_, seconds): &(Unit, i128)| nanoseconds % (seconds * 1_000_000_000) == 0;
            units.into_iter().find(whole).map_or(1, |(unit, seconds)| {
                season(unit, usize::try_from(nanoseconds / (seconds * 1_000_000_000)).unwrap_or(0))
            })
        }
        Frequency::BusinessDays => season(Unit::BusinessDay, 1),
        // A quarter is three of them and a year twelve, with as many points in a year.
        Frequency::Months { count, .. } => season(Unit::Month, usize::try_from(count).unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_are_those_of_the_usual_frequencies() {
        let expected = [
            ("h", 24),
            ("15min", 96),
            ("90min", 16),
            ("2h", 12),
            ("5h", 1),
            ("min", 1440),
            ("10s", 360),
            ("D", 7),
            ("2D", 1),
            ("W", 1),
            ("B", 5),
            ("MS", 12),
            ("ME", 12),
            ("QE", 4),
            ("YE", 1),
        ];
        for (text, season) in expected {
            let frequency: Frequency = text.parse().unwrap();
            assert_eq!(at(frequency), season, "{text}");
        }
        assert_eq!(at(Frequency::Integer(5)), 1);
    }
}
