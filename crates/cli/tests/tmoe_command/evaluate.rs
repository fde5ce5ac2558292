//! `tmoe evaluate`: backtests, and packages against each other.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::shared::Shared;
use crate::{arguments, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    errors_are_means_in_units_of_each_series_deviation,
    a_series_shorter_than_a_window_is_named_with_its_file,
    nothing_to_evaluate_is_wrong_usage,
];

/// A series that is known, so that the error of a forecast can be computed from `tmoe forecast` as well.
fn series(points: usize) -> Vec<f64> {
    (0..points).map(|point| (point as f64 * 0.3).sin() * 4.0 + 20.0).collect()
}

fn csv(values: &[f64]) -> String {
    let rows: Vec<String> = values.iter().map(f64::to_string).collect();
    format!("load\n{}\n", rows.join("\n"))
}

fn errors_are_means_in_units_of_each_series_deviation(shared: &Shared) {
    let folder = tempdir().unwrap();
    let values = series(40);
    let (whole, context) = (folder.path().join("whole.csv"), folder.path().join("context.csv"));
    fs::write(&whole, csv(&values)).unwrap();
    fs::write(&context, csv(&values[..32])).unwrap();
    let package = shared.package("demo");

    let shape = ["--horizon", "8", "--context", "32", "--provider", "tract"];
    let mut evaluate = arguments!["evaluate", package, package, "--input", whole, "--json"].to_vec();
    evaluate.extend(shape.map(Into::into));
    let report: Value = serde_json::from_str(&run(&evaluate).success()).unwrap();
    let mut forecast = arguments!["forecast", package, "--input", context, "--draw", "never"].to_vec();
    forecast.extend(shape.map(Into::into));
    let printed = run(&forecast).success();
    let forecast: Vec<f64> =
        printed.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();

    let mean = values.iter().sum::<f64>() / 40.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 40.0;
    let errors = || values[32..].iter().zip(&forecast).map(|(truth, forecast)| forecast - truth);
    let mse = errors().map(|error| error * error).sum::<f64>() / 8.0 / variance;
    let mae = errors().map(f64::abs).sum::<f64>() / 8.0 / variance.sqrt();
    let rows = report.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row["windows"], 1);
        assert!((row["mse"].as_f64().unwrap() / mse - 1.0).abs() < 1e-4, "{row} {mse}");
        assert!((row["mae"].as_f64().unwrap() / mae - 1.0).abs() < 1e-4, "{row} {mae}");
        assert_eq!(row["mse_change"], 0.0);
    }
}

fn a_series_shorter_than_a_window_is_named_with_its_file(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("short.csv");
    fs::write(&file, csv(&series(39))).unwrap();
    let outcome = run(arguments![
        "evaluate",
        shared.package("demo"),
        "--input",
        file,
        "--horizon",
        "8",
        "--context",
        "32"
    ]);
    outcome.failure(&["short.csv", "39 rows", "40", "context 32 and horizon 8"]);
}

fn nothing_to_evaluate_is_wrong_usage(_: &Shared) {
    run(["evaluate", "--input", "x.csv"]).usage_error(&["PACKAGE"]);
}
