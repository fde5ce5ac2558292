//! Rows of float32 as pairs of bfloat16.

use crate::cpu::simd::{Level, dispatch};

/// Rounds rows of `depth` elements to the nearest bfloat16, ties to even; a NaN stays one. A row takes `depth / 2` words,
/// rounded up: the first of two elements is in the low half.
///
/// # Panics
///
/// If the slices are not of the same number of rows.
pub(crate) fn round(level: Level, x: &[f32], depth: usize, words: &mut [u32]) {
    if depth == 0 {
        return;
    }
    let row_words = depth.div_ceil(2);
    assert!(x.len() / depth * row_words == words.len() && x.len().is_multiple_of(depth), "rows to round");
    for (x, words) in x.chunks_exact(depth).zip(words.chunks_exact_mut(row_words)) {
        dispatch!(level, |_simd| round_row(x, words));
    }
}

#[inline(always)]
fn round_row(x: &[f32], words: &mut [u32]) {
    let pairs = x.chunks_exact(2);
    if let [last] = pairs.remainder() {
        words[x.len() / 2] = half(*last);
    }
    for (pair, word) in pairs.zip(words) {
        *word = half(pair[0]) | half(pair[1]) << 16;
    }
}

#[inline(always)]
fn half(x: f32) -> u32 {
    let bits = x.to_bits();
    // Just below one half, or one half where the last bit that stays is one: what carries into it rounds up.
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    // A NaN could carry beyond its exponent, or lose all bits that make it one.
    if x.is_nan() { bits >> 16 | 0x40 } else { rounded }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn rounding_is_to_the_nearest_and_ties_go_to_even_on_every_instruction_set() {
        let tops = (0..=0xffff_u32).step_by(7);
        let numbers = tops.flat_map(|top| [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|low| top << 16 | low));
        let x: Vec<f32> = numbers.map(f32::from_bits).collect();
        for level in Level::all() {
            for depth in [1, 2, 9, 64] {
                let x = &x[..x.len() / depth * depth];
                let mut words = vec![0x7777_7777; x.len() / depth * depth.div_ceil(2)];
                round(level, x, depth, &mut words);
                for (x, words) in x.chunks(depth).zip(words.chunks(depth.div_ceil(2))) {
                    let expected = x.iter().map(|&x| bf16::from_f32(x).to_bits()).chain([0]);
                    let found = words.iter().flat_map(|word| [*word as u16, (word >> 16) as u16]);
                    assert!(
                        found.zip(expected).all(|(found, expected)| found == expected),
                        "{level:?}: {x:?}"
                    );
                }
            }
        }
    }
}
