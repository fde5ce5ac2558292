//! The series that are measured.

use ndarray::Array3;

/// How many points there are of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Points {
    /// Series.
    pub(super) batch: usize,
    /// Points of the prefill.
    pub(super) context: usize,
    /// Points of the decode after it.
    pub(super) step: usize,
}

impl Points {
    /// `count` points of every series from `first` on: [batch, count, 1].
    pub(super) fn values(&self, count: usize, first: usize) -> Array3<f32> {
        Array3::from_shape_fn((self.batch, count, 1), |(row, point, _)| wave(row, first + point) as f32)
    }

    /// The context of every series.
    pub(super) fn series(&self) -> Vec<Vec<f64>> {
        let series = |row| (0..self.context).map(|point| wave(row, point)).collect();
        (0..self.batch).map(series).collect()
    }
}

/// A series that routes its points to different experts.
fn wave(row: usize, point: usize) -> f64 {
    let t = point as f64;
    (t * 0.26 + row as f64).sin() + 0.5 * (t * 0.037).cos() + 0.3 * (t * 0.618_033_988_749_895).fract()
}
