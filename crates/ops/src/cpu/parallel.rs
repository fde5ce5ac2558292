//! Sharing work between threads that somebody else owns.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs independent tasks, on the threads of a host's pool or on the calling thread.
pub trait Parallel: Sync {
    /// How many tasks run at once, at most: how finely work should be divided.
    fn threads(&self) -> NonZeroUsize;

    /// Calls `task` once with every index below `tasks`, in any order and on any thread, and returns when all are done.
    fn for_each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
}

/// Calls `task` once with every item and the item's index: each item is one task's own.
pub(crate) fn for_each_item<T: Send>(
    parallel: &dyn Parallel,
    items: impl Iterator<Item = T>,
    task: impl Fn(usize, T) + Sync,
) {
    if parallel.threads().get() == 1 {
        items.enumerate().for_each(|(index, item)| task(index, item));
        return;
    }
    // Each item is taken by the one task of its index.
    let items: Vec<_> = items.map(|item| Mutex::new(Some(item))).collect();
    parallel.for_each(items.len(), &|index| {
        let item = items[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(item) = item {
            task(index, item);
        }
    });
}

/// Runs every task on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Parallel for Sequential {
    fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::MIN
    }

    fn for_each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..tasks).for_each(task);
    }
}

/// Starts threads for every call: for tests and benchmarks, which have no host.
#[derive(Clone, Copy, Debug)]
pub struct ScopedThreads(pub NonZeroUsize);

impl Parallel for ScopedThreads {
    fn threads(&self) -> NonZeroUsize {
        self.0
    }

    fn for_each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= tasks {
                    break;
                }
                task(index);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.0.get().min(tasks.max(1)) {
                scope.spawn(work);
            }
            work();
        });
    }
}
