//! From scores to intervals and quantiles.

use super::neighbourhood;
use super::pool::PooledScores;
use super::scores::{Scale, Scores};
use crate::metrics::{MetricError, same_steps};

/// The scores of other series count together as those of so many origins.
const POOLED_ORIGINS: f64 = 2.0;

/// Lower and upper bound of a prediction interval, one per step.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// Lower bounds.
    pub lower: Vec<f64>,
    /// Upper bounds.
    pub upper: Vec<f64>,
}

/// How far a series will be from its forecast: all intervals and quantiles of one forecast, at every step.
///
/// ```
/// use tmoe_backtest::conformal::{Calibration, Distribution, Scale, Scores};
/// use tmoe_backtest::baselines::naive;
///
/// let history: Vec<f64> = (0..200).map(|hour| f64::from(hour * 7 % 24)).collect();
/// let mut scores = Scores::new(4);
/// for window in Calibration::new(48, 4).windows(0, &history) {
///     scores.add(&window, &naive(window.context, 4))?; // a model would forecast all of them at once
/// }
/// let scale = Scale::of(&history, &history[200 - 48..]);
/// let distribution = Distribution::new(&scores, None, scale).expect("the history is long enough");
/// let forecast = naive(&history, 4);
/// let interval = distribution.interval(0.95, &forecast)?;
/// assert!(interval.lower[0] < forecast[0] && forecast[0] < interval.upper[0]);
/// assert_eq!(distribution.quantile(0.975, &forecast)?, interval.upper);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    scale: f64,
    steps: Vec<Step>,
}

/// Ascending scores, each with the share of the weight up to and including it. What is missing to 1 is the weight of the
/// score to come, which may be beyond all of them.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    scores: Vec<(f64, f64)>,
}

impl Distribution {
    /// From a series' own scores, those of other series, and the scale of the context that the forecast is made from.
    ///
    /// `None` where a step has no score at all: the series is too short and there is no pool.
    pub fn new(own: &Scores, pool: Option<&PooledScores>, scale: Scale) -> Option<Self> {
        let horizon = own.horizon();
        // A pool of the series' own scores alone has nothing to add to them.
        let pool = pool.filter(|pool| pool.origins > own.origins() && pool.steps.len() == horizon);
        let step = |step| {
            let steps = neighbourhood(step, horizon);
            let scores = own.rows().flat_map(|row| &row[steps.clone()]).copied();
            let mut scores: Vec<f64> = scores.filter(|score| !score.is_nan()).collect();
            scores.sort_unstable_by(f64::total_cmp);
            let pooled =
                pool.map(|pool| (&pool.steps[step], (POOLED_ORIGINS / pool.origins as f64).min(1.0)));
            let (others, weight) = match pooled {
                Some((others, of_one)) => (&others.scores[..], of_one * others.weight()),
                None => (&[][..], 0.0),
            };
            Step::merged(&scores, others, weight)
        };
        let steps: Option<Vec<Step>> = (0..horizon).map(step).collect();
        Some(Self { scale: scale.value(), steps: steps? })
    }

    /// Half the width of the interval of a level between 0 and 1, at a step (from 0), in the unit of the series. It grows
    /// with the level. Levels beyond what the scores can tell get the largest score; `None` beyond the horizon.
    pub fn half_width(&self, level: f64, step: usize) -> Option<f64> {
        self.steps.get(step).map(|step| step.quantile(level) * self.scale)
    }

    /// The interval of a level such as 0.95 around a forecast.
    pub fn interval<T: Copy + Into<f64>>(&self, level: f64, forecast: &[T]) -> Result<Interval, MetricError> {
        let half_widths = self.half_widths(level, forecast.len())?;
        let bound = |side: f64| shifted(forecast, side, &half_widths);
        Ok(Interval { lower: bound(-1.0), upper: bound(1.0) })
    }

    /// The quantile of a level between 0 and 1: the forecast itself at 0.5, the bounds of the 95 % interval at 0.025 and
    /// 0.975. Quantiles of two levels never cross.
    pub fn quantile<T: Copy + Into<f64>>(&self, level: f64, forecast: &[T]) -> Result<Vec<f64>, MetricError> {
        let half_widths = self.half_widths((2.0 * level - 1.0).abs(), forecast.len())?;
        let side = if level < 0.5 { -1.0 } else { 1.0 };
        Ok(shifted(forecast, side, &half_widths))
    }

    /// One for each of so many steps, which must be all.
    fn half_widths(&self, level: f64, steps: usize) -> Result<Vec<f64>, MetricError> {
        same_steps(steps, self.steps.len())?;
        Ok(self.steps.iter().map(|step| step.quantile(level) * self.scale).collect())
    }
}

