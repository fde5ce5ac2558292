//! Dividing the rows of all experts into blocks.

use std::ops::Range;

use crate::cpu::matmul::{BLOCK_ROWS, part};

/// Rows of one expert.
pub(super) struct Block {
    pub(super) expert: usize,
    pub(super) rows: Range<usize>,
}

/// All blocks: of every expert that has rows, nearly equal ones.
pub(super) struct Plan<'a> {
    /// [blocks, (expert, first row, end)].
    blocks: &'a [u32],
}

impl<'a> Plan<'a> {
    /// How many words the plan for so many rows takes, at most.
    pub(super) fn words(rows: usize, experts: usize) -> usize {
        3 * (rows.div_ceil(BLOCK_ROWS) + experts.min(rows))
    }

    /// `first_rows` is [experts + 1]; `words` as many as [`Plan::words`] says.
    pub(super) fn new(first_rows: &[u32], words: &'a mut [u32]) -> Self {
        let mut used = 0;
        for (expert, bounds) in first_rows.windows(2).enumerate() {
            let (first, end) = (bounds[0] as usize, bounds[1] as usize);
            let blocks = (end - first).div_ceil(BLOCK_ROWS);
            for index in 0..blocks {
                let rows = part(end - first, blocks, index);
                let block = [expert, first + rows.start, first + rows.end].map(|number| number as u32);
                words[used..used + 3].copy_from_slice(&block);
                used += 3;
            }
        }
        Self { blocks: &words[..used] }
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len() / 3
    }

    pub(super) fn block(&self, index: usize) -> Block {
        let [expert, first, end] = std::array::from_fn(|field| self.blocks[3 * index + field] as usize);
        Block { expert, rows: first..end }
    }
}
