//! Series in, forecasts out.

use std::sync::Arc;

use ndarray::ArrayView1;
use serde::Serialize;

use crate::control::{Control, Progress};
use crate::error::Error;
use crate::generate::{generate_reporting, passes};
use crate::series::batch::{Batch, Limits, Window, plan};
use crate::series::normalize::{Normalization, Scale};
use crate::series::{Series, SeriesError};
use crate::session::Session;

/// Points of context in one batch, padding included, unless said otherwise: 32 series of 512 points.
const DEFAULT_TOKEN_BUDGET: usize = 16_384;

/// Forecasts series on a session: normalises, cuts to what the model holds, batches, generates, scales back.
///
/// ```no_run
/// use tmoe_runner::{Forecaster, Package, Session, SessionOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::open(&Package::open("package")?, &SessionOptions::default())?;
/// let forecaster = Forecaster::new(session).with_context(512);
/// let load = [3.1, 3.4, f64::NAN, 3.9];
/// let forecasts = forecaster.forecast([&load], 96)?;
/// println!("{:?}", forecasts[0].values);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Forecaster {
    session: Arc<Session>,
    normalization: Normalization,
    context: Option<usize>,
    token_budget: usize,
}

/// The forecast of one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The points after the series' last row, in the series' scale: as many as were asked for.
    pub values: Vec<f32>,
    /// How many points the model saw, from the first to the last observed one of the context.
    pub context: usize,
    /// How the context was scaled.
    pub scale: Scale,
}

impl Forecaster {
    /// With window normalisation and as much context as the model holds.
    pub fn new(session: impl Into<Arc<Session>>) -> Self {
        Self {
            session: session.into(),
            normalization: Normalization::default(),
            context: None,
            token_budget: DEFAULT_TOKEN_BUDGET,
        }
    }

    /// How values are scaled.
    pub fn with_normalization(self, normalization: Normalization) -> Self {
        Self { normalization, ..self }
    }

    /// The model sees at most the newest `points` of each series: less time, maybe less accuracy.
    pub fn with_context(self, points: usize) -> Self {
        Self { context: Some(points), ..self }
    }

