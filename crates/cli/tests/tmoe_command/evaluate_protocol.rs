//! `tmoe evaluate --protocol time-moe`: the evaluation of the Time-MoE paper.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    a_file_s_last_fifth_is_tested_in_units_of_its_first_seven_tenths,
    the_context_is_the_paper_s_and_must_fit,
    what_the_protocol_fixes_cannot_be_chosen,
    a_file_that_cannot_be_split_is_an_error,
];

fn evaluate(shared: &Shared, input: &Path, options: &[&str]) -> Outcome {
    let arguments = arguments!["evaluate", shared.package("dense"), "--input", input, "--provider", "tract"];
    Outcome::of(command(arguments).args(["--protocol", "time-moe"]).args(options))
}

fn channel(rows: usize, factor: usize) -> Vec<f64> {
    (0..rows).map(|row| (row * factor % 17) as f64 * 2.0 - 5.0 + row as f64 * 0.125).collect()
}

/// Rows under time stamps that are neither regular nor in order: the protocol counts rows.
fn write(path: &Path, channels: &[Vec<f64>]) {
    let row = |row: usize| {
        let cells: Vec<String> = channels.iter().map(|channel| channel[row].to_string()).collect();
        format!("2024-01-{:02},{}\n", 1 + row * row % 28, cells.join(","))
    };
    let names: Vec<String> = (0..channels.len()).map(|index| format!("c{index}")).collect();
    let rows: String = (0..channels[0].len()).map(row).collect();
    fs::write(path, format!("date,{}\n{rows}", names.join(","))).unwrap();
}

/// Forecasts of contexts, not normalised.
fn forecasts(shared: &Shared, folder: &Path, contexts: &[Vec<f64>], horizon: usize) -> Vec<Vec<f64>> {
    let file = folder.join("contexts.jsonl");
    let lines: Vec<String> =
        contexts.iter().map(|context| format!("{{\"sequence\": {context:?}}}")).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let arguments = arguments!["forecast", shared.package("dense"), "--input", file, "--provider", "tract"];
    let horizon = horizon.to_string();
    let mut command = command(arguments);
    let outcome = command.args(["--normalize", "none", "--output-format", "jsonl", "--horizon", &horizon]);
    let printed = Outcome::of(outcome).success();
    let numbers = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["forecast"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    printed.lines().map(numbers).collect()
}

fn a_file_s_last_fifth_is_tested_in_units_of_its_first_seven_tenths(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("weather.csv");
    let channels = [channel(61, 5), channel(61, 3)];
    write(&file, &channels);
    let options = ["--horizon", "3", "--context", "8"];
    let outcome = evaluate(shared, &file, &[&options[..], &["--per-series", "--json"]].concat());
    assert_eq!(outcome.stderr, "");
    let report: Value = serde_json::from_str(&outcome.success()).unwrap();

    // 61 rows: 42 to fit the scale (42.7 truncated), the last 12 (12.2 truncated) to forecast, eight before them to see.
    let mut sums = Vec::new();
    for channel in &channels {
        let train = &channel[..42];
        let mean = train.iter().sum::<f64>() / 42.0;
        let deviation = (train.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 42.0).sqrt();
        let test: Vec<f64> = channel[61 - 12 - 8..].iter().map(|value| (value - mean) / deviation).collect();
        assert_eq!(test.len(), 20);
        // Twenty rows hold ten windows of eleven, and the last does not count.
        let contexts: Vec<Vec<f64>> = (0..9).map(|start| test[start..start + 8].to_vec()).collect();
        let forecasts = forecasts(shared, folder.path(), &contexts, 3);
        let errors = (0..9).flat_map(|start| {
            let forecast = forecasts[start].clone();
            let truth = test[start + 8..start + 11].to_vec();
            truth.into_iter().zip(forecast).map(|(truth, forecast)| truth - forecast)
        });
        let errors: Vec<f64> = errors.collect();
        assert_eq!(errors.len(), 27);
        let mean_of = |of: fn(f64) -> f64| errors.iter().copied().map(of).sum::<f64>() / 27.0;
        sums.push((mean_of(|error| error * error), mean_of(f64::abs)));
    }
    let close = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap();
        assert!((found - expected).abs() < 1e-5 * expected, "{found} is not {expected}");
    };
    let model = &report["models"][0];
    assert_eq!((&model["windows"], &report["series"]), (&18.into(), &2.into()));
    for (index, (mse, mae)) in sums.iter().enumerate() {
        let series = &model["per_series"][index];
        assert_eq!((&series["series"], &series["windows"]), (&format!("c{index}").into(), &9.into()));
        close(&series["mse"], *mse);
        close(&series["mae"], *mae);
    }
    close(&model["mse"], (sums[0].0 + sums[1].0) / 2.0);
    close(&model["mae"], (sums[0].1 + sums[1].1) / 2.0);
    assert_ne!(sums[0], sums[1]);

    let printed = evaluate(shared, &file, &options).success();
    for fact in ["2 channels, 18 windows", "70, 10 and 20 %", "context 8, horizon 3"] {
        assert!(printed.contains(fact), "{printed}");
    }
    let cells: Vec<&str> = printed.lines().last().unwrap().split_whitespace().collect();
    let [mse, mae] = [cells[cells.len() - 2], cells[cells.len() - 1]];
    close(&serde_json::from_str(mse).unwrap(), model["mse"].as_f64().unwrap());
    close(&serde_json::from_str(mae).unwrap(), model["mae"].as_f64().unwrap());
    assert!(mse.split('.').nth(1).unwrap().len() >= 5, "{printed}");
}

fn the_context_is_the_paper_s_and_must_fit(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("table.csv");
    write(&file, &[channel(300, 5)]);
    // The model holds 256 points, and the paper sees 512 before 96.
    evaluate(shared, &file, &["--horizon", "96"]).failure(&[
        "context 512 and horizon 96",
        "608",
        "256",
        "--context",
    ]);
    let printed = evaluate(shared, &file, &["--horizon", "10"]).success();
    assert!(printed.contains("context 40, horizon 10"), "{printed}");
}

fn what_the_protocol_fixes_cannot_be_chosen(shared: &Shared) {
    let options: [&[&str]; 11] = [
        &["--windows", "3"],
        &["--stride", "3"],
        &["--season", "3"],
        &["--normalize", "none"],
        &["--scale", "none"],
        &["--levels", "80"],
        &["--quantiles", "0.5"],
        &["--interval-origins", "8"],
        &["--no-intervals"],
        &["--plot", "plot.svg"],
        &["--draw", "always"],
    ];
    for option in options {
        evaluate(shared, Path::new("table.csv"), option).failure(&[option[0], "--protocol time-moe"]);
    }
}

fn a_file_that_cannot_be_split_is_an_error(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = |name: &str, channels: &[Vec<f64>]| {
        let path = folder.path().join(name);
        write(&path, channels);
        path
    };
    let short = table("ETTh1.csv", &[channel(300, 5)]);
    evaluate(shared, &short, &["--horizon", "8"]).failure(&["ETTh1.csv", "300 rows", "14400"]);
    let few = table("few.csv", &[channel(20, 5)]);
    evaluate(shared, &few, &["--horizon", "8", "--context", "4"]).failure(&["few.csv", "8 rows", "12"]);
    let missing = table("missing.csv", &[channel(300, 5), vec![f64::NAN; 300]]);
    evaluate(shared, &missing, &["--horizon", "8"]).failure(&[
        "missing.csv",
        "`c1`",
        "300 points are missing",
    ]);
}
