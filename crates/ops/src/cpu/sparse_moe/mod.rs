//! The sparse mixture of experts.

mod plan;
#[cfg(test)]
pub(crate) mod reference;
mod routing;
#[cfg(test)]
mod tests;

use self::plan::{Block, Plan};
use self::routing::{Routing, UNUSED};
use super::matmul::{
    Finish, Inputs, Instructions, Output, Panels, Product, Rows, Shared, Weights, as_words, part, parts,
};
use super::parallel::for_each_item;
use super::{Activation, Parallel};

/// Tokens that are worked on together: this bounds the scratch memory.
const CHUNK: usize = 2048;

/// Tokens whose experts' outputs are added up by one task.
const COMBINE_BLOCK: usize = 64;

/// What a token's router logits say about its experts' weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scoring {
    /// The softmax over all experts.
    #[default]
    Softmax,
    /// The sigmoid of each expert's own logit: with one expert, its gate.
    Sigmoid,
}

impl Scoring {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Softmax, Self::Sigmoid];

    /// Its name as an attribute.
    pub fn name(self) -> &'static str {
        match self {
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// The sizes of a mixture of experts, and what it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseMoeShape {
    /// How many experts there are.
    pub experts: usize,
    /// Elements of a token.
    pub hidden: usize,
    /// Width of an expert.
    pub ffn: usize,
    /// How many experts work on a token.
    pub top_k: usize,
    /// Applied to the gate.
    pub activation: Activation,
    /// What the experts' weights are made of.
    pub scoring: Scoring,
    /// Whether the weights of a token's experts are divided by their sum. Time-MoE's are not.
    pub normalize_top_k: bool,
}

/// A mixture of experts: `y = addend + sum over the top-k experts of weight * down(activation(gate(x)) * up(x))`, where the
/// weights are what [`Scoring`] makes of the router's logits.
///
/// Equal logits go to the lower expert index. An expert of weight zero does not work at all: a logit of minus infinity
/// is weight zero, and where all logits are, the sum is zero. The result does not depend on the number of threads,
/// and that of a token not on the other tokens.
pub struct SparseMoe {
    shape: SparseMoeShape,
    gate_up: Panels,
    down: Panels,
}

impl SparseMoe {
    /// Lays out the weights: `gate_up` is [experts, hidden, 2 x ffn], the first ffn columns being the gate's, and
    /// `down` is [experts, ffn, hidden].
    ///
    /// # Panics
    ///
    /// If a size is zero, `top_k` exceeds the number of experts, or the weights are not of these sizes.
    pub fn new(shape: SparseMoeShape, gate_up: Weights<'_>, down: Weights<'_>) -> Self {
        Self::with(Instructions::best(), shape, gate_up, down)
    }

    fn with(
        instructions: Instructions,
        shape: SparseMoeShape,
        gate_up: Weights<'_>,
        down: Weights<'_>,
    ) -> Self {
        let SparseMoeShape { experts, hidden, ffn, top_k, .. } = shape;
        assert!(experts > 0 && hidden > 0 && ffn > 0, "a mixture of no experts, or of empty ones: {shape:?}");
        assert!((1..=experts).contains(&top_k), "top-{top_k} of {experts} experts");
        Self {
            shape,
            gate_up: Panels::pack(instructions, gate_up, experts, hidden, ffn, true),
            down: Panels::pack(instructions, down, experts, ffn, hidden, false),
        }
    }

    /// How many float32 of scratch memory [`run`](Self::run) needs for so many tokens, on any number of threads.
    pub fn scratch_len(&self, tokens: usize) -> usize {
        let SparseMoeShape { experts, hidden, ffn, top_k, .. } = self.shape;
        let tokens = tokens.min(CHUNK);
        let slots = tokens * top_k;
        let outputs = if top_k == 1 { 0 } else { slots * hidden };
        let converted = Inputs::scratch_len(&self.gate_up, tokens) + Inputs::scratch_len(&self.down, slots);
        Plan::words(slots, experts) + experts + 1 + 4 * slots + slots * ffn + outputs + converted
    }

