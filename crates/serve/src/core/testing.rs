//! A model that counts on from a row's last point, and what watches and holds it.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tmoe_runner::{CancelToken, Error, SeriesError, SeriesLabel};

use super::admission::Capacity;
use super::model::{Facts, Loader, Model};
use super::name::{ModelName, Version};
use super::queue::Policy;
use super::registry::LaneOptions;
use super::{Core, Input, Limits, Request};

/// Points that the model holds.
pub(super) const POSITIONS: usize = 100;

/// One call of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) rows: Vec<Vec<f64>>,
    pub(super) horizon: usize,
    pub(super) cancelled: bool,
}

#[derive(Debug, Default)]
struct Shared {
    held: bool,
    running: usize,
    calls: Vec<Call>,
    loads: usize,
}

/// What a test sees of all models of a loader, and the gate that holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<(Mutex<Shared>, Condvar)>);

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on calls begin, but do not end.
    pub(super) fn hold(&self) {
        self.lock().held = true;
    }

    /// Lets all calls end.
    pub(super) fn release(&self) {
        self.lock().held = false;
        self.0.1.notify_all();
    }

    /// The calls that have ended.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How often packages were loaded.
    pub(super) fn loads(&self) -> usize {
        self.lock().loads
    }

    /// Waits until a condition on the number of running calls holds.
    pub(super) async fn until_running(&self, count: usize) {
        until(|| self.lock().running == count).await;
    }
}

/// Waits until a condition holds; a test that waits for ever is ended by its harness.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// "Packages" are names: what begins with `broken` does not load; models of `panics` and `fails` do so on the value 666.
pub(super) struct Counting(pub(super) Watch);

struct CountingModel {
    watch: Watch,
    facts: Facts,
    package: String,
}

impl Loader for Counting {
    fn load(&self, package: &Path) -> Result<Box<dyn Model>, Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().loads += 1;
        let package = package.display().to_string();
        if package.starts_with("broken") {
            return Err("its self-test failed".into());
        }
        let facts = Facts {
            positions: POSITIONS,
            max_rows: None,
            provider: "counting".to_owned(),
            graph: "standard".to_owned(),
            precision: "fp32".to_owned(),
            parallel_batches: 1,
            policy: POLICY,
        };
        Ok(Box::new(CountingModel { watch: self.0.clone(), facts, package }))
    }
}

impl Model for CountingModel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn forecast(
        &self,
        _worker: usize,
        rows: &[&[f64]],
        horizon: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Result<Vec<f32>, SeriesError>>, Error> {
        let mut shared = self.watch.lock();
        shared.running += 1;
        while shared.held && !cancel.is_cancelled() {
            let woken = self.watch.0.1.wait_timeout(shared, Duration::from_millis(1));
            shared = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        shared.running -= 1;
        let cancelled = cancel.is_cancelled();
        shared.calls.push(Call { rows: rows.iter().map(|row| row.to_vec()).collect(), horizon, cancelled });
        drop(shared);
        if cancelled {
            return Err(Error::Cancelled);
        }
        if rows.iter().any(|row| row.contains(&666.0)) {
            match self.package.as_str() {
                "panics" => panic!("the number of the beast"),
                _ => return Err(SeriesError::ContextZero.into()),
            }
        }
        Ok(rows.iter().map(|row| count_on(row, horizon)).collect())
    }
}

/// The last known point, and on in steps of 1 from after the missing ones; 13 has no forecast.
fn count_on(row: &[f64], horizon: usize) -> Result<Vec<f32>, SeriesError> {
    let known = row.iter().rposition(|value| !value.is_nan()).unwrap_or(0);
    if row[known] == 13.0 {
        let series = SeriesLabel { index: 77, name: None };
        return Err(SeriesError::ForecastNotFinite { series, step: 0, value: f32::NAN });
    }
    let missing = row.len() - known;
    Ok((0..horizon).map(|step| row[known] as f32 + (missing + step) as f32).collect())
}

pub(super) const POLICY: Policy = Policy { points: 200, rows: 8, wait: Duration::from_millis(20) };
pub(super) const CAPACITY: Capacity = Capacity { requests: 32, points: 5000 };
pub(super) const LIMITS: Limits = Limits { series: 20, values: 10_000, timeout: Duration::from_secs(60) };

/// A server with the model `demo`, version 1, loaded.
pub(super) fn core_with(policy: Policy, capacity: Capacity, limits: Limits) -> (Arc<Core>, Watch) {
    let watch = Watch::default();
    let lanes = LaneOptions::from(policy);
    let core = Core::new(Box::new(Counting(watch.clone())), lanes, capacity, limits);
    core.registry.register(&demo(), &Version::first(), "good".as_ref());
    core.registry.load(&demo(), &Version::first()).unwrap();
    (Arc::new(core), watch)
}

pub(super) fn core() -> (Arc<Core>, Watch) {
    core_with(POLICY, CAPACITY, LIMITS)
}

pub(super) fn demo() -> ModelName {
    "demo".parse().unwrap()
}

pub(super) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A request for series of these points.
pub(super) fn request(series: &[&[f64]], horizon: usize) -> Request {
    let input = |values: &&[f64]| Input { name: None, values: values.to_vec() };
    Request { series: series.iter().map(input).collect(), horizon, ..Request::default() }
}

/// Lets a request in and forecasts it.
pub(super) async fn ask(core: &Arc<Core>, request: Request) -> Result<super::Answer, super::ForecastError> {
    let mut permit = core.admission.enter()?;
    core.forecast(&mut permit, request).await
}

/// The values of an answer with one series.
pub(super) async fn values(core: &Arc<Core>, request: Request) -> Vec<f32> {
    let answer = ask(core, request).await.unwrap();
    answer.forecasts[0].as_ref().unwrap().values.clone()
}
