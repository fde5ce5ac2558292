//! `y = x W + b`.

#[cfg(test)]
mod tests;

use super::Parallel;
use super::matmul::{
    BLOCK_ROWS, Finish, Inputs, Instructions, Output, Panels, Product, Rows, Weights, part, parts,
};

/// A linear layer: `y = x weight + bias`.
///
/// The result does not depend on the number of threads, and that of a row not on the other rows.
pub struct Linear {
    panels: Panels,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Lays out the weights: `weight` is [input, output], `bias` [output].
    ///
    /// # Panics
    ///
    /// If weight or bias is not of that size.
    pub fn new(input: usize, output: usize, weight: Weights<'_>, bias: Option<&[f32]>) -> Self {
        Self::with(Instructions::best(), input, output, weight, bias)
    }

    fn with(
        instructions: Instructions,
        input: usize,
        output: usize,
        weight: Weights<'_>,
        bias: Option<&[f32]>,
    ) -> Self {
        if let Some(bias) = bias {
            assert_eq!(bias.len(), output, "elements of the bias");
        }
        let panels = Panels::pack(instructions, weight, 1, input, output, false);
        Self { panels, bias: bias.map(<[f32]>::to_vec) }
    }

    /// How many float32 of scratch memory [`run`](Self::run) needs for so many rows, on any number of threads.
    pub fn scratch_len(&self, rows: usize) -> usize {
        Inputs::scratch_len(&self.panels, rows)
    }

    /// Multiplies: `x` is [rows, input], `y` [rows, output] and overwritten.
    ///
    /// # Panics
    ///
    /// If `x` and `y` are not of the same number of rows, or `scratch` is shorter than
    /// [`scratch_len`](Self::scratch_len).
    pub fn run(&self, x: &[f32], y: &mut [f32], scratch: &mut [f32], parallel: &dyn Parallel) {
        let (input, output) = (self.panels.depth, self.panels.columns);
        let rows = y.len().checked_div(output).unwrap_or(0);
        assert_eq!(y.len(), rows * output, "elements of y, [rows, {output}]");
        assert!(output == 0 || x.len() == rows * input, "elements of x, [{rows}, {input}]");
        let threads = parallel.threads().get();
        assert!(scratch.len() >= self.scratch_len(rows), "scratch memory");
        let blocks = rows.div_ceil(BLOCK_ROWS);
        let parts = parts(blocks, self.panels.count, threads);
        let x = Inputs::new(&self.panels, x, rows, scratch, parallel);
        let target = Output::new(y, output);
        parallel.for_each(blocks * parts, &|task| {
            let rows = part(rows, blocks, task / parts);
            let product = Product {
                panels: &self.panels,
                matrix: 0,
                chosen_panels: part(self.panels.count, parts, task % parts),
                count: rows.len(),
                rows: Rows { values: x.from(&self.panels, rows.start), chosen: None },
                finish: Finish::Bias(self.bias.as_deref()),
                output: target.from(rows.start),
            };
            // SAFETY: every task has its own rows or panels, and `y` is borrowed until all are done.
            unsafe { product.run() };
        });
    }
}
