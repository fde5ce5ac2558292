//! Attention without a matrix of scores (FlashAttention, Dao et al. 2022), with rotary embedding and cache.
//!
//! ```text
//! points      the mask: which keys are real, how many each query sees
//! append      the cache: copy the past, rotate and append the present
//! task        the work divided over (series, key head, queries, keys); results of divided keys put together
//! ├─ lanes    many queries: one per vector lane
//! └─ rows     few queries: one at a time
//! element     the types that a cache may have
//! ```
//!
//! Scores of a block of keys are made, turned into weights relative to the largest score so far, and added to the
//! output, which shrinks when a larger score comes (the online softmax, Milakov and Gimelshein 2018). Memory is linear
//! in the sequence. How the work is divided depends on sizes alone, so results are the same, to the bit, for any number
//! of threads.

mod append;
mod disjoint;
mod element;
mod lanes;
mod points;
mod rows;
mod strided;
mod task;
#[cfg(test)]
mod tests;
mod transpose;

use std::sync::Arc;

use self::append::append;
use self::disjoint::Disjoint;
pub use self::element::CacheElement;
use self::points::Points;
pub use self::strided::Strided;
use self::task::{Pass, Sink, Task, combine};
use self::transpose::Transpose;
use super::Parallel;
use super::rotary::{Rotary, RotaryRounding};
use super::simd::{Level, dispatch};

/// The largest head: working memory is on the stack.
const MAX_HEAD_DIM: usize = 128;

/// Keys of a task, where few queries are divided over the keys.
const KEYS_PER_PART: usize = 1024;

/// Tasks, of some [`LANES_PER_TASK`] lanes, from which on there is enough to share without dividing keys.
const ENOUGH_TASKS: usize = 32;

/// About as many lanes as a task has; a fixed number, for the same division on every processor.
const LANES_PER_TASK: usize = 32;

/// What does not change between runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlashAttentionShape {
    /// Query heads, a multiple of `kv_heads`.
    pub heads: usize,
    /// Key and value heads; query head `h` uses `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Elements of a head: even, at most 128.
    pub head_dim: usize,
    /// Base of the rotary frequencies `theta^(-2j / head_dim)`.
    pub rope_theta: f64,
    /// To what cos and sin are rounded.
    pub rounding: RotaryRounding,
    /// Factor of the scores, usually `head_dim^-0.5`.
    pub scale: f32,
}

/// The sizes of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionSizes {
    /// Series.
    pub batch: usize,
    /// Queries: the last points of the sequence, at most all of them.
    pub queries: usize,
    /// New points.
    pub sequence: usize,
    /// Points in the cache.
    pub past: usize,
    /// Rows of the past's buffers per head, at least `past`. Means nothing where the past lies in the present's.
    pub past_capacity: usize,
    /// Rows of the present's buffers per head, at least `past + sequence`.
    pub present_capacity: usize,
}

/// What a run reads. Lengths are exact; `q`, `k` and `v` may be parts of one tensor.
#[derive(Clone, Copy)]
pub struct AttentionInputs<'a, E> {
    /// The sizes of what follows.
    pub sizes: AttentionSizes,
    /// `[batch, queries, heads x head_dim]`, of the last `queries` points of the sequence; not rotated.
    pub q: Strided<'a>,
    /// `[batch, sequence, kv_heads x head_dim]`, not rotated.
    pub k: Strided<'a>,
    /// `[batch, sequence, kv_heads x head_dim]`.
    pub v: Strided<'a>,
    /// Key and value `[batch, kv_heads, past_capacity, head_dim]`, keys rotated; `None`: the past already lies in the
    /// present's buffers, and the new points are appended in place.
    pub past: Option<(&'a [E], &'a [E])>,
    /// `[batch, past + sequence]`, positive at real points.
    pub mask: &'a [i64],
}

/// What a run writes. All lengths are exact.
pub struct AttentionOutputs<'a, E> {
    /// `[batch, queries, heads x head_dim]`; zeros for a query that attends to nothing.
    pub y: &'a mut [f32],
    /// `[batch, kv_heads, present_capacity, head_dim]`: `past + sequence` rows are valid after, keys rotated, masked
    /// points included; rows beyond stay as they are.
    pub present_key: &'a mut [E],
    /// As `present_key`.
    pub present_value: &'a mut [E],
}

