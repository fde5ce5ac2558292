//! One slice that tasks write to side by side, each its own part.

use std::marker::PhantomData;

/// A slice whose parts tasks borrow without asking each other.
pub(super) struct Disjoint<'a, T = f32> {
    start: *mut T,
    len: usize,
    whole: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]`, which may move to another thread; `part` makes its callers keep parts disjoint.
unsafe impl<T: Send> Send for Disjoint<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Disjoint<'_, T> {}

impl<'a, T> Disjoint<'a, T> {
    pub(super) fn new(whole: &'a mut [T]) -> Self {
        Self { start: whole.as_mut_ptr(), len: whole.len(), whole: PhantomData }
    }

    /// `len` elements from `from` on.
    ///
    /// # Safety
    ///
    /// Nobody else holds a part that overlaps it.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint by the caller's promise")]
    #[inline(always)]
    pub(super) unsafe fn part(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from);
        // SAFETY: within the slice by the assertion; unaliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
