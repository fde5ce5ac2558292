//! Which tokens go to which experts, and with which weight.

use super::{Scoring, SparseMoeShape};
use crate::cpu::Parallel;
use crate::cpu::parallel::for_each_item;

/// Marks a token's slot that no expert works for: its weight is zero.
pub(super) const UNUSED: u32 = u32::MAX;

/// Tokens that are routed by one task.
const BLOCK: usize = 256;

/// Where the tokens of a call go. A *slot* is one of a token's top-k experts; a *row* is a used slot, and rows are
/// ordered by expert, then by token.
pub(super) struct Routing<'a> {
    /// [experts + 1]: an expert's first row, and so the next one's.
    pub(super) first_rows: &'a mut [u32],
    /// [tokens, top_k], the likeliest expert first: before [`Routing::order`] the slot's expert, then its row.
    pub(super) slots: &'a mut [u32],
    /// [tokens, top_k]: the slots' weights.
    pub(super) slot_weights: &'a mut [f32],
    /// [tokens x top_k]: the rows' tokens.
    pub(super) tokens: &'a mut [u32],
    /// [tokens x top_k]: the rows' weights.
    pub(super) weights: &'a mut [f32],
}

impl Routing<'_> {
    /// The top-k experts of every token, and their weights.
    pub(super) fn choose(&mut self, logits: &[f32], shape: &SparseMoeShape, parallel: &dyn Parallel) {
        let &SparseMoeShape { experts, top_k, scoring, normalize_top_k, .. } = shape;
        let slots = self.slots.chunks_mut(BLOCK * top_k).zip(self.slot_weights.chunks_mut(BLOCK * top_k));
        let blocks = logits.chunks(BLOCK * experts).zip(slots);
        for_each_item(parallel, blocks, |_, (logits, (slots, weights))| {
            let targets = slots.chunks_exact_mut(top_k).zip(weights.chunks_exact_mut(top_k));
            for (logits, (slots, weights)) in logits.chunks_exact(experts).zip(targets) {
                choose_token(logits, scoring, normalize_top_k, slots, weights);
            }
        });
    }

    /// Orders the used slots by expert, and gives how many there are.
    pub(super) fn order(&mut self, top_k: usize) -> usize {
        self.first_rows.fill(0);
        for &expert in self.slots.iter().filter(|&&expert| expert != UNUSED) {
            self.first_rows[expert as usize + 1] += 1;
        }
        // While the rows are dealt out, `first_rows[e + 1]` is the next free one of expert e; then it is e's end.
        let mut rows = 0;
        for next in &mut self.first_rows[1..] {
            let count = *next;
            *next = rows;
            rows += count;
        }
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| **slot != UNUSED) {
            let next = &mut self.first_rows[*slot as usize + 1];
            self.tokens[*next as usize] = (index / top_k) as u32;
            self.weights[*next as usize] = self.slot_weights[index];
            *slot = *next;
            *next += 1;
        }
        rows as usize
    }
}

fn choose_token(logits: &[f32], scoring: Scoring, normalize: bool, slots: &mut [u32], weights: &mut [f32]) {
    for rank in 0..slots.len() {
        let mut best = None;
        for (expert, &logit) in logits.iter().enumerate() {
            if slots[..rank].contains(&(expert as u32)) {
                continue;
            }
            if best.is_none_or(|(_, largest)| logit > largest) {
                best = Some((expert, logit));
            }
        }
        let (expert, logit) = best.expect("top_k is at most the number of experts");
        slots[rank] = expert as u32;
        weights[rank] = logit;
    }
    match scoring {
        Scoring::Softmax => softmax(logits, weights),
        Scoring::Sigmoid => weights.iter_mut().for_each(|weight| *weight = sigmoid(*weight)),
    }
    if normalize {
        let chosen: f32 = weights.iter().sum();
        if chosen != 0.0 {
            weights.iter_mut().for_each(|weight| *weight /= chosen);
        }
    }
    for (slot, weight) in slots.iter_mut().zip(weights) {
        if *weight == 0.0 {
            *slot = UNUSED;
        }
    }
}

/// Turns some of the `logits` into their parts of the softmax over all of them.
fn softmax(logits: &[f32], chosen: &mut [f32]) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Infinity minus infinity is no number, but an infinite logit is as good as the other infinite ones.
    let exponential = |logit: f32| if logit == largest { 1.0 } else { (logit - largest).exp() };
    let total: f32 = logits.iter().map(|&logit| exponential(logit)).sum();
    for weight in chosen {
        *weight = if *weight == f32::NEG_INFINITY { 0.0 } else { exponential(*weight) / total };
    }
}

/// `1 / (1 + e^-x)`, without an exponential that overflows where the result is small.
fn sigmoid(x: f32) -> f32 {
    let e = (-x.abs()).exp();
    if x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) }
}
