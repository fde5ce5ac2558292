//! Packages on a provider, behind the seam.

use std::path::Path;

use thiserror::Error;
use tmoe_package::{Integrity, Package};
use tmoe_runner::verify::Row;
use tmoe_runner::{
    CancelToken, Control, Error, Forecaster, Normalization, SelfTest, SeriesError, Session, SessionOptions,
};

use super::model::{Facts, Loader, Model};

/// Opens packages: checks their files, loads a graph on a provider, and runs the self-test there.
#[derive(Clone, Debug)]
pub struct PackageLoader {
    /// On which provider, with which graph and resources.
    pub session: SessionOptions,
    /// How much of a package's files is checked.
    pub integrity: Integrity,
    /// How series are scaled.
    pub normalization: Normalization,
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
    forecaster: Forecaster,
    facts: Facts,
}

impl Loader for PackageLoader {
    fn load(&self, folder: &Path) -> Result<Box<dyn Model>, Box<dyn std::error::Error + Send + Sync>> {
        let package = Package::open_with(folder, self.integrity)?;
        let selftest = SelfTest::read(&package)?;
        let session = Session::open(&package, &self.session)?;
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
            parallel_passes: session.parallel_passes(),
        };
        // The queue makes the batches; what it puts together stays together.
        let forecaster = Forecaster::new(session).with_normalization(self.normalization);
        Ok(Box::new(PackageModel { forecaster: forecaster.with_token_budget(usize::MAX), facts }))
    }
}

impl Model for PackageModel {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn forecast(
        &self,
        rows: &[&[f64]],
        horizon: usize,
        cancel: &CancelToken,
    ) -> Result<Vec<Result<Vec<f32>, SeriesError>>, Error> {
        let control = Control::new().with_cancel(cancel);
        let forecasts = self.forecaster.forecast_each(rows.iter().copied(), horizon, &control)?;
        Ok(forecasts.into_iter().map(|forecast| forecast.map(|forecast| forecast.values)).collect())
    }
}
