//! One request's rows on their way through batches, and who waits for them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::error::ModelFailure;
use super::lane::RowResult;

/// What the waiting side gets: a result per row, or why the model gave none.
pub(super) type JobResult = Result<Vec<RowResult>, ModelFailure>;

/// The rows of one request. Shared by the batches that they are in and the one who waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    gone: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rows: Vec<Option<RowResult>>,
    missing: usize,
    reply: Option<oneshot::Sender<JobResult>>,
}

impl Job {
    /// A job of so many rows, at least one, that answers to `reply`.
    pub(super) fn new(id: u64, rows: usize, reply: oneshot::Sender<JobResult>) -> Self {
        let state = State { rows: vec![None; rows], missing: rows, reply: Some(reply) };
        Self { id, gone: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Says that nobody waits any more.
    pub(super) fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits any more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Puts a row's result in its place; the last one answers.
    pub(super) fn finish(&self, index: usize, result: RowResult) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place @ None) = state.rows.get_mut(index) else { return };
        *place = Some(result);
        state.missing -= 1;
        if state.missing == 0 {
            let rows = std::mem::take(&mut state.rows).into_iter().flatten().collect();
            if let Some(reply) = state.reply.take() {
                // Whoever left meanwhile misses nothing.
                let _ = reply.send(Ok(rows));
            }
        }
    }

    /// Answers that the model failed; rows that are still to come have no one to go to.
    pub(super) fn fail(&self, failure: ModelFailure) {
        self.leave();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reply) = state.reply.take() {
            let _ = reply.send(Err(failure));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_answered_in_their_order_whatever_order_they_come_in() {
        let (sender, mut receiver) = oneshot::channel();
        let job = Job::new(1, 3, sender);
        for index in [2, 0, 1] {
            assert!(receiver.try_recv().is_err());
            job.finish(index, Ok(vec![index as f32]));
            // A second result for the same place, or one for none, changes nothing.
            job.finish(index, Ok(vec![9.0]));
            job.finish(7, Ok(vec![9.0]));
        }
        let rows: Vec<f32> = receiver.try_recv().unwrap().unwrap().into_iter().flatten().flatten().collect();
        assert_eq!(rows, [0.0, 1.0, 2.0]);
    }

    #[test]
    fn a_failure_answers_at_once_and_once() {
        let (sender, mut receiver) = oneshot::channel();
        let job = Job::new(1, 2, sender);
        job.finish(0, Ok(vec![0.0]));
        job.fail(ModelFailure { message: "out of memory".into() });
        job.fail(ModelFailure { message: "again".into() });
        job.finish(1, Ok(vec![1.0]));
        assert_eq!(&*receiver.try_recv().unwrap().unwrap_err().message, "out of memory");
        assert!(job.is_gone());
    }
}
