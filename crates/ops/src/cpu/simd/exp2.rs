//! Powers of two, for the softmax: scores carry the factor log2(e), which costs nothing where the queries are scaled.

use super::Simd;

/// `2^x` for `x <= 0`, relative error below 3e-7; exactly 1 at 0 and exactly 0 below -126.5, so that what is not
/// attended has no weight; NaN of NaN.
///
/// `x = n + r`, `|r| <= 1/2`; `2^r` by the polynomial of degree 5 through (0, 1) whose largest relative error on that
/// range is smallest (9e-8).
#[inline(always)]
pub(crate) fn exp2<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    #[expect(clippy::approx_constant, reason = "close to ln 2, not equal: the optimum for this degree")]
    const COEFFICIENTS: [f32; 5] = [0.693_147, 0.240_222_42, 0.055_507_336, 0.009_671_514, 0.001_326_473];
    let x = simd.max(simd.splat(-127.0), x);
    let n = simd.round(x);
    let r = simd.sub(x, n);
    let mut p = simd.splat(COEFFICIENTS[4]);
    for &coefficient in COEFFICIENTS[..4].iter().rev() {
        p = simd.mul_add(p, r, simd.splat(coefficient));
    }
    p = simd.mul_add(p, r, simd.splat(1.0));
    simd.mul(p, simd.exp2_integer(n))
}

#[cfg(test)]
mod tests {
    use super::super::{Level, dispatch};
    use super::*;

    #[inline(always)]
    fn one<S: Simd>(simd: S, x: f32) -> f32 {
        simd.max_element(exp2(simd, simd.splat(x)))
    }

    fn at(level: Level, x: f32) -> f32 {
        dispatch!(level, |simd| one(simd, x))
    }

    #[test]
    fn powers_of_two_are_accurate_on_every_instruction_set() {
        for level in Level::all() {
            for step in 0..50_000 {
                let x = -125.5 * (step as f32 / 50_000.0);
                let expected = f64::from(x).exp2();
                let found = f64::from(at(level, x));
                assert!((found / expected - 1.0).abs() < 3e-7, "{level:?}: 2^{x} = {found}, not {expected}");
            }
        }
    }

    #[test]
    fn nothing_is_left_of_very_negative_scores_and_all_of_zero() {
        for level in Level::all() {
            for x in [-126.6, -127.0, -1e30, f32::MIN, f32::NEG_INFINITY] {
                assert_eq!(at(level, x).to_bits(), 0, "{level:?}: {x}");
            }
            assert_eq!(at(level, 0.0), 1.0, "{level:?}");
        }
    }
}
