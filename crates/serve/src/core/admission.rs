//! The door: how much the server takes on at once.
//!
//! Two limits. The number of requests is checked before a request's body is read, and a request keeps its place until its answer
//! is taken, so that memory stays bounded whatever clients send or leave lying. The number of points is checked when the request
//! is understood, and counts until it is forecast, so that no one waits for long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::error::{Invalid, Refusal};
use super::lane::Speed;
use super::metrics::Metrics;

/// The least and the most that clients are told to wait.
const AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What the server takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Requests.
    pub requests: usize,
    /// Points of contexts and horizons that wait or run.
    pub points: usize,
}

/// The door.
#[derive(Debug)]
pub struct Admission {
    capacity: Capacity,
    taken: Mutex<Taken>,
    changed: Notify,
    speed: Arc<Speed>,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Taken {
    requests: usize,
    points: usize,
    closed: bool,
}

impl Admission {
    /// An open door.
    pub fn new(capacity: Capacity, speed: Arc<Speed>, metrics: Arc<Metrics>) -> Self {
        Self { capacity, taken: Mutex::default(), changed: Notify::new(), speed, metrics }
    }

    /// Lets a request in.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooManyRequests`] and [`Refusal::ShuttingDown`].
    pub fn enter(self: &Arc<Self>) -> Result<Permit, Refusal> {
        let mut taken = self.lock();
        if taken.closed {
            return Err(Refusal::ShuttingDown);
        }
        if taken.requests >= self.capacity.requests {
            self.metrics.refused.add(1);
            return Err(Refusal::TooManyRequests {
                limit: self.capacity.requests,
                after: self.after(taken.points),
            });
        }
        taken.requests += 1;
        self.metrics.requests.set(taken.requests);
        Ok(Permit { admission: Arc::clone(self), points: AtomicUsize::new(0) })
    }

    /// Lets no more requests in.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Whether no more requests are let in.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until all that were let in are done.
    pub async fn empty(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            if self.lock().requests == 0 {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When there will probably be room, in whole seconds: half of what waits must be done by then.
    fn after(&self, waiting: usize) -> Duration {
        let time = self.speed.time_for(waiting / 2).unwrap_or(AFTER.0).clamp(AFTER.0, AFTER.1);
        Duration::from_secs(time.as_secs_f64().ceil() as u64)
    }
}

/// A request's place within. Dropping it makes room for another.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    /// Changed only while the admission is locked.
    points: AtomicUsize,
}

impl Permit {
    /// Takes room for the request's points, in place of what it took before.
    ///
    /// # Errors
    ///
    /// [`Invalid::TooManyPoints`] if there is never room for so many, [`Refusal::TooManyPoints`] if there is none now.
    pub fn charge(&self, points: usize) -> Result<(), PointsError> {
        let limit = self.admission.capacity.points;
        if points > limit {
            return Err(Invalid::TooManyPoints { found: points, limit }.into());
        }
        let mut taken = self.admission.lock();
        let waiting = taken.points - self.points.load(Ordering::Relaxed);
        if waiting + points > limit {
            self.admission.metrics.refused.add(1);
            let after = self.admission.after(waiting);
            return Err(Refusal::TooManyPoints { waiting, asked: points, limit, after }.into());
        }
        taken.points = waiting + points;
        self.points.store(points, Ordering::Relaxed);
        Ok(())
    }

    /// Gives the request's points back, once they neither wait nor run; its place stays taken.
    pub fn discharge(&self) {
        let mut taken = self.admission.lock();
        taken.points -= self.points.swap(0, Ordering::Relaxed);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.admission.lock();
        taken.requests -= 1;
        taken.points -= *self.points.get_mut();
        self.admission.metrics.requests.set(taken.requests);
        drop(taken);
        self.admission.changed.notify_waiters();
    }
}

/// Why there is no room for a request's points.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PointsError {
    /// There never is.
    #[error(transparent)]
    Never(#[from] Invalid),
    /// There is none now.
    #[error(transparent)]
    Now(#[from] Refusal),
}

impl From<PointsError> for super::error::ForecastError {
    fn from(error: PointsError) -> Self {
        match error {
            PointsError::Never(invalid) => invalid.into(),
            PointsError::Now(refusal) => refusal.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(requests: usize, points: usize) -> Arc<Admission> {
        let capacity = Capacity { requests, points };
        Arc::new(Admission::new(capacity, Arc::default(), Arc::default()))
    }

    #[test]
    fn a_place_that_is_given_back_is_given_again() {
        let door = door(2, 100);
        let (first, _second) = (door.enter().unwrap(), door.enter().unwrap());
        assert!(matches!(door.enter(), Err(Refusal::TooManyRequests { limit: 2, .. })));
        drop(first);
        door.enter().unwrap();
    }

    #[test]
    fn points_are_given_back_with_the_place() {
        let door = door(9, 100);
        let (first, second) = (door.enter().unwrap(), door.enter().unwrap());
        first.charge(60).unwrap();
        let refused = second.charge(41).unwrap_err();
        assert!(
            matches!(refused, PointsError::Now(Refusal::TooManyPoints { waiting: 60, asked: 41, .. })),
            "{refused}"
        );
        second.charge(40).unwrap();
        second.discharge();
        first.charge(100).unwrap();
        drop((first, second));
        door.enter().unwrap().charge(100).unwrap();
        let never = door.enter().unwrap().charge(101).unwrap_err();
        assert_eq!(never, PointsError::Never(Invalid::TooManyPoints { found: 101, limit: 100 }));
    }

    #[test]
    fn clients_are_told_to_wait_until_half_of_the_work_is_done() {
        let door = door(1, 10_000);
        let permit = door.enter().unwrap();
        permit.charge(10_000).unwrap();
        let after = || match door.enter() {
            Err(Refusal::TooManyRequests { after, .. }) => after.as_secs(),
            other => panic!("{other:?}"),
        };
        assert_eq!(after(), 1, "nothing is known yet");
        door.speed.add(1000, Duration::from_millis(1500));
        assert_eq!(after(), 8, "5,000 points of 1.5 ms are 7.5 s");
        door.speed.add(1, Duration::from_secs(3600));
        assert_eq!(after(), 60);
    }

    #[tokio::test]
    async fn a_closed_door_lets_nobody_in_and_is_empty_when_all_are_gone() {
        let door = door(2, 100);
        let permit = door.enter().unwrap();
        door.close();
        assert!(matches!(door.enter(), Err(Refusal::ShuttingDown)));
        let empty = tokio::spawn({
            let door = Arc::clone(&door);
            async move { door.empty().await }
        });
        tokio::task::yield_now().await;
        assert!(!empty.is_finished());
        drop(permit);
        empty.await.unwrap();
    }
}
