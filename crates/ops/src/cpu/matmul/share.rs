//! Dividing a product between threads.

use std::ops::Range;

/// Rows that are multiplied with one panel after the other before the next rows are: as many as stay in a core's
/// second-level cache beside a panel.
pub(crate) const BLOCK_ROWS: usize = 64;

/// Tasks per thread: enough that threads which were interrupted, or got the smaller blocks, end together.
const TASKS_PER_THREAD: usize = 12;

/// Divides `panels` panels into parts, for each of `blocks` blocks of rows, and gives the number of parts.
pub(crate) fn parts(blocks: usize, panels: usize, threads: usize) -> usize {
    if threads == 1 {
        return 1;
    }
    // A tile of few rows takes four panels at once.
    (threads * TASKS_PER_THREAD).div_ceil(blocks.max(1)).min(panels.div_ceil(4)).max(1)
}

/// Part `index` of `parts` nearly equal parts of `0..count`.
pub(crate) fn part(count: usize, parts: usize, index: usize) -> Range<usize> {
    count * index / parts..count * (index + 1) / parts
}
