//! The threads that run models, whichever lanes they belong to: a process must not end under them, since the libraries that they
//! are in would be taken apart while they compute.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// All workers of a server.
#[derive(Debug, Default)]
pub struct Workers {
    count: Mutex<usize>,
    left: Condvar,
}

impl Workers {
    /// Counts a worker for as long as it holds what is returned.
    pub(super) fn enter(self: &Arc<Self>) -> Worker {
        *self.lock() += 1;
        Worker(Arc::clone(self))
    }

    /// Waits until the last worker has ended. Workers end when their lane is closed and its queue is empty.
    pub fn wait(&self) {
        let count = self.left.wait_while(self.lock(), |count| *count > 0);
        drop(count.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker's place in the count.
#[derive(Debug)]
pub(super) struct Worker(Arc<Workers>);

impl Drop for Worker {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn who_waits_goes_on_when_the_last_worker_has_left() {
        let workers = Arc::new(Workers::default());
        workers.wait();
        let (first, second) = (workers.enter(), workers.enter());
        let (sender, receiver) = mpsc::channel();
        let waiting = {
            let workers = Arc::clone(&workers);
            thread::spawn(move || {
                workers.wait();
                sender.send(()).unwrap();
            })
        };
        drop(first);
        assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Empty));
        drop(second);
        receiver.recv().unwrap();
        waiting.join().unwrap();
    }
}
