//! Caches on a device that no generation uses.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Caches that no generation uses, the newest last: with CUDA graphs, for their addresses.
pub(super) struct Idle<C>(Mutex<Vec<C>>);

impl<C> Default for Idle<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C> Idle<C> {
    /// More would hold memory that is hardly used again.
    const MOST: usize = 2;

    /// The newest that will do.
    pub(super) fn take(&self, will_do: impl Fn(&C) -> bool) -> Option<C> {
        let mut idle = self.lock();
        let index = idle.iter().rposition(will_do)?;
        Some(idle.remove(index))
    }

    pub(super) fn put(&self, cache: C) {
        let mut idle = self.lock();
        idle.push(cache);
        if idle.len() > Self::MOST {
            idle.remove(0);
        }
    }

    /// Gives the memory of all of them back.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
