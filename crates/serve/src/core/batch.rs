//! Rows of several requests that run together.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use tmoe_runner::{CancelToken, Error};

use super::error::ModelFailure;
use super::job::Job;
use super::lane::{Queued, RowResult, Shared};
use super::queue::Row;

/// A batch that a model is working on: whose rows it has, and how to stop it.
#[derive(Debug)]
pub(super) struct Running {
    jobs: Vec<Arc<Job>>,
    token: CancelToken,
}

impl Running {
    pub(super) fn new(rows: &[Row<Queued>]) -> Self {
        let mut jobs: Vec<Arc<Job>> = rows.iter().map(|row| Arc::clone(&row.payload.job)).collect();
        jobs.sort_unstable_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        Self { jobs, token: CancelToken::new() }
    }

    /// Stops the batch before its next pass if nobody waits for any of its rows.
    pub(super) fn cancel_if_deserted(&self) {
        if self.jobs.iter().all(|job| job.is_gone()) {
            self.token.cancel();
        }
    }
}

/// Runs a batch, hands its results to their jobs, and counts. Returns the jobs that failed with it, whose other rows have no
/// one to go to.
pub(super) fn run(shared: &Shared, worker: usize, batch: &Running, rows: Vec<Row<Queued>>) -> Vec<u64> {
    let start = Instant::now();
    let Some(first) = rows.first() else { return Vec::new() };
    let horizon = first.shape.horizon;
    count(shared, &rows, start);
    let points: Vec<&[f64]> = rows.iter().map(|row| row.payload.input.points()).collect();
    let forecast = || shared.model.forecast(worker, &points, horizon, &batch.token);
    let result = catch_unwind(AssertUnwindSafe(forecast)).map_err(|panic| said(&*panic));
    let time = start.elapsed();
    let message = match result {
        Ok(Ok(results)) if results.len() == rows.len() => {
            let context: usize = rows.iter().map(|row| row.length + row.shape.trailing + horizon).sum();
            shared.speed.add(context, time);
            shared.metrics.batch_seconds.observe(time.as_secs_f64());
            shared.metrics.forecast_points.add((horizon * rows.len()) as u64);
            deliver(rows, results);
            return Vec::new();
        }
        Ok(Ok(results)) => format!("{} rows went in and {} came out", rows.len(), results.len()),
        Ok(Err(Error::Cancelled)) => {
            shared.metrics.batches_cancelled.add(1);
            return Vec::new();
        }
        Ok(Err(error)) => error.to_string(),
        Err(panic) => format!("it panicked: {panic}"),
    };
    tracing::error!(rows = rows.len(), horizon, error = message, "a batch failed");
    shared.metrics.batches_failed.add(1);
    let failure = ModelFailure { message: message.into() };
    batch.jobs.iter().for_each(|job| job.fail(failure.clone()));
    batch.jobs.iter().map(|job| job.id).collect()
}

fn count(shared: &Shared, rows: &[Row<Queued>], start: Instant) {
    let metrics = &shared.metrics;
    for row in rows {
        metrics.queue_seconds.observe(start.saturating_duration_since(row.since).as_secs_f64());
    }
    let longest = rows.iter().map(|row| row.length).max().unwrap_or(0);
    let points: usize = rows.iter().map(|row| row.length).sum();
    metrics.batch_rows.observe(rows.len() as f64);
    metrics.context_points.add(points as u64);
    metrics.padding_points.add((longest * rows.len() - points) as u64);
}

fn deliver(rows: Vec<Row<Queued>>, results: Vec<RowResult>) {
    for (row, result) in rows.into_iter().zip(results) {
        row.payload.job.finish(row.payload.index, result);
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
