//! Greedy multi-horizon generation.
//!
//! Each step takes the largest head that is not longer than what is still wanted, appends all of its points to the
//! series, and continues from the cache: 96 points are a step of 64 and one of 32, which costs one prefill and one
//! decode pass of 64 points. The order of heads is [`tmoe_model::horizon::schedule`].

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, concatenate, s};
use tmoe_model::horizon::schedule;

use crate::control::{Control, Progress};
use crate::error::Error;
use crate::session::Session;

/// How many passes a forecast of `horizon` points takes.
pub fn passes(session: &Session, horizon: usize) -> usize {
    schedule(session.package().manifest().model.horizon_lengths(), horizon).count()
}

/// Forecasts `horizon` points of each series, in the scale of the input: [batch, horizon].
///
/// `input_ids` is [batch, sequence, 1], normalised by the caller; `attention_mask` is [batch, sequence], 1 for real
/// points, 0 for padding and missing ones; the last point of each series is real.
///
/// # Errors
///
/// [`Error::Input`] when the shapes do not fit, [`Error::Provider`] when the provider fails, [`Error::Cancelled`].
pub fn generate(
    session: &Session,
    input_ids: ArrayView3<'_, f32>,
    attention_mask: ArrayView2<'_, i64>,
    horizon: usize,
    control: &Control<'_>,
) -> Result<Array2<f32>, Error> {
    let total = passes(session, horizon);
    let report = |done| control.report(Progress { done, total });
    generate_reporting(session, input_ids, attention_mask, horizon, control, &report)
}

