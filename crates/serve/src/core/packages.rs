//! Packages on a provider, behind the seam.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use thiserror::Error;
use tmoe_package::{Integrity, Package};
use tmoe_runner::verify::Row;
use tmoe_runner::{
    CancelToken, Control, Error, Forecaster, Normalization, Provider, SelfTest, SeriesError, Session,
    SessionOptions,
};

use super::model::{Facts, Loader, Model};
use super::queue::Policy;

/// Opens packages: checks their files, loads a graph on a provider, and runs the self-test there.
#[derive(Clone, Debug)]
pub struct PackageLoader {
    /// On which provider, with which graph and resources.
    pub session: SessionOptions,
    /// How much of a package's files is checked.
    pub integrity: Integrity,
    /// How series are scaled.
    pub normalization: Normalization,
    /// Sessions of a model, which forecast batches at the same time and share its threads; as many as serve best unless said.
    pub sessions: Option<NonZeroUsize>,
}

/// A package computes something else on this machine than where it was exported.
#[derive(Clone, Debug, Error)]
#[error(
    "its self-test failed on {}: {failed} of {compared} comparisons, the worst `{}` of the case `{}` with an error of \
     {:.1e} where {:.0e} passes; `tmoe verify` shows all of them",
    worst.provider, worst.tensor, worst.case, worst.error, worst.tolerance
)]
pub struct SelfTestFailed {
    /// Comparisons that failed.
    pub failed: usize,
    /// Comparisons in all.
    pub compared: usize,
    /// The one with the largest error.
    pub worst: Row,
}

struct PackageModel {
    /// One per worker.
    forecasters: Vec<Forecaster>,
    facts: Facts,
}

/// Threads of one session on the CPU where the machine has more than some: a forecast of one series gains little from the others.
const SESSION_THREADS: usize = 4;

/// How many sessions of a model serve best.
///
/// On the CPU a pass is as fast per point with one series as with many, and single series are poorly divided among threads: at least
/// two sessions, which also keeps a request from waiting for the whole of another's batch. Elsewhere one batch fills the machine.
fn usual_sessions(provider: Provider, threads: usize) -> usize {
    match provider {
        Provider::Cpu => (threads / SESSION_THREADS).max(2).min(threads),
        _ => provider.parallel_passes(),
    }
}

/// Which batches pay off: the fewest points with which passes are about as fast per point as they become, since whoever comes
/// meanwhile waits for the end of the batch.
fn usual_policy(provider: Provider) -> Policy {
    match provider {
        Provider::Cpu | Provider::Tract => Policy { points: 512, rows: 256, wait: Duration::ZERO },
        _ => Policy { points: 16_384, rows: 256, wait: Duration::from_millis(2) },
    }
}

impl Loader for PackageLoader {
    fn load(&self, folder: &Path) -> Result<Box<dyn Model>, Box<dyn std::error::Error + Send + Sync>> {
        let package = Package::open_with(folder, self.integrity)?;
        let selftest = SelfTest::read(&package)?;
        let sessions = |provider, threads| {
            self.sessions.map_or_else(|| usual_sessions(provider, threads), NonZeroUsize::get)
        };
        let (session, others) = Session::open_several(&package, &self.session, sessions)?;
        if let Some(reason) = &session.selection().passed_over {
            tracing::warn!(provider = %session.provider(), reason, "running on the slower provider");
        }
        let report = selftest.check(&session)?;
        if let (false, Some(worst)) = (report.passed(), report.worst()) {
            let failed = report.rows.iter().filter(|row| !row.pass).count();
            let failed = SelfTestFailed { failed, compared: report.rows.len(), worst: worst.clone() };
            return Err(failed.into());
        }
        let manifest = package.manifest();
        let facts = Facts {
            positions: manifest.model.max_positions(),
            max_rows: session.max_batch(),
            provider: session.provider().to_string(),
            graph: session.graph().to_string(),
            precision: manifest.precision.to_string(),
            parallel_batches: 1 + others.len(),
            policy: usual_policy(session.provider()),
        };
        // The queue makes the batches; what it puts together stays together.
        let forecaster = |session| {
            Forecaster::new(session).with_normalization(self.normalization).with_token_budget(usize::MAX)
        };
        let forecasters = std::iter::once(session).chain(others).map(forecaster).collect();
        Ok(Box::new(PackageModel { forecasters, facts }))
    }
}

impl Model for PackageModel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn forecast(
        &self,
        worker: usize,
        rows: &[&[f64]],
        horizon: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Result<Vec<f32>, SeriesError>>, Error> {
        let control = Control::new().with_cancel(cancel);
        let forecaster = &self.forecasters[worker % self.forecasters.len()];
        let forecasts = forecaster.forecast_each(rows.iter().copied(), horizon, &control)?;
        Ok(forecasts.into_iter().map(|forecast| forecast.map(|forecast| forecast.values)).collect())
    }
}
