//! One slice that tasks write to side by side, each its own part.

use std::marker::PhantomData;

/// A slice whose parts tasks borrow without asking each other.
pub(super) struct Disjoint<'a> {
    start: *mut f32,
    len: usize,
    whole: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]`, which may move to another thread; `part` makes its callers keep parts disjoint.
unsafe impl Send for Disjoint<'_> {}
// SAFETY: as above.
unsafe impl Sync for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    pub(super) fn new(whole: &'a mut [f32]) -> Self {
        Self { start: whole.as_mut_ptr(), len: whole.len(), whole: PhantomData }
    }

    /// `len` elements from `from` on.
    ///
    /// # Safety
    ///
    /// Nobody else holds a part that overlaps it.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint by the caller's promise")]
    #[inline(always)]
    pub(super) unsafe fn part(&self, from: usize, len: usize) -> &mut [f32] {
        assert!(from <= self.len && len <= self.len - from);
        // SAFETY: within the slice by the assertion; unaliased by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
