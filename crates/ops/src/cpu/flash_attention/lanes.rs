//! Many queries: one query per vector lane.
//!
//! ```text
//! q  [head_dim, width]    rotated, scaled, transposed once
//! p  [keys, width]        key (broadcast) x q, then 2^(p - top): vectors all along, no sum across lanes
//! o  [head_dim, width]    value (broadcast) x p, transposed back at the end
//! ```
//!
//! Keys and values are read where they lie, row by row, one element at a time, so neither has to be rearranged, and a
//! masked key is one that is not visited; a block of rows narrower than float32 is widened first. Two vectors of queries times six keys (or six elements of a value) are twelve
//! accumulators, which with two vectors and a broadcast fit the sixteen registers of AVX2; three times four would take
//! all sixteen, and the compiler then keeps an accumulator in memory, at half the speed. NEON has 32 registers, of four
//! elements: four times six make it load and broadcast half as much for each product.

// Loops over indices, rather than iterators and closures: what those call is not compiled for the instruction set
// unless the compiler happens to inline all of it.
#![allow(clippy::needless_range_loop)]

use std::mem::MaybeUninit;

use super::MAX_HEAD_DIM;
use super::element::{CacheElement, MAX_BLOCK};
use super::points::assert_rows;
use super::task::{Pass, Sink, Task};
use super::transpose::{Transpose, transpose};
use crate::cpu::simd::{Simd, exp2};

/// Queries in a task at most: two of the widest vectors.
const MAX_WIDTH: usize = 2 * 16;

/// Keys between two looks at the largest score: their weights stay in the nearest cache.
/// A multiple of all steps.
const KEY_BLOCK: usize = MAX_BLOCK;

/// Lanes that a task should have.
#[inline(always)]
pub(super) fn width<S: Transpose>(_: S) -> usize {
    S::VECTORS * S::LANES
}

/// The working memory of a task. On the stack, so that it needs no owner; never cleared as a whole.
#[repr(C, align(64))]
struct Space<Block> {
    q: [f32; MAX_HEAD_DIM * MAX_WIDTH],
    o: [f32; MAX_HEAD_DIM * MAX_WIDTH],
    p: [f32; KEY_BLOCK * MAX_WIDTH],
    rows: Block,
}

/// Attends with the lanes of a task, at most [`width`].
#[inline(always)]
pub(super) fn attend<S: Transpose, E: CacheElement>(
    simd: S,
    pass: &Pass<'_, E>,
    task: &Task,
    sink: &Sink<'_>,
) {
    match task.lanes.len().div_ceil(S::LANES) {
        1 => attend_vectors::<S, E, 8, 1>(simd, pass, task, sink),
        3.. if S::VECTORS == 4 => attend_vectors::<S, E, 6, 4>(simd, pass, task, sink),
        _ => attend_vectors::<S, E, 6, 2>(simd, pass, task, sink),
    }
}

