//! Scores of many series together, for those that have few of their own.

use super::neighbourhood;
use super::scores::Scores;
use crate::metrics::{MetricError, same_steps};

/// Scores that represent a step's neighbourhood, whatever the number of origins.
const REPRESENTATIVES: usize = 256;

/// A sample of bounded size of the origins of all series added, each with the same chance to be in it (Vitter 1985, "Random
/// sampling with a reservoir", algorithm R). The same series in the same order give the same sample.
///
/// Series in a stream are best added a batch at a time: first the scores of a batch, then its intervals.
#[derive(Clone, Debug)]
pub struct Pool {
    horizon: usize,
    capacity: usize,
    rows: Vec<f64>,
    seen: u64,
    random: u64,
}

impl Pool {
    /// An empty pool of at most 1,024 origins: 8 KiB per step of the horizon.
    pub fn new(horizon: usize) -> Self {
        Self { horizon, capacity: 1024, rows: Vec::new(), seen: 0, random: 0 }
    }

    /// Keeps at most so many origins; 0 counts as 1.
    #[must_use]
    pub fn with_capacity(mut self, origins: usize) -> Self {
        self.capacity = origins.max(1);
        self
    }

    /// Adds the origins of one series.
    pub fn add(&mut self, scores: &Scores) -> Result<(), MetricError> {
        same_steps(scores.horizon(), self.horizon)?;
        for row in scores.rows() {
            self.seen += 1;
            if self.origins() < self.capacity {
                self.rows.extend_from_slice(row);
                continue;
            }
            let slot = (self.next_random() % self.seen) as usize;
            if slot < self.capacity {
                self.rows[slot * self.horizon..][..self.horizon].copy_from_slice(row);
            }
        }
        Ok(())
    }

    /// The number of origins in the sample.
    pub fn origins(&self) -> usize {
        self.rows.len().checked_div(self.horizon).unwrap_or(0)
    }

    /// Sorts what was added so far: once for all series whose intervals are made from it.
    pub fn sorted(&self) -> PooledScores {
        let step = |step| {
            let steps = neighbourhood(step, self.horizon);
            let rows = self.rows.chunks_exact(self.horizon);
            let mut scores: Vec<f64> =
                rows.flat_map(|row| &row[steps.clone()]).copied().filter(|score| !score.is_nan()).collect();
            scores.sort_unstable_by(f64::total_cmp);
            let count = scores.len();
            if count > REPRESENTATIVES {
                // The last of each of so many equal parts: the largest score stays.
                let representative = |part| scores[(part + 1) * count / REPRESENTATIVES - 1];
                scores = (0..REPRESENTATIVES).map(representative).collect();
            }
            PooledStep { scores, count }
        };
        PooledScores { steps: (0..self.horizon).map(step).collect(), origins: self.origins() }
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The scores of a [`Pool`], sorted for every step.
#[derive(Clone, Debug, PartialEq)]
pub struct PooledScores {
    pub(super) steps: Vec<PooledStep>,
    pub(super) origins: usize,
}

/// Representatives of a step's scores, ascending, and how many scores they stand for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PooledStep {
    pub(super) scores: Vec<f64>,
    pub(super) count: usize,
}

impl PooledStep {
    /// How many scores each representative stands for.
    pub(super) fn weight(&self) -> f64 {
        self.count as f64 / self.scores.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::Window;

    /// Scores of origins whose context has the deviation 1 and whose one step is off by these errors.
    fn scores(errors: impl IntoIterator<Item = f64>) -> Scores {
        let mut scores = Scores::new(1);
        for error in errors {
            let window = Window { series: 0, history: &[-1.0, 1.0], context: &[-1.0, 1.0], truth: &[error] };
            scores.add(&window, &[0.0]).unwrap();
        }
        scores
    }

    #[test]
    fn a_full_pool_is_a_fair_sample_of_everything_added() {
        let mut pool = Pool::new(1).with_capacity(500);
        for series in 0..100 {
            pool.add(&scores((0..100).map(|origin| f64::from(series * 100 + origin)))).unwrap();
        }
        assert_eq!(pool.origins(), 500);
        // 10,000 numbers, of which 500 are drawn: their mean has a standard deviation of 126.
        let mean = pool.rows.iter().sum::<f64>() / 500.0;
        assert!((mean - 4999.5).abs() < 400.0, "{mean}");
    }

    #[test]
    fn representatives_keep_the_order_and_the_largest() {
        let mut pool = Pool::new(1);
        pool.add(&scores((0..1000).rev().map(f64::from))).unwrap();
        let sorted = pool.sorted();
        let step = &sorted.steps[0];
        assert_eq!((step.count, step.scores.len(), step.scores[255]), (1000, REPRESENTATIVES, 999.0));
        assert!(step.scores.is_sorted());
        // The 128th of 256 parts ends with the 500th score.
        assert_eq!(step.scores[127], 499.0);
    }

    #[test]
    fn scores_of_another_horizon_are_refused() {
        assert!(Pool::new(2).add(&scores([1.0])).is_err());
        assert_eq!(Pool::new(0).sorted().steps.len(), 0);
        Pool::new(0).add(&Scores::new(0)).unwrap();
    }
}
