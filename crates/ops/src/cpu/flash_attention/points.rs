//! What the attention mask says: which points are real, and how many up to each one.
//!
//! The real points of a series, in order, are its *ranks*. A query attends to the ranks below the count of real points
//! up to itself, which is the causal rule and the mask in one number; kernels walk over ranks and never meet a masked
//! key, so whatever lies in the cache there cannot leak.

use super::AttentionSizes;

/// The points of a batch.
#[derive(Clone, Copy)]
pub(super) struct Points<'a> {
    total: usize,
    sequence: usize,
    /// Per series, the indices of its real points: `[batch, past + sequence]`, of which as many as there are real ones.
    index: &'a [u32],
    /// Real points up to and with each of the present: `[batch, sequence]`.
    count: &'a [u32],
}

impl<'a> Points<'a> {
    /// Words that [`Points::new`] wants.
    pub(super) fn words(sizes: AttentionSizes) -> usize {
        sizes.batch * (sizes.past + 2 * sizes.sequence)
    }

    pub(super) fn new(sizes: AttentionSizes, mask: &[i64], words: &'a mut [u32]) -> Self {
        let AttentionSizes { batch, sequence, past, .. } = sizes;
        let total = past + sequence;
        let (index, count) = words.split_at_mut(batch * total);
        for series in 0..batch {
            let index = &mut index[series * total..][..total];
            let count = &mut count[series * sequence..][..sequence];
            let mut real = 0;
            for (point, &mask) in mask[series * total..][..total].iter().enumerate() {
                // Written whether or not it counts: the next real point overwrites it.
                index[real] = point as u32;
                real += usize::from(mask > 0);
                if point >= past {
                    count[point - past] = real as u32;
                }
            }
        }
        Self { total, sequence, index, count: &count[..batch * sequence] }
    }

    /// Indices of a series' real points; only ranks below some [`Points::count`] mean anything.
    pub(super) fn index(&self, series: usize) -> &'a [u32] {
        &self.index[series * self.total..][..self.total]
    }

    /// Real points up to and with a point of the present: the ranks to which a query there attends.
    #[inline(always)]
    pub(super) fn count(&self, series: usize, point: usize) -> usize {
        self.count[series * self.sequence + point] as usize
    }

    /// Position of a point of the present, for the rotary embedding.
    #[inline(always)]
    pub(super) fn position(&self, series: usize, point: usize) -> usize {
        self.count(series, point).saturating_sub(1)
    }

    /// How many positions there are, at least one.
    pub(super) fn positions(&self) -> usize {
        self.count.iter().max().map_or(1, |&count| (count as usize).max(1))
    }
}

/// Panics unless a part of [`Points::index`] names rows of `keys` and `values`.
#[inline(always)]
pub(super) fn assert_rows<T>(index: &[u32], head_dim: usize, keys: &[T], values: &[T]) {
    // Indices ascend, so the last is the largest.
    let rows = index.last().map_or(0, |&last| last as usize + 1);
    assert!(rows * head_dim <= keys.len().min(values.len()));
}
