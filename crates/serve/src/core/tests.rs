//! The server as its protocols see it, with a model that counts.

use std::sync::Arc;
use std::time::Duration;

use tmoe_runner::SeriesError;

use super::admission::Capacity;
use super::error::{Invalid, Refusal, Unknown};
use super::queue::Policy;
use super::registry::{LoadError, State};
use super::testing::{
    CAPACITY, LIMITS, POLICY, POSITIONS, ask, core, core_with, demo, request, until, values, version,
};
use super::{Core, ForecastError, Limits, Request};

const NAN: f64 = f64::NAN;

/// Waits for company long enough that a test can bring it.
const PATIENT: Policy = Policy { points: 1000, rows: 4, wait: Duration::from_secs(600) };

#[tokio::test]
async fn a_request_gets_its_forecasts_in_the_order_of_its_series() {
    let (core, _) = core();
    let answer = ask(&core, request(&[&[1.0, 2.0], &[10.0, NAN], &[5.0]], 3)).await.unwrap();
    let values: Vec<&[f32]> =
        answer.forecasts.iter().map(|forecast| forecast.as_ref().unwrap().values.as_slice()).collect();
    assert_eq!(values, [&[3.0, 4.0, 5.0][..], &[12.0, 13.0, 14.0], &[6.0, 7.0, 8.0]]);
    assert_eq!((answer.usage.context_points, answer.usage.forecast_points), (4, 10));
    assert_eq!((answer.model, answer.version), (demo(), version("1")));
}

#[tokio::test]
async fn requests_of_the_same_horizon_share_a_batch() {
    let (core, watch) = core_with(PATIENT, CAPACITY, LIMITS);
    let asked = [1.0, 2.0, 3.0, 4.0].map(|value| {
        let core = Arc::clone(&core);
        tokio::spawn(async move { values(&core, request(&[&[value]], 2)).await })
    });
    for (asked, expected) in asked.into_iter().zip([2.0, 3.0, 4.0, 5.0]) {
        assert_eq!(asked.await.unwrap(), [expected, expected + 1.0]);
    }
    assert_eq!(watch.calls().iter().map(|call| call.rows.len()).collect::<Vec<_>>(), [4]);
}

#[tokio::test]
async fn a_request_larger_than_a_batch_is_forecast_in_several() {
    let (core, watch) = core();
    let series: Vec<Vec<f64>> = (0..20).map(|index| vec![100.0 + f64::from(index); 50]).collect();
    let series: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
    let answer = ask(&core, request(&series, 1)).await.unwrap();
    for (index, forecast) in answer.forecasts.iter().enumerate() {
        assert_eq!(forecast.as_ref().unwrap().values, [101.0 + index as f32]);
    }
    // 200 points are four rows of 50.
    assert!(watch.calls().iter().all(|call| call.rows.len() == 4), "{:?}", watch.calls());
}

#[tokio::test]
async fn the_model_sees_the_newest_points_that_are_asked_for_or_that_it_holds() {
    let (core, watch) = core();
    let long: Vec<f64> = (0..500).map(f64::from).collect();
    let cut = Request { context: Some(3), ..request(&[&long], 10) };
    assert_eq!(values(&core, cut).await[0], 500.0);
    assert_eq!(values(&core, request(&[&long], 10)).await[9], 509.0);
    let seen: Vec<usize> = watch.calls().iter().map(|call| call.rows[0].len()).collect();
    assert_eq!(seen, [3, POSITIONS - 10]);
}

#[tokio::test]
async fn what_cannot_be_forecast_is_refused_and_runs_nothing() {
    let (core, watch) = core();
    let invalid = async |request: Request| match ask(&core, request).await {
        Err(ForecastError::Invalid(invalid)) => invalid,
        other => panic!("expected an invalid request, found {other:?}"),
    };
    assert_eq!(invalid(request(&[], 3)).await, Invalid::NoSeries);
    let many = vec![&[1.0][..]; 21];
    assert_eq!(invalid(request(&many, 3)).await, Invalid::TooManySeries { found: 21, limit: 20 });
    assert_eq!(invalid(request(&[&[1.0]], 0)).await, SeriesError::HorizonZero.into());
    let long = invalid(request(&[&[1.0]], POSITIONS)).await;
    assert!(matches!(long, Invalid::Series(SeriesError::HorizonTooLong { .. })), "{long}");
    let infinite = invalid(request(&[&[1.0], &[f64::INFINITY]], 1)).await;
    assert!(infinite.to_string().starts_with("series 1 (counted from 0) has the value inf"), "{infinite}");
    let missing = invalid(request(&[&[NAN, NAN]], 1)).await;
    assert!(matches!(missing, Invalid::Series(SeriesError::AllMissing { .. })), "{missing}");
    for level in [0.0, 1.0, NAN, -0.5] {
        let quantiles = Request { quantiles: vec![0.5, level], ..request(&[&[1.0]], 1) };
        assert!(matches!(invalid(quantiles).await, Invalid::Quantile { .. }));
    }
    assert!(watch.calls().is_empty());
}

