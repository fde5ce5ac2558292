//! Who forecasts the windows: packages, and the naive methods that they must beat.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tmoe_backtest::Window;
use tmoe_backtest::baselines::{naive, seasonal_naive};
use tmoe_package::Precision;
use tmoe_runner::{Control, Forecaster, Normalization, OpSet, Series, SeriesError, check_horizon};

use super::Arguments;
use super::series::Group;
use crate::Failure;

/// A package that is open, or a naive method.
pub(super) struct Contestant {
    pub(super) name: Name,
    method: Method,
}

enum Method {
    Package(Box<Forecaster>),
    Naive,
    SeasonalNaive,
}

/// What a contestant is called, and how it runs.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Name {
    Package { package: PathBuf, precision: Precision, provider: &'static str, graph: OpSet },
    Baseline { baseline: &'static str },
}

/// Why a series could not be forecast, by its place in the group.
pub(super) type Problems = BTreeMap<usize, String>;

impl Name {
    /// Of the model, its precision, and what runs it.
    pub(super) fn columns(&self) -> [String; 3] {
        match self {
            Self::Package { package, precision, provider, graph } => {
                [package.display().to_string(), precision.to_string(), format!("{provider} {graph}")]
            }
            Self::Baseline { baseline } => [(*baseline).to_owned(), "-".to_owned(), "-".to_owned()],
        }
    }
}

impl Contestant {
    /// The naive methods.
    pub(super) fn baselines() -> [Self; 2] {
        let baseline = |baseline, method| Self { name: Name::Baseline { baseline }, method };
        [baseline("naive", Method::Naive), baseline("seasonal naive", Method::SeasonalNaive)]
    }

    /// Whether it runs a model.
    pub(super) fn is_package(&self) -> bool {
        matches!(self.method, Method::Package(_))
    }

    /// Forecasts windows of a group's series, in the unit in which their errors are measured. A context without any point has
    /// no forecast (NaN), and neither has a series that cannot be forecast: it is noted in `problems`.
    pub(super) fn forecast(
        &self,
        windows: &[Window<'_>],
        group: &Group,
        horizon: usize,
        control: &Control<'_>,
        problems: &mut Problems,
    ) -> Result<Vec<Vec<f32>>, tmoe_runner::Error> {
        let forecaster = match &self.method {
            Method::Package(forecaster) => forecaster,
            Method::Naive => return Ok(each(windows, |window| naive(window.history, horizon))),
            Method::SeasonalNaive => {
                return Ok(each(windows, |window| seasonal_naive(window.history, group.season, horizon)));
            }
        };
        let series = windows.iter().filter_map(|window| {
            let member = group.series.get(window.series)?;
            Some(Series::new(member.context(window)).named(member.series.id.as_str()))
        });
        let forecasts = forecaster.forecast_each(series, horizon, control)?;
        let scaled = forecasts.into_iter().zip(windows).map(|(forecast, window)| {
            let deviation = group.series.get(window.series).map_or(1.0, |member| member.deviation);
            match forecast {
                Ok(forecast) => {
                    forecast.values.iter().map(|&value| (f64::from(value) / deviation) as f32).collect()
                }
                Err(problem) => {
                    if !matches!(problem, SeriesError::AllMissing { .. }) {
                        let text =
                            || format!("the window that begins after {} points: {problem}", window.origin());
                        problems.entry(window.series).or_insert_with(text);
                    }
                    vec![f32::NAN; horizon]
                }
            }
        });
        Ok(scaled.collect())
    }
}

fn each(windows: &[Window<'_>], forecast: impl Fn(&Window<'_>) -> Vec<f64>) -> Vec<Vec<f32>> {
    windows.iter().map(|window| forecast(window).into_iter().map(|value| value as f32).collect()).collect()
}

/// Packages that are open.
pub(super) struct Packages {
    pub(super) opened: Vec<(Name, Forecaster)>,
    /// The fewest points that one holds, context and horizon together.
    pub(super) positions: usize,
}

impl Packages {
    /// Opens all, and checks that they can forecast so far.
    pub(super) fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let mut packages = Self { opened: Vec::new(), positions: usize::MAX };
        for path in &arguments.packages {
            packages.add(arguments, path)?;
        }
        Ok(packages)
    }

    fn add(&mut self, arguments: &Arguments, path: &Path) -> Result<(), Failure> {
        let package = arguments.engine.package(path)?;
        let positions = package.manifest().model.max_positions();
        check_horizon(arguments.horizon, positions)?;
        self.positions = self.positions.min(positions);
        let session = arguments.engine.open(&package)?;
        let name = Name::Package {
            package: path.to_owned(),
            precision: package.manifest().precision,
            provider: session.provider().name(),
            graph: session.graph(),
        };
        let mut forecaster = Forecaster::new(session);
        if let Some(points) = arguments.batch_points {
            forecaster = forecaster.with_token_budget(points);
        }
        self.opened.push((name, forecaster));
        Ok(())
    }

    /// With this normalisation and context.
    pub(super) fn forecasters(
        self,
        normalization: Normalization,
        context: usize,
    ) -> impl Iterator<Item = (Name, Forecaster)> {
        let configured =
            move |forecaster: Forecaster| forecaster.with_normalization(normalization).with_context(context);
        self.opened.into_iter().map(move |(name, forecaster)| (name, configured(forecaster)))
    }

    /// The same, to compete.
    pub(super) fn contestants(
        self,
        normalization: Normalization,
        context: usize,
    ) -> impl Iterator<Item = Contestant> {
        self.forecasters(normalization, context)
            .map(|(name, forecaster)| Contestant { name, method: Method::Package(Box::new(forecaster)) })
    }
}
