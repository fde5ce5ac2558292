//! How far a build is.

use std::any::Any;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Hears of the progress of builds, from any thread, and may end them.
///
/// A panic ends the build too, and goes on where the build was started.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use tmoe_tensorrt::ProgressMonitor;
///
/// /// Gives up after a thousand steps.
/// #[derive(Default)]
/// struct Patience(AtomicU32);
///
/// impl ProgressMonitor for Patience {
///     fn step_complete(&self, _phase: &str, _step: u32) -> ControlFlow<()> {
///         match self.0.fetch_add(1, Ordering::Relaxed) {
///             1000.. => ControlFlow::Break(()),
///             _ => ControlFlow::Continue(()),
///         }
///     }
/// }
/// # assert!(Patience::default().step_complete("", 0).is_continue());
/// ```
pub trait ProgressMonitor: Send + Sync {
    /// A phase of `steps` steps begins, within the phase `parent`. Names are in English and differ between versions.
    fn phase_start(&self, phase: &str, parent: Option<&str>, steps: u32) {
        let _ = (phase, parent, steps);
    }

    /// A step of a phase is done; `Break` ends the build, which then fails with
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    fn step_complete(&self, phase: &str, step: u32) -> ControlFlow<()>;

    /// A phase is over, even if not all of its steps were done.
    fn phase_finish(&self, phase: &str) {
        let _ = phase;
    }
}

/// How a build was ended by its monitor.
#[derive(Default)]
pub(crate) struct Outcome {
    cancelled: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("cancelled", &self.cancelled).finish_non_exhaustive()
    }
}

impl Outcome {
    /// Whether the monitor ended the build; forgets it.
    pub(crate) fn take_cancelled(&self) -> bool {
        self.cancelled.swap(false, Ordering::Relaxed)
    }

    /// What the monitor panicked with; forgets it.
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the shim tells of progress.
pub(crate) struct ProgressSink {
    monitor: Arc<dyn ProgressMonitor>,
    outcome: Arc<Outcome>,
}

impl ProgressSink {
    pub(crate) fn new(monitor: Arc<dyn ProgressMonitor>, outcome: Arc<Outcome>) -> Self {
        Self { monitor, outcome }
    }

    pub(crate) fn phase_start(&self, phase: String, parent: String, steps: i32) {
        let parent = Some(parent.as_str()).filter(|parent| !parent.is_empty());
        self.guard(|| self.monitor.phase_start(&phase, parent, steps.try_into().unwrap_or(0)));
    }

    pub(crate) fn step_complete(&self, phase: String, step: i32) -> bool {
        let answer = self.guard(|| self.monitor.step_complete(&phase, step.try_into().unwrap_or(0)));
        if matches!(answer, Some(ControlFlow::Break(()))) {
            self.outcome.cancelled.store(true, Ordering::Relaxed);
        }
        // After a panic in another callback too.
        let panicked = self.outcome.panic.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        !panicked && matches!(answer, Some(ControlFlow::Continue(())))
    }

    pub(crate) fn phase_finish(&self, phase: String) {
        self.guard(|| self.monitor.phase_finish(&phase));
    }

    /// A panic must not unwind into C++: it is kept.
    fn guard<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(value) => Some(value),
            Err(panic) => {
                self.outcome.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
                None
            }
        }
    }
}
