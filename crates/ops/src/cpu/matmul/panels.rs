//! Weights in the order in which the innermost loop reads them.
//!
//! ```text
//! a matrix [depth, columns]   ->  panels of [depth, 2 vectors], the last one filled up with zeros
//! gate and up, [depth, 2 ffn] ->  panels of [depth, a vector of gate's columns | the same columns of up]
//! ```
//!
//! Of narrower weights, two or four rows lie together.

use super::aligned::Aligned;
use super::bf16::Pair;
use super::pack::Order;
use super::{Instructions, Weights, bf16, int8};
use crate::cpu::simd::{Level, Simd, dispatch};

/// A stack of matrices of one shape.
pub(crate) struct Panels {
    /// The instruction set for which they are laid out.
    pub(crate) level: Level,
    /// Rows of a matrix: what a product sums over.
    pub(crate) depth: usize,
    /// Columns of a product: for gate and up, half the columns of the matrix.
    pub(crate) columns: usize,
    /// Whether the matrices are gate and up beside each other.
    pub(crate) gated: bool,
    /// Columns of a product that a panel gives.
    pub(crate) panel_columns: usize,
    /// Panels of a matrix.
    pub(crate) count: usize,
    pub(crate) values: Values,
}

/// The weights themselves.
pub(crate) enum Values {
    /// [matrices, panels, depth, 2 vectors].
    F32(Aligned<f32>),
    /// [matrices, panels, depth / 2, 2 vectors].
    Bf16(bf16::Kind, Aligned<Pair>),
    I8(Int8),
}

/// int8 weights: groups of rows lie together, as the instructions take them.
pub(crate) struct Int8 {
    pub(crate) kind: int8::Kind,
    /// Rows of a group.
    pub(crate) group: usize,
    /// What is added to the inputs.
    pub(crate) offset: i32,
    /// [matrices, panels, groups, 2 vectors, group].
    pub(crate) weights: Aligned<i8>,
    /// [matrices, panels, 2 vectors]: what the sums start with, to undo the offset.
    pub(crate) start: Aligned<i32>,
    /// [matrices, panels, 2 vectors].
    pub(crate) scales: Aligned<f32>,
}

impl Panels {
    /// Lays out `matrices` matrices of [depth, columns], or with `gated` of [depth, 2 columns].
    ///
    /// # Panics
    ///
    /// If the weights are not that many.
    pub(crate) fn pack(
        instructions: Instructions,
        weights: Weights<'_>,
        matrices: usize,
        depth: usize,
        columns: usize,
        gated: bool,
    ) -> Self {
        let level = instructions.level;
        let width = if gated { 2 * columns } else { columns };
        assert_eq!(weights.len(), matrices * depth * width, "weights of [{matrices}, {depth}, {width}]");
        let lanes = dispatch!(level, |simd| lanes(simd));
        let panel_columns = if gated { lanes } else { 2 * lanes };
        let count = columns.div_ceil(panel_columns);
        let order = Order { matrices, depth, columns, width, lanes, panel_columns, count, gated };
        let values = match weights {
            Weights::F32(values) => Values::F32(order.rows(values, |value| value)),
            Weights::F16(values) => Values::F32(order.rows(values, half::f16::to_f32)),
            Weights::Bf16(values) => {
                Values::Bf16(instructions.bf16, order.pairs(values, half::bf16::to_bits))
            }
            Weights::I8 { values, scales } => {
                assert_eq!(scales.len(), matrices * width, "scales of [{matrices}, {width}]");
                Values::I8(order.int8(instructions.int8, values, scales))
            }
        };
        Self { level, depth, columns, gated, panel_columns, count, values }
    }

    /// Whether the inputs are to be rounded or quantised.
    pub(crate) fn converts(&self) -> bool {
        match &self.values {
            Values::F32(_) => false,
            Values::Bf16(kind, _) => kind.rounds(),
            Values::I8(_) => true,
        }
    }

    /// Words that a row of converted inputs takes; none if the inputs stay float32.
    pub(crate) fn row_words(&self) -> usize {
        match &self.values {
            Values::Bf16(kind, _) if kind.rounds() => self.depth.div_ceil(2),
            Values::F32(_) | Values::Bf16(..) => 0,
            Values::I8(int8) => 1 + self.depth.div_ceil(int8.group),
        }
    }

    /// Converts rows of inputs, [rows, depth], to `words`, [rows, row_words].
    pub(crate) fn convert(&self, x: &[f32], words: &mut [u32]) {
        match &self.values {
            Values::F32(_) => {}
            Values::Bf16(_, _) => bf16::round(self.level, x, self.depth, words),
            Values::I8(int8) => {
                int8::quantize(self.level, x, self.depth, (int8.group, int8.offset), words);
            }
        }
    }
}

#[inline(always)]
fn lanes<S: Simd>(_: S) -> usize {
    S::LANES
}
