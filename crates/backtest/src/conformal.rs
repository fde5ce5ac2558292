//! Prediction intervals around point forecasts, from the errors of forecasts made earlier in the same series.
//!
//! **Method.** Split conformal prediction (Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world"; Lei
//! et al. 2018, "Distribution-free predictive inference for regression") with one score per horizon step as in Stankeviciute
//! et al. 2021, "Conformal time-series forecasting". The model is not trained on the series, so all of its history may
//! calibrate: the series is forecast again from a few earlier origins ([`Calibration`]), and the absolute errors, divided by
//! the standard deviation of their context, are the scores ([`Scores`]). The interval of level p at a step is the forecast
//! plus and minus the context's standard deviation times the scores' quantile of rank `ceil((n + 1) p)` of n
//! ([`Distribution`]): the correction for finite samples that split conformal prediction owes its coverage to.
//!
//! **Few scores.** Eight origins give eight scores a step, and a 95 % quantile needs 19. Two things help:
//! - Neighbouring steps share their scores, from the step itself and one to either side at the start to eight to either side
//!   from the 15th step on: errors grow quickly over the first steps and slowly later.
//! - The scores of other series ([`Pool`]) count as those of two more origins of the series' own. A series with many
//!   origins is hardly moved by them, one with a few is held up, and one that is too short for any gets theirs alone.
//!
//! So the scores have weights, and the quantile is the weighted one of Barber et al. 2023, "Conformal prediction beyond
//! exchangeability", which also bounds what is lost when scores of other times or series are not quite exchangeable with
//! the one to come. A rank above n, for which the theory has an infinite interval, gets the largest score.
//!
//! **Why symmetric.** Intervals are symmetric around the forecast, which is the median. Quantiles of the signed errors need
//! twice as many scores for the same tail; with eight origins on ETTh1 (see below) they covered 92.2 % where these covered
//! 94.4 %.
//!
//! **Cost.** Each origin is one more forecast of the series: with the default of 8, intervals cost as much as eight times the
//! points alone. Fewer origins are cheaper and noisier. A series that is forecast alone, and intervals of 99 %, are worth 16.
//!
//! **Measured.** ETTh1, 7 series, context 512, horizon 96, a Time-MoE of 1 million parameters that never saw it:
//!
//! | coverage of intervals of | 50 % | 80 % | 95 % | 99 % |
//! |---|---|---|---|---|
//! | 8 origins, 8,400 windows 12 hours apart | 50.9 | 80.7 | 94.6 | 98.4 |
//! | 16 origins, the same windows | 50.8 | 80.8 | 95.0 | 98.5 |
//! | 4 origins, the same windows | 51.3 | 80.4 | 93.7 | 98.8 |
//! | 8 origins, no more history than one context, 231 windows | 51.8 | 81.6 | 95.7 | 99.1 |
//! | the same, each series without the others | 51.9 | 80.9 | 95.2 | 98.2 |
//!
//! At 95 % and 8 origins, single series are covered between 92.6 and 96.2 %.

mod calibration;
mod distribution;
mod pool;
mod scores;

pub use calibration::Calibration;
pub use distribution::{Distribution, Interval};
pub use pool::{Pool, PooledScores};
pub(crate) use scores::scores;
pub use scores::{Scale, Scores};

/// Steps to either side whose scores a step shares, at most.
const NEIGHBOURS: usize = 8;

/// The steps whose scores count for a step, of so many.
fn neighbourhood(step: usize, horizon: usize) -> std::ops::Range<usize> {
    let reach = NEIGHBOURS.min(step / 2 + 1);
    step.saturating_sub(reach)..step.saturating_add(reach + 1).min(horizon)
}
