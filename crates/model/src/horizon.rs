//! Which output heads make up a forecast, and in which order.

/// One step of a forecast: one forward pass, of which one head is read at the last position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index of the head in [`Config::horizon_lengths`](crate::Config::horizon_lengths).
    pub head: usize,
    /// Points that the head forecasts. All of them are appended to the sequence.
    pub head_length: usize,
    /// Points of these that belong to the forecast: `head_length`, or fewer in the last step.
    pub take: usize,
}

/// The steps that forecast `wanted` points with heads of the given lengths.
///
/// Each step takes the largest head that is not longer than what is still wanted; when none is, the
/// smallest head cut short. This is the greedy multi-horizon generation of the original
/// (`TSGenerationMixin`): 96 = 64 + 32 and 720 = 11 x 64 + 8 + 8 with the released heads 1, 8, 32, 64.
///
/// `horizon_lengths` ascends, as in a [`Config`](crate::Config). Nothing is returned when nothing is
/// wanted or no head has a length.
///
/// ```
/// use tmoe_model::horizon::schedule;
///
/// let heads: Vec<usize> = schedule(&[1, 8, 32, 64], 96).map(|step| step.head_length).collect();
/// assert_eq!(heads, [64, 32]);
/// ```
pub fn schedule(horizon_lengths: &[usize], wanted: usize) -> Schedule<'_> {
    Schedule { horizon_lengths, remaining: wanted }
}

/// Iterator over the steps of a forecast, see [`schedule`]. It needs no memory, however long the
/// forecast is.
#[derive(Clone, Debug)]
pub struct Schedule<'a> {
    horizon_lengths: &'a [usize],
    remaining: usize,
}

impl Iterator for Schedule<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.remaining == 0 {
            return None;
        }
        let fitting = self.horizon_lengths.partition_point(|&length| length <= self.remaining);
        let head = fitting.saturating_sub(1);
        let head_length = *self.horizon_lengths.get(head)?;
        if head_length == 0 {
            return None;
        }
        let take = head_length.min(self.remaining);
        self.remaining -= take;
        Some(Step { head, head_length, take })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lengths(horizons: &[usize], wanted: usize) -> Vec<(usize, usize)> {
        schedule(horizons, wanted).map(|step| (step.head_length, step.take)).collect()
    }

    #[test]
    fn ninety_six_points_are_a_step_of_64_and_one_of_32() {
        assert_eq!(
            schedule(&[1, 8, 32, 64], 96).collect::<Vec<_>>(),
            [Step { head: 3, head_length: 64, take: 64 }, Step { head: 2, head_length: 32, take: 32 },]
        );
    }

    #[test]
    fn seven_hundred_and_twenty_points_are_eleven_steps_of_64_and_two_of_8() {
        let mut expected = vec![(64, 64); 11];
        expected.extend([(8, 8), (8, 8)]);
        assert_eq!(lengths(&[1, 8, 32, 64], 720), expected);
    }

    #[test]
    fn a_single_head_is_cut_short_at_the_end() {
        assert_eq!(lengths(&[12], 30), [(12, 12), (12, 12), (12, 6)]);
    }

    #[test]
    fn the_smallest_head_is_cut_short_when_every_head_is_longer_than_what_is_wanted() {
        assert_eq!(lengths(&[4, 16], 3), [(4, 3)]);
    }

    #[test]
    fn nothing_is_done_when_nothing_is_wanted_or_there_is_no_head() {
        assert_eq!(lengths(&[1, 8], 0), []);
        assert_eq!(lengths(&[], 5), []);
        assert_eq!(lengths(&[0], 5), []);
    }

    fn ascending() -> impl Strategy<Value = Vec<usize>> {
        proptest::collection::btree_set(1_usize..200, 1..8).prop_map(|lengths| lengths.into_iter().collect())
    }

    proptest! {
        #[test]
        fn the_steps_add_up_to_what_is_wanted(horizons in ascending(), wanted in 0_usize..2000) {
            let total: usize = schedule(&horizons, wanted).map(|step| step.take).sum();
            prop_assert_eq!(total, wanted);
        }

        #[test]
        fn every_step_takes_the_largest_head_that_fits(
            horizons in ascending(),
            wanted in 1_usize..2000,
        ) {
            let mut remaining = wanted;
            for step in schedule(&horizons, wanted) {
                let best = horizons.iter().copied().filter(|&length| length <= remaining).max();
                prop_assert_eq!(step.head_length, best.unwrap_or(horizons[0]));
                prop_assert_eq!(horizons[step.head], step.head_length);
                prop_assert_eq!(step.take, step.head_length.min(remaining));
                remaining -= step.take;
            }
            prop_assert_eq!(remaining, 0);
        }

        #[test]
        fn only_the_last_step_is_cut_short(horizons in ascending(), wanted in 1_usize..2000) {
            let steps: Vec<Step> = schedule(&horizons, wanted).collect();
            for step in &steps[..steps.len() - 1] {
                prop_assert_eq!(step.take, step.head_length);
            }
        }
    }
}
