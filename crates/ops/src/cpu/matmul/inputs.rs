//! The rows that are multiplied: as they are, rounded, or quantised.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::panels::Panels;
use crate::cpu::Parallel;

/// Rows that are converted by one task.
const BLOCK: usize = 64;

/// All rows of the matrix.
#[derive(Clone, Copy)]
pub(crate) enum Inputs<'a> {
    /// [.., depth].
    Float(&'a [f32]),
    /// [.., row_words] of [`Panels::convert`].
    Words(&'a [u32]),
}

impl<'a> Inputs<'a> {
    /// How many words of scratch memory [`Inputs::new`] takes.
    pub(crate) fn scratch_len(panels: &Panels, rows: usize) -> usize {
        rows * panels.row_words()
    }

    /// The rows of `x`, [rows, depth], as the panels need them.
    pub(crate) fn new(
        panels: &Panels,
        x: &'a [f32],
        rows: usize,
        scratch: &'a mut [f32],
        parallel: &dyn Parallel,
    ) -> Self {
        if !panels.converts() {
            return Self::Float(x);
        }
        let words = &mut as_words(scratch)[..rows * panels.row_words()];
        if rows <= BLOCK || parallel.threads().get() == 1 {
            panels.convert(x, words);
        } else {
            // Each block is taken by the one task that fills it.
            let size = BLOCK * panels.row_words().max(1);
            let blocks: Vec<_> = words.chunks_mut(size).map(|block| Mutex::new(Some(block))).collect();
            parallel.for_each(blocks.len(), &|index| {
                let block = blocks[index].lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(words) = block {
                    let (first, end) = (index * BLOCK, rows.min((index + 1) * BLOCK));
                    panels.convert(&x[first * panels.depth..end * panels.depth], words);
                }
            });
        }
        Self::Words(words)
    }

    /// Rows from `first` on.
    pub(crate) fn from(self, panels: &Panels, first: usize) -> Self {
        match self {
            Self::Float(x) => Self::Float(&x[first * panels.depth..]),
            Self::Words(words) => Self::Words(&words[first * panels.row_words()..]),
        }
    }
}

/// The same memory.
pub(crate) fn as_words(numbers: &mut [f32]) -> &mut [u32] {
    // SAFETY: any bits are a value of either type, and both have the same size and alignment.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), numbers.len()) }
}

/// A slice of which several threads write different parts.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

// SAFETY: every use promises that no two threads touch the same elements.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// A part, to write it.
    ///
    /// # Safety
    ///
    /// Nobody else uses these elements while the slice lives.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that the parts are different")]
    pub(crate) unsafe fn part_mut(&self, range: Range<usize>) -> &mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice; the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// A part, to read it.
    ///
    /// # Safety
    ///
    /// Nobody writes these elements while the slice lives.
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &[T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice; the caller's.
        unsafe { std::slice::from_raw_parts(self.start.add(range.start), range.len()) }
    }
}
