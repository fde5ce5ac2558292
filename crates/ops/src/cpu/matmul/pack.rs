//! Laying out weights: each row of a matrix is read once, in order, and dealt out to the panels.

use super::aligned::{Aligned, Plain};
use super::bf16::Pair;
use super::int8::Kind;
use super::panels::Int8;

/// The sizes of the matrices and of the panels they become.
pub(super) struct Order {
    pub(super) matrices: usize,
    pub(super) depth: usize,
    /// Columns of a product.
    pub(super) columns: usize,
    /// Columns of a matrix: with gate and up beside each other, twice as many.
    pub(super) width: usize,
    pub(super) lanes: usize,
    pub(super) panel_columns: usize,
    /// Panels of a matrix.
    pub(super) count: usize,
    pub(super) gated: bool,
}

/// Some columns of one row that go to one panel.
struct Piece {
    /// Which of all panels.
    panel: usize,
    row: usize,
    /// Where they go in the panel's row.
    column: usize,
    len: usize,
    /// Where they come from: in all weights, and in all columns of all matrices.
    from: usize,
    from_column: usize,
}

impl Order {
    /// Every piece, in the order of the weights.
    fn for_each(&self, mut put: impl FnMut(Piece)) {
        for matrix in 0..self.matrices {
            for row in 0..self.depth {
                for second in 0..=usize::from(self.gated) {
                    for panel in 0..self.count {
                        let first = panel * self.panel_columns;
                        let column = second * self.columns + first;
                        put(Piece {
                            panel: matrix * self.count + panel,
                            row,
                            column: second * self.lanes,
                            len: self.panel_columns.min(self.columns - first),
                            from: (matrix * self.depth + row) * self.width + column,
                            from_column: matrix * self.width + column,
                        });
                    }
                }
            }
        }
    }

    /// Columns of a panel, and how many panels there are in all.
    fn panels(&self) -> (usize, usize) {
        (2 * self.lanes, self.matrices * self.count)
    }

    /// [matrices, panels, depth, 2 vectors].
    pub(super) fn rows<T: Copy>(&self, values: &[T], float: impl Fn(T) -> f32) -> Aligned<f32> {
        let (columns, panels) = self.panels();
        let mut packed = Aligned::zeroed(panels * self.depth * columns);
        self.for_each(|piece| {
            let to = (piece.panel * self.depth + piece.row) * columns + piece.column;
            let to = &mut packed[to..to + piece.len];
            to.iter_mut().zip(&values[piece.from..]).for_each(|(to, value)| *to = float(*value));
        });
        packed
    }

    /// [matrices, panels, depth / 2, 2 vectors].
    pub(super) fn pairs<T: Copy>(&self, values: &[T], bits: impl Fn(T) -> u16) -> Aligned<Pair> {
        let (columns, panels) = self.panels();
        let pairs = self.depth.div_ceil(2);
        let mut packed = Aligned::zeroed(panels * pairs * columns);
        self.for_each(|piece| {
            let to = (piece.panel * pairs + piece.row / 2) * columns + piece.column;
            let to: &mut [Pair] = &mut packed[to..to + piece.len];
            let shift = 16 * (piece.row % 2);
            for (to, value) in to.iter_mut().zip(&values[piece.from..]) {
                to.0 |= u32::from(bits(*value)) << shift;
            }
        });
        packed
    }

    /// As [`Int8`] says; `scales` is [matrices, width].
    pub(super) fn int8(&self, kind: Kind, values: &[i8], scales: &[f32]) -> Int8 {
        let (group, offset) = kind.layout();
        let (columns, panels) = self.panels();
        let groups = self.depth.div_ceil(group);
        let mut weights = zeroed(panels * groups * columns * group);
        let mut start = zeroed(panels * columns);
        let mut packed_scales = zeroed(panels * columns);
        self.for_each(|piece| {
            let first = piece.panel * columns + piece.column;
            let start: &mut [i32] = &mut start[first..first + piece.len];
            let to = ((piece.panel * groups + piece.row / group) * columns + piece.column) * group;
            for (column, (start, &value)) in start.iter_mut().zip(&values[piece.from..]).enumerate() {
                weights[to + column * group + piece.row % group] = value;
                *start -= offset * i32::from(value);
            }
            if piece.row == 0 {
                let scales = &scales[piece.from_column..][..piece.len];
                packed_scales[first..first + piece.len].copy_from_slice(scales);
            }
        });
        Int8 { kind, group, offset, weights, start, scales: packed_scales }
    }
}

fn zeroed<T: Plain>(len: usize) -> Aligned<T> {
    Aligned::zeroed(len)
}
