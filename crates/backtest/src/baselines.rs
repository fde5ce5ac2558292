//! Forecasts that a model must beat: the naive and the seasonal naive.
//!
//! Source: Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, section 5.2.

/// The last known point, at every step. NaN where no point of the history is known.
pub fn naive(history: &[f64], horizon: usize) -> Vec<f64> {
    vec![last_known(history); horizon]
}

/// The point one season earlier, at every step; beyond one season the forecast repeats itself. A missing point is taken
/// from the season before it, and so on; where no season has it, or the history has less than one season, the step gets
/// the last known point. A season of 0 counts as 1.
///
/// ```
/// use tmoe_backtest::baselines::seasonal_naive;
///
/// let nan = f64::NAN;
/// assert_eq!(seasonal_naive(&[1.0, 2.0, 3.0, nan, 5.0, 6.0], 3, 4), [1.0, 5.0, 6.0, 1.0]);
/// ```
pub fn seasonal_naive(history: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    let season = season.max(1);
    let last = last_known(history);
    let cycle: Vec<f64> = (0..season.min(horizon))
        .map(|step| {
            // Newest first: the points that lie whole seasons before this step.
            let newest = (history.len() + step).checked_sub(season);
            let same_season = newest.and_then(|newest| history.get(..=newest));
            let known = same_season
                .and_then(|points| points.iter().rev().step_by(season).find(|value| !value.is_nan()));
            known.copied().unwrap_or(last)
        })
        .collect();
    cycle.iter().copied().cycle().take(horizon).collect()
}

fn last_known(history: &[f64]) -> f64 {
    history.iter().copied().rev().find(|value| !value.is_nan()).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_naive_forecast_is_the_last_known_point() {
        assert_eq!(naive(&[1.0, 4.0, f64::NAN], 3), [4.0; 3]);
        assert!(naive(&[f64::NAN], 2).iter().all(|value| value.is_nan()));
        assert_eq!(naive(&[], 0), [0.0; 0]);
    }

    #[test]
    fn a_history_shorter_than_a_season_gives_what_it_has() {
        // Steps one and two lie before the history began, the third is its first point.
        assert_eq!(seasonal_naive(&[7.0, 8.0], 4, 5), [8.0, 8.0, 7.0, 8.0, 8.0]);
        assert_eq!(seasonal_naive(&[7.0, 8.0], 0, 2), [8.0, 8.0]);
        assert!(seasonal_naive(&[], 3, 2).iter().all(|value| value.is_nan()));
        assert_eq!(seasonal_naive(&[1.0], usize::MAX, 2), [1.0, 1.0]);
    }

    proptest! {
        #[test]
        fn every_step_is_the_newest_known_point_whole_seasons_before(
            history in proptest::collection::vec(prop_oneof![3 => -9.0..9.0, 1 => Just(f64::NAN)], 1..30),
            season in 1_usize..9,
            horizon in 1_usize..20,
        ) {
            let forecast = seasonal_naive(&history, season, horizon);
            prop_assert_eq!(forecast.len(), horizon);
            let length = history.len() as isize;
            for (step, found) in forecast.iter().enumerate() {
                let mut index = length + step as isize - season as isize;
                while index >= 0 && (index >= length || history[index as usize].is_nan()) {
                    index -= season as isize;
                }
                let expected = if index >= 0 { history[index as usize] } else { last_known(&history) };
                prop_assert!(*found == expected || (found.is_nan() && expected.is_nan()));
            }
        }
    }
}