/// [`generate`], which reports the number of passes of its own that are done.
pub(crate) fn generate_reporting(
    session: &Session,
    input_ids: ArrayView3<'_, f32>,
    attention_mask: ArrayView2<'_, i64>,
    horizon: usize,
    control: &Control<'_>,
    report: &dyn Fn(usize),
) -> Result<Array2<f32>, Error> {
    let horizon_lengths = session.package().manifest().model.horizon_lengths();
    let (batch, sequence, _) = input_ids.dim();
    let mut decoder = session.decoder(batch, sequence.saturating_add(horizon))?;
    let mut forecast = Array2::zeros((batch, horizon));
    let mut done = 0;
    let mut points = input_ids.to_owned();
    let mut mask = attention_mask.to_owned();
    for (pass, step) in schedule(horizon_lengths, horizon).enumerate() {
        control.check()?;
        let predictions = decoder.step(points.view(), mask.view())?;
        let head = predictions
            .head(step.head_length)
            .ok_or_else(|| session.run_error(format!("there is no head for {} points", step.head_length)))?;
        forecast.slice_mut(s![.., done..done + step.take]).assign(&head.slice(s![.., ..step.take]));
        done += step.take;
        report(pass + 1);
        if done < horizon {
            points = head.to_owned().insert_axis(Axis(2));
            mask = concatenate![Axis(1), mask, Array2::ones((batch, step.head_length))];
        }
    }
    Ok(forecast)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ndarray::{Array3, arr2, arr3};

    use super::*;
    use crate::control::CancelToken;
    use crate::session::PassCount;
    use crate::signature::{Dim, InputError};
    use crate::tensor::{ElementType, Tensor};
    use crate::testing::{counting_session, port, session_with};

    fn ones(batch: usize, sequence: usize) -> Array2<i64> {
        Array2::ones((batch, sequence))
    }

    #[test]
    fn ninety_six_points_cost_one_prefill_and_one_decode_of_64_points() {
        let (session, passes) = counting_session();
        let input = arr3(&[[[5.0], [6.0]], [[0.0], [100.0]]]);
        let mask = arr2(&[[1, 1], [0, 1]]);
        let forecast = generate(&session, input.view(), mask.view(), 96, &Control::new()).unwrap();

        assert_eq!(session.passes(), PassCount { prefill: 1, decode: 1 });
        let expected = Array2::from_shape_fn((2, 96), |(row, i)| [7.0, 101.0][row] + i as f32);
        assert_eq!(forecast, expected);
        let passes = passes.lock().unwrap();
        assert_eq!(passes[0].input_ids, input.into());
        assert_eq!(passes[0].attention_mask, mask.clone().into());
        assert_eq!((passes[1].past, passes[1].input_ids.shape()), (2, &[2, 64, 1][..]));
        // All 64 points are appended, and all of them are real.
        assert_eq!(passes[1].input_ids.as_f32().unwrap()[[1, 63, 0]], 164.0);
        assert_eq!(passes[1].attention_mask, concatenate![Axis(1), mask, ones(2, 64)].into());
    }

    #[test]
    fn seven_hundred_and_twenty_points_cost_thirteen_passes() {
        let (session, _) = counting_session();
        let input = Array3::zeros((1, 4, 1));
        let forecast = generate(&session, input.view(), ones(1, 4).view(), 720, &Control::new()).unwrap();
        assert_eq!(session.passes(), PassCount { prefill: 1, decode: 12 });
        assert_eq!(passes(&session, 720), 13);
        assert_eq!((forecast[[0, 0]], forecast[[0, 719]]), (1.0, 720.0));
    }

    #[test]
    fn graphs_with_every_position_are_read_at_the_last() {
        let (session, _) = session_with("all", |_| {});
        let input = arr3(&[[[1.0], [2.0], [9.0]]]);
        let forecast =
            generate(&session.unwrap(), input.view(), ones(1, 3).view(), 9, &Control::new()).unwrap();
        assert_eq!(forecast, Array2::from_shape_fn((1, 9), |(_, i)| 10.0 + i as f32));
    }

    #[test]
    fn inputs_of_a_loss_are_filled_in() {
        let (session, passes) = session_with("last", |signature| {
            signature.inputs.push(port("labels", ElementType::F32, &["batch", "sequence"]));
        });
        generate(&session.unwrap(), Array3::zeros((2, 3, 1)).view(), ones(2, 3).view(), 1, &Control::new())
            .unwrap();
        assert!(passes.lock().unwrap()[0].names.contains(&"labels".to_owned()));
    }

    #[test]
    fn an_input_that_cannot_be_filled_in_is_named() {
        let (session, _) = session_with("last", |signature| {
            let mut odd = port("odd", ElementType::F32, &["batch"]);
            odd.shape.push(Dim::Any);
            signature.inputs.push(odd);
        });
        let session = session.unwrap();
        let input = Array3::zeros((2, 3, 1));
        let error = generate(&session, input.view(), ones(2, 3).view(), 1, &Control::new()).unwrap_err();
        assert!(matches!(error, Error::Input(InputError::Missing { ref name, .. }) if name == "odd"));
    }

    #[test]
    fn progress_is_reported_after_every_pass() {
        let (session, _) = counting_session();
        let seen = Mutex::new(Vec::new());
        let progress = |progress: Progress| seen.lock().unwrap().push((progress.done, progress.total));
        let control = Control::new().with_progress(&progress);
        let input = Array3::zeros((1, 2, 1));
        generate(&session, input.view(), ones(1, 2).view(), 73, &control).unwrap();
        assert_eq!(*seen.lock().unwrap(), [(1, 3), (2, 3), (3, 3)]);
    }

    #[test]
    fn a_cancelled_forecast_stops_before_its_next_pass() {
        let (session, passes) = counting_session();
        let token = CancelToken::new();
        let cancel_after_two = |progress: Progress| {
            if progress.done == 2 {
                token.cancel();
            }
        };
        let control = Control::new().with_cancel(&token).with_progress(&cancel_after_two);
        let input = Array3::zeros((1, 2, 1));
        let error = generate(&session, input.view(), ones(1, 2).view(), 720, &control).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(passes.lock().unwrap().len(), 2);
    }

    #[test]
    fn steps_of_other_shapes_are_refused_and_leave_the_decoder_as_it_was() {
        let (session, _) = counting_session();
        let mut decoder = session.decoder(2, 100).unwrap();
        let points = |batch, sequence| Array3::<f32>::zeros((batch, sequence, 1));
        decoder.step(points(2, 5).view(), ones(2, 5).view()).unwrap();
        let wrong = [(points(3, 1), ones(3, 6)), (points(2, 1), ones(2, 5)), (points(2, 0), ones(2, 5))];
        for (input, mask) in wrong {
            let error = decoder.step(input.view(), mask.view()).unwrap_err();
            assert!(matches!(error, Error::Input(_)), "{error}");
        }
        assert_eq!(decoder.past(), 5);
        let predictions = decoder.step(points(2, 1).view(), ones(2, 6).view()).unwrap();
        assert_eq!(predictions.head(1), Some(arr2(&[[1.0], [1.0]]).view()));
        assert_eq!(predictions.head(2), None);
        assert_eq!(Tensor::from(points(2, 1)).shape(), [2, 1, 1]);
    }
}