#[tokio::test]
async fn a_forecast_that_is_no_number_spoils_no_other_and_is_named_as_in_the_request() {
    let (core, _) = core();
    let answer = ask(&core, request(&[&[1.0], &[13.0]], 1)).await.unwrap();
    assert_eq!(answer.forecasts[0].as_ref().unwrap().values, [2.0]);
    let error = answer.forecasts[1].as_ref().unwrap_err().to_string();
    assert!(error.starts_with("the forecast of series 1 (counted from 0) is NaN"), "{error}");
}

#[tokio::test]
async fn quantiles_come_from_earlier_origins_forecast_in_the_same_batch() {
    let policy = Policy { points: 10_000, rows: 64, ..POLICY };
    let (core, watch) = core_with(policy, CAPACITY, LIMITS);
    // A ramp of slope 3, of which the model forecasts slope 1: at step s it is always 2 s too low.
    let ramp: Vec<f64> = (0..80).map(|step| 3.0 * f64::from(step)).collect();
    let asked = Request { quantiles: vec![0.1, 0.5, 0.9], ..request(&[&ramp], 4) };
    let answer = ask(&core, asked).await.unwrap();
    let forecast = answer.forecasts[0].as_ref().unwrap();
    let quantiles = forecast.quantiles.as_ref().unwrap();
    assert_eq!(quantiles[1], (0.5, forecast.values.clone()));
    for step in 0..4 {
        let [low, middle, high] = [0, 1, 2].map(|index| quantiles[index].1[step]);
        assert!(low < middle && middle < high);
        assert!((high - middle - (middle - low)).abs() < 1e-3, "symmetric");
    }
    // Eight origins and the forecast itself.
    assert_eq!(watch.calls().iter().map(|call| call.rows.len()).collect::<Vec<_>>(), [9]);
    let short = Request { quantiles: vec![0.9], ..request(&[&[1.0, 2.0]], 4) };
    let answer = ask(&core, short).await.unwrap();
    assert_eq!(answer.forecasts[0].as_ref().unwrap().quantiles, None);
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_frees_its_place_and_its_rows() {
    let (core, watch) = core();
    watch.hold();
    let first = tokio::spawn(ask_owned(&core, request(&[&[1.0]], 1)));
    watch.until_running(1).await;
    let second = tokio::spawn(ask_owned(&core, request(&[&[2.0], &[3.0]], 1)));
    let metrics = core.metrics.model(&demo(), &version("1"));
    until(|| metrics.queue_rows.get() == 2).await;
    second.abort();
    until(|| metrics.queue_rows.get() == 0 && core.metrics.requests.get() == 1).await;
    watch.release();
    first.await.unwrap().unwrap();
    assert_eq!(watch.calls().len(), 1, "the second never ran");
}

#[tokio::test]
async fn a_batch_stops_only_when_all_of_its_clients_are_gone() {
    let (core, watch) = core_with(Policy { rows: 2, ..PATIENT }, CAPACITY, LIMITS);
    watch.hold();
    let pair = || [1.0, 2.0].map(|value| tokio::spawn(ask_owned(&core, request(&[&[value]], 1))));
    let [first, second] = pair();
    watch.until_running(1).await;
    first.abort();
    until(|| core.metrics.requests.get() == 1).await;
    watch.release();
    assert!(second.await.unwrap().is_ok());
    assert!(!watch.calls()[0].cancelled);

    watch.hold();
    let both = pair();
    watch.until_running(1).await;
    both.iter().for_each(|asked| asked.abort());
    // Without being released: the token ends it.
    until(|| watch.calls().len() == 2).await;
    assert!(watch.calls()[1].cancelled);
    let metrics = core.metrics.model(&demo(), &version("1"));
    until(|| metrics.batches_cancelled.get() == 1).await;
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_frees_the_work() {
    let (core, watch) = core();
    watch.hold();
    let hasty = Request { timeout: Some(Duration::from_millis(30)), ..request(&[&[1.0]], 1) };
    let error = ask(&core, hasty).await.unwrap_err();
    assert_eq!(error, ForecastError::Deadline { after: Duration::from_millis(30) });
    until(|| watch.calls().len() == 1).await;
    assert!(watch.calls()[0].cancelled);
    assert_eq!(core.metrics.requests.get(), 0);
}

#[tokio::test]
async fn the_servers_own_deadline_bounds_what_clients_ask_for() {
    let limits = Limits { timeout: Duration::from_millis(30), ..LIMITS };
    let (core, watch) = core_with(POLICY, CAPACITY, limits);
    watch.hold();
    let patient = Request { timeout: Some(Duration::from_secs(3600)), ..request(&[&[1.0]], 1) };
    let error = ask(&core, patient).await.unwrap_err();
    assert_eq!(error, ForecastError::Deadline { after: Duration::from_millis(30) });
}

#[tokio::test]
async fn more_than_the_server_takes_is_refused_and_leaves_the_others_alone() {
    let (core, watch) = core_with(POLICY, Capacity { requests: 2, points: 100 }, LIMITS);
    watch.hold();
    let first = tokio::spawn(ask_owned(&core, request(&[&[1.0; 50]], 10)));
    watch.until_running(1).await;
    let refused = ask(&core, request(&[&[1.0; 50]], 10)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ForecastError::Refused(Refusal::TooManyPoints { waiting: 60, asked: 60, limit: 100, .. })
        ),
        "{refused}"
    );
    let second = tokio::spawn(ask_owned(&core, request(&[&[1.0]], 10)));
    until(|| core.metrics.requests.get() == 2).await;
    let refused = ask(&core, request(&[&[1.0]], 10)).await.unwrap_err();
    assert!(
        matches!(refused, ForecastError::Refused(Refusal::TooManyRequests { limit: 2, .. })),
        "{refused}"
    );
    watch.release();
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert_eq!(core.metrics.refused.get(), 2);
}

#[tokio::test]
async fn a_model_that_fails_or_panics_fails_its_batch_and_serves_on() {
    let (core, _) = core();
    for package in ["fails", "panics"] {
        core.registry.register(&demo(), &version("1"), package.as_ref());
        core.registry.load(&demo(), &version("1")).unwrap();
        let error = ask(&core, request(&[&[666.0], &[1.0; 90]], 1)).await.unwrap_err();
        assert!(matches!(&error, ForecastError::Model(_)), "{error}");
        assert_eq!(values(&core, request(&[&[1.0]], 1)).await, [2.0]);
    }
    assert_eq!(core.metrics.model(&demo(), &version("1")).batches_failed.get(), 2);
}

#[tokio::test]
async fn the_newest_version_that_is_ready_serves_whoever_names_none() {
    let (core, _) = core();
    let served = async |name: Option<&str>, wanted: Option<&str>| {
        let asked = Request {
            model: name.map(str::to_owned),
            version: wanted.map(str::to_owned),
            ..request(&[&[1.0]], 1)
        };
        ask(&core, asked).await.map(|answer| answer.version.to_string())
    };
    for (wanted, package) in [("9", "good"), ("10", "good"), ("11", "broken")] {
        core.registry.register(&demo(), &version(wanted), package.as_ref());
        let _ = core.registry.load(&demo(), &version(wanted));
    }
    assert_eq!(served(None, None).await.unwrap(), "10");
    assert_eq!(served(Some("demo"), Some("9")).await.unwrap(), "9");
    core.registry.unload(&demo(), Some(&version("10"))).unwrap();
    assert_eq!(served(None, None).await.unwrap(), "9");
    let error = served(Some("demo"), Some("11")).await.unwrap_err().to_string();
    assert!(error.contains("version `11` could not be loaded: its self-test failed"), "{error}");
    let error = served(None, Some("12")).await.unwrap_err().to_string();
    assert_eq!(error, "the model `demo` has no version `12`; it has `1`, `9`, `10` and `11`");
    let error = served(Some("other"), None).await.unwrap_err().to_string();
    assert_eq!(error, "there is no model `other`; there is `demo`");
    let error = served(Some("../demo"), None).await.unwrap_err();
    assert!(matches!(error, ForecastError::Unknown(Unknown::Name(_))), "{error}");
    core.registry.register(&"other".parse().unwrap(), &version("1"), "good".as_ref());
    let error = served(None, None).await.unwrap_err();
    assert!(matches!(error, ForecastError::Unknown(Unknown::Unnamed { .. })), "{error}");
}

#[tokio::test]
async fn a_broken_version_never_replaces_a_good_one() {
    let (core, watch) = core();
    core.registry.register(&demo(), &version("1"), "broken".as_ref());
    let error = core.registry.load(&demo(), &version("1")).unwrap_err();
    assert!(
        matches!(&error, LoadError::Failed { reason, .. } if reason == "its self-test failed"),
        "{error}"
    );
    assert_eq!(values(&core, request(&[&[1.0]], 1)).await, [2.0]);
    let listed = &core.registry.index()[0];
    assert_eq!((listed.state, listed.reason.as_deref()), (State::Ready, Some("its self-test failed")));
    assert!(core.is_ready());
    assert_eq!(watch.loads(), 2);
}

#[tokio::test]
async fn a_version_that_is_replaced_finishes_what_it_was_given() {
    let (core, watch) = core();
    watch.hold();
    let running = tokio::spawn(ask_owned(&core, request(&[&[1.0]], 1)));
    watch.until_running(1).await;
    let queued = tokio::spawn(ask_owned(&core, request(&[&[2.0]], 1)));
    let metrics = core.metrics.model(&demo(), &version("1"));
    until(|| metrics.queue_rows.get() == 1).await;
    core.registry.load(&demo(), &version("1")).unwrap();
    let new = tokio::spawn(ask_owned(&core, request(&[&[3.0]], 1)));
    // The old and the new one at the same time.
    watch.until_running(2).await;
    watch.release();
    for asked in [running, queued, new] {
        assert!(asked.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn unloading_finishes_what_was_given_and_ends_readiness() {
    let (core, watch) = core();
    watch.hold();
    let running = tokio::spawn(ask_owned(&core, request(&[&[1.0]], 1)));
    watch.until_running(1).await;
    core.registry.unload(&demo(), None).unwrap();
    let error = ask(&core, request(&[&[1.0]], 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the model `demo` is not ready: version `1` is not loaded");
    assert!(!core.is_ready());
    watch.release();
    assert!(running.await.unwrap().is_ok());
    core.registry.load(&demo(), &version("1")).unwrap();
    assert!(core.is_ready());
}

#[tokio::test]
async fn shutting_down_answers_everyone_who_was_let_in() {
    let (core, watch) = core();
    watch.hold();
    let asked: Vec<_> =
        (0..10).map(|index| tokio::spawn(ask_owned(&core, request(&[&[f64::from(index)]], 1)))).collect();
    until(|| core.metrics.requests.get() == 10).await;
    let drained = tokio::spawn({
        let core = Arc::clone(&core);
        async move { core.drain().await }
    });
    until(|| core.admission.is_closed()).await;
    let error = ask(&core, request(&[&[1.0]], 1)).await.unwrap_err();
    assert_eq!(error, ForecastError::Refused(Refusal::ShuttingDown));
    assert!(!drained.is_finished());
    watch.release();
    for asked in asked {
        assert!(asked.await.unwrap().is_ok());
    }
    drained.await.unwrap();
}

#[tokio::test]
async fn padding_and_points_are_counted() {
    let (core, _) = core_with(Policy { rows: 2, ..PATIENT }, CAPACITY, LIMITS);
    ask(&core, request(&[&[1.0; 10], &[1.0; 4]], 3)).await.unwrap();
    let metrics = core.metrics.model(&demo(), &version("1"));
    assert_eq!((metrics.context_points.get(), metrics.padding_points.get()), (14, 6));
    assert_eq!(metrics.forecast_points.get(), 6);
    assert_eq!((metrics.batch_rows.count(), metrics.batch_rows.sum()), (1, 2.0));
    assert_eq!(metrics.queue_seconds.count(), 2);
}

/// [`ask`] as a task of its own.
fn ask_owned(
    core: &Arc<Core>,
    request: Request,
) -> impl Future<Output = Result<super::Answer, ForecastError>> + use<> {
    let core = Arc::clone(core);
    async move { ask(&core, request).await }
}
