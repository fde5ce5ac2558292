//! Many rows times many panels.

use std::ops::Range;

use super::bf16::{self, Pair, pair_tile};
use super::inputs::Inputs;
use super::int8::{self, Int8Panel, int8_tile};
use super::panels::{Int8, Panels, Values};
use super::share::part;
use super::tile::{Ahead, Element, MOST_ELEMENTS, MOST_ROWS, Tiled, panels_at_once, tile};
use crate::cpu::Activation;
use crate::cpu::activation::activate;
use crate::cpu::simd::{Simd, dispatch};

/// The inputs: some rows of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: Inputs<'a>,
    /// Which rows; all, in order, if there is no such list.
    pub(crate) chosen: Option<&'a [u32]>,
}

/// Where the outputs go: some rows of a matrix that several threads write to.
#[derive(Clone, Copy)]
pub(crate) struct Output<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    /// Which rows; all, in order, if there is no such list.
    pub(crate) chosen: Option<&'a [u32]>,
    matrix: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: the only use is `Product::run`, whose caller promises that no two threads touch the same elements.
unsafe impl Send for Output<'_> {}
// SAFETY: as above.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    /// All rows of `values`, [.., columns].
    pub(crate) fn new(values: &'a mut [f32], columns: usize) -> Self {
        let rows = values.len() / columns.max(1);
        let start = values.as_mut_ptr();
        Self { start, rows, columns, chosen: None, matrix: std::marker::PhantomData }
    }

    /// The given rows.
    pub(crate) fn choose<'b>(self, chosen: &'b [u32]) -> Output<'b>
    where
        'a: 'b,
    {
        Output { chosen: Some(chosen), ..self }
    }

    /// Rows from `first` on.
    pub(crate) fn from(self, first: usize) -> Self {
        assert!(first <= self.rows && self.chosen.is_none());
        // SAFETY: within the matrix, or at its end.
        let start = unsafe { self.start.add(first * self.columns) };
        Self { start, rows: self.rows - first, ..self }
    }

    /// The matrix, to read it.
    ///
    /// # Safety
    ///
    /// No thread writes to these rows while the slice lives.
    pub(crate) unsafe fn rows(&self, rows: usize) -> &'a [f32] {
        assert!(rows <= self.rows && self.chosen.is_none());
        // SAFETY: within the matrix; the caller's.
        unsafe { std::slice::from_raw_parts(self.start, rows * self.columns) }
    }
}

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// `activation(gate) * up`, for gated panels.
    Gate(Activation),
    /// Each row times its factor, [rows], plus the row of the addend, if any, that has the output's number.
    Scale { factors: &'a [f32], addend: Option<&'a [f32]> },
    /// Plus [columns], if any.
    Bias(Option<&'a [f32]>),
}

/// `count` rows times some panels of one matrix.
pub(crate) struct Product<'a> {
    pub(crate) panels: &'a Panels,
    pub(crate) matrix: usize,
    pub(crate) chosen_panels: Range<usize>,
    pub(crate) count: usize,
    pub(crate) rows: Rows<'a>,
    pub(crate) finish: Finish<'a>,
    pub(crate) output: Output<'a>,
}

