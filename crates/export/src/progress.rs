//! How far an export is, and whether it should go on.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ExportError;

/// What an export is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Converting and writing this many bytes of weights.
    Weights {
        /// Bytes in all.
        total: u64,
    },
    /// Running this many steps of the self-test.
    SelfTest {
        /// Steps in all.
        total: u64,
    },
    /// TensorRT building an engine for this compute capability, times ten.
    Engine {
        /// The compute capability.
        architecture: u32,
        /// Steps of the phase that begins.
        total: u64,
    },
}

/// Told how far an export is; from one thread at a time.
pub trait Observer: Sync {
    /// A stage begins.
    fn stage(&self, stage: Stage);
    /// So many more units of the stage are done.
    fn advance(&self, units: u64);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn stage(&self, _: Stage) {}
    fn advance(&self, _: u64) {}
}

/// An observer and a flag that stops the work.
#[derive(Clone, Copy)]
pub(crate) struct Progress<'a> {
    pub(crate) observer: &'a dyn Observer,
    pub(crate) cancelled: &'a AtomicBool,
}

impl Progress<'_> {
    pub(crate) fn stage(&self, stage: Stage) {
        self.observer.stage(stage);
    }

    pub(crate) fn advance(&self, units: u64) {
        self.observer.advance(units);
    }

    /// An error once the flag is set.
    pub(crate) fn check(&self) -> Result<(), ExportError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(ExportError::Cancelled) } else { Ok(()) }
    }
}
