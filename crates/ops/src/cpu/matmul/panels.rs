//! Weights in the order in which the innermost loop reads them.
//!
//! ```text
//! a matrix [depth, columns]   ->  panels of [depth, 2 vectors], the last one filled up with zeros
//! gate and up, [depth, 2 ffn] ->  panels of [depth, a vector of gate's columns | the same columns of up]
//! ```

use super::Weights;
use super::aligned::{Aligned, Plain};
use super::int8::{Kind, quantize};
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
    I8(Int8),
}

/// int8 weights: groups of rows lie together, as the instructions take them.
pub(crate) struct Int8 {
    pub(crate) kind: Kind,
    /// Rows of a group.
    pub(crate) group: usize,
    /// [matrices, panels, groups, 2 vectors, group].
    pub(crate) weights: Aligned<i8>,
    /// [matrices, panels, 2 vectors]: what the sums start with, to undo the inputs' offset.
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
                Values::I8(order.int8(Kind::best(level), values, scales))
            }
        };
        Self { level, depth, columns, gated, panel_columns, count, values }
    }

    /// Whether the inputs are to be quantised.
    pub(crate) fn quantizes(&self) -> bool {
        matches!(self.values, Values::I8(_))
    }

    /// Words that a quantised row of inputs takes; none if the inputs stay float32.
    pub(crate) fn words(&self) -> usize {
        match &self.values {
            Values::I8(int8) => self.depth.div_ceil(int8.group),
            Values::F32(_) | Values::Bf16(_) => 0,
        }
    }

    /// Quantises rows of inputs, [rows, depth], to `quantized`, [rows, words], and `scales`, [rows].
    pub(crate) fn quantize(&self, x: &[f32], quantized: &mut [u32], scales: &mut [f32]) {
        if let Values::I8(int8) = &self.values {
            quantize(self.level, x, self.depth, int8.group, quantized, scales);
        }
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
    fn int8(&self, kind: Kind, values: &[i8], scales: &[f32]) -> Int8 {
        let (group, offset) = kind.layout();
        let row = 2 * self.lanes;
        let groups = self.depth.div_ceil(group);
        let panels = self.matrices * self.count;
        let mut weights = Aligned::zeroed(panels * groups * row * group);
        let mut start = Aligned::zeroed(panels * row);
        let mut packed_scales = Aligned::zeroed(panels * row);
        for index in 0..panels {
            let (matrix, panel) = (index / self.count, index % self.count);
            let first = panel * self.panel_columns;
            let columns = self.panel_columns.min(self.columns - first);
            for second in 0..=usize::from(self.gated) {
                for column in 0..columns {
                    let to = second * self.lanes + column;
                    let from = second * self.columns + first + column;
                    let mut sum = 0;
                    for k in 0..self.depth {
                        let weight = values[(matrix * self.depth + k) * self.width + from];
                        weights[((index * groups + k / group) * row + to) * group + k % group] = weight;
                        sum += i32::from(weight);
                    }
                    start[index * row + to] = -offset * sum;
                    packed_scales[index * row + to] = scales[matrix * self.width + from];
                }
            }
        }
        Int8 { kind, group, weights, start, scales: packed_scales }
    }
}