/// With `VECTORS` vectors of queries, `STEP` keys (or elements of a value) at a time.
#[inline(always)]
fn attend_vectors<S: Transpose, E: CacheElement, const STEP: usize, const VECTORS: usize>(
    simd: S,
    pass: &Pass<'_, E>,
    task: &Task,
    sink: &Sink<'_>,
) {
    let head_dim = pass.shape.head_dim;
    let width = VECTORS * S::LANES;
    assert!(!task.lanes.is_empty() && task.lanes.len() <= width);
    assert!(width <= MAX_WIDTH && head_dim <= MAX_HEAD_DIM);
    let mut space = MaybeUninit::<Space<E::Block>>::uninit();
    // SAFETY: addresses only; nothing is read before it is written.
    let (q, o, p, block) = unsafe {
        let space = space.as_mut_ptr();
        (
            (&raw mut (*space).q).cast::<f32>(),
            (&raw mut (*space).o).cast::<f32>(),
            (&raw mut (*space).p).cast::<f32>(),
            &raw mut (*space).rows,
        )
    };

    pass.prefetch_queries(task);
    // Lanes beyond the last are zero queries that see as far as the last one, so that they hold nothing up.
    let mut limits = [0; MAX_WIDTH];
    for (lane, limit) in limits.iter_mut().enumerate() {
        *limit = pass.limit(task.batch, (task.lanes.start + lane).min(task.lanes.end - 1));
    }
    for lane in 0..width {
        // SAFETY: `width` rows of `head_dim` fit; a row is written as a whole.
        let row = unsafe {
            o.add(lane * head_dim).write_bytes(0, head_dim);
            std::slice::from_raw_parts_mut(o.add(lane * head_dim), head_dim)
        };
        if lane < task.lanes.len() {
            pass.rotated_query(simd, task, task.lanes.start + lane, row);
        }
    }
    // SAFETY: `width x head_dim` elements of `o` were written above, and as many fit in `q`.
    unsafe {
        transpose(simd, o, width, head_dim, q);
        o.write_bytes(0, width * head_dim);
    }

    let (all_keys, all_values, ranks) = pass.keys(task);
    let end = task.ranks.end.min(limits[width - 1]);
    // Finite, so that a lane that attends to none of the keys so far subtracts it from minus infinity without a NaN.
    let mut top = [simd.splat(f32::MIN); VECTORS];
    let mut sum = [simd.splat(0.0); VECTORS];
    for start in (task.ranks.start..end).step_by(KEY_BLOCK) {
        let named = &ranks[start..end.min(start + KEY_BLOCK)];
        assert_rows(named, head_dim, all_keys, all_values);
        // Keys from here on are not attended by all lanes.
        let clear = limits[0].saturating_sub(start);
        // SAFETY: `q` and `o` are written as above; `p` has room for `KEY_BLOCK` keys; rows lie within keys and values
        // by the assertion. The block belongs to the keys until all scores are made, then to the values.
        unsafe {
            let (keys, index) = E::widened(simd, all_keys, named, head_dim, block);
            let mut new_top = top;
            for key in (0..index.len()).step_by(STEP) {
                let mut rows = [keys.as_ptr(); STEP];
                for (i, row) in rows.iter_mut().enumerate() {
                    *row = row.add(index[(key + i).min(index.len() - 1)] as usize * head_dim);
                }
                let mut tile = scores::<S, STEP, VECTORS>(simd, q, rows, head_dim);
                if key + STEP > clear {
                    for (i, scores) in tile.iter_mut().enumerate() {
                        hide(simd, scores, &limits, start + key + i);
                    }
                }
                for i in 0..STEP {
                    for v in 0..VECTORS {
                        simd.store(p.add((key + i) * width + v * S::LANES), tile[i][v]);
                        new_top[v] = simd.max(new_top[v], tile[i][v]);
                    }
                }
            }
            let mut shrink = top;
            for v in 0..VECTORS {
                shrink[v] = exp2(simd, simd.sub(top[v], new_top[v]));
                sum[v] = simd.mul(sum[v], shrink[v]);
            }
            top = new_top;
            for key in 0..index.len() {
                for v in 0..VECTORS {
                    let at = p.add(key * width + v * S::LANES);
                    let weight = exp2(simd, simd.sub(simd.load(at), top[v]));
                    simd.store(at, weight);
                    sum[v] = simd.add(sum[v], weight);
                }
            }
            let (values, index) = E::widened(simd, all_values, named, head_dim, block);
            if !all_finite(values, &index[clear.min(index.len())..], head_dim) {
                let mut seen = limits;
                for limit in &mut seen {
                    *limit = limit.saturating_sub(start);
                }
                weigh_seen::<S, VECTORS>(simd, p, values.as_ptr(), index, head_dim, o, shrink, &seen);
                continue;
            }
            let mut element = 0;
            while element < head_dim {
                let (values, o) = (values.as_ptr().add(element), o.add(element * width));
                // Two left over would leave the multipliers idle: fours before them.
                element += match head_dim - element {
                    2 => weigh::<S, 2, VECTORS>(simd, p, values, index, head_dim, o, shrink),
                    rest if rest < STEP || rest == STEP + 2 => {
                        weigh::<S, 4, VECTORS>(simd, p, values, index, head_dim, o, shrink)
                    }
                    _ => weigh::<S, STEP, VECTORS>(simd, p, values, index, head_dim, o, shrink),
                };
            }
        }
    }

    let (mut tops, mut sums) = ([0.0; MAX_WIDTH], [0.0; MAX_WIDTH]);
    // SAFETY: `width` elements fit; `o` was written as a whole, and `q` has the same size.
    unsafe {
        for v in 0..VECTORS {
            simd.store(tops.as_mut_ptr().add(v * S::LANES), top[v]);
            simd.store(sums.as_mut_ptr().add(v * S::LANES), sum[v]);
        }
        transpose(simd, o, head_dim, width, q);
        for lane in 0..task.lanes.len() {
            let row = std::slice::from_raw_parts(q.add(lane * head_dim), head_dim);
            sink.deliver(pass, task, task.lanes.start + lane, row, tops[lane], sums[lane]);
        }
    }
}

/// Scores of the keys at `rows` for `VECTORS` vectors of queries.
///
/// # Safety
///
/// `q` is `[head_dim, VECTORS x LANES]`, and each row has `head_dim` elements.
#[inline(always)]
unsafe fn scores<S: Simd, const KEYS: usize, const VECTORS: usize>(
    simd: S,
    q: *const f32,
    rows: [*const f32; KEYS],
    head_dim: usize,
) -> [[S::F32; VECTORS]; KEYS] {
    let mut tile = [[simd.splat(0.0); VECTORS]; KEYS];
    for element in 0..head_dim {
        // SAFETY: within `q` and the rows.
        unsafe {
            let mut queries = [simd.splat(0.0); VECTORS];
            for v in 0..VECTORS {
                queries[v] = simd.load(q.add((element * VECTORS + v) * S::LANES));
            }
            for i in 0..KEYS {
                let key = simd.splat(*rows[i].add(element));
                for v in 0..VECTORS {
                    tile[i][v] = simd.mul_add(queries[v], key, tile[i][v]);
                }
            }
        }
    }
    tile
}

