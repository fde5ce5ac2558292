//! TensorRT's log, into [`tracing`] and into errors.
//!
//! A library keeps the first logger that it is given, so there is one per library, and it is never dropped. Messages go to
//! `tracing` with the target `tensorrt`: TensorRT's errors as errors, warnings as warnings, information as debug, and its very
//! many verbose messages as trace. Errors are also kept for a while, for what fails because of them.
//!
//! ```
//! // As any other messages of `tracing`: a program chooses a subscriber once.
//! tracing::trace!(target: tmoe_tensorrt::LOG_TARGET, "what TensorRT says has this target");
//! ```

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// The target of TensorRT's messages.
pub const LOG_TARGET: &str = "tensorrt";

/// How many messages are kept.
const KEPT: usize = 64;

/// How a message begins that describes the engine that was built.
const DESCRIPTION: &str = "Layers:\n";

/// What messages are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Error,
    /// The layers, inputs and outputs of an engine that was built.
    Description,
}

#[derive(Debug)]
struct Record {
    number: u64,
    thread: ThreadId,
    kind: Kind,
    message: String,
}

/// The messages that were kept.
#[derive(Debug, Default)]
pub(crate) struct Records(Mutex<(u64, VecDeque<Record>)>);

impl Records {
    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Record>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, kind: Kind, message: String) {
        let (next, records) = &mut *self.lock();
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(Record { number: *next, thread: thread::current().id(), kind, message });
        *next += 1;
    }

    /// From now on.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch { records: self, since: self.lock().0 }
    }
}

/// The messages since a moment.
#[derive(Debug)]
pub(crate) struct Watch<'r> {
    records: &'r Records,
    since: u64,
}

impl Watch<'_> {
    /// This thread's messages if it has any, else those of all threads: TensorRT may work on threads of its own.
    fn messages(&self, kind: Kind) -> Vec<String> {
        let lock = self.records.lock();
        let records: Vec<&Record> =
            lock.1.iter().filter(|record| record.kind == kind && record.number >= self.since).collect();
        let here = thread::current().id();
        let is_here = |record: &&&Record| record.thread == here;
        let has_own = records.iter().any(|record| record.thread == here);
        let messages = records.iter().filter(|record| !has_own || is_here(record));
        let mut messages: Vec<String> = messages.map(|record| record.message.trim().to_owned()).collect();
        messages.dedup();
        messages
    }

    /// The errors, in order, or `otherwise` when there are none.
    pub(crate) fn errors(&self, otherwise: impl Into<String>) -> String {
        let messages = self.messages(Kind::Error);
        if messages.is_empty() { otherwise.into() } else { messages.join("; ") }
    }

    /// The description of the engine that was built, if TensorRT gave one.
    pub(crate) fn description(&self) -> Option<String> {
        self.messages(Kind::Description).pop()
    }
}

/// What the shim gives messages to.
#[derive(Debug)]
pub(crate) struct LogSink(pub(crate) Arc<Records>);

impl LogSink {
    /// `severity`: 0 internal error, 1 error, 2 warning, 3 information, 4 verbose.
    pub(crate) fn log(&self, severity: i32, message: String) {
        // A subscriber that panics must not unwind into C++.
        let _ = catch_unwind(AssertUnwindSafe(|| match severity {
            0 | 1 => {
                tracing::error!(target: LOG_TARGET, "{message}");
                self.0.push(Kind::Error, message);
            }
            2 => tracing::warn!(target: LOG_TARGET, "{message}"),
            3 => tracing::debug!(target: LOG_TARGET, "{message}"),
            _ => {
                tracing::trace!(target: LOG_TARGET, "{message}");
                if message.starts_with(DESCRIPTION) {
                    self.0.push(Kind::Description, message);
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_since_the_watch_began_are_told() {
        let sink = LogSink(Arc::default());
        sink.log(1, "before".into());
        let watch = sink.0.watch();
        assert_eq!(watch.errors("nothing was said"), "nothing was said");
        for (severity, message) in [(0, "first"), (2, "a warning"), (1, "second "), (1, "second"), (4, "x")] {
            sink.log(severity, message.into());
        }
        assert_eq!(watch.errors(""), "first; second");
    }

    #[test]
    fn a_threads_own_errors_hide_those_of_others() {
        let sink = LogSink(Arc::default());
        let watch = sink.0.watch();
        thread::scope(|scope| scope.spawn(|| sink.log(1, "elsewhere".into())).join().unwrap());
        assert_eq!(watch.errors(""), "elsewhere");
        sink.log(1, "here".into());
        assert_eq!(watch.errors(""), "here");
    }

    #[test]
    fn old_messages_make_room() {
        let sink = LogSink(Arc::default());
        let watch = sink.0.watch();
        (0..2 * KEPT).for_each(|n| sink.log(1, n.to_string()));
        let errors = watch.errors("");
        assert!(errors.starts_with(&format!("{KEPT}; ")) && errors.ends_with("; 127"), "{errors}");
    }
}
