//! Few queries: each one by itself, vectors along the keys' elements.
//!
//! A step of generation has one query. A vector lane for each would leave the others empty, so here keys and values are
//! read as vectors, widened where they are narrower than float32; the sum across lanes that a score needs is made for `LANES` keys at once by a transposed square.

// Loops over indices: see `lanes`.
#![allow(clippy::needless_range_loop)]

use std::mem::MaybeUninit;

use super::MAX_HEAD_DIM;
use super::element::CacheElement;
use super::points::assert_rows;
use super::task::{Pass, Sink, Task};
use super::transpose::Transpose;
use crate::cpu::simd::{Simd, exp2};

/// Lanes of a task, at most.
const MAX_ROWS: usize = 8;

/// Keys between two looks at the largest score.
const KEY_BLOCK: usize = 128;

/// Whether this kernel takes tasks of so many lanes.
#[inline(always)]
pub(super) fn takes<S: Transpose>(_: S, lanes: usize, head_dim: usize) -> bool {
    head_dim.is_multiple_of(S::LANES) && lanes <= (S::LANES / 2).min(MAX_ROWS)
}

/// The working memory of a task.
#[repr(C, align(64))]
struct Space {
    q: [f32; MAX_ROWS * MAX_HEAD_DIM],
    o: [f32; MAX_ROWS * MAX_HEAD_DIM],
    p: [f32; KEY_BLOCK],
}

/// Attends with the lanes of a task that [`takes`] accepts.
#[inline(always)]
pub(super) fn attend<S: Transpose, E: CacheElement>(
    simd: S,
    pass: &Pass<'_, E>,
    task: &Task,
    sink: &Sink<'_>,
) {
    let head_dim = pass.shape.head_dim;
    let lanes = task.lanes.len();
    assert!(lanes <= MAX_ROWS && head_dim <= MAX_HEAD_DIM && head_dim.is_multiple_of(S::LANES));
    let mut space = MaybeUninit::<Space>::uninit();
    // SAFETY: addresses only; nothing is read before it is written.
    let (q, o, p) = unsafe {
        let space = space.as_mut_ptr();
        (
            (&raw mut (*space).q).cast::<f32>(),
            (&raw mut (*space).o).cast::<f32>(),
            (&raw mut (*space).p).cast::<f32>(),
        )
    };
    // SAFETY: `lanes` rows of `head_dim` fit, and are written before they are a slice.
    unsafe {
        q.write_bytes(0, lanes * head_dim);
        o.write_bytes(0, lanes * head_dim);
        for lane in 0..lanes {
            let q = std::slice::from_raw_parts_mut(q.add(lane * head_dim), head_dim);
            pass.rotated_query(simd, task, task.lanes.start + lane, q);
        }
    }
    let mut limits = [0; MAX_ROWS];
    for lane in 0..lanes {
        limits[lane] = pass.limit(task.batch, task.lanes.start + lane);
    }

    let (keys, values, index) = pass.keys(task);
    let mut top = [f32::MIN; MAX_ROWS];
    let mut sum = [simd.splat(0.0); MAX_ROWS];
    let end = task.ranks.end.min(limits[lanes - 1]);
    for start in (task.ranks.start..end).step_by(KEY_BLOCK) {
        let block = &index[start..end.min(start + KEY_BLOCK)];
        assert_rows(block, head_dim, keys, values);
        for lane in 0..lanes {
            let block = &block[..limits[lane].saturating_sub(start).min(block.len())];
            if block.is_empty() {
                continue;
            }
            // SAFETY: rows lie within keys and values by the assertion; the rest as above.
            unsafe {
                let (q, o) = (q.add(lane * head_dim), o.add(lane * head_dim));
                let block_top = scores(simd, q, keys.as_ptr(), block, head_dim, p);
                let new_top = simd.max_element(simd.max(simd.splat(top[lane]), block_top));
                let shrink = exp2(simd, simd.splat(top[lane] - new_top));
                top[lane] = new_top;
                let mut new_sum = simd.mul(sum[lane], shrink);
                for key in (0..block.len()).step_by(S::LANES) {
                    let weight = exp2(simd, simd.sub(simd.load(p.add(key)), simd.splat(new_top)));
                    simd.store(p.add(key), weight);
                    new_sum = simd.add(new_sum, weight);
                }
                sum[lane] = new_sum;
                let mut element = 0;
                while element + 4 * S::LANES <= head_dim {
                    weigh::<S, E, 4>(
                        simd,
                        p,
                        values.as_ptr().add(element),
                        block,
                        head_dim,
                        o.add(element),
                        shrink,
                    );
                    element += 4 * S::LANES;
                }
                while element < head_dim {
                    weigh::<S, E, 1>(
                        simd,
                        p,
                        values.as_ptr().add(element),
                        block,
                        head_dim,
                        o.add(element),
                        shrink,
                    );
                    element += S::LANES;
                }
            }
        }
    }
    for lane in 0..lanes {
        // SAFETY: written above; the lanes are this task's.
        unsafe {
            let row = std::slice::from_raw_parts(o.add(lane * head_dim), head_dim);
            sink.deliver(pass, task, task.lanes.start + lane, row, top[lane], simd.sum(sum[lane]));
        }
    }
}

