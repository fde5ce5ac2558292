//! The largest error of every suite on every subject, as a table for people.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::subject::Subject;
use crate::suites::Case;

/// Collects errors from all threads.
#[derive(Debug, Default)]
pub struct Report {
    worst: Mutex<BTreeMap<(&'static str, String), Worst>>,
}

#[derive(Clone, Debug)]
struct Worst {
    error: f64,
    limit: f64,
    case: String,
}

impl Report {
    /// Nothing collected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the error of a case. Of a suite, the one that comes closest to its limit is kept.
    pub fn add(&self, suite: &'static str, subject: Subject, checkpoint: &str, case: &Case, error: f64) {
        let new = Worst {
            error,
            limit: case.tolerance_on(subject).limit(),
            case: format!("{checkpoint}/{}", case.path()),
        };
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = worst.entry((suite, subject.to_string())).or_insert_with(|| new.clone());
        if new.error * kept.limit > kept.error * new.limit {
            *kept = new;
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.worst.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<13} {:<16} {:>9} {:>9}  closest to its limit", "suite", "on", "error", "limit")?;
        for ((suite, subject), worst) in &*self.worst.lock().unwrap_or_else(PoisonError::into_inner) {
            let Worst { error, limit, case } = worst;
            writeln!(f, "{suite:<13} {subject:<16} {error:>9.1e} {limit:>9.0e}  {case}")?;
        }
        Ok(())
    }
}
