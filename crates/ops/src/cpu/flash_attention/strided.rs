//! Rows of points that may be parts of longer rows: queries, keys and values as one product makes them.

/// Rows of a tensor's columns: row `r` begins at element `r x stride`.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a> {
    values: &'a [f32],
    stride: usize,
}

impl<'a> Strided<'a> {
    /// Rows from the beginning of `values` on, `stride` elements from one to the next.
    pub fn new(values: &'a [f32], stride: usize) -> Self {
        Self { values, stride }
    }

    /// `width` elements of a row, from a column on.
    #[inline(always)]
    pub(super) fn part(&self, row: usize, column: usize, width: usize) -> &'a [f32] {
        &self.values[row * self.stride + column..][..width]
    }

    /// Panics unless there are `rows` rows of `width` elements that do not overlap.
    pub(super) fn check(&self, what: &str, rows: usize, width: usize) {
        let Self { values, stride } = *self;
        assert!(stride >= width, "{what} has rows of {width} elements every {stride} elements");
        let needed = rows.checked_sub(1).map_or(0, |before| before * stride + width);
        assert!(values.len() >= needed, "{what} has {} elements, less than {needed}", values.len());
    }
}
