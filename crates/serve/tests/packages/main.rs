//! The server with real packages: its answers are the runner's own, whoever asks.
//!
//! The tests are listed at run time: what a machine cannot run is reported as ignored, by name.

#[path = "../protocols/client.rs"]
#[allow(dead_code, reason = "the tests of protocols use all of it")]
mod client;
mod python;
mod serving;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use tmoe_backtest::conformal::{Calibration, Distribution, Scale, Scores};
use tmoe_runner::Forecaster;
use tmoe_tests::packages;

use client::{get, post};
use serving::{Shared, opened, series, serve};

/// Points to forecast: two passes.
const HORIZON: usize = 72;

/// The largest difference between one batch and another, relative to the largest value: padding changes the order of sums.
const TOLERANCE: f64 = 1e-4;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let shared = Arc::new(Shared::new());
    type Test = fn(&Shared) -> Result<(), String>;
    let tests: [(&str, Test); 4] = [
        ("the answers of every protocol are the runner's own", answers),
        ("quantiles are those of conformal prediction with the runner's own forecasts", quantiles),
        ("clients at the same time get each their own answer", at_the_same_time),
        ("a package whose self-test fails never serves", failed_selftest),
    ];
    let mut trials: Vec<Trial> = tests
        .into_iter()
        .map(|(name, test)| {
            let shared = Arc::clone(&shared);
            Trial::test(name, move || test(&shared).map_err(Into::into))
        })
        .collect();
    trials.extend(python::trials(&shared));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The largest difference, relative to the largest value expected.
fn difference(found: &Value, expected: &[f32]) -> f64 {
    let found: Vec<f64> = found
        .as_array()
        .map_or(Vec::new(), |values| values.iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect());
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(0.0_f64, |largest, &value| largest.max(f64::from(value).abs()));
    let differences =
        found.iter().zip(expected).map(|(found, &expected)| (found - f64::from(expected)).abs());
    differences.fold(0.0, |most, next| if next > most || next.is_nan() { next } else { most }) / largest
}

fn check(what: &str, found: &Value, expected: &[f32]) -> Result<(), String> {
    let error = difference(found, expected);
    if error <= TOLERANCE { Ok(()) } else { Err(format!("{what}: the error is {error:.1e}: {found}")) }
}

fn answers(shared: &Shared) -> Result<(), String> {
    let package = shared.package("moe")?;
    let server = serve(&[("moe", &package)])?;
    let series = series();
    let forecaster = Forecaster::new(opened(&package)?);
    let expected = forecaster.forecast(&series, HORIZON).map_err(|error| error.to_string())?;
    let nulls = |values: &[f64]| -> Value {
        values.iter().map(|value| if value.is_nan() { Value::Null } else { json!(value) }).collect()
    };
    let as_json: Vec<Value> = series.iter().map(|values| nulls(values)).collect();
    let answer =
        post(server.address, "/v1/forecast", &json!({ "series": as_json, "horizon": HORIZON }).to_string())
            .json();
    for (index, expected) in expected.iter().enumerate() {
        check("plain", &answer["forecasts"][index]["values"], &expected.values)?;
    }
    let inputs: Vec<Value> = as_json
        .iter()
        .map(|series| json!({ "type": "univariate_time_series", "name": "x", "frequency": "D", "series": series }))
        .collect();
    let body = json!({ "model": "moe", "inputs": inputs, "options": { "horizon": HORIZON } });
    let answer = post(server.address, "/v1/timeseries/forecast", &body.to_string()).json();
    for (index, expected) in expected.iter().enumerate() {
        check("timeseries", &answer["outputs"][index]["content"][0]["mean_forecast"], &expected.values)?;
    }
    for (series, expected) in as_json.iter().zip(&expected) {
        let points = series.as_array().map_or(0, Vec::len);
        let body = json!({ "parameters": { "horizon": HORIZON }, "inputs": [
            { "name": "series", "datatype": "FP64", "shape": [1, points], "data": series } ] });
        let answer = post(server.address, "/v2/models/moe/infer", &body.to_string()).json();
        check("inference", &answer["outputs"][0]["data"], &expected.values)?;
    }
    Ok(())
}

fn quantiles(shared: &Shared) -> Result<(), String> {
    let package = shared.package("moe")?;
    let server = serve(&[("moe", &package)])?;
    let history = series().swap_remove(0);
    let forecaster = Forecaster::new(opened(&package)?);
    let forecast = |values: &[f64]| -> Result<Vec<f32>, String> {
        let forecasts = forecaster.forecast([values], 8).map_err(|error| error.to_string())?;
        Ok(forecasts[0].values.clone())
    };
    let mut scores = Scores::new(8);
    for window in Calibration::new(history.len(), 8).windows(0, &history) {
        scores.add(&window, &forecast(window.context)?).map_err(|error| error.to_string())?;
    }
    let distribution = Distribution::new(&scores, None, Scale::of(&history, &history)).ok_or("no scores")?;
    let points: Vec<f64> = forecast(&history)?.iter().map(|&value| f64::from(value)).collect();
    let body = json!({ "series": [history], "horizon": 8, "quantiles": [0.1, 0.9] });
    let answer = post(server.address, "/v1/forecast", &body.to_string()).json();
    for (level, name) in [(0.1, "0.1"), (0.9, "0.9")] {
        let expected = distribution.quantile(level, &points).map_err(|error| error.to_string())?;
        let expected: Vec<f32> = expected.into_iter().map(|value| value as f32).collect();
        check(name, &answer["forecasts"][0]["quantiles"][name], &expected)?;
    }
    Ok(())
}

fn at_the_same_time(shared: &Shared) -> Result<(), String> {
    let (moe, dense) = (shared.package("moe")?, shared.package("dense")?);
    let server = serve(&[("moe", &moe), ("dense", &dense)])?;
    let forecasters = [("moe", Forecaster::new(opened(&moe)?)), ("dense", Forecaster::new(opened(&dense)?))];
    let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..24)
            .map(|index| {
                let ((model, forecaster), address) = (&forecasters[index % 2], server.address);
                scope.spawn(move || {
                    let values: Vec<f64> =
                        (0..20 + 7 * index).map(|step| ((step * (index + 3)) as f64 * 0.1).sin()).collect();
                    let horizon = [1, 9, 40][index % 3];
                    let expected =
                        forecaster.forecast([&values], horizon).map_err(|error| error.to_string())?;
                    let body = json!({ "model": model, "series": [values], "horizon": horizon });
                    let answer = post(address, "/v1/forecast", &body.to_string());
                    check(&answer.text(), &answer.json()["forecasts"][0]["values"], &expected[0].values)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a panic".to_owned())))
            .collect()
    });
    results.into_iter().collect()
}

fn failed_selftest(shared: &Shared) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let copy = folder.path().join("moe");
    packages::copy(shared.package("moe")?.folder(), &copy).map_err(|error| error.to_string())?;
    let server = serving::serve_repository(folder.path())?;
    let body = json!({ "series": [[1, 2, 3]], "horizon": 2 }).to_string();
    let before = post(server.address, "/v1/forecast", &body).json();
    serving::spoil_selftest(&copy)?;
    let answer = post(server.address, "/v2/repository/models/moe/load", "");
    if answer.status != 400 {
        return Err(format!("the damaged package was loaded: {}", answer.text()));
    }
    let after = post(server.address, "/v1/forecast", &body).json();
    let ready = get(server.address, "/health/ready").status;
    match after["forecasts"] == before["forecasts"] && ready == 200 {
        true => Ok(()),
        false => Err(format!("expected {before}, found {after}")),
    }
}
