//! The exponential function and what is made of it.

use super::Simd;

/// `e^x` to about two units in the last place; for x below -87.3 that of -87.3 (1e-38), above 88.4 infinity, so that
/// a sigmoid comes down to zero.
///
/// `x = n ln 2 + r`, `|r| <= ln 2 / 2`; ln 2 in two parts (Cody and Waite 1980), and `e^r` by a polynomial of degree 6.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const LOWEST: f32 = -87.336_54;
    const HIGHEST: f32 = 88.722_84;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Taylor coefficients 1/k!, the last two adjusted by the range: their error stays below 2^-24 of e^r.
    const COEFFICIENTS: [f32; 7] = [1.0, 1.0, 0.5, 0.166_666_67, 0.041_666_668, 0.008_333_334, 0.001_388_889];
    let clamped = simd.max(simd.splat(LOWEST), simd.min(simd.splat(HIGHEST), x));
    let n = simd.round(simd.mul(clamped, simd.splat(std::f32::consts::LOG2_E)));
    let r = simd.mul_add(n, simd.splat(-LN_2_HIGH), clamped);
    let r = simd.mul_add(n, simd.splat(-LN_2_LOW), r);
    let mut p = simd.splat(COEFFICIENTS[6]);
    for &coefficient in COEFFICIENTS[..6].iter().rev() {
        p = simd.mul_add(p, r, simd.splat(coefficient));
    }
    simd.mul(p, simd.exp2_integer(n))
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let one = simd.splat(1.0);
    let e = exp(simd, simd.sub(simd.splat(0.0), x));
    simd.div(one, simd.add(one, e))
}

#[cfg(test)]
mod tests {
    use super::super::{Level, dispatch};
    use super::*;

    #[inline(always)]
    fn map<S: Simd>(simd: S, x: &mut [f32; 16], f: impl Fn(S, S::F32) -> S::F32) {
        for chunk in x.chunks_exact_mut(S::LANES) {
            // SAFETY: the chunk has `LANES` elements.
            unsafe { simd.store(chunk.as_mut_ptr(), f(simd, simd.load(chunk.as_ptr()))) };
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place_on_every_instruction_set() {
        for level in Level::all() {
            for step in 0..100_000 {
                let x = -87.0 + 175.0 * (step as f32 / 100_000.0);
                let mut e = [x; 16];
                dispatch!(level, |simd| map(simd, &mut e, exp));
                let expected = f64::from(x).exp();
                assert!(
                    (f64::from(e[0]) / expected - 1.0).abs() < 2.5e-7,
                    "{level:?}: e^{x} = {} rather than {expected}",
                    e[0]
                );
            }
        }
    }

    #[test]
    fn exp_of_very_negative_numbers_is_next_to_nothing_and_of_zero_is_one() {
        for level in Level::all() {
            for (x, most) in [(f32::NEG_INFINITY, 1.2e-38), (-1e30, 1.2e-38), (-88.0, 1.2e-38)] {
                let mut e = [x; 16];
                dispatch!(level, |simd| map(simd, &mut e, exp));
                assert!(e.iter().all(|&e| (0.0..=most).contains(&e)), "{level:?}: e^{x} = {e:?}");
            }
            let mut one = [0.0; 16];
            dispatch!(level, |simd| map(simd, &mut one, exp));
            assert_eq!(one, [1.0; 16], "{level:?}");
        }
    }

    #[test]
    fn a_sigmoid_comes_down_to_zero_and_up_to_one_on_every_instruction_set() {
        for level in Level::all() {
            for (x, expected) in [(f32::MIN, 0.0), (-89.0, 0.0), (20.0, 1.0), (f32::MAX, 1.0)] {
                let mut y = [x; 16];
                dispatch!(level, |simd| map(simd, &mut y, sigmoid));
                assert_eq!(y, [expected; 16], "{level:?}: {x}");
            }
        }
    }
}
