//! What the kernels should compute, plainly, in float64; the integration tests include this file too.

use super::{Activation, Scoring, SparseMoeShape};

/// The error function by its Taylor series: in float64, 120 terms are exact enough up to 4.5.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.5 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// An activation function.
pub(crate) fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Silu => x / (1.0 + (-x).exp()),
        Activation::Gelu => x / 2.0 * (1.0 + erf(x / 2f64.sqrt())),
        Activation::GeluTanh => {
            x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)).tanh())
        }
        Activation::Relu => x.max(0.0),
    }
}

/// Which experts a token goes to, with which weights: the likeliest first.
pub(crate) fn route(logits: &[f32], shape: &SparseMoeShape) -> Vec<(usize, f64)> {
    let SparseMoeShape { top_k, scoring, normalize_top_k: normalize, .. } = *shape;
    let logits: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    // The sort is stable: equal logits stay in the order of their experts. Adding zero makes -0 equal to 0.
    order.sort_by(|&a, &b| (logits[b] + 0.0).total_cmp(&(logits[a] + 0.0)));
    order.truncate(top_k);
    if largest == f64::NEG_INFINITY {
        return order.into_iter().map(|expert| (expert, 0.0)).collect();
    }
    let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    let weight = |expert: usize| match scoring {
        Scoring::Softmax => (logits[expert] - largest).exp() / total,
        Scoring::Sigmoid => 1.0 / (1.0 + (-logits[expert]).exp()),
    };
    let mut chosen: Vec<_> = order.into_iter().map(|expert| (expert, weight(expert))).collect();
    let sum: f64 = chosen.iter().map(|(_, weight)| weight).sum();
    if normalize && sum != 0.0 {
        chosen.iter_mut().for_each(|(_, weight)| *weight /= sum);
    }
    chosen
}

/// How exactly a kernel takes its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// As they are.
    Float32,
    /// Rounded to bfloat16, denormal numbers being zero in products.
    Bfloat16,
}

impl Rounding {
    fn round(self, x: f64) -> f64 {
        match self {
            Self::Float32 => x,
            Self::Bfloat16 => half::bf16::from_f32(x as f32).to_f64(),
        }
    }

    /// What a product of depth one may lose for its factors being too small.
    fn lost(self, x: f64, weight: f64) -> f64 {
        match self {
            Self::Float32 => 3e-45,
            Self::Bfloat16 => 1.2e-38 * (x.abs() + weight.abs() + 1.0),
        }
    }
}

/// A number, and how far from it the result of float32 may be: infinitely far where that may overflow on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Near {
    pub(crate) value: f64,
    pub(crate) tolerance: f64,
}

impl Near {
    /// Whether float32's result is near enough.
    pub(crate) fn holds(self, found: f32) -> bool {
        self.overflows() || (f64::from(found) - self.value).abs() <= self.tolerance
    }

    /// Whether float32 may overflow.
    fn overflows(self) -> bool {
        let largest = self.value.abs() + self.tolerance;
        largest.is_nan() || largest > LARGE
    }
}

/// Numbers larger than this may overflow.
const LARGE: f64 = 1e38;
const OVERFLOW: Near = Near { value: 0.0, tolerance: f64::INFINITY };

/// `x W`, [columns], of one row; `matrix` is [row.len(), columns].
pub(crate) fn multiply(row: &[Near], matrix: &[f64], columns: usize, rounding: Rounding) -> Vec<Near> {
    let mut sums = vec![Near::default(); columns];
    let mut sizes = vec![0.0; columns];
    for (x, weights) in row.iter().zip(matrix.chunks_exact(columns.max(1))) {
        let value = rounding.round(x.value);
        // Near a tie, or where it is inexact itself, the kernel may round to another number.
        let off = |x: f64| (rounding.round(x) - value).abs();
        let off = off(x.value + x.tolerance).max(off(x.value - x.tolerance));
        for ((sum, size), weight) in sums.iter_mut().zip(&mut sizes).zip(weights) {
            sum.value += value * weight;
            sum.tolerance += off * weight.abs() + rounding.lost(value, *weight);
            *size += (value * weight).abs();
        }
    }
    for (sum, size) in sums.iter_mut().zip(sizes) {
        // Every product and every sum may be off by half a unit in the last place.
        sum.tolerance += 1.2e-7 * (row.len() + 2) as f64 * size;
        if size.is_nan() || size > LARGE || sum.overflows() {
            *sum = OVERFLOW;
        }
    }
    sums
}

/// The numbers, exactly.
pub(crate) fn exactly(values: &[f32]) -> Vec<Near> {
    values.iter().map(|&value| Near { value: value.into(), tolerance: 0.0 }).collect()
}

