//! Where the points of a series stand in its file.

/// The row of every point: lines in text files (the header of a CSV file being row 1), rows counted
/// from 1 in Parquet.
///
/// Neighbouring rows share one entry, so that a series that stands together in its file costs next
/// to nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The first point and the row of each run; points of a run have consecutive rows. Row 0 starts
    /// a run of points that are in no row.
    runs: Vec<(usize, u64)>,
    len: usize,
    /// Whether all points stand in the row of the only run.
    one_row: bool,
}

impl Rows {
    /// The points of one run of consecutive rows.
    #[must_use]
    pub fn consecutive(first: u64, len: usize) -> Self {
        Self { runs: if len == 0 { Vec::new() } else { vec![(0, first)] }, len, one_row: false }
    }

    /// Points that all stand in one row, as in a list.
    #[must_use]
    pub fn within(row: u64, len: usize) -> Self {
        Self { one_row: true, ..Self::consecutive(row, len) }
    }

    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of a point (from 0); `None` beyond the last, and for points that were filled in.
    #[must_use]
    pub fn get(&self, point: usize) -> Option<u64> {
        if point >= self.len {
            return None;
        }
        let run = self.runs.partition_point(|(first, _)| *first <= point).checked_sub(1)?;
        let (first, row) = *self.runs.get(run)?;
        let offset = if self.one_row { 0 } else { u64::try_from(point - first).ok()? };
        (row > 0).then(|| row.saturating_add(offset))
    }

    /// Appends points in consecutive rows.
    pub(crate) fn extend(&mut self, row: u64, count: usize) {
        if count == 0 {
            return;
        }
        if self.next() != Some(row) || row == 0 {
            self.runs.push((self.len, row));
        }
        self.len += count;
    }

    /// Appends a point that is in no row.
    pub(crate) fn extend_unplaced(&mut self) {
        if self.runs.last().is_none_or(|(_, row)| *row != 0) {
            self.runs.push((self.len, 0));
        }
        self.len += 1;
    }

    /// How much memory the entries take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<(usize, u64)>()
    }

    fn next(&self) -> Option<u64> {
        let (first, row) = *self.runs.last()?;
        (row > 0).then_some(row.saturating_add(u64::try_from(self.len - first).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_again_and_neighbours_share_an_entry() {
        let mut rows = Rows::default();
        rows.extend(2, 3);
        rows.extend(5, 1);
        rows.extend(9, 2);
        rows.extend_unplaced();
        rows.extend_unplaced();
        rows.extend(11, 1);
        let found: Vec<Option<u64>> = (0..10).map(|point| rows.get(point)).collect();
        let expected = [Some(2), Some(3), Some(4), Some(5), Some(9), Some(10), None, None, Some(11), None];
        assert_eq!(found, expected);
        assert_eq!(rows.runs.len(), 4);
        assert_eq!(Rows::consecutive(7, 2).get(1), Some(8));
        assert_eq!(Rows::within(7, 2).get(1), Some(7));
        assert_eq!(Rows::consecutive(7, 0), Rows::default());
    }
}
