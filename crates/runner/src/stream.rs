//! One series that grows, forecast again and again from a cache that stays.

use std::fmt;

use ndarray::{Array2, ArrayView3};
use tmoe_model::horizon::schedule;

use crate::control::{Control, Progress};
use crate::decoder::{Decoder, Predictions};
use crate::error::Error;
use crate::series::batch::check_horizon;
use crate::series::{SeriesError, SeriesLabel};
use crate::session::Session;

/// One series that grows: a forecast computes only the points that are new since the one before, on the cache of all others.
///
/// That gives what [`Forecaster`](crate::Forecaster) gives with [`Normalization::None`](crate::Normalization::None) of all
/// points, up to rounding. It is so only because nothing that the cache was computed from changes afterwards: points are not
/// normalised by their window, whose mean changes with every point, and the window begins where it began, which the positions of
/// all its points are counted from. When the stream holds as many points as it may, [`Stream::restart`] begins a new window.
///
/// ```no_run
/// use tmoe_runner::{Control, Package, Session, SessionOptions, Stream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::open(&Package::open("package")?, &SessionOptions::default())?;
/// let mut stream = Stream::new(&session, Some(512))?;
/// stream.push(&[0.3, -0.1, f64::NAN, 0.4])?; // NaN is a missing point
/// let first = stream.forecast(96, &Control::new())?;
/// stream.push(&[0.2])?;
/// let second = stream.forecast(96, &Control::new())?; // computes one point of the stream
/// # Ok(())
/// # }
/// ```
pub struct Stream<'s> {
    session: &'s Session,
    /// The most points that it holds.
    most: usize,
    /// Points to reserve a cache for; a hint.
    capacity: usize,
    /// Has computed the first points of `points`; `None`: none of them.
    decoder: Option<Decoder<'s>>,
    /// What the heads forecast after the points that are computed.
    after: Option<Predictions>,
    /// From the first observed point on; NaN is a missing one.
    points: Vec<f64>,
    computed: u64,
}

impl fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("session", &self.session)
            .field("most", &self.most)
            .field("points", &self.points.len())
            .field("computed", &self.computed)
            .finish_non_exhaustive()
    }
}

impl<'s> Stream<'s> {
    /// A stream without points, which holds at most `context` of them; `None`: as many as the model holds, but for one that is
    /// forecast.
    ///
    /// # Errors
    ///
    /// [`SeriesError::ContextZero`].
    pub fn new(session: &'s Session, context: Option<usize>) -> Result<Self, SeriesError> {
        let model = &session.package().manifest().model;
        let room = model.max_positions().saturating_sub(1);
        let longest = model.horizon_lengths().iter().copied().max().unwrap_or(0);
        if context == Some(0) {
            return Err(SeriesError::ContextZero);
        }
        // Without a limit the cache grows as the stream does.
        let capacity = context.map_or(0, |context| context.min(room).saturating_add(longest));
        let most = context.unwrap_or(room).min(room);
        Ok(Self { session, most, capacity, decoder: None, after: None, points: Vec::new(), computed: 0 })
    }

    /// How many points it holds, from the first observed one on.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The most points that it can hold.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many points went through the model since the stream was made, those of forecasts that were continued from included:
    /// what all forecasts have cost.
    pub fn computed(&self) -> u64 {
        self.computed
    }

    /// Appends points. NaN is a missing point; those before the first observed one are not kept.
    ///
    /// # Errors
    ///
    /// [`SeriesError::OutOfRange`] and [`SeriesError::StreamFull`]; no point is appended then.
    pub fn push(&mut self, points: &[f64]) -> Result<(), SeriesError> {
        let beyond_float32 = |value: f64| value.abs() > f64::from(f32::MAX);
        if let Some((position, &value)) = points.iter().enumerate().find(|(_, value)| beyond_float32(**value))
        {
            return Err(SeriesError::OutOfRange { series: label(), position, value });
        }
        let first = if self.points.is_empty() {
            points.iter().position(|value| !value.is_nan()).unwrap_or(points.len())
        } else {
            0
        };
        let points = points.get(first..).unwrap_or_default();
        if points.len() > self.most.saturating_sub(self.points.len()) {
            let (more, most) = (points.len(), self.most);
            return Err(SeriesError::StreamFull { points: self.points.len(), more, most });
        }
        self.points.extend_from_slice(points);
        Ok(())
    }

