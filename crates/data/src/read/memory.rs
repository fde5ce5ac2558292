//! How much memory a reader may hold.

use crate::read::error::Problem;

/// What a reader holds at most unless said otherwise.
pub const DEFAULT_MEMORY: usize = 256 << 20;

/// Bytes of a table of numbers with a time axis.
pub(super) fn table(rows: usize, columns: usize) -> usize {
    const STAMP: usize = size_of::<crate::time::Instant>();
    rows.saturating_mul(columns.saturating_mul(size_of::<f64>()).saturating_add(STAMP))
}

/// Refuses to hold more than the limit.
pub(super) fn check(bytes: usize, limit: usize, row: u64, what: &'static str) -> Result<(), Problem> {
    if bytes <= limit {
        return Ok(());
    }
    let advice = "store it in the long form (one row for each series and time stamp, sorted by series)";
    Err(Problem::TooLarge { row, what, limit: limit >> 20, advice })
}
