//! Timing passes and rooflines in turn.

use std::time::Instant;

use ndarray::{Array2, Array3};
use serde::Serialize;
use tmoe_runner::{Forecaster, OpSet, Provider, ProviderOptions, Session};

use super::memory;
use super::roofline::{Roofline, RooflineModels};
use super::shapes::PassShapes;
use super::{Arguments, Pass};
use crate::Failure;

/// Seconds of repeated runs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Timings {
    pub(super) median: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    pub(super) runs: usize,
}

impl Timings {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self {
            median: median(&seconds),
            minimum: seconds.first().copied().unwrap_or(f64::NAN),
            maximum: seconds.last().copied().unwrap_or(f64::NAN),
            runs: seconds.len(),
        }
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle), sorted.get(middle.wrapping_sub(1))) {
        (0, Some(high), Some(low)) => (low + high) / 2.0,
        (_, Some(value), _) => *value,
        _ => f64::NAN,
    }
}

/// One kind of pass, with the roofline measured beside every run.
pub(super) struct MeasuredPass {
    points: usize,
    past: usize,
    seconds: Vec<f64>,
    rooflines: Vec<Roofline>,
}

impl MeasuredPass {
    pub(super) fn into_pass(self, batch: usize) -> Pass {
        let mut ratios: Vec<f64> =
            self.rooflines.iter().zip(&self.seconds).map(|(roofline, run)| roofline.seconds / run).collect();
        ratios.sort_by(f64::total_cmp);
        let of = |value: fn(&Roofline) -> f64| Timings::of(self.rooflines.iter().map(value).collect()).median;
        let roofline = Roofline { seconds: of(|r| r.seconds), gflops: of(|r| r.gflops) };
        let seconds = Timings::of(self.seconds);
        Pass {
            points: self.points,
            past: self.past,
            points_per_second: (batch * self.points) as f64 / seconds.median,
            seconds,
            roofline,
            roofline_ratio: median(&ratios),
        }
    }
}

/// Everything that is measured on one session.
pub(super) struct Measured {
    pub(super) provider: Provider,
    pub(super) graph: OpSet,
    pub(super) threads: usize,
    pub(super) prefill: MeasuredPass,
    pub(super) decode: MeasuredPass,
    pub(super) forecast: Timings,
    /// Bytes held with the session open.
    pub(super) loaded_memory: Option<u64>,
    /// Bytes held beyond those during the passes.
    pub(super) pass_memory: Option<u64>,
}

impl Measured {
    pub(super) fn take(
        arguments: &Arguments,
        session: Session,
        options: &ProviderOptions,
    ) -> Result<Self, Failure> {
        let (batch, context) = (arguments.batch, arguments.context);
        let manifest = session.package().manifest();
        // The pass after the first one of a long forecast appends the longest head's points.
        let room = manifest.model.max_positions() - context;
        let step = manifest.horizons.last().copied().unwrap_or(1).min(room);
        let (provider, graph, threads) = (session.provider(), session.graph(), session.threads());
        // Before the models of the roofline take memory of their own.
        let loaded_memory = memory::reset_peak().then(memory::current).flatten();
        passes(&session, batch, context, step)?;
        let peak = memory::peak();
        let pass_memory = peak.zip(loaded_memory).map(|(peak, loaded)| peak.saturating_sub(loaded));
        let load = |points, past| {
            RooflineModels::load(PassShapes::new(manifest, batch, points, past), provider, options)
        };
        let (prefill_models, decode_models) = (load(context, 0)?, load(step, context)?);

        let mut prefill = MeasuredPass { points: context, past: 0, seconds: vec![], rooflines: vec![] };
        let mut decode = MeasuredPass { points: step, past: context, seconds: vec![], rooflines: vec![] };
        for repeat in 0..=arguments.repeats {
            let (first, second) = passes(&session, batch, context, step)?;
            let rooflines = (prefill_models.measure()?, decode_models.measure()?);
            // The first round warms caches and memory up.
            if repeat > 0 {
                prefill.seconds.push(first);
                decode.seconds.push(second);
                prefill.rooflines.push(rooflines.0);
                decode.rooflines.push(rooflines.1);
            }
        }
        let forecast = forecasts(arguments, session)?;
        Ok(Self { provider, graph, threads, prefill, decode, forecast, loaded_memory, pass_memory })
    }
}

/// Seconds of a prefill and of the decode after it.
fn passes(session: &Session, batch: usize, context: usize, step: usize) -> Result<(f64, f64), Failure> {
    let points = |count: usize, first: usize| {
        Array3::from_shape_fn((batch, count, 1), |(row, point, _)| wave(row, first + point) as f32)
    };
    let (history, appended) = (points(context, 0), points(step, context));
    let mask = Array2::<i64>::ones((batch, context + step));
    let mut decoder = session.decoder(batch, context + step)?;
    let begin = Instant::now();
    decoder.step(history.view(), mask.slice(ndarray::s![.., ..context]))?;
    let first = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    decoder.step(appended.view(), mask.view())?;
    Ok((first, begin.elapsed().as_secs_f64()))
}

fn forecasts(arguments: &Arguments, session: Session) -> Result<Timings, Failure> {
    let series: Vec<Vec<f64>> = (0..arguments.batch)
        .map(|row| (0..arguments.context).map(|point| wave(row, point)).collect())
        .collect();
    let budget = arguments.batch.saturating_mul(arguments.context);
    let forecaster = Forecaster::new(session).with_token_budget(budget);
    let mut seconds = Vec::new();
    for _ in 0..arguments.repeats {
        let begin = Instant::now();
        forecaster.forecast(&series, arguments.horizon)?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok(Timings::of(seconds))
}

/// A series that routes its points to different experts.
fn wave(row: usize, point: usize) -> f64 {
    let t = point as f64;
    (t * 0.26 + row as f64).sin() + 0.5 * (t * 0.037).cos() + 0.3 * (t * 0.618_033_988_749_895).fract()
}