    /// Series are run together as long as their contexts, padding included, have at most that many points in all.
    /// More is faster until memory or caches are full.
    pub fn with_token_budget(self, points: usize) -> Self {
        Self { token_budget: points, ..self }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// How many of a series' newest points the model sees at most when it forecasts `horizon` points.
    ///
    /// # Errors
    ///
    /// When the horizon is 0 or leaves no room for a context, or the context was set to 0.
    pub fn context(&self, horizon: usize) -> Result<usize, SeriesError> {
        let limits = self.limits(horizon)?;
        let room = limits.positions - horizon;
        Ok(limits.context.map_or(room, |context| context.min(room)))
    }

    /// Forecasts the `horizon` points after each series' last row, in the order of the input.
    ///
    /// NaN is a missing point: it is masked. **Missing points at the end** are forecast first and then dropped from
    /// the result, so that it always begins after the series' last row.
    ///
    /// # Errors
    ///
    /// [`Error::Series`] when the horizon or a series cannot be forecast, before anything is run; [`Error::Provider`]
    /// when the provider fails.
    pub fn forecast<'a, S: Into<Series<'a>>>(
        &self,
        series: impl IntoIterator<Item = S>,
        horizon: usize,
    ) -> Result<Vec<Forecast>, Error> {
        self.forecast_with(series, horizon, &Control::new())
    }

    /// [`Forecaster::forecast`], watched and stopped through `control`.
    ///
    /// # Errors
    ///
    /// Also [`Error::Cancelled`].
    pub fn forecast_with<'a, S: Into<Series<'a>>>(
        &self,
        series: impl IntoIterator<Item = S>,
        horizon: usize,
        control: &Control<'_>,
    ) -> Result<Vec<Forecast>, Error> {
        let limits = self.limits(horizon)?;
        let series: Vec<Series<'a>> = series.into_iter().map(Into::into).collect();
        let windows: Vec<Window<'_>> = series
            .iter()
            .enumerate()
            .map(|(index, series)| limits.window(index, series))
            .collect::<Result<_, _>>()?;
        self.run(&windows, horizon, control)?.into_iter().map(|forecast| Ok(forecast?)).collect()
    }

    /// As [`Forecaster::forecast_with`], but a series that cannot be forecast spoils no other: its place in the result says why.
    ///
    /// # Errors
    ///
    /// What no series is to blame for: [`Error::Series`] for the horizon and the context, [`Error::Provider`],
    /// [`Error::Cancelled`].
    pub fn forecast_each<'a, S: Into<Series<'a>>>(
        &self,
        series: impl IntoIterator<Item = S>,
        horizon: usize,
        control: &Control<'_>,
    ) -> Result<Vec<Result<Forecast, SeriesError>>, Error> {
        let limits = self.limits(horizon)?;
        let series: Vec<Series<'a>> = series.into_iter().map(Into::into).collect();
        let windows: Vec<Result<Window<'_>, SeriesError>> =
            series.iter().enumerate().map(|(index, series)| limits.window(index, series)).collect();
        let (mut usable, mut results) = (Vec::new(), Vec::with_capacity(windows.len()));
        for window in windows {
            results.push(window.map(|window| usable.push(window)));
        }
        let mut forecasts = self.run(&usable, horizon, control)?.into_iter();
        let forecast = |result: Result<(), SeriesError>| {
            result.and_then(|()| {
                forecasts.next().unwrap_or_else(|| unreachable!("every window that is run has a forecast"))
            })
        };
        Ok(results.into_iter().map(forecast).collect())
    }

    fn limits(&self, horizon: usize) -> Result<Limits, SeriesError> {
        let positions = self.session.package().manifest().model.max_positions();
        let limits = Limits { horizon, context: self.context, positions };
        limits.check()?;
        Ok(limits)
    }

    /// Forecasts windows, batch by batch; the results are in the windows' order.
    fn run(
        &self,
        windows: &[Window<'_>],
        horizon: usize,
        control: &Control<'_>,
    ) -> Result<Vec<Result<Forecast, SeriesError>>, Error> {
        let most = self.session.max_batch().unwrap_or(usize::MAX);
        let batches = plan(windows, self.token_budget, most);
        let trailing = |batch: &[usize]| {
            batch.first().and_then(|&index| windows.get(index)).map_or(0, |window| window.trailing)
        };
        let total = batches.iter().map(|batch| passes(&self.session, horizon + trailing(batch))).sum();
        let mut done = 0;
        let mut forecasts: Vec<(usize, Result<Forecast, SeriesError>)> = Vec::with_capacity(windows.len());
        for indices in &batches {
            let steps = horizon + trailing(indices);
            let rows: Vec<&Window<'_>> = indices.iter().filter_map(|&index| windows.get(index)).collect();
            let batch = Batch::new(&rows, self.normalization);
            let report = |pass| control.report(Progress { done: done + pass, total });
            let (input_ids, mask) = (batch.input_ids.view(), batch.attention_mask.view());
            let values = generate_reporting(&self.session, input_ids, mask, steps, control, &report)?;
            done += passes(&self.session, steps);
            for (((window, row), &scale), &index) in
                rows.iter().zip(values.rows()).zip(&batch.scales).zip(indices)
            {
                forecasts.push((index, finish(window, row, scale)));
            }
        }
        forecasts.sort_unstable_by_key(|(index, _)| *index);
        Ok(forecasts.into_iter().map(|(_, forecast)| forecast).collect())
    }
}

/// Scales back, and drops what stands for the missing points at the series' end.
fn finish(window: &Window<'_>, row: ArrayView1<'_, f32>, scale: Scale) -> Result<Forecast, SeriesError> {
    let values: Vec<f32> = row.iter().skip(window.trailing).map(|&value| scale.denormalize(value)).collect();
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(Forecast { values, context: window.points.len(), scale }),
        Some((step, &value)) => {
            Err(SeriesError::ForecastNotFinite { series: window.label.clone(), step, value })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::CancelToken;
    use crate::testing::{POSITIONS, Passes, counting_session};

    const NAN: f64 = f64::NAN;

    fn forecaster() -> (Forecaster, Passes) {
        let (session, passes) = counting_session();
        (Forecaster::new(session).with_normalization(Normalization::None), passes)
    }

    fn counting(from: f32, points: usize) -> Vec<f32> {
        (0..points).map(|step| from + step as f32).collect()
    }

    #[test]
    fn the_forecast_begins_after_the_last_row_even_when_that_is_missing() {
        let (forecaster, passes) = forecaster();
        let forecasts = forecaster.forecast([&[3.0, 4.0, 5.0, NAN, NAN]], 3).unwrap();
        // 6 and 7 stand for the missing points.
        assert_eq!(forecasts[0].values, [8.0, 9.0, 10.0]);
        assert_eq!(forecasts[0].context, 3);
        assert_eq!(passes.lock().unwrap()[0].input_ids.shape(), [1, 3, 1]);
    }

    #[test]
    fn results_come_in_input_order_whatever_the_batches() {
        for budget in [1, 7, 100] {
            let (forecaster, _) = forecaster();
            let series: Vec<Vec<f64>> = [5, 1, 3, 2, 8, 1]
                .iter()
                .enumerate()
                .map(|(index, &length)| vec![index as f64 * 1000.0; length])
                .collect();
            let forecasts = forecaster.with_token_budget(budget).forecast(&series, 10).unwrap();
            for (index, forecast) in forecasts.iter().enumerate() {
                assert_eq!(forecast.values, counting(index as f32 * 1000.0 + 1.0, 10), "{budget}");
                assert_eq!(forecast.context, series[index].len());
            }
        }
    }

    #[test]
    fn series_of_different_lengths_share_a_pass_within_the_budget() {
        let (forecaster, passes) = forecaster();
        let series = [vec![1.0; 4], vec![2.0; 2], vec![3.0; 4]];
        forecaster.clone().with_token_budget(12).forecast(&series, 1).unwrap();
        assert_eq!(forecaster.session().passes().prefill, 1);
        assert_eq!(passes.lock().unwrap()[0].input_ids.shape(), [3, 4, 1]);
        forecaster.clone().with_token_budget(8).forecast(&series, 1).unwrap();
        assert_eq!(forecaster.session().passes().prefill, 3);
    }

    #[test]
    fn no_pass_has_more_series_than_the_provider_takes() {
        let (session, passes) = crate::testing::session_of_batches(2);
        let forecaster = Forecaster::new(session).with_normalization(Normalization::None);
        let series: Vec<Vec<f64>> = (0..5).map(|index| vec![f64::from(index); 3]).collect();
        let forecasts = forecaster.forecast(&series, 1).unwrap();
        assert!(forecasts.iter().zip(0..).all(|(forecast, index)| forecast.values == [index as f32 + 1.0]));
        let batches: Vec<usize> =
            passes.lock().unwrap().iter().map(|pass| pass.input_ids.shape()[0]).collect();
        assert_eq!(batches, [2, 2, 1]);
    }

    #[test]
    fn context_and_horizon_stay_within_what_the_model_holds() {
        let (forecaster, passes) = forecaster();
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        let forecasts = forecaster.forecast([&long], 64).unwrap();
        assert_eq!(forecasts[0].context, POSITIONS - 64);
        assert_eq!(forecasts[0].values, counting(1000.0, 64));
        assert_eq!(passes.lock().unwrap()[0].input_ids.shape(), [1, POSITIONS - 64, 1]);
        assert_eq!(forecaster.context(64), Ok(POSITIONS - 64));
        let forecaster = forecaster.with_context(10);
        assert_eq!(forecaster.context(64), Ok(10));
        assert!(forecaster.context(0).is_err() && forecaster.context(POSITIONS).is_err());
        let forecasts = forecaster.forecast([&long], 64).unwrap();
        assert_eq!(forecasts[0].context, 10);
    }

    #[test]
    fn window_normalisation_is_undone_in_the_forecast() {
        let (forecaster, passes) = forecaster();
        let forecaster = forecaster.with_normalization(Normalization::Window);
        let forecasts = forecaster.forecast([&[2.0, 6.0]], 2).unwrap();
        // Mean 4, deviation 2: the last point is 1, counting on gives 2 and 3.
        assert_eq!(forecasts[0].values, [8.0, 10.0]);
        assert_eq!(forecasts[0].scale, Scale { mean: 4.0, standard_deviation: 2.0 });
        assert_eq!(passes.lock().unwrap()[0].input_ids.as_f32().unwrap()[[0, 1, 0]], 1.0);
    }

    #[test]
    fn nothing_runs_when_a_series_or_the_horizon_cannot_be_forecast() {
        let (forecaster, passes) = forecaster();
        let good = vec![1.0];
        let refused = |series: &[Vec<f64>], horizon| match forecaster.forecast(series, horizon) {
            Err(Error::Series(error)) => error,
            other => panic!("expected a series error, found {other:?}"),
        };
        assert_eq!(refused(std::slice::from_ref(&good), 0), SeriesError::HorizonZero);
        assert!(matches!(
            refused(std::slice::from_ref(&good), POSITIONS),
            SeriesError::HorizonTooLong { .. }
        ));
        assert!(
            matches!(refused(&[good.clone(), vec![]], 1), SeriesError::Empty { series } if series.index == 1)
        );
        assert!(matches!(refused(&[good.clone(), vec![NAN]], 1), SeriesError::AllMissing { .. }));
        assert!(matches!(refused(&[good, vec![f64::INFINITY]], 1), SeriesError::OutOfRange { .. }));
        let error = forecaster.with_context(0).forecast([&[1.0]], 1).unwrap_err();
        assert!(matches!(error, Error::Series(SeriesError::ContextZero)), "{error}");
        assert!(passes.lock().unwrap().is_empty());
    }

    #[test]
    fn a_series_that_cannot_be_forecast_spoils_no_other() {
        let (forecaster, passes) = forecaster();
        let series = [vec![1.0, 2.0], vec![NAN], vec![], vec![5.0]];
        let forecasts = forecaster.forecast_each(&series, 1, &Control::new()).unwrap();
        let values = |index: usize| forecasts[index].as_ref().unwrap().values.clone();
        assert_eq!((values(0), values(3)), (vec![3.0], vec![6.0]));
        assert!(matches!(&forecasts[1], Err(SeriesError::AllMissing { series, .. }) if series.index == 1));
        assert!(matches!(&forecasts[2], Err(SeriesError::Empty { series }) if series.index == 2));
        assert_eq!(passes.lock().unwrap().len(), 1);
        let error = forecaster.forecast_each(&series, 0, &Control::new()).unwrap_err();
        assert!(matches!(error, Error::Series(SeriesError::HorizonZero)), "{error}");
    }

    #[test]
    fn a_forecast_beyond_float32_is_an_error_that_names_the_series() {
        let (session, _) = counting_session();
        let huge = f64::from(f32::MAX);
        let series = Series::new(vec![huge, -huge, huge]).named("huge");
        let error = Forecaster::new(session).forecast([series], 2).unwrap_err();
        assert!(error.to_string().starts_with("the forecast of the series `huge` is inf at step"), "{error}");
    }

    #[test]
    fn no_series_give_no_forecasts() {
        let (forecaster, _) = forecaster();
        assert_eq!(forecaster.forecast(Vec::<Vec<f64>>::new(), 5).unwrap(), []);
    }

    #[test]
    fn float32_series_are_accepted_too() {
        let (forecaster, _) = forecaster();
        let series: [&[f32]; 1] = [&[1.0, f32::NAN, 2.0]];
        assert_eq!(forecaster.forecast(series, 2).unwrap()[0].values, [3.0, 4.0]);
    }

    #[test]
    fn progress_counts_the_passes_of_all_batches() {
        let (forecaster, _) = forecaster();
        let seen = std::sync::Mutex::new(Vec::new());
        let progress = |progress: Progress| seen.lock().unwrap().push((progress.done, progress.total));
        let series = [vec![1.0], vec![1.0, NAN]];
        forecaster.forecast_with(&series, 8, &Control::new().with_progress(&progress)).unwrap();
        // 8 in one pass, 8 + 1 in two.
        assert_eq!(*seen.lock().unwrap(), [(1, 3), (2, 3), (3, 3)]);
    }

    #[test]
    fn a_cancelled_token_stops_before_the_first_pass() {
        let (forecaster, passes) = forecaster();
        let token = CancelToken::new();
        token.cancel();
        let control = Control::new().with_cancel(&token);
        let error = forecaster.forecast_with([&[1.0]], 5, &control).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert!(passes.lock().unwrap().is_empty());
    }
}
