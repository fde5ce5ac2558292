//! The cache: rows of the past copied, keys of the present rotated and appended with their values.

use super::disjoint::Disjoint;
use super::element::CacheElement;
use super::points::Points;
use super::{AttentionInputs, FlashAttentionShape};
use crate::cpu::Parallel;
use crate::cpu::rotary::RotaryTables;
use crate::cpu::simd::{Level, Simd, dispatch};

/// Rows of one head in a task.
const ROWS: usize = 256;

/// Elements below which starting tasks costs more than copying.
const SMALL: usize = 1 << 14;

/// Writes rows 0 to `past + sequence` of the present (from `past` on where the past lies there already).
pub(super) fn append<E: CacheElement>(
    level: Level,
    shape: &FlashAttentionShape,
    inputs: &AttentionInputs<'_, E>,
    (points, tables): (Points<'_>, &RotaryTables),
    present: (&mut [E], &mut [E]),
    parallel: &dyn Parallel,
) {
    let sizes = inputs.sizes;
    let first = if inputs.past.is_some() { 0 } else { sizes.past };
    let rows = sizes.past + sizes.sequence - first;
    let series = sizes.batch * shape.kv_heads;
    let present = (&Disjoint::new(present.0), &Disjoint::new(present.1));
    let chunks = rows.div_ceil(ROWS);
    let task = |task: usize| {
        let (head, chunk) = (task / chunks, task % chunks);
        let start = first + chunk * ROWS;
        let end = (start + ROWS).min(first + rows);
        dispatch!(level, |simd| append_rows(
            simd,
            shape,
            inputs,
            (points, tables),
            present,
            head,
            start..end
        ));
    };
    if series * rows * shape.head_dim <= SMALL {
        (0..series * chunks).for_each(task);
    } else {
        parallel.for_each(series * chunks, &task);
    }
}

#[inline(always)]
fn append_rows<S: Simd, E: CacheElement>(
    simd: S,
    shape: &FlashAttentionShape,
    inputs: &AttentionInputs<'_, E>,
    (points, tables): (Points<'_>, &RotaryTables),
    (present_key, present_value): (&Disjoint<'_, E>, &Disjoint<'_, E>),
    head: usize,
    rows: std::ops::Range<usize>,
) {
    let (sizes, head_dim) = (inputs.sizes, shape.head_dim);
    let (batch, kv_head) = (head / shape.kv_heads, head % shape.kv_heads);
    let at = (head * sizes.present_capacity + rows.start) * head_dim;
    // SAFETY: tasks have different rows of the present.
    let (key, value) = unsafe {
        (present_key.part(at, rows.len() * head_dim), present_value.part(at, rows.len() * head_dim))
    };
    let copied = sizes.past.clamp(rows.start, rows.end) - rows.start;
    if let Some((past_key, past_value)) = inputs.past
        && copied > 0
    {
        let from = (head * sizes.past_capacity + rows.start) * head_dim;
        key[..copied * head_dim].copy_from_slice(&past_key[from..][..copied * head_dim]);
        value[..copied * head_dim].copy_from_slice(&past_value[from..][..copied * head_dim]);
    }
    for row in copied..rows.len() {
        let point = rows.start + row - sizes.past;
        let (from, column) = (batch * sizes.sequence + point, kv_head * head_dim);
        let to = row * head_dim..(row + 1) * head_dim;
        let position = points.position(batch, point);
        let k = inputs.k.part(from, column, head_dim);
        E::write(
            &mut key[to.clone()],
            #[inline(always)]
            |key| tables.rotate(simd, position, 1.0, k, key),
        );
        E::store(&mut value[to], inputs.v.part(from, column, head_dim));
    }
}
