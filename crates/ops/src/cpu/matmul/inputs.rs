//! The rows that are multiplied: as they are, or quantised.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::panels::Panels;
use crate::cpu::Parallel;

/// Rows that are quantised by one task.
const BLOCK: usize = 64;

/// All rows of the matrix.
#[derive(Clone, Copy)]
pub(crate) enum Inputs<'a> {
    /// [.., depth].
    Float(&'a [f32]),
    /// For int8 weights: [.., words] of [`Panels::quantize`], and [..] scales.
    Quantized(&'a [u32], &'a [f32]),
}

impl<'a> Inputs<'a> {
    /// How many words of scratch memory [`Inputs::new`] takes.
    pub(crate) fn scratch_len(panels: &Panels, rows: usize) -> usize {
        if panels.quantizes() { rows * (panels.words() + 1) } else { 0 }
    }

    /// The rows of `x`, [rows, depth], as the panels need them.
    pub(crate) fn new(
        panels: &Panels,
        x: &'a [f32],
        rows: usize,
        scratch: &'a mut [f32],
        parallel: &dyn Parallel,
    ) -> Self {
        if !panels.quantizes() {
            return Self::Float(x);
        }
        let (scales, words) = scratch.split_at_mut(rows);
        let words = &mut as_words(words)[..rows * panels.words()];
        if rows <= BLOCK || parallel.threads().get() == 1 {
            panels.quantize(x, words, scales);
        } else {
            // Each block is taken by the one task that fills it.
            let size = BLOCK * panels.words().max(1);
            let blocks: Vec<_> = words
                .chunks_mut(size)
                .zip(scales.chunks_mut(BLOCK))
                .map(|block| Mutex::new(Some(block)))
                .collect();
            parallel.for_each(blocks.len(), &|index| {
                let block = blocks[index].lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some((words, scales)) = block {
                    let first = index * BLOCK * panels.depth;
                    panels.quantize(&x[first..first + scales.len() * panels.depth], words, scales);
                }
            });
        }
        Self::Quantized(words, scales)
    }

    /// Rows from `first` on.
    pub(crate) fn from(self, panels: &Panels, first: usize) -> Self {
        match self {
            Self::Float(x) => Self::Float(&x[first * panels.depth..]),
            Self::Quantized(words, scales) => {
                Self::Quantized(&words[first * panels.words()..], &scales[first..])
            }
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
