//! A loaded model with its queue and the threads that run it: rows go in, tickets for their results come out.
//!
//! ```text
//! request -> rows -> queue -> batch -> model     threads of the lane, which block
//!    ^                                   |
//!    +-- ticket <----- job <-------------+       whoever asked, which awaits
//! ```
//!
//! A ticket that is dropped takes its rows out of the queue. A batch that runs is stopped when all of its requests are gone,
//! and goes on as long as one is left.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tmoe_runner::SeriesError;
use tokio::sync::oneshot;

use super::batch::{Running, run};
use super::error::ModelFailure;
use super::job::{Job, JobResult};
use super::metrics::ModelMetrics;
use super::model::Model;
use super::queue::{Next, Policy, Queue, Row, Shape};
use super::workers::Workers;

/// A row's forecast, in the series' scale, or why it has none.
pub type RowResult = Result<Vec<f32>, SeriesError>;

/// A part of a series that is to be forecast. Rows of one series share its points.
#[derive(Clone, Debug, PartialEq)]
pub struct RowInput {
    /// All points of the series.
    pub series: Arc<Vec<f64>>,
    /// Which of them the model sees, the missing ones at their end included.
    pub range: std::ops::Range<usize>,
    /// How many at the end are missing.
    pub trailing: usize,
}

impl RowInput {
    /// The points.
    pub fn points(&self) -> &[f64] {
        self.series.get(self.range.clone()).unwrap_or_default()
    }

    /// Points of context, without those that are missing at the end.
    pub fn length(&self) -> usize {
        self.points().len().saturating_sub(self.trailing)
    }
}

/// What a queued row carries.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) job: Arc<Job>,
    pub(super) index: usize,
    pub(super) input: RowInput,
}

/// The lane takes no more rows: another version is in its place, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A model, its queue, and its threads.
pub struct Lane {
    shared: Arc<Shared>,
}

/// What the threads and the tickets of a lane share.
pub(super) struct Shared {
    pub(super) model: Box<dyn Model>,
    pub(super) metrics: Arc<ModelMetrics>,
    pub(super) speed: Arc<Speed>,
    policy: Policy,
    state: Mutex<State>,
    arrived: Condvar,
}

struct State {
    queue: Queue<Queued>,
    running: Vec<Arc<Running>>,
    closed: bool,
}

/// How fast models have been, to tell clients when to come back.
#[derive(Debug, Default)]
pub struct Speed {
    points: AtomicU64,
    microseconds: AtomicU64,
}

impl Speed {
    /// Counts a batch.
    pub fn add(&self, points: usize, time: std::time::Duration) {
        self.points.fetch_add(points as u64, Ordering::Relaxed);
        self.microseconds.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }

    /// How long so many points will probably take; `None` before the first batch.
    pub fn time_for(&self, points: usize) -> Option<std::time::Duration> {
        let (done, time) = (self.points.load(Ordering::Relaxed), self.microseconds.load(Ordering::Relaxed));
        let seconds = time as f64 / 1e6 / done as f64 * points as f64;
        std::time::Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Numbers jobs, so that queues can tell them apart.
static JOBS: AtomicU64 = AtomicU64::new(0);

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("facts", self.model().facts()).finish_non_exhaustive()
    }
}

impl Lane {
    /// Starts the threads that run the model, one for each batch that it runs at the same time.
    ///
    /// # Errors
    ///
    /// When the system starts no more threads.
    pub fn start(
        model: Box<dyn Model>,
        policy: Policy,
        metrics: Arc<ModelMetrics>,
        speed: Arc<Speed>,
        workers: &Arc<Workers>,
    ) -> std::io::Result<Self> {
        let state = State { queue: Queue::default(), running: Vec::new(), closed: false };
        let facts = model.facts();
        let rows = facts.max_rows.map_or(policy.rows, |most| most.min(policy.rows));
        let threads = facts.parallel_batches.max(1);
        let shared = Arc::new(Shared {
            model,
            metrics,
            speed,
            policy: Policy { rows, ..policy },
            state: Mutex::new(state),
            arrived: Condvar::new(),
        });
        let lane = Self { shared };
        for worker in 0..threads {
            let (shared, counted) = (Arc::clone(&lane.shared), workers.enter());
            let work = move || {
                work(&shared, worker);
                // The model goes before the worker does.
                drop(shared);
                drop(counted);
            };
            std::thread::Builder::new().name("forecast".to_owned()).spawn(work)?;
        }
        Ok(lane)
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.shared.model
    }

