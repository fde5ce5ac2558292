//! Work that is done by several threads and handed out in the order in which it was taken.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The places of a queue: who takes work takes the next one, and results leave in the order of places. No more than `ahead`
/// places are taken and not yet handed out, so that a slow one does not let the others' results pile up.
#[derive(Debug)]
pub(crate) struct Order<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    ahead: usize,
}

#[derive(Debug)]
struct State<T> {
    taken: usize,
    handed_out: usize,
    done: BTreeMap<usize, T>,
    /// Workers that may still bring results.
    workers: usize,
    stopped: bool,
}

impl<T> Order<T> {
    pub(crate) fn new(workers: usize, ahead: usize) -> Self {
        let state = State { taken: 0, handed_out: 0, done: BTreeMap::new(), workers, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), ahead: ahead.max(1) }
    }

    /// The next place, with what `take` makes of it, once there is room; `None` when `take` has no more, or all stops. Places are
    /// taken by one thread at a time.
    pub(crate) fn take<W>(&self, source: &Mutex<impl FnMut() -> Option<W>>) -> Option<(usize, W)> {
        // Held while waiting: whoever comes later has nothing to do but wait too.
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        let place = {
            let mut state = self.lock();
            while !state.stopped && state.taken - state.handed_out >= self.ahead {
                state = self.wait(state);
            }
            if state.stopped {
                return None;
            }
            state.taken
        };
        let work = source()?;
        self.lock().taken = place + 1;
        Some((place, work))
    }

    pub(crate) fn bring(&self, place: usize, result: T) {
        self.lock().done.insert(place, result);
        self.changed.notify_all();
    }

    /// Said by each worker when it ends, however it ends.
    pub(crate) fn leave(&self) {
        self.lock().workers -= 1;
        self.changed.notify_all();
    }

    /// No more places are given.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The next result in order; `None` after the last.
    pub(crate) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            let place = state.handed_out;
            if let Some(result) = state.done.remove(&place) {
                state.handed_out += 1;
                drop(state);
                self.changed.notify_all();
                return Some(result);
            }
            if state.workers == 0 {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_leave_in_the_order_in_which_work_was_taken_and_few_are_held() {
        for (workers, ahead) in [(1, 1), (3, 2), (4, 8)] {
            let order = Order::new(workers, ahead);
            let mut numbers = 0..100_usize;
            let source = Mutex::new(move || numbers.next());
            let results: Vec<usize> = thread::scope(|scope| {
                for _ in 0..workers {
                    scope.spawn(|| {
                        while let Some((place, number)) = order.take(&source) {
                            assert_eq!(place, number);
                            // Earlier ones take longer.
                            thread::sleep(Duration::from_micros(((100 - number) % 7) as u64 * 100));
                            order.bring(place, number * 2);
                            let state = order.lock();
                            assert!(state.taken - state.handed_out <= ahead);
                        }
                        order.leave();
                    });
                }
                std::iter::from_fn(|| order.next()).collect()
            });
            assert_eq!(results, (0..100).map(|number| number * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn nothing_is_taken_after_a_stop() {
        let order = Order::<usize>::new(1, 1);
        let source = Mutex::new(|| Some(1));
        assert_eq!(order.take(&source), Some((0, 1)));
        // There is no room for another, until the stop ends the wait.
        thread::scope(|scope| {
            let waiting = scope.spawn(|| order.take(&source));
            order.stop();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