    /// Forgets all but the newest `keep` points, and with them the cache: the next forecast computes those that are kept. Where
    /// there are no more, nothing changes.
    pub fn restart(&mut self, keep: usize) {
        let Some(older @ 1..) = self.points.len().checked_sub(keep) else { return };
        let kept = self.points.get(older..).unwrap_or_default();
        let missing = kept.iter().position(|value| !value.is_nan()).unwrap_or(kept.len());
        self.points.drain(..older + missing);
        self.forget();
    }

    /// Forecasts the `horizon` points after the last one. Missing points at the end are forecast first and then dropped.
    ///
    /// What is continued from the forecast itself, when `horizon` takes more than one pass, is taken out of the cache again; a
    /// provider that cannot ([`Decoder::mark`]) computes the stream anew in the next forecast.
    ///
    /// # Errors
    ///
    /// [`Error::Series`] when the stream is empty, the horizon is none, or the points and the horizon are together more than the
    /// model holds; [`Error::Provider`]; [`Error::Cancelled`]. The stream can be used after each.
    pub fn forecast(&mut self, horizon: usize, control: &Control<'_>) -> Result<Vec<f32>, Error> {
        let (observed, steps) = self.window(horizon)?;
        let trailing = steps - horizon;
        let forecast = self.run(observed, steps, control);
        if !self.back_to(observed) {
            self.forget();
        }
        let values = forecast?.split_off(trailing);
        match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            None => Ok(values),
            Some((step, &value)) => {
                Err(SeriesError::ForecastNotFinite { series: label(), step, value }.into())
            }
        }
    }

    /// How many points the model sees, and how many it forecasts, missing points at the end included.
    fn window(&self, horizon: usize) -> Result<(usize, usize), SeriesError> {
        let positions = self.session.package().manifest().model.max_positions();
        check_horizon(horizon, positions)?;
        let Some(last) = self.points.iter().rposition(|value| !value.is_nan()) else {
            return Err(SeriesError::Empty { series: label() });
        };
        let observed = last + 1;
        let steps = self.points.len() - observed + horizon;
        if steps > positions.saturating_sub(observed) {
            return Err(SeriesError::StreamFull { points: observed, more: steps, most: positions });
        }
        Ok((observed, steps))
    }

    fn run(&mut self, observed: usize, steps: usize, control: &Control<'_>) -> Result<Vec<f32>, Error> {
        let lengths = self.session.package().manifest().model.horizon_lengths();
        let total = schedule(lengths, steps).count();
        let mut predictions = self.compute(observed, control)?;
        let mut forecast: Vec<f32> = Vec::with_capacity(steps);
        for (pass, step) in schedule(lengths, steps).enumerate() {
            control.report(Progress { done: pass + 1, total });
            let head = predictions.head(step.head_length).ok_or_else(|| {
                self.session.run_error(format!("there is no head for {} points", step.head_length))
            })?;
            let head: Vec<f32> = head.iter().copied().collect();
            forecast.extend(head.iter().take(step.take));
            if forecast.len() < steps {
                control.check()?;
                if let (0, Some(decoder)) = (pass, &mut self.decoder) {
                    decoder.mark();
                }
                predictions = self.pass(&head, observed)?;
            }
        }
        Ok(forecast)
    }

    /// Brings the cache up to the first `observed` points, and gives what is forecast after them.
    fn compute(&mut self, observed: usize, control: &Control<'_>) -> Result<Predictions, Error> {
        control.check()?;
        let past = self.decoder.as_ref().map_or(0, Decoder::past);
        let new = self.points.get(past..observed).unwrap_or_default();
        match &self.after {
            Some(predictions) if new.is_empty() => Ok(predictions.clone()),
            _ => {
                let new: Vec<f32> = new.iter().map(|&value| finite_or_zero(value)).collect();
                let predictions = self.pass(&new, observed)?;
                self.after = Some(predictions.clone());
                Ok(predictions)
            }
        }
    }

    /// One pass over points that follow those of the cache. Of those that the cache holds then, the first `observed` may be
    /// missing ones.
    fn pass(&mut self, points: &[f32], observed: usize) -> Result<Predictions, Error> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            None => self.decoder.insert(self.session.decoder(1, self.capacity.max(points.len()))?),
        };
        let seen = self.points.get(..observed).unwrap_or_default();
        let masked = |index: usize| seen.get(index).is_some_and(|value| value.is_nan());
        let mask =
            Array2::from_shape_fn((1, decoder.past() + points.len()), |(_, index)| i64::from(!masked(index)));
        let input = ArrayView3::from_shape((1, points.len(), 1), points)
            .unwrap_or_else(|_| unreachable!("as many points as the shape has"));
        let predictions = decoder.step(input, mask.view())?;
        self.computed += points.len() as u64;
        Ok(predictions)
    }

    /// Whether the cache holds points of the stream only, and no more than the first `observed`.
    fn back_to(&mut self, observed: usize) -> bool {
        match &mut self.decoder {
            Some(decoder) if decoder.past() > observed => decoder.rewind(),
            _ => true,
        }
    }

    fn forget(&mut self) {
        (self.decoder, self.after) = (None, None);
    }
}

