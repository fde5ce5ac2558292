//! The activation functions that a Time-MoE configuration may name.

use super::simd::{Simd, sigmoid};

/// An activation function, applied to every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`, the exact form.
    Gelu,
    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    /// Every activation.
    pub const ALL: [Self; 4] = [Self::Silu, Self::Gelu, Self::GeluTanh, Self::Relu];

    /// Its name in the attribute `activation`: that of `hidden_act` in a model's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silu => "silu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_pytorch_tanh",
            Self::Relu => "relu",
        }
    }
}

/// The function, of every element. A `match` rather than a function that is passed on: a pointer to one, or the shim
/// that calls it, would not be compiled for the instruction set.
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, activation: Activation, x: S::F32) -> S::F32 {
    match activation {
        Activation::Silu => silu(simd, x),
        Activation::Gelu => gelu(simd, x),
        Activation::GeluTanh => gelu_tanh(simd, x),
        Activation::Relu => relu(simd, x),
    }
}

#[inline(always)]
fn silu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    simd.mul(x, sigmoid(simd, x))
}

#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    let e = erf(simd, simd.mul(x, simd.splat(std::f32::consts::FRAC_1_SQRT_2)));
    let half = simd.mul(x, simd.splat(0.5));
    simd.mul_add(half, e, half)
}

/// `1 + tanh(u) = 2 sigmoid(2 u)` saves both the cancellation and a second exponential.
#[inline(always)]
fn gelu_tanh<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
    let cubic = simd.mul(simd.splat(0.044_715 * TWICE_SQRT_2_OVER_PI), simd.mul(x, x));
    let twice_u = simd.mul(x, simd.add(simd.splat(TWICE_SQRT_2_OVER_PI), cubic));
    simd.mul(x, sigmoid(simd, twice_u))
}

#[inline(always)]
fn relu<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    // In this order a NaN stays one: `max` gives its second operand where either is NaN.
    simd.max(simd.splat(0.0), x)
}

/// The error function to about 3e-7: an odd rational function of degree 13 over 8, as in the linear algebra library
/// Eigen. Beyond 4 it is one in float32.
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::F32) -> S::F32 {
    const NUMERATOR: [f32; 7] = [
        -1.609_603_3e-2,
        -2.954_6e-3,
        -7.349_906_3e-4,
        -5.692_506_4e-5,
        -2.101_024e-6,
        2.770_681_4e-8,
        -2.726_142e-10,
    ];
    const DENOMINATOR: [f32; 5] =
        [-1.426_473_9e-2, -7.373_329e-3, -1.682_827e-3, -2.133_740_6e-4, -1.456_607_2e-5];
    let x = simd.max(simd.splat(-4.0), simd.min(simd.splat(4.0), x));
    let square = simd.mul(x, x);
    let mut numerator = simd.splat(NUMERATOR[6]);
    for &coefficient in NUMERATOR[..6].iter().rev() {
        numerator = simd.mul_add(numerator, square, simd.splat(coefficient));
    }
    let mut denominator = simd.splat(DENOMINATOR[4]);
    for &coefficient in DENOMINATOR[..4].iter().rev() {
        denominator = simd.mul_add(denominator, square, simd.splat(coefficient));
    }
    simd.div(simd.mul(x, numerator), denominator)
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Level, dispatch};
    use super::super::sparse_moe::reference;
    use super::*;

    #[inline(always)]
    fn first<S: Simd>(simd: S, activation: Activation, x: f32) -> f32 {
        let mut y = [0.0; 16];
        let value = activate(simd, activation, simd.splat(x));
        // SAFETY: no vector has more than 16 elements.
        unsafe { simd.store(y.as_mut_ptr(), value) };
        y[0]
    }

    #[test]
    fn activations_agree_with_float64_on_every_instruction_set() {
        for level in Level::all() {
            for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
                for step in -12_000..12_000 {
                    let x = step as f32 / 1000.0;
                    let y = f64::from(dispatch!(level, |simd| first(simd, activation, x)));
                    let expected = reference::activate(activation, f64::from(x));
                    let tolerance = 4e-7 * expected.abs().max(x.abs().into()).max(1e-3);
                    assert!(
                        (y - expected).abs() <= tolerance,
                        "{level:?}: {activation:?}({x}) = {y} rather than {expected}"
                    );
                }
            }
        }
    }
}