    /// Runs: `x` is [tokens, hidden], `router_logits` [tokens, experts], `addend`, if any, as `x`, and so is `y`, which is
    /// overwritten.
    ///
    /// # Panics
    ///
    /// If they are not of the same number of tokens, or `scratch` is shorter than [`scratch_len`](Self::scratch_len).
    pub fn run(
        &self,
        x: &[f32],
        router_logits: &[f32],
        addend: Option<&[f32]>,
        y: &mut [f32],
        scratch: &mut [f32],
        parallel: &dyn Parallel,
    ) {
        let SparseMoeShape { experts, hidden, .. } = self.shape;
        let tokens = x.len() / hidden;
        assert_eq!(x.len(), tokens * hidden, "elements of x, [tokens, {hidden}]");
        assert_eq!(router_logits.len(), tokens * experts, "router logits of [{tokens}, {experts}]");
        assert_eq!(y.len(), x.len(), "elements of y, [{tokens}, {hidden}]");
        assert!(
            addend.is_none_or(|addend| addend.len() == x.len()),
            "elements of the addend, [{tokens}, {hidden}]"
        );
        let needed = self.scratch_len(tokens);
        assert!(scratch.len() >= needed, "scratch memory of {}, {needed} are needed", scratch.len());
        let chunks = x.chunks(CHUNK * hidden).zip(router_logits.chunks(CHUNK * experts));
        for (index, ((x, router_logits), y)) in chunks.zip(y.chunks_mut(CHUNK * hidden)).enumerate() {
            let first = index * CHUNK * hidden;
            let addend = addend.map(|addend| &addend[first..first + x.len()]);
            self.chunk(x, router_logits, addend, y, scratch, parallel);
        }
    }

    fn chunk(
        &self,
        x: &[f32],
        router_logits: &[f32],
        addend: Option<&[f32]>,
        y: &mut [f32],
        scratch: &mut [f32],
        parallel: &dyn Parallel,
    ) {
        let SparseMoeShape { experts, hidden, ffn, top_k, .. } = self.shape;
        let chunk_tokens = x.len() / hidden;
        let slots = chunk_tokens * top_k;
        let mut carve = Carve(scratch);
        let mut routing = Routing {
            first_rows: carve.indices(experts + 1),
            slots: carve.indices(slots),
            slot_weights: carve.numbers(slots),
            tokens: carve.indices(slots),
            weights: carve.numbers(slots),
        };
        let blocks = carve.indices(Plan::words(slots, experts));
        let inner = carve.numbers(slots * ffn);

        routing.choose(router_logits, &self.shape, parallel);
        let rows = routing.order(top_k);
        let Routing { first_rows, slots, tokens, weights, .. } = routing;
        let plan = Plan::new(first_rows, blocks);
        let converted = carve.numbers(Inputs::scratch_len(&self.gate_up, chunk_tokens));
        let inner_words = carve.indices(Inputs::scratch_len(&self.down, rows));
        let work = Work {
            moe: self,
            x: Inputs::new(&self.gate_up, x, chunk_tokens, converted, parallel),
            tokens,
            weights,
            inner: Output::new(inner, ffn),
            inner_words: Shared::new(inner_words),
        };
        if top_k == 1 {
            // Every row is a token's only one: its output needs no adding up.
            if rows < slots.len() {
                match addend {
                    Some(addend) => y.copy_from_slice(addend),
                    None => y.fill(0.0),
                }
            }
            work.run(&plan, Target::Tokens { y: Output::new(y, hidden), addend }, parallel);
            return;
        }
        let outputs = carve.numbers(rows * hidden);
        work.run(&plan, Target::Rows(Output::new(outputs, hidden)), parallel);
        combine(Combined { slots, top_k, outputs, hidden, addend }, y, parallel);
    }
}

/// Where the experts' weighted outputs go.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// [rows, hidden].
    Rows(Output<'a>),
    /// [tokens, hidden], each token being one row's; plus the addend of the same sizes.
    Tokens { y: Output<'a>, addend: Option<&'a [f32]> },
}

/// One chunk's products.
struct Work<'a> {
    moe: &'a SparseMoe,
    /// [tokens, hidden].
    x: Inputs<'a>,
    /// [rows]: whose rows they are.
    tokens: &'a [u32],
    /// [rows].
    weights: &'a [f32],
    /// [rows, ffn]: what lies between the two products.
    inner: Output<'a>,
    /// [rows, row_words]: the same, converted; empty if inputs stay float32.
    inner_words: Shared<'a, u32>,
}