    /// Queues the rows of a request, at least one.
    ///
    /// # Errors
    ///
    /// [`Closed`]; then nothing was queued.
    pub fn submit(&self, rows: Vec<RowInput>, horizon: usize) -> Result<Ticket, Closed> {
        let (sender, receiver) = oneshot::channel();
        let job = Arc::new(Job::new(JOBS.fetch_add(1, Ordering::Relaxed), rows.len(), sender));
        let since = Instant::now();
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Closed);
        }
        for (index, input) in rows.into_iter().enumerate() {
            let shape = Shape { horizon, trailing: input.trailing };
            let payload = Queued { job: Arc::clone(&job), index, input };
            let length = payload.input.length();
            state.queue.push(Row { owner: job.id, shape, length, since, payload });
        }
        self.shared.show(&state);
        drop(state);
        self.shared.arrived.notify_one();
        Ok(Ticket { shared: Arc::clone(&self.shared), job, receiver, answered: false })
    }

    /// Takes no more rows. Those that are queued are still forecast, without waiting for others; then the threads end.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.arrived.notify_all();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, state: &State) {
        self.metrics.queue_rows.set(state.queue.rows());
        self.metrics.queue_points.set(state.queue.points());
    }

    /// Frees the work of a job that nobody waits for.
    fn abandon(&self, job: &Job) {
        job.leave();
        let mut state = self.lock();
        state.queue.remove(job.id);
        self.show(&state);
        for batch in &state.running {
            batch.cancel_if_deserted();
        }
    }
}

/// What each thread of a lane does until the lane is closed and its queue empty.
fn work(shared: &Shared, worker: usize) {
    let mut state = shared.lock();
    loop {
        let hurry = state.closed;
        match state.queue.next(&shared.policy, Instant::now(), hurry) {
            Next::Batch(rows) => {
                let batch = Arc::new(Running::new(&rows));
                state.running.push(Arc::clone(&batch));
                shared.show(&state);
                // Another thread may have something to do as well.
                if state.queue.rows() > 0 {
                    shared.arrived.notify_one();
                }
                drop(state);
                let failed = run(shared, worker, &batch, rows);
                state = shared.lock();
                state.running.retain(|other| !Arc::ptr_eq(other, &batch));
                for &job in &failed {
                    state.queue.remove(job);
                }
                if !failed.is_empty() {
                    state.running.iter().for_each(|batch| batch.cancel_if_deserted());
                }
                shared.show(&state);
            }
            Next::At(time) => {
                let wait = time.saturating_duration_since(Instant::now());
                let woken = shared.arrived.wait_timeout(state, wait);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
            Next::Nothing if state.closed => return,
            Next::Nothing => {
                state = shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// The right to a request's results: a future. Dropping it frees the work.
pub struct Ticket {
    shared: Arc<Shared>,
    job: Arc<Job>,
    receiver: oneshot::Receiver<JobResult>,
    answered: bool,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("job", &self.job.id).finish_non_exhaustive()
    }
}

impl Future for Ticket {
    type Output = Result<Vec<RowResult>, ModelFailure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let result = std::task::ready!(Pin::new(&mut self.receiver).poll(context));
        self.answered = true;
        let lost = || ModelFailure { message: "the thread that ran it ended".into() };
        Poll::Ready(result.unwrap_or_else(|_| Err(lost())))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.abandon(&self.job);
        }
    }
}
