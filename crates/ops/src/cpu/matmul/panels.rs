//! Weights in the order in which the innermost loop reads them.
//!
//! ```text
//! a matrix [depth, columns]   ->  panels of [depth, 2 vectors], the last one filled up with zeros
//! gate and up, [depth, 2 ffn] ->  panels of [depth, a vector of gate's columns | the same columns of up]
//! ```

use super::Weights;
use super::aligned::{Aligned, Plain};
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

/// [matrices, panels, depth, 2 vectors].
pub(crate) enum Values {
    F32(Aligned<f32>),
    Bf16(Aligned<u16>),
}

impl Panels {
    /// Lays out `matrices` matrices of [depth, columns], or with `gated` of [depth, 2 columns].
    ///
    /// # Panics
    ///
    /// If the weights are not that many.
    pub(crate) fn pack(
        level: Level,
        weights: Weights<'_>,
        matrices: usize,
        depth: usize,
        columns: usize,
        gated: bool,
    ) -> Self {
        let width = if gated { 2 * columns } else { columns };
        assert_eq!(weights.len(), matrices * depth * width, "weights of [{matrices}, {depth}, {width}]");
        let lanes = dispatch!(level, |simd| lanes(simd));
        let panel_columns = if gated { lanes } else { 2 * lanes };
        let count = columns.div_ceil(panel_columns);
        let order = Order { matrices, depth, columns, width, lanes, panel_columns, count, gated };
        let values = match weights {
            Weights::F32(values) => Values::F32(order.apply(|index| values[index])),
            Weights::F16(values) => Values::F32(order.apply(|index| values[index].to_f32())),
            Weights::Bf16(values) => Values::Bf16(order.apply(|index| values[index].to_bits())),
            Weights::I8 { values, scales } => {
                assert_eq!(scales.len(), matrices * width, "scales of [{matrices}, {width}]");
                Values::F32(order.apply(|index| {
                    let scale = scales[index / (depth * width) * width + index % width];
                    f32::from(values[index]) * scale
                }))
            }
        };
        Self { level, depth, columns, gated, panel_columns, count, values }
    }
}

#[inline(always)]
fn lanes<S: Simd>(_: S) -> usize {
    S::LANES
}

struct Order {
    matrices: usize,
    depth: usize,
    columns: usize,
    width: usize,
    lanes: usize,
    panel_columns: usize,
    count: usize,
    gated: bool,
}

impl Order {
    fn apply<T: Plain>(&self, source: impl Fn(usize) -> T) -> Aligned<T> {
        let row = 2 * self.lanes;
        let mut packed = Aligned::zeroed(self.matrices * self.count * self.depth * row);
        for (index, to) in packed.chunks_exact_mut(row.max(1)).enumerate() {
            let k = index % self.depth;
            let panel = index / self.depth % self.count;
            let matrix = index / self.depth / self.count;
            let from = (matrix * self.depth + k) * self.width;
            let first = panel * self.panel_columns;
            let columns = self.panel_columns.min(self.columns - first);
            for column in 0..columns {
                to[column] = source(from + first + column);
                if self.gated {
                    to[self.lanes + column] = source(from + self.columns + first + column);
                }
            }
        }
        packed
    }
}
