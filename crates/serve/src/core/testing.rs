//! A server with the model that counts on, and requests for it.

use std::sync::Arc;
use std::time::Duration;

use super::admission::Capacity;
use super::name::{ModelName, Version};
use super::queue::Policy;
use super::registry::LaneOptions;
use super::stand_in::{Call, Counting};
use super::{Core, Input, Limits, Request};

pub(super) use super::stand_in::{POSITIONS, Watch};

impl Watch {
    /// The calls that have ended.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.seen(|seen| seen.calls.clone())
    }

    /// How often packages were loaded.
    pub(super) fn loads(&self) -> usize {
        self.seen(|seen| seen.loads)
    }

    /// Waits until so many calls run.
    pub(super) async fn until_running(&self, count: usize) {
        until(|| self.seen(|seen| seen.running) == count).await;
    }
}

/// Waits until a condition holds; a test that waits for ever is ended by its harness.
pub(super) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
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
    let permit = core.admission.enter()?;
    core.forecast(&permit, request).await
}

/// The values of an answer with one series.
pub(super) async fn values(core: &Arc<Core>, request: Request) -> Vec<f32> {
    let answer = ask(core, request).await.unwrap();
    answer.forecasts[0].as_ref().unwrap().values.clone()
}
