//! What the kernels should compute, plainly, in float64; the integration tests include this file too.

use super::{Activation, SparseMoeShape};

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
pub(crate) fn route(logits: &[f32], top_k: usize, normalize: bool) -> Vec<(usize, f64)> {
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
    let mut chosen: Vec<_> =
        order.into_iter().map(|expert| (expert, (logits[expert] - largest).exp() / total)).collect();
    if normalize {
        let sum: f64 = chosen.iter().map(|(_, weight)| weight).sum();
        chosen.iter_mut().for_each(|(_, weight)| *weight /= sum);
    }
    chosen
}

/// `x W`, [columns], of one row; `matrix` is [row.len(), columns].
pub(crate) fn multiply(row: &[f64], matrix: &[f64], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for (x, weights) in row.iter().zip(matrix.chunks_exact(columns)) {
        sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * weight);
    }
    sums
}

/// The mixture of experts.
pub(crate) fn moe(
    shape: &SparseMoeShape,
    x: &[f32],
    logits: &[f32],
    gate_up: &[f64],
    down: &[f64],
) -> Vec<f64> {
    let SparseMoeShape { experts, hidden, ffn, top_k, activation, normalize_top_k } = *shape;
    let mut y = Vec::new();
    for (x, logits) in x.chunks_exact(hidden).zip(logits.chunks_exact(experts)) {
        let x: Vec<f64> = x.iter().copied().map(f64::from).collect();
        let mut sum = vec![0.0; hidden];
        for (expert, weight) in route(logits, top_k, normalize_top_k) {
            let both = multiply(&x, &gate_up[expert * hidden * 2 * ffn..][..hidden * 2 * ffn], 2 * ffn);
            let inner: Vec<f64> =
                (0..ffn).map(|column| activate(activation, both[column]) * both[ffn + column]).collect();
            let output = multiply(&inner, &down[expert * ffn * hidden..][..ffn * hidden], hidden);
            sum.iter_mut().zip(output).for_each(|(sum, output)| *sum += weight * output);
        }
        y.extend(sum);
    }
    y
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
}
