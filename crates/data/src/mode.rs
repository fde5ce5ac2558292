//! The most frequent value.

use std::collections::HashMap;
use std::hash::Hash;

/// The value that occurs most often; of equally frequent ones the one seen first.
pub(crate) fn mode<T: Copy + Eq + Hash>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, (usize, usize)> = HashMap::new();
    for (position, value) in values.enumerate() {
        counts.entry(value).or_insert((0, position)).0 += 1;
    }
    let best = counts.into_iter().max_by_key(|&(_, (count, first))| (count, std::cmp::Reverse(first)));
    best.map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_value_wins_and_ties_go_to_the_first_seen() {
        assert_eq!(mode([3, 1, 1, 2].into_iter()), Some(1));
        assert_eq!(mode([3, 1, 1, 3].into_iter()), Some(3));
        assert_eq!(mode(std::iter::empty::<i32>()), None);
    }
}
