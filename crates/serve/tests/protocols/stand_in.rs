//! What stands in for models: it counts on from a row's last point, can be held, and remembers what it was asked. The unit tests
//! of the core and the tests over sockets share it.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tmoe_runner::{CancelToken, Error, SeriesError, SeriesLabel};
use tmoe_serve::core::model::{Facts, Loader, Model};
use tmoe_serve::core::queue::Policy;

/// Points that the model holds.
pub(crate) const POSITIONS: usize = 100;

/// One call of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) rows: Vec<Vec<f64>>,
    pub(crate) horizon: usize,
    pub(crate) cancelled: bool,
}

/// What all models of a loader did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    held: bool,
    /// Calls that began and have not ended.
    pub(crate) running: usize,
    /// Those that have.
    pub(crate) calls: Vec<Call>,
    /// Packages loaded, or tried to.
    pub(crate) loads: usize,
}

/// What a test sees of all models of a loader, and the gate that holds them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch(Arc<(Mutex<Seen>, Condvar)>);

impl Watch {
    /// From now on calls begin, but do not end.
    pub(crate) fn hold(&self) {
        self.lock().held = true;
    }

    /// Lets all calls end.
    pub(crate) fn release(&self) {
        self.lock().held = false;
        self.0.1.notify_all();
    }

    pub(crate) fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.lock())
    }

    /// Waits as a batch does; `false` if it was cancelled meanwhile.
    fn pass(&self, rows: &[&[f64]], horizon: usize, cancel: &CancelToken) -> bool {
        let mut seen = self.lock();
        seen.running += 1;
        while seen.held && !cancel.is_cancelled() {
            let woken = self.0.1.wait_timeout(seen, Duration::from_millis(1));
            seen = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        seen.running -= 1;
        let cancelled = cancel.is_cancelled();
        seen.calls.push(Call { rows: rows.iter().map(|row| row.to_vec()).collect(), horizon, cancelled });
        !cancelled
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packages are words: the text of their manifest, or the path itself where there is none. `broken` does not load, `fails` has
/// models that fail where others panic, and the models of `adds N` forecast N more than others.
pub(crate) struct Counting(pub(crate) Watch);

struct CountingModel {
    watch: Watch,
    facts: Facts,
    fails: bool,
    adds: f32,
}

impl Loader for Counting {
    fn load(&self, package: &Path) -> Result<Box<dyn Model>, Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().loads += 1;
        let manifest = std::fs::read_to_string(package.join("manifest.json"));
        let word = manifest.unwrap_or_else(|_| package.display().to_string());
        if word == "broken" {
            return Err("its self-test failed".into());
        }
        let facts = Facts {
            positions: POSITIONS,
            max_rows: None,
            provider: "counting".to_owned(),
            graph: "standard".to_owned(),
            precision: "fp32".to_owned(),
            parallel_batches: 1,
            policy: Policy { points: 1000, rows: 16, wait: Duration::from_millis(1) },
        };
        let adds = word.strip_prefix("adds ").map_or(Ok(0.0), str::parse)?;
        Ok(Box::new(CountingModel { watch: self.0.clone(), facts, fails: word == "fails", adds }))
    }
}

impl Model for CountingModel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    /// On 666 the model fails.
    fn forecast(
        &self,
        _worker: usize,
        rows: &[&[f64]],
        horizon: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Result<Vec<f32>, SeriesError>>, Error> {
        if !self.watch.pass(rows, horizon, cancel) {
            return Err(Error::Cancelled);
        }
        if rows.iter().any(|row| row.contains(&666.0)) {
            assert!(self.fails, "the number of the beast");
            return Err(SeriesError::ContextZero.into());
        }
        Ok(rows.iter().map(|row| count_on(row, horizon, self.adds)).collect())
    }
}

/// The last known point, and on in steps of 1 from after the missing ones; 13 has no forecast.
fn count_on(row: &[f64], horizon: usize, adds: f32) -> Result<Vec<f32>, SeriesError> {
    let known = row.iter().rposition(|value| !value.is_nan()).unwrap_or(0);
    if row[known] == 13.0 {
        let series = SeriesLabel { index: 77, name: None };
        return Err(SeriesError::ForecastNotFinite { series, step: 0, value: f32::NAN });
    }
    let missing = row.len() - known;
    Ok((0..horizon).map(|step| row[known] as f32 + adds + (missing + step) as f32).collect())
}
