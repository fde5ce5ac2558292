//! Sharing work between threads that somebody else owns.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs independent tasks, on the threads of a host's pool or on the calling thread.
pub trait Parallel: Sync {
    /// How many tasks run at once, at most: how finely work should be divided.
    fn threads(&self) -> NonZeroUsize;

    /// Calls `task` once with every index below `tasks`, in any order and on any thread, and returns when all are done.
    fn for_each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync));
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