/// Causal attention in float32 over a cache of any type.
pub struct FlashAttention {
    shape: FlashAttentionShape,
    rotary: Arc<Rotary>,
}

impl FlashAttention {
    /// The kernel for a shape. Those with the same rotary embedding share its tables.
    ///
    /// # Panics
    ///
    /// If `heads` is not a positive multiple of a positive `kv_heads`, or `head_dim` is odd, zero or above 128.
    pub fn new(shape: FlashAttentionShape) -> Self {
        let FlashAttentionShape { heads, kv_heads, head_dim, .. } = shape;
        assert!(
            heads > 0 && kv_heads > 0 && heads.is_multiple_of(kv_heads),
            "{heads} heads are not a multiple of {kv_heads} key heads"
        );
        assert!(
            head_dim > 0 && head_dim <= MAX_HEAD_DIM && head_dim.is_multiple_of(2),
            "the head size {head_dim} is not even and between 2 and {MAX_HEAD_DIM}"
        );
        let rotary = Rotary::shared(shape.rope_theta, head_dim, shape.rounding);
        Self { shape, rotary }
    }

    /// Elements of scratch memory that a run wants, whatever the number of threads.
    pub fn scratch_len(&self, sizes: AttentionSizes) -> usize {
        let partial = match self.parts(sizes) {
            1 => 0,
            parts => sizes.batch * self.shape.heads * sizes.queries * parts * (self.shape.head_dim + 2),
        };
        Points::words(sizes) + partial
    }

    /// Attends: query at point `i` to the real points `j <= past + i`, `softmax(scale x q . k) v`, with `q` and `k`
    /// rotated by their position, the running count of real points less one. Points that the mask hides, and those
    /// after a query, have no influence, not even if they hold infinities or NaN. Results do not depend on the number of threads.
    ///
    /// # Panics
    ///
    /// If a slice has not the length that the sizes say, or `scratch` has less than
    /// [`scratch_len`](Self::scratch_len) elements.
    pub fn run<E: CacheElement>(
        &self,
        inputs: AttentionInputs<'_, E>,
        outputs: AttentionOutputs<'_, E>,
        scratch: &mut [f32],
        parallel: &dyn Parallel,
    ) {
        self.run_at(Level::best(), inputs, outputs, scratch, parallel);
    }