/// Scores of one query for the keys that `index` names, to `p`, minus infinity up to a whole vector; their largest.
///
/// # Safety
///
/// `q` has `head_dim` elements, a multiple of `LANES`; `index` is not empty and names rows of `keys`; `p` has room for
/// as many, up to a whole vector.
#[inline(always)]
unsafe fn scores<S: Transpose, E: CacheElement>(
    simd: S,
    q: *const f32,
    keys: *const E,
    index: &[u32],
    head_dim: usize,
    p: *mut f32,
) -> S::F32 {
    let mut top = simd.splat(f32::MIN);
    for first in (0..index.len()).step_by(S::LANES) {
        let mut square = [0.0; 256];
        let mut turned = [0.0; 256];
        // SAFETY: a square of `LANES` fits; the rest is the caller's promise.
        unsafe {
            for i in 0..S::LANES {
                let row = keys.add(index[(first + i).min(index.len() - 1)] as usize * head_dim);
                let mut products = simd.mul(simd.load(q), E::load(simd, row));
                for element in (S::LANES..head_dim).step_by(S::LANES) {
                    let key = E::load(simd, row.add(element));
                    products = simd.mul_add(simd.load(q.add(element)), key, products);
                }
                simd.store(square.as_mut_ptr().add(i * S::LANES), products);
            }
            simd.transpose_square(square.as_ptr(), S::LANES, turned.as_mut_ptr(), S::LANES);
            let mut score = simd.load(turned.as_ptr());
            for i in 1..S::LANES {
                score = simd.add(score, simd.load(turned.as_ptr().add(i * S::LANES)));
            }
            simd.store(p.add(first), score);
            for beyond in index.len()..first + S::LANES {
                *p.add(beyond) = f32::NEG_INFINITY;
            }
            top = simd.max(top, simd.load(p.add(first)));
        }
    }
    top
}

/// `o = shrink x o + sum of p[key] x value` for `VECTORS` vectors of the values' elements.
///
/// # Safety
///
/// `p` has an element for each of `index`, which names rows of `head_dim` in `values`; `values` is at the first element
/// of row 0, and `o` has `VECTORS x LANES` elements.
#[inline(always)]
unsafe fn weigh<S: Transpose, E: CacheElement, const VECTORS: usize>(
    simd: S,
    p: *const f32,
    values: *const E,
    index: &[u32],
    head_dim: usize,
    o: *mut f32,
    shrink: S::F32,
) {
    // SAFETY: the caller's promises.
    unsafe {
        // Two sums, of the even and of the odd keys, so that additions need not wait for one another.
        let mut even = [shrink; VECTORS];
        for v in 0..VECTORS {
            even[v] = simd.mul(shrink, simd.load(o.add(v * S::LANES)));
        }
        let mut odd = [simd.splat(0.0); VECTORS];
        let pairs = index.len() / 2 * 2;
        for key in (0..pairs).step_by(2) {
            add(simd, &mut even, *p.add(key), values.add(index[key] as usize * head_dim));
            add(simd, &mut odd, *p.add(key + 1), values.add(index[key + 1] as usize * head_dim));
        }
        if pairs < index.len() {
            add(simd, &mut even, *p.add(pairs), values.add(index[pairs] as usize * head_dim));
        }
        for v in 0..VECTORS {
            simd.store(o.add(v * S::LANES), simd.add(even[v], odd[v]));
        }
    }
}

/// `sums += weight x row`.
///
/// # Safety
///
/// `row` has `VECTORS x LANES` elements.
#[inline(always)]
unsafe fn add<S: Simd, E: CacheElement, const VECTORS: usize>(
    simd: S,
    sums: &mut [S::F32; VECTORS],
    weight: f32,
    row: *const E,
) {
    let weight = simd.splat(weight);
    for v in 0..VECTORS {
        // SAFETY: the caller's promise.
        sums[v] = simd.mul_add(weight, unsafe { E::load(simd, row.add(v * S::LANES)) }, sums[v]);
    }
}
