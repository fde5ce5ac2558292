//! The operators as their formulas say, one thread, without any thought of speed: what the kernels are compared with.

#![allow(dead_code, reason = "each benchmark uses its own operator")]

/// `y = x weight`: [rows, input] by [input, output].
pub(crate) fn linear(x: &[f32], weight: &[f32], input: usize, output: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(input).zip(y.chunks_exact_mut(output)) {
        for (column, y) in y.iter_mut().enumerate() {
            *y = (0..input).map(|k| x[k] * weight[k * output + column]).sum();
        }
    }
}

/// A mixture of experts, `hidden` wide, whose experts are `ffn` wide: every token through the `top_k` experts of its largest
/// logits, weighted by the softmax of all.
pub(crate) fn sparse_moe(
    [hidden, ffn, experts, top_k]: [usize; 4],
    x: &[f32],
    logits: &[f32],
    gate_up: &[f32],
    down: &[f32],
    y: &mut [f32],
) {
    let rows = x.chunks_exact(hidden).zip(logits.chunks_exact(experts)).zip(y.chunks_exact_mut(hidden));
    for ((x, logits), y) in rows {
        y.fill(0.0);
        let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
        let mut order: Vec<usize> = (0..experts).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        for &expert in &order[..top_k] {
            let mut inner = vec![0.0; 2 * ffn];
            linear(x, &gate_up[expert * hidden * 2 * ffn..][..hidden * 2 * ffn], hidden, 2 * ffn, &mut inner);
            let (gate, up) = inner.split_at_mut(ffn);
            gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= *up / (1.0 + (-*gate).exp()));
            let mut out = vec![0.0; hidden];
            linear(gate, &down[expert * ffn * hidden..][..ffn * hidden], ffn, hidden, &mut out);
            let weight = logits[expert].exp() / total;
            y.iter_mut().zip(out).for_each(|(y, out)| *y += weight * out);
        }
    }
}

/// `sum = x + residual`, `y = sum / sqrt(mean(sum^2) + epsilon) * weight`, rows as long as `weight`.
pub(crate) fn add_rms_norm(
    x: &[f32],
    residual: &[f32],
    weight: &[f32],
    epsilon: f32,
    y: &mut [f32],
    sum: &mut [f32],
) {
    sum.iter_mut().zip(x.iter().zip(residual)).for_each(|(sum, (x, residual))| *sum = x + residual);
    for (sum, y) in sum.chunks_exact(weight.len()).zip(y.chunks_exact_mut(weight.len())) {
        let squares: f32 = sum.iter().map(|sum| sum * sum).sum();
        let root = (squares / weight.len() as f32 + epsilon).sqrt();
        y.iter_mut().zip(sum.iter().zip(weight)).for_each(|(y, (sum, weight))| *y = sum / root * weight);
    }
}

/// Causal attention of the last `queries` of the keys' points, one head: q [queries, head_dim], k and v [keys, head_dim],
/// with a row of scores. Nothing is rotated.
pub(crate) fn attention(head_dim: usize, q: &[f32], k: &[f32], v: &[f32], y: &mut [f32]) {
    let (queries, keys) = (q.len() / head_dim, k.len() / head_dim);
    let scale = (head_dim as f32).powf(-0.5);
    for query in 0..queries {
        let q = &q[query * head_dim..][..head_dim];
        let seen = keys - queries + query + 1;
        let score = |key: usize| (0..head_dim).map(|e| q[e] * k[key * head_dim + e]).sum::<f32>() * scale;
        let mut scores: Vec<f32> = (0..seen).map(score).collect();
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        scores.iter_mut().for_each(|score| *score = (*score - largest).exp());
        let total: f32 = scores.iter().sum();
        for e in 0..head_dim {
            let sum: f32 = (0..seen).map(|key| scores[key] * v[key * head_dim + e]).sum();
            y[query * head_dim + e] = sum / total;
        }
    }
}