/// Sets the scores of a key to minus infinity for the lanes that do not attend to its rank.
#[inline(always)]
fn hide<S: Simd, const VECTORS: usize>(
    simd: S,
    scores: &mut [S::F32; VECTORS],
    limits: &[usize; MAX_WIDTH],
    rank: usize,
) {
    let mut bounds = [0.0; MAX_WIDTH];
    for (bound, &limit) in bounds.iter_mut().zip(limits) {
        *bound = if rank < limit { f32::INFINITY } else { f32::NEG_INFINITY };
    }
    for (v, score) in scores.iter_mut().enumerate() {
        // SAFETY: all vectors of lanes fit.
        let bound = unsafe { simd.load(bounds.as_ptr().add(v * S::LANES)) };
        // In this order a score that is not a number gives way to the bound.
        *score = simd.min(*score, bound);
    }
}

/// Whether the rows of `values` that `index` names are finite.
#[inline(always)]
fn all_finite(values: &[f32], index: &[u32], head_dim: usize) -> bool {
    // As integers, absolute values are in the order of the numbers, infinity and NaN above them.
    let mut largest = [0; 8];
    for &row in index {
        let (chunks, rest) = values[row as usize * head_dim..][..head_dim].as_chunks::<8>();
        for chunk in chunks {
            for i in 0..8 {
                largest[i] = largest[i].max(chunk[i].to_bits() & 0x7fff_ffff);
            }
        }
        for i in 0..rest.len() {
            largest[i] = largest[i].max(rest[i].to_bits() & 0x7fff_ffff);
        }
    }
    largest.iter().all(|&largest| largest < f32::INFINITY.to_bits())
}

/// As [`weigh`] for all elements, where a key counts only for the lanes that attend to it: of a block of `index`, the
/// first `seen` ones. Elsewhere a weight of zero does for that, but zero times infinity is no number.
///
/// # Safety
///
/// `p` is `[keys, VECTORS x LANES]` with a row for each of `index`, which names rows of `head_dim` in `values`; `o` is
/// `[head_dim, VECTORS x LANES]`.
#[expect(clippy::too_many_arguments, reason = "as few as `weigh`, and which keys are seen")]
#[inline(always)]
unsafe fn weigh_seen<S: Simd, const VECTORS: usize>(
    simd: S,
    p: *const f32,
    values: *const f32,
    index: &[u32],
    head_dim: usize,
    o: *mut f32,
    shrink: [S::F32; VECTORS],
    seen: &[usize; MAX_WIDTH],
) {
    for element in 0..head_dim {
        for v in 0..VECTORS {
            // SAFETY: the caller's promises; all vectors of lanes fit in `value`.
            unsafe {
                let o = o.add((element * VECTORS + v) * S::LANES);
                let mut sum = simd.mul(shrink[v], simd.load(o));
                for (key, &row) in index.iter().enumerate() {
                    let found = *values.add(row as usize * head_dim + element);
                    let mut value = [0.0; 16];
                    for lane in 0..S::LANES {
                        if key < seen[v * S::LANES + lane] {
                            value[lane] = found;
                        }
                    }
                    let weight = simd.load(p.add((key * VECTORS + v) * S::LANES));
                    sum = simd.mul_add(weight, simd.load(value.as_ptr()), sum);
                }
                simd.store(o, sum);
            }
        }
    }
}

/// `o = shrink x o + sum of p[key] x value` for `ELEMENTS` elements of the values; `ELEMENTS`.
///
/// # Safety
///
/// `p` is `[keys, VECTORS x LANES]` with a row for each of `index`; `values` is at the first element of row 0 and
/// `index` names rows of `head_dim` there; `o` is `[ELEMENTS, VECTORS x LANES]`.
#[inline(always)]
unsafe fn weigh<S: Simd, const ELEMENTS: usize, const VECTORS: usize>(
    simd: S,
    p: *const f32,
    values: *const f32,
    index: &[u32],
    head_dim: usize,
    o: *mut f32,
    shrink: [S::F32; VECTORS],
) -> usize {
    // SAFETY: the caller's promises.
    unsafe {
        let mut tile = [[simd.splat(0.0); VECTORS]; ELEMENTS];
        for e in 0..ELEMENTS {
            for v in 0..VECTORS {
                tile[e][v] = simd.mul(shrink[v], simd.load(o.add((e * VECTORS + v) * S::LANES)));
            }
        }
        for (key, &row) in index.iter().enumerate() {
            let mut weights = [simd.splat(0.0); VECTORS];
            for v in 0..VECTORS {
                weights[v] = simd.load(p.add((key * VECTORS + v) * S::LANES));
            }
            let row = values.add(row as usize * head_dim);
            for e in 0..ELEMENTS {
                let value = simd.splat(*row.add(e));
                for v in 0..VECTORS {
                    tile[e][v] = simd.mul_add(weights[v], value, tile[e][v]);
                }
            }
        }
        for e in 0..ELEMENTS {
            for v in 0..VECTORS {
                simd.store(o.add((e * VECTORS + v) * S::LANES), tile[e][v]);
            }
        }
    }
    ELEMENTS
}