    /// As [`run`](Self::run), with a given instruction set.
    fn run_at<E: CacheElement>(
        &self,
        level: Level,
        inputs: AttentionInputs<'_, E>,
        outputs: AttentionOutputs<'_, E>,
        scratch: &mut [f32],
        parallel: &dyn Parallel,
    ) {
        self.check(&inputs, &outputs);
        let sizes = inputs.sizes;
        let scratch_len = self.scratch_len(sizes);
        assert!(scratch.len() >= scratch_len, "scratch has {} of {scratch_len} elements", scratch.len());
        let (words, partial) = scratch[..scratch_len].split_at_mut(Points::words(sizes));
        // SAFETY: u32 has the size and the alignment of f32, and any bits are a value of either.
        let words = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u32>(), words.len()) };
        let points = Points::new(sizes, inputs.mask, words);
        let tables = self.rotary.tables(points.positions());
        let AttentionOutputs { y, present_key, present_value } = outputs;
        append(
            level,
            &self.shape,
            &inputs,
            (points, &tables),
            (&mut *present_key, &mut *present_value),
            parallel,
        );
        let pass = Pass {
            shape: &self.shape,
            sizes,
            q: inputs.q,
            key: present_key,
            value: present_value,
            points,
            tables: &tables,
        };
        self.attend(level, &pass, y, partial, parallel);
    }

    /// Into how many parts the keys are divided; by the sizes alone.
    fn parts(&self, sizes: AttentionSizes) -> usize {
        let lanes = sizes.queries * (self.shape.heads / self.shape.kv_heads);
        let tasks = sizes.batch * self.shape.kv_heads * lanes.div_ceil(LANES_PER_TASK);
        if tasks >= ENOUGH_TASKS { 1 } else { (sizes.past + sizes.sequence).div_ceil(KEYS_PER_PART).max(1) }
    }

    fn attend<E: CacheElement>(
        &self,
        level: Level,
        pass: &Pass<'_, E>,
        y: &mut [f32],
        partial: &mut [f32],
        parallel: &dyn Parallel,
    ) {
        let sizes = pass.sizes;
        let lanes = sizes.queries * pass.group();
        let heads = sizes.batch * self.shape.kv_heads;
        if heads * lanes == 0 {
            return;
        }
        let (parts, total) = (self.parts(sizes), sizes.past + sizes.sequence);
        let keys_per_part = if parts == 1 { total } else { KEYS_PER_PART };
        let width = dispatch!(level, |simd| lanes::width(simd));
        let blocks = lanes.div_ceil(width);
        let run = |sink: &Sink<'_>| {
            parallel.for_each(heads * blocks * parts, &|task| {
                // Head by head, so that its keys stay in the cache, and the last queries, which see most, first.
                let (head, block, part) =
                    (task / (blocks * parts), blocks - 1 - task / parts % blocks, task % parts);
                let task = Task {
                    batch: head / self.shape.kv_heads,
                    kv_head: head % self.shape.kv_heads,
                    lanes: block * width..lanes.min((block + 1) * width),
                    ranks: part * keys_per_part..total.min((part + 1) * keys_per_part),
                };
                dispatch!(level, |simd| attend_task(simd, pass, &task, sink));
            });
        };
        if parts == 1 {
            run(&Sink::Whole { y: Disjoint::new(y) });
        } else {
            run(&Sink::Parts { partial: Disjoint::new(partial), parts, keys_per_part, lanes });
            let y = Disjoint::new(y);
            for head in 0..heads {
                let head = (head / self.shape.kv_heads, head % self.shape.kv_heads);
                // SAFETY: this thread alone has `y`.
                unsafe { combine(pass, head, partial, (parts, lanes), &y) };
            }
        }
    }

    fn check<E>(&self, inputs: &AttentionInputs<'_, E>, outputs: &AttentionOutputs<'_, E>) {
        let FlashAttentionShape { heads, kv_heads, head_dim, .. } = self.shape;
        let AttentionSizes { batch, queries, sequence, past, past_capacity, present_capacity } = inputs.sizes;
        assert!(queries <= sequence, "{queries} queries of {sequence} points");
        assert!(past + sequence <= present_capacity, "{past} + {sequence} points in {present_capacity} rows");
        assert!(u32::try_from(present_capacity).is_ok(), "{present_capacity} rows are too many");
        let same = |what: &str, found: usize, expected: usize| {
            assert!(found == expected, "{what} has {found} elements, not {expected}");
        };
        inputs.q.check("q", batch * queries, heads * head_dim);
        inputs.k.check("k", batch * sequence, kv_heads * head_dim);
        inputs.v.check("v", batch * sequence, kv_heads * head_dim);
        same("mask", inputs.mask.len(), batch * (past + sequence));
        same("y", outputs.y.len(), batch * queries * heads * head_dim);
        if let Some((key, value)) = inputs.past {
            assert!(past <= past_capacity, "{past} points in {past_capacity} rows");
            same("past_key", key.len(), batch * kv_heads * past_capacity * head_dim);
            same("past_value", value.len(), batch * kv_heads * past_capacity * head_dim);
        }
        same("present_key", outputs.present_key.len(), batch * kv_heads * present_capacity * head_dim);
        same("present_value", outputs.present_value.len(), batch * kv_heads * present_capacity * head_dim);
    }
}

#[inline(always)]
fn attend_task<S: Transpose, E: CacheElement>(simd: S, pass: &Pass<'_, E>, task: &Task, sink: &Sink<'_>) {
    if rows::takes(simd, task.lanes.len(), pass.shape.head_dim) {
        rows::attend(simd, pass, task, sink);
    } else {
        lanes::attend(simd, pass, task, sink);
    }
}