impl Product<'_> {
    /// Overwrites the outputs: the columns of these panels, in these rows.
    ///
    /// # Safety
    ///
    /// No other thread touches those outputs meanwhile, and the matrix that [`Output::new`] was given still lives.
    pub(crate) unsafe fn run(&self) {
        let given = match self.rows.values {
            Inputs::Float(values) => values.len().checked_div(self.panels.depth).unwrap_or(usize::MAX),
            Inputs::Words(words) => words.len().checked_div(self.panels.row_words()).unwrap_or(usize::MAX),
        };
        let within = |chosen: Option<&[u32]>, rows: usize| match chosen {
            Some(chosen) => {
                chosen.len() >= self.count && chosen[..self.count].iter().all(|&row| (row as usize) < rows)
            }
            None => self.count <= rows,
        };
        assert!(within(self.rows.chosen, given), "input rows");
        assert!(within(self.output.chosen, self.output.rows), "output rows");
        assert!(self.output.columns == self.panels.columns, "output columns");
        assert!(self.chosen_panels.end <= self.panels.count, "panels");
        match self.finish {
            Finish::Gate(_) => assert!(self.panels.gated),
            Finish::Scale { factors, addend } => {
                let elements = self.output.rows * self.output.columns;
                assert!(!self.panels.gated && factors.len() >= self.count);
                assert!(addend.is_none_or(|addend| addend.len() == elements), "addend");
            }
            Finish::Bias(bias) => {
                assert!(!self.panels.gated && bias.is_none_or(|bias| bias.len() == self.panels.columns));
            }
        }
        match (&self.panels.values, self.rows.values) {
            (Values::F32(weights), Inputs::Float(x)) => self.float(weights, x),
            (Values::Bf16(kind, weights), Inputs::Float(x)) if !kind.rounds() => self.float(weights, x),
            (Values::Bf16(kind, weights), Inputs::Words(words)) if kind.rounds() => {
                bf16::with_dot!(*kind, |simd, dot| self.pair_tiles(simd, dot, weights, words));
            }
            (Values::I8(int8), Inputs::Words(words)) => {
                int8::with_dot!(int8.kind, |simd, dot| self.int8_tiles(simd, dot, int8, words));
            }
            _ => panic!("inputs that were not converted for these weights"),
        }
    }

    fn float<E: Element>(&self, weights: &[E], x: &[f32]) {
        dispatch!(self.panels.level, |simd| self.tiles(simd, weights, x));
    }

    #[inline(always)]
    fn pair_tiles<S: Tiled, D: bf16::Dot<S>>(&self, simd: S, dot: D, weights: &[Pair], words: &[u32]) {
        let pairs = self.panels.row_words();
        let panel = pairs * 2 * S::LANES;
        let tiles = self.count.div_ceil(S::ROWS);
        let mut sums = [0.0; MOST_ELEMENTS];
        let mut rows = [std::ptr::null(); MOST_ROWS];
        for p in self.chosen_panels.clone() {
            let index = self.matrix * self.panels.count + p;
            let weights = weights[index * panel..(index + 1) * panel].as_ptr();
            for t in 0..tiles {
                let chosen = part(self.count, tiles, t);
                self.point(&mut rows, chosen.clone(), words, pairs);
                let ahead = Ahead::new(weights.wrapping_add(panel), panel, pairs, t, tiles);
                // SAFETY: `run` checked that the rows lie within the inputs.
                unsafe { pair_tile(simd, dot, &rows[..chosen.len()], weights, pairs, ahead, &mut sums) };
                self.finish(simd, chosen, p, 1, &sums);
            }
        }
    }

    #[inline(always)]
    fn int8_tiles<S: Tiled, D: int8::Dot<S>>(&self, simd: S, dot: D, int8: &Int8, words: &[u32]) {
        let row_words = self.panels.row_words();
        let groups = row_words - 1;
        let panel = groups * 2 * S::LANES * D::GROUP;
        let tiles = self.count.div_ceil(S::ROWS);
        let mut sums = [0.0; MOST_ELEMENTS];
        let mut rows = [std::ptr::null(); MOST_ROWS];
        for p in self.chosen_panels.clone() {
            let index = self.matrix * self.panels.count + p;
            let columns = index * 2 * S::LANES..(index + 1) * 2 * S::LANES;
            let weights = int8.weights[index * panel..(index + 1) * panel].as_ptr();
            let (start, scales) = (int8.start[columns.clone()].as_ptr(), int8.scales[columns].as_ptr());
            for t in 0..tiles {
                let chosen = part(self.count, tiles, t);
                self.point(&mut rows, chosen.clone(), words, row_words);
                let ahead = Ahead::new(weights.wrapping_add(panel), panel, groups, t, tiles);
                let weights = Int8Panel { groups, weights, start, scales, ahead };
                // SAFETY: `run` checked that the rows lie within the inputs.
                unsafe { int8_tile(simd, dot, &rows[..chosen.len()], weights, &mut sums) };
                self.finish(simd, chosen, p, 1, &sums);
            }
        }
    }

    /// Points at the inputs, [.., row_len], of the given rows.
    #[inline(always)]
    fn point<T>(&self, pointers: &mut [*const T; MOST_ROWS], rows: Range<usize>, x: &[T], row_len: usize) {
        for (row, pointer) in rows.zip(pointers) {
            let row = self.rows.chosen.map_or(row, |chosen| chosen[row] as usize);
            *pointer = x.as_ptr().wrapping_add(row * row_len);
        }
    }

    /// Panel by panel, so that each is read from memory once and then stays in the nearest cache for all rows.
    #[inline(always)]
    fn tiles<S: Tiled, E: Element>(&self, simd: S, values: &[E], x: &[f32]) {
        let depth = self.panels.depth;
        let panel = depth.div_ceil(E::ROWS) * 2 * S::LANES;
        let tiles = self.count.div_ceil(S::ROWS);
        let most_panels = if tiles == 1 { panels_at_once(self.count) } else { 1 };
        let mut sums = [0.0; MOST_ELEMENTS];
        let mut rows = [std::ptr::null(); MOST_ROWS];
        let mut first_panel = self.chosen_panels.start;
        while first_panel < self.chosen_panels.end {
            let panels = most_panels.min(self.chosen_panels.end - first_panel);
            let start = (self.matrix * self.panels.count + first_panel) * panel;
            let weights = values[start..start + panels * panel].as_ptr();
            for t in 0..tiles {
                // Tiles of nearly equal height: a tile of one row would take as long as one of four.
                let chosen = part(self.count, tiles, t);
                self.point(&mut rows, chosen.clone(), x, depth);
                let ahead =
                    Ahead::new(weights.wrapping_add(panels * panel), panels * panel, depth / 2, t, tiles);
                // SAFETY: `run` checked that the rows lie within the inputs.
                unsafe { tile(simd, &rows[..chosen.len()], weights, panels, depth, ahead, &mut sums) };
                self.finish(simd, chosen, first_panel, panels, &sums);
            }
            first_panel += panels;
        }
    }

    /// Writes a tile's outputs; `sums` is [rows, panels, 2 vectors].
    #[inline(always)]
    fn finish<S: Tiled>(
        &self,
        simd: S,
        rows: Range<usize>,
        first_panel: usize,
        panels: usize,
        sums: &[f32; MOST_ELEMENTS],
    ) {
        let mut row_sums = sums.as_ptr();
        for row in rows {
            let out = self.output.chosen.map_or(row, |chosen| chosen[row] as usize) * self.output.columns;
            for p in 0..panels {
                let first = (first_panel + p) * self.panels.panel_columns;
                let columns = self.panels.columns - first;
                // SAFETY: `sums` has two vectors for every row and panel. `run` checked that the rows lie within the
                // outputs, and the columns are cut to theirs; nobody else touches them.
                unsafe {
                    let pair = [simd.load(row_sums), simd.load(row_sums.add(S::LANES))];
                    row_sums = row_sums.add(2 * S::LANES);
                    let to = self.output.start.add(out + first);
                    match self.finish {
                        Finish::Gate(activation) => {
                            write(
                                simd,
                                to,
                                columns,
                                [simd.mul(activate(simd, activation, pair[0]), pair[1])],
                            );
                        }
                        Finish::Scale { factors, addend } => {
                            let factor = simd.splat(factors[row]);
                            let scaled = [simd.mul(pair[0], factor), simd.mul(pair[1], factor)];
                            let addend = addend.map(|addend| &addend[out + first..][..columns]);
                            write_sum(simd, to, columns, scaled, addend);
                        }
                        Finish::Bias(bias) => {
                            write_sum(simd, to, columns, pair, bias.map(|bias| &bias[first..]));
                        }
                    }
                }
            }
        }
    }
}

