//! TensorRT's progress as that of an export.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tmoe_tensorrt::ProgressMonitor;

use super::{Observer, Stage};

/// Passes the outermost phases on; the ones within come and go too fast to be read.
pub(super) struct Monitor {
    observer: Arc<dyn Observer + Send>,
    cancelled: Arc<AtomicBool>,
    architecture: u32,
    outermost: Mutex<Option<String>>,
}

impl Monitor {
    pub(super) fn new(
        observer: Arc<dyn Observer + Send>,
        cancelled: Arc<AtomicBool>,
        architecture: u32,
    ) -> Self {
        Self { observer, cancelled, architecture, outermost: Mutex::new(None) }
    }

    fn with_outermost<R>(&self, act: impl FnOnce(&mut Option<String>) -> R) -> R {
        act(&mut self.outermost.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ProgressMonitor for Monitor {
    fn phase_start(&self, phase: &str, parent: Option<&str>, steps: u32) {
        if parent.is_none() {
            self.with_outermost(|outermost| *outermost = Some(phase.to_owned()));
            self.observer.stage(Stage::Engine { architecture: self.architecture, total: u64::from(steps) });
        }
    }

    fn step_complete(&self, phase: &str, _: u32) -> ControlFlow<()> {
        if self.with_outermost(|outermost| outermost.as_deref() == Some(phase)) {
            self.observer.advance(1);
        }
        match self.cancelled.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
