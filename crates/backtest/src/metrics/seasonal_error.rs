//! The scale of MASE: how far the seasonal naive forecast is off within the history.

/// Mean absolute differences of a series to itself one season earlier, for every forecast origin at once: the sums are
/// made in one pass, so that many windows of one series cost no more than one.
///
/// ```
/// use tmoe_backtest::metrics::SeasonalErrors;
///
/// let errors = SeasonalErrors::new(&[1.0, 5.0, 2.0, 7.0, 9.0], 2);
/// assert_eq!(errors.before(4), Some(1.5)); // |2 - 1| and |7 - 5|
/// assert_eq!(errors.before(2), Some(4.0)); // no season before: |5 - 1|
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SeasonalErrors {
    season: usize,
    seasonal: Vec<(f64, usize)>,
    naive: Vec<(f64, usize)>,
}

impl SeasonalErrors {
    /// Of a series whose seasons have `season` points; 0 counts as 1.
    pub fn new(values: &[f64], season: usize) -> Self {
        let season = season.max(1);
        let naive = sums(values, 1);
        let seasonal = if season == 1 { Vec::new() } else { sums(values, season) };
        Self { season, seasonal, naive }
    }

    /// `mean(|y[t] - y[t - season]|)` over the points before `origin`; pairs with a missing point do not count. Where
    /// the history is not longer than a season, the difference is to the point before instead. `None` where there is no
    /// pair, and where the history repeats itself exactly, so that the mean is zero.
    ///
    /// Source: Hyndman and Koehler 2006; the shorter history as in GluonTS (`calculate_seasonal_error`).
    pub fn before(&self, origin: usize) -> Option<f64> {
        let sums = if self.season == 1 || origin <= self.season { &self.naive } else { &self.seasonal };
        let &(sum, pairs) = sums.get(origin).or(sums.last())?;
        (pairs > 0 && sum > 0.0).then(|| sum / pairs as f64)
    }
}

/// Sum and number of the differences among the first n values, for n from 0 to all.
fn sums(values: &[f64], season: usize) -> Vec<(f64, usize)> {
    let mut total = (0.0, 0);
    let mut sums = vec![total];
    for (index, value) in values.iter().enumerate() {
        if let Some(before) = index.checked_sub(season) {
            let difference = (value - values[before]).abs();
            if !difference.is_nan() {
                total = (total.0 + difference, total.1 + 1);
            }
        }
        sums.push(total);
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn there_is_no_scale_without_a_difference() {
        assert_eq!(SeasonalErrors::new(&[], 3).before(7), None);
        assert_eq!(SeasonalErrors::new(&[1.0], 1).before(1), None);
        assert_eq!(SeasonalErrors::new(&[4.0; 9], 1).before(9), None);
        assert_eq!(SeasonalErrors::new(&[1.0, 2.0, 1.0, 2.0, 1.0], 2).before(5), None);
        assert_eq!(SeasonalErrors::new(&[1.0, f64::NAN, 2.0, f64::NAN], 1).before(4), None);
    }

    proptest! {
        #[test]
        fn every_origin_has_the_mean_of_its_own_history(
            values in proptest::collection::vec(prop_oneof![4 => -50.0..50.0, 1 => Just(f64::NAN)], 2..40),
            season in 1_usize..8,
            origin in 2_usize..40,
        ) {
            let origin = origin.min(values.len());
            let step = if season < origin { season } else { 1 };
            let history = &values[..origin];
            let differences: Vec<f64> = history
                .iter()
                .zip(&history[step..])
                .map(|(a, b): (&f64, &f64)| (a - b).abs())
                .filter(|difference| !difference.is_nan())
                .collect();
            let expected = differences.iter().sum::<f64>() / differences.len() as f64;
            match SeasonalErrors::new(&values, season).before(origin) {
                Some(found) => prop_assert!((found - expected).abs() < 1e-9),
                None => prop_assert!(differences.is_empty() || expected == 0.0),
            }
        }
    }
}