fn gated(activation: Activation, gate: Near, up: Near) -> Near {
    let value = activate(activation, gate.value);
    // No slope is steeper than 1.2.
    let off = 1.2 * gate.tolerance + 4e-7 * gate.value.abs().max(1e-3);
    let inner = value * up.value;
    let tolerance =
        off * (up.value.abs() + up.tolerance) + value.abs() * up.tolerance + 1e-7 * inner.abs() + 3e-45;
    let result = Near { value: inner, tolerance };
    if gate.value.abs() * up.value.abs() > LARGE || result.overflows() { OVERFLOW } else { result }
}

/// The mixture of experts, without an addend.
pub(crate) fn moe(
    shape: &SparseMoeShape,
    x: &[f32],
    logits: &[f32],
    gate_up: &[f64],
    down: &[f64],
    rounding: Rounding,
) -> Vec<Near> {
    let SparseMoeShape { experts, hidden, ffn, activation, .. } = *shape;
    let mut y = Vec::new();
    for (x, logits) in x.chunks_exact(hidden).zip(logits.chunks_exact(experts)) {
        let mut sum = vec![Near::default(); hidden];
        for (expert, weight) in route(logits, shape) {
            if weight == 0.0 {
                continue;
            }
            let weights = &gate_up[expert * hidden * 2 * ffn..][..hidden * 2 * ffn];
            let both = multiply(&exactly(x), weights, 2 * ffn, rounding);
            let inner: Vec<_> =
                (0..ffn).map(|column| gated(activation, both[column], both[ffn + column])).collect();
            let output = multiply(&inner, &down[expert * ffn * hidden..][..ffn * hidden], hidden, rounding);
            for (sum, output) in sum.iter_mut().zip(output) {
                sum.value += weight * output.value;
                sum.tolerance +=
                    weight * output.tolerance + (2e-5 * weight + 3e-45) * output.value.abs() + 3e-45;
            }
        }
        y.extend(sum);
    }
    y
}

/// Something near, plus a number: float32 rounds once more.
pub(crate) fn plus(near: Near, addend: f32) -> Near {
    let value = near.value + f64::from(addend);
    let size = near.value.abs() + f64::from(addend.abs());
    let sum = Near { value, tolerance: near.tolerance + 1.2e-7 * size };
    if sum.overflows() { OVERFLOW } else { sum }
}

/// `x W` of one row by int8: the row is quantised, the sums are integers. `values` is [row.len(), columns], `scales`
/// [columns].
pub(crate) fn multiply_int8(row: &[f32], values: &[i8], scales: &[f32]) -> Vec<f32> {
    let largest = row.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    let (scale, inverse) = if largest < 1e-36 { (0.0, 0.0) } else { (largest / 127.0, 127.0 / largest) };
    let mut sums = vec![0i64; scales.len()];
    for (x, weights) in row.iter().zip(values.chunks_exact(scales.len())) {
        let q = (x * inverse).round_ties_even() as i64;
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += q * i64::from(*weight));
    }
    sums.iter().zip(scales).map(|(&sum, column)| sum as f32 * scale * column).collect()
}

/// int8 weights that look random: among them the extreme ones.
pub(crate) fn int8_weights(random: &mut Random, count: usize) -> Vec<i8> {
    (0..count).map(|_| (random.number() * 140.0).clamp(-128.0, 127.0) as i8).collect()
}

/// The weights that int8 values and the scales of their columns stand for, [.., depth, columns].
pub(crate) fn dequantize(values: &[i8], scales: &[f32], depth: usize, columns: usize) -> Vec<f64> {
    let matrices = values.chunks_exact(depth * columns).zip(scales.chunks_exact(columns));
    let weights = matrices.flat_map(|(values, scales)| values.iter().zip(scales.iter().cycle()));
    weights.map(|(value, scale)| f64::from(*value) * f64::from(*scale)).collect()
}

/// Numbers that look random and are the same everywhere (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// Evenly between -1 and 1.
    pub(crate) fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// So many, each times `scale`.
    pub(crate) fn numbers(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.number() * scale).collect()
    }

    /// So many, each times `scale`; half of the times there are denormal, huge and zero ones among them.
    pub(crate) fn awkward_numbers(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let awkward = self.number() > 0.0;
        (0..count)
            .map(|_| match ((self.number() + 1.0) * 256.0) as u32 {
                0 if awkward => self.number() * 1e30,
                1..16 if awkward => self.number() * 1e-38,
                16..24 if awkward => self.number() * 1e-43,
                24..32 if awkward => 0.0,
                _ => self.number() * scale,
            })
            .collect()
    }
}
