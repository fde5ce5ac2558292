//! Sum of two tensors and RMSNorm of it (Zhang and Sennrich 2019).

#[cfg(test)]
mod tests;

use super::Parallel;
use super::parallel::for_each_item;
use super::simd::{Level, Simd, dispatch};

/// Elements that a task has at least: fewer are done before another thread has heard of them.
const LEAST_ELEMENTS: usize = 16 * 1024;

/// Vectors that are squared at once, so that their sums do not wait for each other.
const AT_ONCE: usize = 4;

/// `sum = x + residual`, `y = sum / sqrt(mean(sum^2) + epsilon) * weight`, row by row, in float32.
///
/// The result does not depend on the number of threads, and that of a row not on the other rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AddRmsNorm {
    /// Added to the mean of the squares.
    pub epsilon: f32,
}

impl AddRmsNorm {
    /// Runs: `weight` is [hidden], all others are [rows, hidden]; `y` and `sum` are overwritten.
    ///
    /// # Panics
    ///
    /// If they are not of the same number of rows.
    pub fn run(
        &self,
        x: &[f32],
        residual: &[f32],
        weight: &[f32],
        y: &mut [f32],
        sum: &mut [f32],
        parallel: &dyn Parallel,
    ) {
        self.run_on(Level::best(), [x, residual], weight, [y, sum], parallel);
    }

    fn run_on(
        &self,
        level: Level,
        [x, residual]: [&[f32]; 2],
        weight: &[f32],
        [y, sum]: [&mut [f32]; 2],
        parallel: &dyn Parallel,
    ) {
        let hidden = weight.len();
        let rows = x.len().checked_div(hidden).unwrap_or(0);
        assert_eq!(x.len(), rows * hidden, "elements of x, [rows, {hidden}]");
        assert_eq!(residual.len(), x.len(), "elements of the residual, [{rows}, {hidden}]");
        assert_eq!(y.len(), x.len(), "elements of y, [{rows}, {hidden}]");
        assert_eq!(sum.len(), x.len(), "elements of the sum, [{rows}, {hidden}]");
        if rows == 0 {
            return;
        }
        let tasks = parallel.threads().get().min(x.len() / LEAST_ELEMENTS).max(1);
        let each = rows.div_ceil(tasks) * hidden;
        let inputs = x.chunks(each).zip(residual.chunks(each));
        let blocks = inputs.zip(y.chunks_mut(each).zip(sum.chunks_mut(each)));
        for_each_item(parallel, blocks, |_, ((x, residual), (y, sum))| {
            let inputs = x.chunks_exact(hidden).zip(residual.chunks_exact(hidden));
            let rows = inputs.zip(y.chunks_exact_mut(hidden).zip(sum.chunks_exact_mut(hidden)));
            dispatch!(level, |simd| {
                for ((x, residual), (y, sum)) in rows {
                    add_row(simd, x, residual, sum);
                    norm_row(simd, sum, weight, self.epsilon, y);
                }
            });
        });
    }
}

/// `sum = x + residual`, all of one length.
#[inline(always)]
fn add_row<S: Simd>(simd: S, x: &[f32], residual: &[f32], sum: &mut [f32]) {
    let pairs = x.chunks(S::LANES).zip(residual.chunks(S::LANES));
    for ((x, residual), sum) in pairs.zip(sum.chunks_mut(S::LANES)) {
        if sum.len() == S::LANES {
            // SAFETY: a vector's elements in each, since all are of one length.
            unsafe {
                let value = simd.add(simd.load(x.as_ptr()), simd.load(residual.as_ptr()));
                simd.store(sum.as_mut_ptr(), value);
            }
        } else {
            sum.iter_mut().zip(x.iter().zip(residual)).for_each(|(sum, (x, residual))| *sum = x + residual);
        }
    }
}

/// `y = sum / sqrt(mean(sum^2) + epsilon) * weight`, all of one length; the sum was just written, and is in the nearest cache.
#[inline(always)]
fn norm_row<S: Simd>(simd: S, sum: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
    let mut squares = [simd.splat(0.0); AT_ONCE];
    let groups = sum.chunks_exact(AT_ONCE * S::LANES);
    let whole = groups.remainder().chunks_exact(S::LANES);
    let mut rest: f32 = whole.remainder().iter().map(|sum| sum * sum).sum();
    for group in groups {
        for (v, squares) in squares.iter_mut().enumerate() {
            // SAFETY: a group is `AT_ONCE` vectors.
            let sum = unsafe { simd.load(group.as_ptr().add(v * S::LANES)) };
            *squares = simd.mul_add(sum, sum, *squares);
        }
    }
    for (vector, squares) in whole.zip(&mut squares) {
        // SAFETY: a vector's elements.
        let sum = unsafe { simd.load(vector.as_ptr()) };
        *squares = simd.mul_add(sum, sum, *squares);
    }
    let [a, b, c, d] = squares;
    rest += simd.sum(simd.add(simd.add(a, b), simd.add(c, d)));
    let factor = 1.0 / (rest / sum.len() as f32 + epsilon).sqrt();
    let factors = simd.splat(factor);
    let inputs = sum.chunks(S::LANES).zip(weight.chunks(S::LANES));
    for ((sum, weight), y) in inputs.zip(y.chunks_mut(S::LANES)) {
        if y.len() == S::LANES {
            // SAFETY: a vector's elements in each, since all are of one length.
            unsafe {
                let normed = simd.mul(simd.load(sum.as_ptr()), factors);
                simd.store(y.as_mut_ptr(), simd.mul(normed, simd.load(weight.as_ptr())));
            }
        } else {
            y.iter_mut()
                .zip(sum.iter().zip(weight))
                .for_each(|(y, (sum, weight))| *y = sum * factor * weight);
        }
    }
}
