//! Reading ahead on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::read::error::ReadError;
use crate::read::reader::{Entry, SeriesReader};

/// A reader that works on another thread; the same items in the same order. Dropping it ends the
/// reading.
#[derive(Debug)]
pub struct Background {
    entries: Receiver<Result<Entry, ReadError>>,
    /// The bits of the share that was read; NaN when unknown.
    progress: Arc<AtomicU64>,
}

impl Background {
    pub(super) fn start(mut reader: SeriesReader, ahead: usize) -> Self {
        let (sender, entries) = sync_channel(ahead);
        let progress = Arc::new(AtomicU64::new(f64::NAN.to_bits()));
        let share = Arc::clone(&progress);
        thread::spawn(move || {
            while let Some(entry) = reader.next() {
                share.store(reader.progress().unwrap_or(f64::NAN).to_bits(), Ordering::Relaxed);
                if sender.send(entry).is_err() {
                    return;
                }
            }
        });
        Self { entries, progress }
    }

    /// As [`SeriesReader::progress`].
    #[must_use]
    pub fn progress(&self) -> Option<f64> {
        self.share().get()
    }

    /// The same, to be asked while the entries are with somebody else.
    #[must_use]
    pub fn share(&self) -> ReadShare {
        ReadShare(Arc::clone(&self.progress))
    }
}

/// The share of a file that was read so far.
#[derive(Debug, Clone)]
pub struct ReadShare(Arc<AtomicU64>);

impl ReadShare {
    /// From 0 to 1; `None` for streams of unknown length.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|share| !share.is_nan())
    }
}

impl Iterator for Background {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.recv().ok()
    }
}
