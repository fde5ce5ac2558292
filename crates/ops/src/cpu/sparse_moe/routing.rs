//! Which tokens go to which experts, and with which weight.

use crate::cpu::Parallel;

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
    /// Softmax over all experts, and the top-k of them.
    pub(super) fn choose(
        &mut self,
        logits: &[f32],
        experts: usize,
        top_k: usize,
        normalize: bool,
        parallel: &dyn Parallel,
    ) {
        let tokens = logits.len() / experts;
        let blocks = tokens.div_ceil(BLOCK);
        if blocks <= 1 || parallel.threads().get() == 1 {
            choose_block(logits, experts, top_k, normalize, self.slots, self.slot_weights);
            return;
        }
        // Each block's slots are taken by the one task that fills them.
        let slots = self.slots.chunks_mut(BLOCK * top_k).zip(self.slot_weights.chunks_mut(BLOCK * top_k));
        let targets: Vec<_> = slots.map(|pair| std::sync::Mutex::new(Some(pair))).collect();
        parallel.for_each(blocks, &|block| {
            let target = targets[block].lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let logits = &logits[block * BLOCK * experts..tokens.min((block + 1) * BLOCK) * experts];
            if let Some((slots, weights)) = target {
                choose_block(logits, experts, top_k, normalize, slots, weights);
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

fn choose_block(
    logits: &[f32],
    experts: usize,
    top_k: usize,
    normalize: bool,
    slots: &mut [u32],
    slot_weights: &mut [f32],
) {
    let targets = slots.chunks_exact_mut(top_k).zip(slot_weights.chunks_exact_mut(top_k));
    for (logits, (slots, weights)) in logits.chunks_exact(experts).zip(targets) {
        choose_token(logits, normalize, slots, weights);
    }
}

fn choose_token(logits: &[f32], normalize: bool, slots: &mut [u32], weights: &mut [f32]) {
    if let &[logit] = logits {
        // Softmax over one expert.
        weights[0] = if logit.is_nan() { f32::NAN } else { f32::from(u8::from(logit != f32::NEG_INFINITY)) };
        slots[0] = if weights[0] == 0.0 { UNUSED } else { 0 };
        return;
    }
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Infinity minus infinity is no number, but an infinite logit is as good as the other infinite ones.
    let exponential = |logit: f32| if logit == largest { 1.0 } else { (logit - largest).exp() };
    let total: f32 = logits.iter().map(|&logit| exponential(logit)).sum();
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
        weights[rank] = if logit == f32::NEG_INFINITY { 0.0 } else { exponential(logit) / total };
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