/// What stands under a mask of 0.
fn finite_or_zero(value: f64) -> f32 {
    if value.is_nan() { 0.0 } else { value as f32 }
}

fn label() -> SeriesLabel {
    SeriesLabel { index: 0, name: Some("stream".to_owned()) }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;
    use crate::control::CancelToken;
    use crate::testing::{POSITIONS, Pass, Passes, counting_session, session_without_marks};

    const NAN: f64 = f64::NAN;

    fn counting(from: f32, points: usize) -> Vec<f32> {
        (0..points).map(|step| from + step as f32).collect()
    }

    fn forecast(stream: &mut Stream<'_>, horizon: usize) -> Vec<f32> {
        stream.forecast(horizon, &Control::new()).unwrap()
    }

    /// Points in the cache and new points of each pass.
    fn shapes(passes: &Passes) -> Vec<(usize, usize)> {
        let shape = |pass: &Pass| (pass.past, pass.input_ids.shape()[1]);
        passes.lock().unwrap().iter().map(shape).collect()
    }

    #[test]
    fn only_new_points_are_computed() {
        let (session, passes) = counting_session();
        let mut stream = Stream::new(&session, None).unwrap();
        stream.push(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(forecast(&mut stream, 64), counting(4.0, 64));
        assert_eq!(forecast(&mut stream, 8), counting(4.0, 8));
        stream.push(&[10.0]).unwrap();
        assert_eq!(forecast(&mut stream, 32), counting(11.0, 32));
        assert_eq!(shapes(&passes), [(0, 3), (3, 1)]);
        assert_eq!(stream.computed(), 4);
    }

    #[test]
    fn what_a_long_forecast_appends_is_taken_back() {
        let (session, passes) = counting_session();
        let mut stream = Stream::new(&session, Some(100)).unwrap();
        stream.push(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(forecast(&mut stream, 97), counting(4.0, 97));
        stream.push(&[7.0, 8.0]).unwrap();
        assert_eq!(forecast(&mut stream, 1), [9.0]);
        assert_eq!(shapes(&passes), [(0, 3), (3, 64), (67, 32), (3, 2)]);
    }

    #[test]
    fn a_provider_that_cannot_go_back_computes_the_stream_anew() {
        let (session, passes) = session_without_marks();
        let mut stream = Stream::new(&session, None).unwrap();
        stream.push(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(forecast(&mut stream, 9), counting(4.0, 9));
        stream.push(&[7.0]).unwrap();
        assert_eq!(forecast(&mut stream, 8), counting(8.0, 8));
        stream.push(&[9.0]).unwrap();
        assert_eq!(forecast(&mut stream, 8), counting(10.0, 8));
        assert_eq!(shapes(&passes), [(0, 3), (3, 8), (0, 4), (4, 1)]);
    }

    #[test]
    fn missing_points_are_masked_and_those_at_the_end_forecast_first() {
        let (session, passes) = counting_session();
        let mut stream = Stream::new(&session, None).unwrap();
        stream.push(&[NAN, NAN]).unwrap();
        stream.push(&[NAN, 1.0, NAN, 3.0, NAN]).unwrap();
        assert_eq!(stream.len(), 4);
        assert_eq!(forecast(&mut stream, 2), [5.0, 6.0]);
        stream.push(&[9.0]).unwrap();
        assert_eq!(forecast(&mut stream, 1), [10.0]);
        // One at a time: 4 for the missing point, then 5 and 6.
        assert_eq!(shapes(&passes), [(0, 3), (3, 1), (4, 1), (3, 2)]);
        let passes = passes.lock().unwrap();
        assert_eq!(passes[0].attention_mask, arr2(&[[1_i64, 0, 1]]).into());
        assert_eq!(passes[3].attention_mask, arr2(&[[1_i64, 0, 1, 0, 1]]).into());
    }

    #[test]
    fn a_full_stream_refuses_points_and_goes_on_after_a_restart() {
        let (session, passes) = counting_session();
        let mut stream = Stream::new(&session, Some(4)).unwrap();
        stream.push(&[1.0, 2.0, 3.0]).unwrap();
        let error = stream.push(&[4.0, 5.0]).unwrap_err();
        assert_eq!(error, SeriesError::StreamFull { points: 3, more: 2, most: 4 });
        assert_eq!(forecast(&mut stream, 1), [4.0]);
        stream.push(&[NAN]).unwrap();
        stream.restart(2);
        stream.push(&[5.0, 6.0]).unwrap();
        assert_eq!((stream.len(), forecast(&mut stream, 1)), (4, vec![7.0]));
        // Nothing is older than the newest four.
        stream.restart(4);
        assert_eq!(forecast(&mut stream, 1), [7.0]);
        assert_eq!(shapes(&passes), [(0, 3), (0, 4)]);
        stream.restart(0);
        assert!(stream.is_empty());
    }

    #[test]
    fn a_window_of_missing_points_is_empty_after_a_restart() {
        let (session, _) = counting_session();
        let mut stream = Stream::new(&session, None).unwrap();
        stream.push(&[1.0, NAN, NAN]).unwrap();
        stream.restart(2);
        assert!(stream.is_empty());
    }

    #[test]
    fn what_cannot_be_forecast_is_told_and_leaves_the_stream_as_it_was() {
        let (session, passes) = counting_session();
        assert!(matches!(Stream::new(&session, Some(0)), Err(SeriesError::ContextZero)));
        let mut stream = Stream::new(&session, None).unwrap();
        let refusal = |stream: &mut Stream<'_>, horizon| {
            stream.forecast(horizon, &Control::new()).unwrap_err().to_string()
        };
        assert_eq!(refusal(&mut stream, 1), "the series `stream` is empty; it needs at least one point");
        let error = stream.push(&[1.0, f64::INFINITY]).unwrap_err().to_string();
        assert!(error.contains("has the value inf at position 1"), "{error}");
        assert!(stream.is_empty());
        stream.push(&[0.5; POSITIONS - 8]).unwrap();
        assert!(refusal(&mut stream, 0).starts_with("the horizon is 0"));
        assert_eq!(
            refusal(&mut stream, 9),
            "the stream has 248 points, and 9 more are too many: it holds 256; restart it from its newest points"
        );
        assert!(passes.lock().unwrap().is_empty());
        assert_eq!(forecast(&mut stream, 8).len(), 8);
        assert_eq!(stream.most(), POSITIONS - 1);
    }

    #[test]
    fn a_cancelled_forecast_leaves_no_trace_in_the_cache() {
        let (session, passes) = counting_session();
        let mut stream = Stream::new(&session, None).unwrap();
        stream.push(&[1.0, 2.0]).unwrap();
        let token = CancelToken::new();
        let cancel_after_two = |progress: Progress| {
            if progress.done == 2 {
                token.cancel();
            }
        };
        let control = Control::new().with_cancel(&token).with_progress(&cancel_after_two);
        assert!(stream.forecast(128, &control).is_ok(), "two passes are enough");
        token.cancel();
        assert!(matches!(stream.forecast(129, &control), Err(Error::Cancelled)));
        let token = CancelToken::new();
        let cancel = |_: Progress| token.cancel();
        let control = Control::new().with_cancel(&token).with_progress(&cancel);
        assert!(matches!(stream.forecast(129, &control), Err(Error::Cancelled)));
        assert_eq!(forecast(&mut stream, 8), counting(3.0, 8));
        assert_eq!(shapes(&passes), [(0, 2), (2, 64)]);
    }
}
