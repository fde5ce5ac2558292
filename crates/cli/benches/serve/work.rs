//! What is asked of the server, and how fast the runner does the same by itself.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
use tmoe_tests::packages::Packages;

use crate::client::post;

/// Points of each series.
pub(crate) const CONTEXT: usize = 512;

/// Points that are forecast of each.
pub(crate) const HORIZON: usize = 96;

/// Different series.
const SERIES: usize = 64;

/// A package and requests for it.
pub(crate) struct Work {
    folder: PathBuf,
    series: Vec<Vec<f64>>,
    /// One for each series.
    pub(crate) requests: Vec<Vec<u8>>,
    /// Holds the folder.
    _packages: Packages,
}

impl Work {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let packages = Packages::new()?;
        let folder = packages.example()?;
        let value = |series: usize, point: usize| {
            let daily = (point as f64 / 24.0 * std::f64::consts::TAU).sin() * (1.0 + series as f64 / 10.0);
            let noise = ((series * 7919 + point * 104_729) % 1000) as f64 / 1000.0;
            ((100.0 + 10.0 * daily + noise) * 1000.0).round() / 1000.0
        };
        let series: Vec<Vec<f64>> =
            (0..SERIES).map(|series| (0..CONTEXT).map(|point| value(series, point)).collect()).collect();
        let requests = series.iter().map(|values| request(values, None)).collect();
        Ok(Self { folder, series, requests, _packages: packages })
    }

    /// A request for the forecast of a series, of a model.
    pub(crate) fn request(&self, series: usize, model: Option<&str>) -> Vec<u8> {
        request(&self.series[series % SERIES], model)
    }

    /// What the runner forecasts of each series.
    pub(crate) fn forecasts(&self) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let session = Session::open(&Package::open(&self.folder)?, &SessionOptions::default())?;
        let forecasts = Forecaster::new(session).forecast(&self.series, HORIZON)?;
        Ok(forecasts.into_iter().map(|forecast| forecast.values).collect())
    }

    pub(crate) fn package(&self) -> &Path {
        &self.folder
    }

    /// The runner, ready.
    pub(crate) fn runner(&self) -> Result<Runner<'_>, Box<dyn Error>> {
        let session = Session::open(&Package::open(&self.folder)?, &SessionOptions::default())?;
        let forecaster = Forecaster::new(session).with_token_budget(32 * CONTEXT);
        forecaster.forecast(&self.series, HORIZON)?;
        Ok(Runner { forecaster, series: &self.series })
    }
}

/// The runner without a server.
pub(crate) struct Runner<'a> {
    forecaster: Forecaster,
    series: &'a [Vec<f64>],
}

impl Runner<'_> {
    /// Series per second in batches of 32.
    pub(crate) fn rate(&self, span: Duration) -> Result<f64, Box<dyn Error>> {
        let (begin, mut forecasts) = (Instant::now(), 0);
        while begin.elapsed() < span {
            forecasts += self.forecaster.forecast(self.series, HORIZON)?.len();
        }
        Ok(forecasts as f64 / begin.elapsed().as_secs_f64())
    }
}

fn request(values: &[f64], model: Option<&str>) -> Vec<u8> {
    let mut body = serde_json::json!({ "series": [values], "horizon": HORIZON });
    if let Some(model) = model {
        body["model"] = model.into();
    }
    post("/v1/forecast", &body.to_string())
}
