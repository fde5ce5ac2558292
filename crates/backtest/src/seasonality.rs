//! How many points a season has at the usual frequencies.

/// The unit that a series' step is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds; a season is an hour.
    Second,
    /// Minutes; a season is a day.
    Minute,
    /// Hours; a season is a day.
    Hour,
    /// Days; a season is a week.
    Day,
    /// Days from Monday to Friday; a season is a week.
    BusinessDay,
    /// Weeks; a year is no whole number of them, so there is no season.
    Week,
    /// Months; a season is a year.
    Month,
    /// Quarters; a season is a year.
    Quarter,
    /// Years; there is no season.
    Year,
}

/// Points in a season of a series with one point every `count` units; 1 where there is no season, or none of a whole
/// number of points.
///
/// Source: `get_seasonality` of GluonTS (second 3600, minute 1440, hour 24, business day 5, week 1, month 12, quarter 4),
/// with 7 for days as in AutoGluon, where GluonTS has 1.
///
/// ```
/// use tmoe_backtest::seasonality::{Unit, season};
///
/// assert_eq!(season(Unit::Hour, 1), 24);
/// assert_eq!(season(Unit::Minute, 15), 96);
/// assert_eq!(season(Unit::Hour, 5), 1); // no whole number of points in a day
/// ```
pub const fn season(unit: Unit, count: usize) -> usize {
    let points: usize = match unit {
        Unit::Second => 3600,
        Unit::Minute => 1440,
        Unit::Hour => 24,
        Unit::Day => 7,
        Unit::BusinessDay => 5,
        Unit::Month => 12,
        Unit::Quarter => 4,
        Unit::Week | Unit::Year => 1,
    };
    match points.checked_rem(count) {
        Some(0) => points / count,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_several_units_divides_the_season() {
        let found = [
            season(Unit::Second, 10),
            season(Unit::Minute, 1),
            season(Unit::Day, 1),
            season(Unit::Day, 7),
            season(Unit::BusinessDay, 1),
            season(Unit::Week, 1),
            season(Unit::Month, 3),
            season(Unit::Quarter, 1),
            season(Unit::Year, 1),
            season(Unit::Hour, 0),
        ];
        assert_eq!(found, [360, 1440, 7, 1, 5, 1, 4, 4, 1, 1]);
    }
}