/// A forecast, each point moved to a side by half a width.
fn shifted<T: Copy + Into<f64>>(forecast: &[T], side: f64, half_widths: &[f64]) -> Vec<f64> {
    forecast.iter().zip(half_widths).map(|(&point, half)| point.into() + side * half).collect()
}

impl Step {
    /// From a series' own scores, of weight 1, and those of others, of this weight; both ascend.
    fn merged(own: &[f64], others: &[f64], weight: f64) -> Option<Self> {
        // The score to come has the weight of one of the series' own.
        let total = own.len() as f64 + weight * others.len() as f64 + 1.0;
        let (mut own, mut others) = (own.iter().peekable(), others.iter().peekable());
        let mut sum = 0.0;
        let mut scores = Vec::with_capacity(own.len() + others.len());
        loop {
            let is_own = match (own.peek(), others.peek()) {
                (Some(own), Some(other)) => own <= other,
                (own, None) => own.is_some(),
                (None, Some(_)) => false,
            };
            let Some(&score) = (if is_own { own.next() } else { others.next() }) else { break };
            sum += if is_own { 1.0 } else { weight };
            scores.push((score, sum / total));
        }
        (!scores.is_empty()).then_some(Self { scores })
    }

    /// The smallest score with at least this share of the weight: of n scores of equal weight, that of rank
    /// `ceil((n + 1) level)`, of which the rounding of levels such as 0.95 must not make the next.
    fn quantile(&self, level: f64) -> f64 {
        if level <= 1e-9 {
            return 0.0;
        }
        let rank = self.scores.partition_point(|&(_, share)| share < level - 1e-9);
        self.scores.get(rank).or(self.scores.last()).map_or(0.0, |&(score, _)| score)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;

    use super::super::pool::Pool;
    use super::*;
    use crate::windows::Window;

    const UNIT: [f64; 2] = [-1.0, 1.0];

    fn unit() -> Scale {
        Scale::of(&UNIT, &UNIT)
    }

    /// Scores that are the errors themselves.
    fn scores(horizon: usize, origins: &[Vec<f64>]) -> Scores {
        let mut scores = Scores::new(horizon);
        for truth in origins {
            scores
                .add(&Window { series: 0, history: &UNIT, context: &UNIT, truth }, &vec![0.0; horizon])
                .unwrap();
        }
        scores
    }

    fn one_step(errors: impl IntoIterator<Item = f64>) -> Scores {
        scores(1, &errors.into_iter().map(|error| vec![error]).collect::<Vec<_>>())
    }

    #[test]
    fn nineteen_scores_give_the_95_percent_interval_their_largest() {
        let distribution = Distribution::new(&one_step((1..=19).map(f64::from)), None, unit()).unwrap();
        let half_widths =
            [0.05, 0.5, 0.9, 0.95, 0.99].map(|level| distribution.half_width(level, 0).unwrap());
        assert_eq!(half_widths, [1.0, 10.0, 18.0, 19.0, 19.0]);
        assert_eq!(distribution.half_width(0.5, 1), None);
    }

    #[test]
    fn neighbouring_steps_share_scores() {
        assert_eq!(
            [0, 1, 2, 14, 40, 95].map(|step| neighbourhood(step, 96)),
            [0..2, 0..3, 0..5, 6..23, 32..49, 87..96]
        );
        let own = scores(3, &[vec![1.0, f64::NAN, 3.0]]);
        let distribution = Distribution::new(&own, None, unit()).unwrap();
        assert_eq!([0, 1, 2].map(|step| distribution.half_width(0.9, step).unwrap()), [1.0, 3.0, 3.0]);
    }

    #[test]
    fn a_series_without_scores_has_those_of_the_pool() {
        let nothing = Scores::new(1);
        assert_eq!(Distribution::new(&nothing, None, unit()), None);
        assert_eq!(Distribution::new(&nothing, Some(&Pool::new(1).sorted()), unit()), None);
        let mut pool = Pool::new(1);
        pool.add(&one_step((1..=1000).map(f64::from))).unwrap();
        let wide = Distribution::new(&nothing, Some(&pool.sorted()), unit()).unwrap();
        // Two origins' weight, and one of the score to come: half of all is three quarters of the pool's.
        assert!((wide.half_width(0.5, 0).unwrap() - 750.0).abs() < 5.0);
        assert_eq!(wide.half_width(0.9, 0), Some(1000.0));
    }

    #[test]
    fn the_pool_hardly_moves_a_series_with_many_scores_of_its_own() {
        let own = one_step((1..=998).map(f64::from));
        let mut pool = Pool::new(1);
        pool.add(&one_step([1e6; 1024])).unwrap();
        let distribution = Distribution::new(&own, Some(&pool.sorted()), unit()).unwrap();
        // 998 + 2 + 1 weights: 0.95 of them is 950.95.
        assert_eq!(distribution.half_width(0.95, 0), Some(951.0));
        assert_eq!(distribution.half_width(0.999, 0), Some(1e6));
    }

    #[test]
    fn a_forecast_of_another_length_is_refused() {
        let distribution = Distribution::new(&one_step([1.0]), None, unit()).unwrap();
        assert!(distribution.interval::<f64>(0.9, &[]).is_err());
        assert!(distribution.quantile(0.9, &[1.0, 2.0]).is_err());
    }

    /// The guarantee of split conformal prediction, on scores that are exchangeable: of 40 numbers in random order, the first
    /// 39 calibrate and the last is the one to come.
    #[test]
    fn exchangeable_errors_are_covered_as_often_as_the_level_says() {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let order = Just((0..40).map(f64::from).collect::<Vec<f64>>()).prop_shuffle();
        let mut covered = 0;
        let runs = 4000;
        for _ in 0..runs {
            let order = order.new_tree(&mut runner).unwrap().current();
            let distribution =
                Distribution::new(&one_step(order[..39].iter().copied()), None, unit()).unwrap();
            covered += usize::from(order[39] <= distribution.half_width(0.9, 0).unwrap());
        }
        // Exactly 36 of 40 ranks are covered; four standard deviations of the sample are 0.019.
        let coverage = covered as f64 / f64::from(runs);
        assert!((coverage - 0.9).abs() < 0.019, "{coverage}");
    }

    fn errors(horizon: usize) -> impl Strategy<Value = Vec<Vec<f64>>> {
        let error = prop_oneof![5 => -20.0..20.0, 1 => Just(f64::NAN)];
        proptest::collection::vec(proptest::collection::vec(error, horizon), 0..12)
    }

    proptest! {
        #[test]
        fn quantiles_never_cross_and_intervals_nest_around_the_forecast(
            own in errors(5), other in errors(5), mut levels in proptest::collection::vec(0.0_f64..1.0, 2..6),
        ) {
            let own = scores(5, &own);
            let mut pool = Pool::new(5);
            pool.add(&own).unwrap();
            pool.add(&scores(5, &other)).unwrap();
            if let Some(distribution) = Distribution::new(&own, Some(&pool.sorted()), unit()) {
                levels.sort_unstable_by(f64::total_cmp);
                let forecast = [3.0, -1.0, 0.0, 8.0, 2.5];
                prop_assert_eq!(&distribution.quantile(0.5, &forecast).unwrap(), &forecast);
                for pair in levels.windows(2) {
                    let [low, high] = [0, 1].map(|index| distribution.quantile(pair[index], &forecast).unwrap());
                    prop_assert!(low.iter().zip(&high).all(|(low, high)| low <= high));
                    let [narrow, wide] = [0, 1].map(|index| distribution.interval(pair[index], &forecast).unwrap());
                    for (step, point) in forecast.iter().enumerate() {
                        prop_assert!(wide.lower[step] <= narrow.lower[step] && narrow.lower[step] <= *point);
                        prop_assert!(*point <= narrow.upper[step] && narrow.upper[step] <= wide.upper[step]);
                    }
                }
            }
        }

        /// The definition for equal weights: the ceil((n + 1) p)-th smallest of the neighbourhood's n errors.
        #[test]
        fn the_own_scores_alone_give_the_rank_of_split_conformal_prediction(own in errors(7), percent in 1_u32..100) {
            if let Some(distribution) = Distribution::new(&scores(7, &own), None, unit()) {
                for step in 0..7_usize {
                    let reach = (step / 2 + 1).min(8);
                    let mut near: Vec<f64> = own
                        .iter()
                        .flat_map(|row| row.iter().enumerate())
                        .filter(|(other, error)| other.abs_diff(step) <= reach && !error.is_nan())
                        .map(|(_, error)| error.abs())
                        .collect();
                    near.sort_unstable_by(f64::total_cmp);
                    let rank = ((near.len() as u32 + 1) * percent).div_ceil(100) as usize;
                    let expected = near[rank.min(near.len()) - 1];
                    let found = distribution.half_width(f64::from(percent) / 100.0, step);
                    prop_assert_eq!(found, Some(expected));
                }
            }
        }
    }
}
