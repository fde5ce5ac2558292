//! Bodies of `POST /v1/forecast` and of KServe's time-series endpoint. What was understood, written again, is understood as the same.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tmoe_serve::core::Request;
use tmoe_serve::parse::{self, ParseError};

/// How far numbers may move on their way through text: the parser is fast rather than exact in the last digit. So those at the
/// end of the doubles may not come back at all.
const TEXT_ERROR: f64 = 1e-14;
const TEXT_LARGEST: f64 = 1e300;

fuzz_target!(|body: &[u8]| {
    if let Some(request) = understood(parse::forecast(body), body) {
        let again = parse::forecast(plain(&request).to_string().as_bytes());
        assert_same(&request, &again.expect("what was understood is written so that it is understood"));
    }
    if let Some(request) = understood(parse::timeseries(body), body) {
        assert!(request.model.is_some() && request.series.iter().all(|series| series.name.is_some()));
        let again = parse::timeseries(timeseries(&request).to_string().as_bytes());
        assert_same(&request, &again.expect("what was understood is written so that it is understood"));
    }
});

/// Checks what is true of every outcome.
fn understood(result: Result<Request, ParseError>, body: &[u8]) -> Option<Request> {
    match result {
        Ok(request) => {
            // Every series, number and level is in the body, and JSON has no number that is infinite.
            let points = request.series.iter().map(|series| series.values.len().max(1));
            assert!(points.sum::<usize>() + request.quantiles.len() <= body.len());
            assert!(
                request.series.iter().flat_map(|series| &series.values).all(|value| !value.is_infinite())
            );
            let numbers = numbers(&request);
            numbers.iter().all(|value| value.is_nan() || value.abs() < TEXT_LARGEST).then_some(request)
        }
        Err(error) => {
            assert!(!error.to_string().contains('\n'), "one line: {error}");
            None
        }
    }
}

fn points(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|&value| (!value.is_nan()).then_some(value)).collect()
}

fn milliseconds(timeout: Option<Duration>) -> Value {
    timeout.map_or(Value::Null, |timeout| json!(u64::try_from(timeout.as_millis()).expect("it came as u64")))
}

fn plain(request: &Request) -> Value {
    let series =
        request.series.iter().map(|series| json!({ "id": series.name, "values": points(&series.values) }));
    json!({
        "model": request.model, "version": request.version, "series": series.collect::<Vec<_>>(),
        "horizon": request.horizon, "context": request.context, "quantiles": request.quantiles,
        "timeout_ms": milliseconds(request.timeout),
    })
}

fn timeseries(request: &Request) -> Value {
    let inputs = request.series.iter().map(|series| {
        json!({ "type": "univariate_time_series", "name": series.name, "frequency": "H",
                "series": points(&series.values) })
    });
    json!({
        "model": request.model, "inputs": inputs.collect::<Vec<_>>(),
        "options": { "horizon": request.horizon, "context": request.context, "quantiles": request.quantiles,
                     "timeout_ms": milliseconds(request.timeout) },
    })
}

fn numbers(request: &Request) -> Vec<f64> {
    let series = request.series.iter().flat_map(|series| series.values.iter().copied());
    series.chain(request.quantiles.iter().copied()).collect()
}

fn assert_same(request: &Request, again: &Request) {
    for (value, again) in numbers(request).into_iter().zip(numbers(again)) {
        let same = value == again || (value.is_nan() && again.is_nan());
        assert!(
            same || (value - again).abs() <= TEXT_ERROR * value.abs() + f64::MIN_POSITIVE,
            "{value} became {again}"
        );
    }
    assert_eq!(without_numbers(request), without_numbers(again));
}

/// Names and counts, where numbers are zeros.
fn without_numbers(request: &Request) -> Request {
    let mut request = request.clone();
    request.series.iter_mut().for_each(|series| series.values.fill(0.0));
    request.quantiles.fill(0.0);
    request
}