impl Work<'_> {
    fn run(&self, plan: &Plan<'_>, target: Target<'_>, parallel: &dyn Parallel) {
        let threads = parallel.threads().get();
        let blocks = plan.blocks();
        let (gate_up, down) = (&self.moe.gate_up, &self.moe.down);
        let up_parts = parts(blocks, gate_up.count, threads);
        let down_parts = parts(blocks, down.count, threads);
        if up_parts == 1 && down_parts == 1 {
            // What lies between the products stays in the cache.
            parallel.for_each(blocks, &|task| {
                let block = plan.block(task);
                // SAFETY: every task has its own rows; the outputs are borrowed until all are done.
                unsafe {
                    self.up(&block, 0..gate_up.count);
                    self.convert(&block);
                    self.down(&block, 0..down.count, target);
                }
            });
            return;
        }
        parallel.for_each(blocks * up_parts, &|task| {
            let panels = part(gate_up.count, up_parts, task % up_parts);
            // SAFETY: every task has its own rows or panels; the outputs are borrowed until all are done.
            unsafe { self.up(&plan.block(task / up_parts), panels) };
        });
        if down.converts() {
            // SAFETY: every task has its own rows, which no task writes to any more.
            parallel.for_each(blocks, &|task| unsafe { self.convert(&plan.block(task)) });
        }
        parallel.for_each(blocks * down_parts, &|task| {
            let panels = part(down.count, down_parts, task % down_parts);
            // SAFETY: as above.
            unsafe { self.down(&plan.block(task / down_parts), panels, target) };
        });
    }

    /// # Safety
    ///
    /// No other thread touches these rows and columns of `inner`.
    unsafe fn up(&self, block: &Block, chosen_panels: std::ops::Range<usize>) {
        let product = Product {
            panels: &self.moe.gate_up,
            matrix: block.expert,
            chosen_panels,
            count: block.rows.len(),
            rows: Rows { values: self.x, chosen: Some(&self.tokens[block.rows.clone()]) },
            finish: Finish::Gate(self.moe.shape.activation),
            output: self.inner.from(block.rows.start),
        };
        // SAFETY: the caller's.
        unsafe { product.run() };
    }

    /// Converts a block's rows of `inner`, if the weights ask for it.
    ///
    /// # Safety
    ///
    /// No other thread touches these rows' converted elements, or writes to these rows of `inner`.
    unsafe fn convert(&self, block: &Block) {
        let down = &self.moe.down;
        if !down.converts() {
            return;
        }
        let rows = block.rows.clone();
        // SAFETY: the caller's.
        unsafe {
            let words = self.inner_words.part_mut(rows.start * down.row_words()..rows.end * down.row_words());
            down.convert(self.inner.from(rows.start).rows(rows.len()), words);
        }
    }

    /// # Safety
    ///
    /// No other thread touches these rows and columns of the target, or writes to these rows of `inner`.
    unsafe fn down(&self, block: &Block, chosen_panels: std::ops::Range<usize>, target: Target<'_>) {
        let rows = block.rows.clone();
        let down = &self.moe.down;
        // SAFETY: the caller's.
        let values = unsafe {
            if down.converts() {
                Inputs::Words(
                    self.inner_words.part(rows.start * down.row_words()..rows.end * down.row_words()),
                )
            } else {
                Inputs::Float(self.inner.from(rows.start).rows(rows.len()))
            }
        };
        let (output, addend) = match target {
            Target::Rows(outputs) => (outputs.from(rows.start), None),
            Target::Tokens { y, addend } => (y.choose(&self.tokens[rows.clone()]), addend),
        };
        let product = Product {
            panels: down,
            matrix: block.expert,
            chosen_panels,
            count: rows.len(),
            rows: Rows { values, chosen: None },
            finish: Finish::Scale { factors: &self.weights[rows], addend },
            output,
        };
        // SAFETY: the caller's.
        unsafe { product.run() };
    }
}

/// What is added up for each token.
#[derive(Clone, Copy)]
struct Combined<'a> {
    /// [tokens, top_k]: rows.
    slots: &'a [u32],
    top_k: usize,
    /// [rows, hidden].
    outputs: &'a [f32],
    hidden: usize,
    /// [tokens, hidden].
    addend: Option<&'a [f32]>,
}

/// `y`, [tokens, hidden]: the sums of each token's rows, in the slots' order, plus the addend.
fn combine(combined: Combined<'_>, y: &mut [f32], parallel: &dyn Parallel) {
    let Combined { slots, top_k, outputs, hidden, addend } = combined;
    for_each_item(parallel, y.chunks_mut(hidden * COMBINE_BLOCK), |block, y| {
        let first = block * COMBINE_BLOCK;
        let slots = slots[first * top_k..].chunks_exact(top_k);
        for (token, (slots, y)) in slots.zip(y.chunks_exact_mut(hidden)).enumerate() {
            let mut used = slots.iter().filter(|&&row| row != UNUSED).map(|&row| {
                let start = row as usize * hidden;
                &outputs[start..start + hidden]
            });
            match used.next() {
                Some(output) => y.copy_from_slice(output),
                None => y.fill(0.0),
            }
            let addend = addend.map(|addend| &addend[(first + token) * hidden..][..hidden]);
            for output in used.chain(addend) {
                y.iter_mut().zip(output).for_each(|(y, output)| *y += output);
            }
        }
    });
}

/// Deals out scratch memory.
struct Carve<'a>(&'a mut [f32]);

impl<'a> Carve<'a> {
    fn numbers(&mut self, len: usize) -> &'a mut [f32] {
        let (taken, rest) = std::mem::take(&mut self.0).split_at_mut(len);
        self.0 = rest;
        taken
    }

    fn indices(&mut self, len: usize) -> &'a mut [u32] {
        as_words(self.numbers(len))
    }
}