/// Writes the vectors plus the addend, [columns], if any, or as much of them as there are columns.
///
/// # Safety
///
/// `columns` elements, or all of the vectors, are writable.
#[inline(always)]
unsafe fn write_sum<S: Simd>(
    simd: S,
    to: *mut f32,
    columns: usize,
    pair: [S::F32; 2],
    addend: Option<&[f32]>,
) {
    // SAFETY: the caller's; the addend is read within its bounds.
    unsafe {
        match addend {
            None => write(simd, to, columns, pair),
            Some(addend) if columns >= 2 * S::LANES => {
                let addend = addend[..2 * S::LANES].as_ptr();
                let addend = [simd.load(addend), simd.load(addend.add(S::LANES))];
                write(simd, to, columns, [simd.add(pair[0], addend[0]), simd.add(pair[1], addend[1])]);
            }
            Some(addend) => {
                write(simd, to, columns, pair);
                for (column, addend) in addend[..columns].iter().enumerate() {
                    *to.add(column) += addend;
                }
            }
        }
    }
}

/// Writes the vectors, or as much of them as there are columns.
///
/// # Safety
///
/// `columns` elements, or all of the vectors, are writable.
#[inline(always)]
unsafe fn write<S: Simd, const N: usize>(simd: S, to: *mut f32, columns: usize, vectors: [S::F32; N]) {
    if columns >= N * S::LANES {
        for (v, vector) in vectors.into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { simd.store(to.add(v * S::LANES), vector) };
        }
        return;
    }
    let mut elements = [0.0; 32];
    // SAFETY: a vector has at most 16 elements, and there are at most two; the caller's.
    unsafe {
        for (v, vector) in vectors.into_iter().enumerate() {
            simd.store(elements.as_mut_ptr().add(v * S::LANES), vector);
        }
        std::ptr::copy_nonoverlapping(elements.as_ptr(), to, columns);
    }
}
