//! What waits for the model, and what runs next: rows of many requests, grouped by the pass that they need.
//!
//! Nothing here knows threads or clocks: the time is an argument, so that every decision can be tested.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Rows of the same shape can share a pass: the order of heads, and with it the forecast, depends on the number of points that are
/// forecast, so no row's forecast depends on which others it is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// Points asked for.
    pub horizon: usize,
    /// Missing points at the end of the context, which are forecast first.
    pub trailing: usize,
}

/// When rows become a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Points of context of one batch, padding included, at most; a single row may have more.
    pub points: usize,
    /// Rows of one batch, at most; 0 counts as 1.
    pub rows: usize,
    /// How long a row waits for others to join it.
    pub wait: Duration,
}

/// One series that waits to be forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<T> {
    /// Which request it belongs to.
    pub owner: u64,
    /// What it can be run with.
    pub shape: Shape,
    /// Points of its context.
    pub length: usize,
    /// Since when it waits.
    pub since: Instant,
    /// What it carries.
    pub payload: T,
}

/// What a worker does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<T> {
    /// Run these rows, all of one shape.
    Batch(Vec<Row<T>>),
    /// Look again at this time, or when rows arrive.
    At(Instant),
    /// Wait for rows.
    Nothing,
}

#[derive(Debug)]
struct Group<T> {
    rows: VecDeque<Row<T>>,
    points: usize,
}

/// Rows in the order of their arrival, per shape.
#[derive(Debug)]
pub struct Queue<T> {
    groups: BTreeMap<Shape, Group<T>>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { groups: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    /// Adds a row.
    pub fn push(&mut self, row: Row<T>) {
        let group =
            self.groups.entry(row.shape).or_insert_with(|| Group { rows: VecDeque::new(), points: 0 });
        group.points += row.length;
        group.rows.push_back(row);
    }

    /// Rows that wait.
    pub fn rows(&self) -> usize {
        self.groups.values().map(|group| group.rows.len()).sum()
    }

    /// Points of context that wait.
    pub fn points(&self) -> usize {
        self.groups.values().map(|group| group.points).sum()
    }

    /// Takes out all rows of a request that nobody waits for any more.
    pub fn remove(&mut self, owner: u64) {
        self.groups.retain(|_, group| {
            group.rows.retain(|row| row.owner != owner);
            group.points = group.rows.iter().map(|row| row.length).sum();
            !group.rows.is_empty()
        });
    }

    /// The next batch: that of the row that has waited longest, if it has waited long enough or if there is no reason to wait
    /// (`hurry`); else that of a shape whose rows fill a batch.
    pub fn next(&mut self, policy: &Policy, now: Instant, hurry: bool) -> Next<T> {
        let oldest = |group: &Group<T>| group.rows.front().map(|row| row.since);
        let Some((first, since)) = self
            .groups
            .iter()
            .filter_map(|(shape, group)| Some((*shape, oldest(group)?)))
            .min_by_key(|&(_, since)| since)
        else {
            return Next::Nothing;
        };
        let due = since + policy.wait;
        if hurry || now >= due {
            return Next::Batch(self.take(first, policy));
        }
        let full = self
            .groups
            .iter()
            .filter(|(_, group)| group.points >= policy.points || group.rows.len() >= policy.rows.max(1))
            .filter_map(|(shape, group)| Some((*shape, oldest(group)?)))
            .min_by_key(|&(_, since)| since);
        match full {
            Some((shape, _)) => Next::Batch(self.take(shape, policy)),
            None => Next::At(due),
        }
    }

    /// Takes the first row of a shape, and of the others, in their order, those that fit beside it. A row that does not fit keeps its
    /// place, and is the first in its turn.
    fn take(&mut self, shape: Shape, policy: &Policy) -> Vec<Row<T>> {
        let Some(group) = self.groups.get_mut(&shape) else { return Vec::new() };
        let (mut batch, mut longest) = (Vec::new(), 0);
        let mut left = VecDeque::new();
        for row in group.rows.drain(..) {
            let widest = longest.max(row.length);
            let fits = batch.len() < policy.rows && widest.saturating_mul(batch.len() + 1) <= policy.points;
            if batch.is_empty() || fits {
                longest = widest;
                batch.push(row);
            } else {
                left.push_back(row);
            }
        }
        group.points = left.iter().map(|row| row.length).sum();
        group.rows = left;
        if group.rows.is_empty() {
            self.groups.remove(&shape);
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: Policy = Policy { points: 100, rows: 8, wait: Duration::from_millis(10) };

    fn row(owner: u64, horizon: usize, length: usize, since: Instant) -> Row<()> {
        Row { owner, shape: Shape { horizon, trailing: 0 }, length, since, payload: () }
    }

    fn owners(next: Next<()>) -> Vec<u64> {
        match next {
            Next::Batch(rows) => rows.iter().map(|row| row.owner).collect(),
            other => panic!("expected a batch, found {other:?}"),
        }
    }

    #[test]
    fn a_row_waits_for_others_and_no_longer_than_the_policy_says() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        assert_eq!(queue.next(&POLICY, start, false), Next::Nothing);
        queue.push(row(1, 8, 10, start));
        assert_eq!(queue.next(&POLICY, start, false), Next::At(start + POLICY.wait));
        queue.push(row(2, 8, 10, start + POLICY.wait / 2));
        assert_eq!(owners(queue.next(&POLICY, start + POLICY.wait, false)), [1, 2]);
        assert_eq!(queue.next(&POLICY, start, true), Next::Nothing);
    }

    #[test]
    fn a_full_batch_does_not_wait_even_behind_an_older_row_of_another_shape() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.push(row(1, 8, 10, start));
        for owner in 2..7 {
            queue.push(row(owner, 16, 20, start + Duration::from_millis(1)));
        }
        assert_eq!(owners(queue.next(&POLICY, start, false)), [2, 3, 4, 5, 6]);
        assert_eq!(queue.rows(), 1);
    }

    #[test]
    fn in_a_hurry_the_oldest_row_goes_first_and_alone_if_no_other_has_its_shape() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.push(row(1, 16, 10, start + Duration::from_millis(1)));
        queue.push(row(2, 8, 10, start));
        assert_eq!(owners(queue.next(&POLICY, start, true)), [2]);
        assert_eq!(owners(queue.next(&POLICY, start, true)), [1]);
    }

