//! Timing passes and rooflines in turn.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ndarray::Array2;
use serde::Serialize;
use tmoe_ops::cpu::{ScopedThreads, peak_gflops};
use tmoe_runner::{Forecaster, OpSet, Provider, ProviderOptions, Session};

use super::memory::{self, Memory};
use super::points::Points;
use super::roofline::{Roofline, RooflineModels};
use super::routing;
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

/// One kind of pass, with the rooflines measured beside every run.
pub(super) struct MeasuredPass {
    points: usize,
    past: usize,
    flops: f64,
    seconds: Vec<f64>,
    rooflines: Vec<Roofline>,
    /// Multiply-adds on registers, in 10^9 operations per second.
    peaks: Vec<f64>,
}

impl MeasuredPass {
    fn new(points: usize, past: usize, flops: f64) -> Self {
        Self { points, past, flops, seconds: vec![], rooflines: vec![], peaks: vec![] }
    }

    pub(super) fn into_pass(self, batch: usize) -> Pass {
        let ratio = |of: &dyn Fn(usize) -> f64| {
            let mut ratios: Vec<f64> =
                (0..self.seconds.len()).map(|run| of(run) / self.seconds[run]).collect();
            ratios.sort_by(f64::total_cmp);
            median(&ratios)
        };
        let roofline_ratio = ratio(&|run| self.rooflines[run].seconds);
        let peak_ratio = ratio(&|run| self.flops / (self.peaks[run] * 1e9));
        let of = |value: fn(&Roofline) -> f64| Timings::of(self.rooflines.iter().map(value).collect()).median;
        let roofline = Roofline { seconds: of(|r| r.seconds), gflops: of(|r| r.gflops) };
        let seconds = Timings::of(self.seconds);
        Pass {
            points: self.points,
            past: self.past,
            points_per_second: (batch * self.points) as f64 / seconds.median,
            seconds,
            flops: self.flops,
            roofline,
            roofline_ratio,
            peak_gflops: Timings::of(self.peaks).median,
            peak_ratio,
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
    /// What is held with the session open.
    pub(super) loaded_memory: Option<Memory>,
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
        let points = Points { batch, context, step };
        let (provider, graph, threads) = (session.provider(), session.graph(), session.threads());
        // Before the models of the roofline take memory of their own.
        let loaded_memory = memory::reset_peak().then(memory::current).flatten();
        passes(&session, &points)?;
        let peak = memory::peak();
        let pass_memory =
            peak.zip(loaded_memory.as_ref()).map(|(peak, loaded)| peak.saturating_sub(loaded.resident));
        let [first, second] = routing::prefill_and_decode(&session, &points, options)?;
        let prefill_shapes = PassShapes::new(manifest, batch, context, 0, &first);
        let decode_shapes = PassShapes::new(manifest, batch, step, context, &second);
        let rooflines = RooflineModels::load(manifest, provider, options)?;
        let all_threads = ScopedThreads(NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN));

        let mut prefill = MeasuredPass::new(context, 0, rooflines.flops(&prefill_shapes));
        let mut decode = MeasuredPass::new(step, context, rooflines.flops(&decode_shapes));
        for repeat in 0..=arguments.repeats {
            rest();
            let (first, second) = passes(&session, &points)?;
            let found = [rooflines.measure(&prefill_shapes)?, rooflines.measure(&decode_shapes)?];
            rest();
            let peak = peak_gflops(&all_threads);
            // The first round warms caches and memory up.
            if repeat > 0 {
                let seconds = [first, second];
                for ((pass, seconds), roofline) in
                    [&mut prefill, &mut decode].into_iter().zip(seconds).zip(found)
                {
                    pass.seconds.push(seconds);
                    pass.rooflines.push(roofline);
                    pass.peaks.push(peak);
                }
            }
        }
        let forecast = forecasts(arguments, &points, session)?;
        Ok(Self { provider, graph, threads, prefill, decode, forecast, loaded_memory, pass_memory })
    }
}

/// Lets the threads of the session that ran last come to rest: for a while they wait for work by spinning, and would take
/// their cores from whatever is measured next.
pub(super) fn rest() {
    std::thread::sleep(Duration::from_millis(50));
}

/// Seconds of a prefill and of the decode after it.
fn passes(session: &Session, points: &Points) -> Result<(f64, f64), Failure> {
    let &Points { batch, context, step } = points;
    let (history, appended) = (points.values(context, 0), points.values(step, context));
    let mask = Array2::<i64>::ones((batch, context + step));
    let mut decoder = session.decoder(batch, context + step)?;
    let begin = Instant::now();
    decoder.step(history.view(), mask.slice(ndarray::s![.., ..context]))?;
    let first = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    decoder.step(appended.view(), mask.view())?;
    Ok((first, begin.elapsed().as_secs_f64()))
}

fn forecasts(arguments: &Arguments, points: &Points, session: Session) -> Result<Timings, Failure> {
    let series = points.series();
    let budget = points.batch.saturating_mul(points.context);
    let forecaster = Forecaster::new(session).with_token_budget(budget);
    let mut seconds = Vec::new();
    for _ in 0..arguments.repeats {
        let begin = Instant::now();
        forecaster.forecast(&series, arguments.horizon)?;
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok(Timings::of(seconds))
}
