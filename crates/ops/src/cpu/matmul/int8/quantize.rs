//! A row of float32 as int8 and a scale.

use crate::cpu::simd::{Level, dispatch};

/// Below this, 127 / x would be infinite; such a row is zero.
const SMALLEST: f32 = 1e-36;

/// Quantises rows of `depth` elements: `q = round(x * (127 / max|x|))`, ties to even. The scale is `max|x| / 127`, or
/// NaN for a row that has an infinite element or a NaN. A row takes a word for its scale, and one for each `group`
/// elements, in memory order: of two, int16; of four, bytes to which `offset` is added.
///
/// # Panics
///
/// If the slices are not of the same number of rows.
pub(crate) fn quantize(
    level: Level,
    x: &[f32],
    depth: usize,
    (group, offset): (usize, i32),
    words: &mut [u32],
) {
    if depth == 0 {
        words.fill(0);
        return;
    }
    let row_words = 1 + depth.div_ceil(group);
    assert!(x.len() / depth * row_words == words.len() && x.len().is_multiple_of(depth), "rows to quantise");
    for (x, words) in x.chunks_exact(depth).zip(words.chunks_exact_mut(row_words)) {
        if let Some((scale, words)) = words.split_first_mut() {
            let found = match group {
                4 => dispatch!(level, |_simd| quantize_bytes(x, offset, words)),
                _ => dispatch!(level, |_simd| quantize_halves(x, words)),
            };
            *scale = found.to_bits();
        }
    }
}

/// The scale, and its inverse or zero.
#[inline(always)]
fn scale(x: &[f32]) -> (f32, f32) {
    // As integers, absolute values are in the order of the numbers, and a NaN is larger than all.
    let mut largest = 0;
    for x in x {
        largest = largest.max(x.to_bits() & 0x7fff_ffff);
    }
    let largest = f32::from_bits(largest);
    if !largest.is_finite() {
        (f32::NAN, 0.0)
    } else if largest < SMALLEST {
        (0.0, 0.0)
    } else {
        (largest / 127.0, 127.0 / largest)
    }
}

/// To the nearest integer, ties to even, by adding 1.5 * 2^23: this leaves no bits below one. It is for absolute values
/// of at most 127 and a little, and what is no number becomes zero.
#[inline(always)]
fn round(x: f32, inverse: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    let rounded = x * inverse + SHIFT;
    let q = rounded.to_bits() as i32 - SHIFT.to_bits() as i32;
    if inverse == 0.0 { 0 } else { q }
}

#[inline(always)]
fn quantize_bytes(x: &[f32], offset: i32, words: &mut [u32]) -> f32 {
    let (scale, inverse) = scale(x);
    words[words.len() - 1] = u32::from_ne_bytes([offset as u8; 4]);
    // SAFETY: bytes of words.
    let bytes = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<u8>(), words.len() * 4) };
    for (byte, &x) in bytes.iter_mut().zip(x) {
        *byte = (round(x, inverse) + offset) as u8;
    }
    scale
}

#[inline(always)]
fn quantize_halves(x: &[f32], words: &mut [u32]) -> f32 {
    let (scale, inverse) = scale(x);
    words[words.len() - 1] = 0;
    // SAFETY: halves of words.
    let halves = unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast::<i16>(), words.len() * 2) };
    for (half, &x) in halves.iter_mut().zip(x) {
        *half = round(x, inverse) as i16;
    }
    scale
}