    #[test]
    fn padding_counts_and_a_row_that_does_not_fit_is_the_first_in_its_turn() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        for (owner, length) in [(1, 10), (2, 90), (3, 30), (4, 10)] {
            queue.push(row(owner, 8, length, start));
        }
        // Two rows of 90 would be 180 points; three of 30 are 90.
        assert_eq!(owners(queue.next(&POLICY, start, true)), [1, 3, 4]);
        assert_eq!(owners(queue.next(&POLICY, start, true)), [2]);
    }

    #[test]
    fn a_row_longer_than_the_budget_runs_alone() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        queue.push(row(1, 8, 500, start));
        queue.push(row(2, 8, 1, start));
        assert_eq!(owners(queue.next(&POLICY, start, true)), [1]);
        assert_eq!(owners(queue.next(&POLICY, start, true)), [2]);
    }

    #[test]
    fn rows_of_a_request_that_is_gone_are_taken_out() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        for owner in [1, 2, 1] {
            queue.push(row(owner, 8, 10, start));
        }
        queue.remove(1);
        assert_eq!((queue.rows(), queue.points()), (1, 10));
        assert_eq!(owners(queue.next(&POLICY, start, true)), [2]);
    }

    proptest! {
        /// Whatever comes in, everything goes out once, within the limits, and each shape's oldest row first.
        #[test]
        fn every_row_leaves_once_in_batches_within_the_limits(
            rows in proptest::collection::vec((0_usize..3, 0_usize..2, 1_usize..150, 0_u64..20), 0..60),
            points in 1_usize..400, most in 0_usize..6,
        ) {
            let start = Instant::now();
            let policy = Policy { points, rows: most, wait: Duration::from_millis(5) };
            let mut queue = Queue::default();
            for (index, &(horizon, trailing, length, age)) in rows.iter().enumerate() {
                let since = start + Duration::from_millis(age);
                queue.push(Row { owner: index as u64, shape: Shape { horizon, trailing }, length, since, payload: () });
            }
            let mut seen = Vec::new();
            loop {
                let waiting = queue.rows();
                match queue.next(&policy, start + Duration::from_secs(1), false) {
                    Next::Nothing => break,
                    Next::At(_) => prop_assert!(false, "everything is due"),
                    Next::Batch(batch) => {
                        prop_assert!(!batch.is_empty() && batch.len() <= most.max(1));
                        prop_assert_eq!(queue.rows() + batch.len(), waiting);
                        prop_assert!(batch.iter().all(|row| row.shape == batch[0].shape));
                        let longest = batch.iter().map(|row| row.length).max().unwrap();
                        prop_assert!(batch.len() == 1 || longest * batch.len() <= points);
                        seen.extend(batch.iter().map(|row| row.owner));
                    }
                }
            }
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..rows.len() as u64));
            prop_assert_eq!(queue.points(), 0);
        }
    }
}
