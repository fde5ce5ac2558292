//! Two threads that live as long as the benchmark, as a host's pool does: starting one takes longer than a token.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use tmoe_ops::cpu::Parallel;

/// A second thread that lives as long as the benchmark, as a host's pool does.
pub(crate) struct Pair {
    jobs: Mutex<Sender<Box<dyn FnOnce() + Send>>>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = channel::<Box<dyn FnOnce() + Send>>();
        std::thread::spawn(move || queue.into_iter().for_each(|job| job()));
        Self { jobs: Mutex::new(jobs) }
    }
}

impl Parallel for Pair {
    fn threads(&self) -> NonZeroUsize {
        NonZeroUsize::new(2).expect("two")
    }

    fn for_each(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
        let next = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(AtomicBool::new(false));
        // SAFETY: the job is over before this call returns, so `task` outlives it.
        let task: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(task) };
        let work = move |next: &AtomicUsize| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= tasks {
                    break;
                }
                task(index);
            }
        };
        let (their_next, their_done) = (Arc::clone(&next), Arc::clone(&done));
        let job = Box::new(move || {
            work(&their_next);
            their_done.store(true, Ordering::Release);
        });
        self.jobs.lock().expect("no panic").send(job).expect("the thread lives");
        work(&next);
        while !done.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
    }
}
