//! What the benchmarks share.

mod pair;
pub(crate) mod plain;

pub(crate) use self::pair::Pair;

/// Numbers from -1 to 1 that are the same in every run.
pub(crate) fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Numbers from `-scale` to `scale`.
#[allow(dead_code, reason = "not every benchmark scales")]
pub(crate) fn scaled_noise(count: usize, seed: u32, scale: f32) -> Vec<f32> {
    noise(count, seed).into_iter().map(|x| x * scale).collect()
}
