//! The work divided: which queries against which keys, and where the result goes.

use std::ops::Range;

use super::disjoint::Disjoint;
use super::points::Points;
use super::strided::Strided;
use super::{AttentionSizes, FlashAttentionShape};
use crate::cpu::rotary::RotaryTables;
use crate::cpu::simd::{Simd, prefetch_near};

/// What all tasks of one run read.
pub(super) struct Pass<'a, E> {
    pub(super) shape: &'a FlashAttentionShape,
    pub(super) sizes: AttentionSizes,
    pub(super) q: Strided<'a>,
    /// `[batch, kv_heads, present_capacity, head_dim]`, rotated.
    pub(super) key: &'a [E],
    pub(super) value: &'a [E],
    pub(super) points: Points<'a>,
    pub(super) tables: &'a RotaryTables,
}

/// Some lanes of one key head against some of its keys.
///
/// A *lane* is one query of one of the query heads that share the key head: lane `query x group + head in group`, so
/// that lanes are ordered by how far they see.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) batch: usize,
    pub(super) kv_head: usize,
    pub(super) lanes: Range<usize>,
    /// Ranks of the keys, of which a lane attends to those below its own count.
    pub(super) ranks: Range<usize>,
}

impl<'a, E> Pass<'a, E> {
    /// Query heads that share a key head.
    pub(super) fn group(&self) -> usize {
        self.shape.heads / self.shape.kv_heads
    }

    /// Keys, values (each `[present_capacity, head_dim]`) and indices of the real points among them.
    pub(super) fn keys(&self, task: &Task) -> (&'a [E], &'a [E], &'a [u32]) {
        let size = self.sizes.present_capacity * self.shape.head_dim;
        let start = (task.batch * self.shape.kv_heads + task.kv_head) * size;
        (&self.key[start..][..size], &self.value[start..][..size], self.points.index(task.batch))
    }

    /// The point of the present at which a lane is.
    #[inline(always)]
    fn point(&self, lane: usize) -> usize {
        self.sizes.sequence - self.sizes.queries + lane / self.group()
    }

    /// Keys that a lane attends to: the ranks below.
    #[inline(always)]
    pub(super) fn limit(&self, batch: usize, lane: usize) -> usize {
        self.points.count(batch, self.point(lane))
    }

    /// The query of a lane.
    #[inline(always)]
    fn query(&self, batch: usize, kv_head: usize, lane: usize) -> &'a [f32] {
        let (query, head) = (lane / self.group(), kv_head * self.group() + lane % self.group());
        let head_dim = self.shape.head_dim;
        self.q.part(batch * self.sizes.queries + query, head * head_dim, head_dim)
    }

    /// Where a lane lies in `y`.
    #[inline(always)]
    fn offset(&self, batch: usize, kv_head: usize, lane: usize) -> usize {
        let (query, head) = (lane / self.group(), kv_head * self.group() + lane % self.group());
        ((batch * self.sizes.queries + query) * self.shape.heads + head) * self.shape.head_dim
    }

    /// Starts to fetch the queries of a task: they are far apart, and each would be waited for by itself.
    #[inline(always)]
    pub(super) fn prefetch_queries(&self, task: &Task) {
        for lane in task.lanes.clone() {
            let q = self.query(task.batch, task.kv_head, lane);
            for line in q.chunks(16) {
                prefetch_near(line.as_ptr());
            }
        }
    }

    /// The query of a lane, rotated, and scaled so that scores are exponents of two.
    #[inline(always)]
    pub(super) fn rotated_query<S: Simd>(&self, simd: S, task: &Task, lane: usize, to: &mut [f32]) {
        let q = self.query(task.batch, task.kv_head, lane);
        let position = self.points.position(task.batch, self.point(lane));
        self.tables.rotate(simd, position, self.shape.scale * std::f32::consts::LOG2_E, q, to);
    }
}

/// Where the results of tasks go.
pub(super) enum Sink<'a> {
    /// Every task has seen all keys of its lanes: divided by the weights' sum into `y`.
    Whole {
        /// `[batch, queries, heads x head_dim]`.
        y: Disjoint<'a>,
    },
    /// Each task has seen one of several parts of the keys.
    Parts {
        /// `[batch, kv_heads, parts, lanes, head_dim + 2]`: the weighted sum, the largest score, the weights' sum.
        partial: Disjoint<'a>,
        parts: usize,
        keys_per_part: usize,
        lanes: usize,
    },
}

impl Sink<'_> {
    /// Takes a lane's sum of values, weighted by `2^(score - top)`, and the sum of the weights.
    ///
    /// # Safety
    ///
    /// No other thread delivers the same lane of the same task.
    #[inline(always)]
    pub(super) unsafe fn deliver<E>(
        &self,
        pass: &Pass<'_, E>,
        task: &Task,
        lane: usize,
        weighted: &[f32],
        top: f32,
        sum: f32,
    ) {
        let head_dim = pass.shape.head_dim;
        match self {
            Self::Whole { y } => {
                // SAFETY: lanes do not overlap, and this one is the caller's.
                let y = unsafe { y.part(pass.offset(task.batch, task.kv_head, lane), head_dim) };
                divide(weighted, sum, y);
            }
            Self::Parts { partial, parts, keys_per_part, lanes } => {
                let part = task.ranks.start / keys_per_part;
                let row = ((task.batch * pass.shape.kv_heads + task.kv_head) * parts + part) * lanes + lane;
                // SAFETY: rows do not overlap, and this one is the caller's.
                let row = unsafe { partial.part(row * (head_dim + 2), head_dim + 2) };
                row[..head_dim].copy_from_slice(weighted);
                row[head_dim] = top;
                row[head_dim + 1] = sum;
            }
        }
    }
}

/// `y = weighted / sum`, zeros where nothing was attended.
#[inline(always)]
fn divide(weighted: &[f32], sum: f32, y: &mut [f32]) {
    if sum == 0.0 {
        y.fill(0.0);
        return;
    }
    let factor = 1.0 / sum;
    for (y, weighted) in y.iter_mut().zip(weighted) {
        *y = weighted * factor;
    }
}

/// Puts the parts of one key head's lanes together, first part first.
///
/// # Safety
///
/// No other thread has the same lanes of `y`.
pub(super) unsafe fn combine<E>(
    pass: &Pass<'_, E>,
    (batch, kv_head): (usize, usize),
    partial: &[f32],
    (parts, lanes): (usize, usize),
    y: &Disjoint<'_>,
) {
    let head_dim = pass.shape.head_dim;
    let row = |part: usize, lane: usize| {
        let row = ((batch * pass.shape.kv_heads + kv_head) * parts + part) * lanes + lane;
        let row = &partial[row * (head_dim + 2)..][..head_dim + 2];
        (&row[..head_dim], row[head_dim], row[head_dim + 1])
    };
    for lane in 0..lanes {
        // SAFETY: lanes do not overlap, and these are the caller's.
        let y = unsafe { y.part(pass.offset(batch, kv_head, lane), head_dim) };
        let top = (0..parts).map(|part| row(part, lane).1).fold(f32::MIN, f32::max);
        let mut total = 0.0;
        y.fill(0.0);
        for part in 0..parts {
            let (weighted, part_top, sum) = row(part, lane);
            // Parts without a key have a sum of zero.
            let weight = (part_top - top).exp2();
            total += weight * sum;
            for (y, weighted) in y.iter_mut().zip(weighted) {
                *y += weight * weighted;
            }
        }
        if total == 0.0 {
            y.fill(0.0);
        } else {
            let factor = 1.0 / total;
            y.iter_mut().for_each(|y| *y *= factor);
        }
    }
}
