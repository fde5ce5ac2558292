//! `tmoe evaluate`: backtests at rolling origins, and packages against each other.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::tempdir;

use crate::outcome::Outcome;
use crate::shared::{Printed, Shared};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    errors_are_those_of_forecasts_made_one_by_one,
    intervals_are_conformal_and_their_loss_is_weighted,
    errors_are_in_deviations_where_asked_and_packages_are_compared,
    a_season_is_seen_from_the_time_stamps,
    any_kind_of_file_has_the_same_errors,
    every_series_has_a_line_of_its_own,
    series_that_cannot_be_evaluated_are_named_and_left_out,
    a_context_without_any_point_calibrates_nothing,
    the_newest_windows_are_drawn_with_what_came_true,
    more_context_than_the_model_holds_is_cut,
    a_series_shorter_than_a_window_is_named_with_its_file,
    nothing_to_evaluate_is_wrong_usage,
];

/// A series with a season of six points and some trend.
pub(crate) fn series(points: usize) -> Vec<f64> {
    let value = |point: usize| [3.0, 5.0, 4.0, 8.5, 1.0, 2.0][point % 6] + 0.25 * point as f64 - 6.0;
    (0..points).map(value).collect()
}

fn csv(values: &[f64]) -> String {
    let rows: Vec<String> = values.iter().map(f64::to_string).collect();
    format!("load\n{}\n", rows.join("\n"))
}

/// Runs an evaluation on tract.
fn evaluate(shared: &Shared, input: &Path, options: &[&str]) -> Outcome {
    let arguments = arguments!["evaluate", shared.package("dense"), "--input", input, "--provider", "tract"];
    Outcome::of(command(arguments).args(options))
}

#[track_caller]
fn json(outcome: Outcome) -> Value {
    serde_json::from_str(&outcome.success()).expect("JSON")
}

#[track_caller]
fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("a number, not {found}"));
    assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1e-3), "{found} is not {expected}");
}

/// Truth and forecast of windows of four points, and the scale of each window's MASE.
struct Windows(Vec<([f64; 4], [f64; 4], f64)>);

impl Windows {
    fn points(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        self.0.iter().flat_map(|(truth, forecast, scale)| {
            truth.iter().zip(forecast).map(|(truth, forecast)| (*truth, *forecast, *scale))
        })
    }

    fn mean(&self, of: impl Fn(f64, f64, f64) -> f64) -> f64 {
        self.points().map(|(truth, forecast, scale)| of(truth, forecast, scale)).sum::<f64>()
            / (4 * self.0.len()) as f64
    }

    #[track_caller]
    fn check(&self, found: &Value) {
        assert_eq!(found["windows"], self.0.len());
        let mse = self.mean(|truth, forecast, _| (truth - forecast).powi(2));
        close(&found["mse"], mse);
        close(&found["rmse"], mse.sqrt());
        close(&found["mae"], self.mean(|truth, forecast, _| (truth - forecast).abs()));
        close(&found["mase"], self.mean(|truth, forecast, scale| (truth - forecast).abs() / scale));
        let symmetric = |truth: f64, forecast: f64| match (truth - forecast).abs() {
            0.0 => 0.0,
            error => 200.0 * error / (truth.abs() + forecast.abs()),
        };
        close(&found["smape"], self.mean(|truth, forecast, _| symmetric(truth, forecast)));
        let truth = self.mean(|truth, _, _| truth.abs());
        close(&found["wape"], self.mean(|truth, forecast, _| (truth - forecast).abs()) / truth);
    }
}

fn errors_are_those_of_forecasts_made_one_by_one(shared: &Shared) {
    let folder = tempdir().unwrap();
    let values = series(40);
    let whole = folder.path().join("whole.csv");
    fs::write(&whole, csv(&values)).unwrap();
    let shape = ["--horizon", "4", "--context", "16", "--stride", "6", "--windows", "3"];
    let options = ["--season", "6", "--no-intervals", "--json"];
    let report = json(evaluate(shared, &whole, &[&shape[..], &options].concat()));

    let origins = [24, 30, 36];
    let windows = |forecast: &dyn Fn(usize) -> [f64; 4]| {
        let window = |origin: usize| {
            let differences = (6..origin).map(|index| (values[index] - values[index - 6]).abs());
            let scale = differences.sum::<f64>() / (origin - 6) as f64;
            (values[origin..origin + 4].try_into().unwrap(), forecast(origin), scale)
        };
        Windows(origins.map(window).to_vec())
    };
    let model = |origin: usize| {
        let history = folder.path().join("history.csv");
        fs::write(&history, csv(&values[..origin])).unwrap();
        let arguments = arguments!["forecast", shared.package("dense"), "--input", history, "--horizon", "4"];
        let outcome = Outcome::of(command(arguments).args(["--context", "16", "--provider", "tract"]));
        Printed::read(&outcome.success()).columns[0].clone().try_into().unwrap()
    };
    let models = report["models"].as_array().unwrap();
    assert_eq!(models.len(), 3);
    windows(&model).check(&models[0]);
    windows(&|origin| [values[origin - 1]; 4]).check(&models[1]);
    windows(&|origin| values[origin - 6..origin - 2].try_into().unwrap()).check(&models[2]);
    assert_eq!((&models[1]["baseline"], &models[2]["baseline"]), (&"naive".into(), &"seasonal naive".into()));
    assert_eq!((&models[0]["provider"], &models[0]["precision"]), (&"tract".into(), &"fp32".into()));
    assert_eq!(models[0]["wql"], Value::Null);
    let naive_mse = models[1]["mse"].as_f64().unwrap();
    close(&models[1]["mse_change"], naive_mse / models[0]["mse"].as_f64().unwrap() - 1.0);

    // The table says the same.
    let printed = evaluate(shared, &whole, &[&shape[..], &options[..3]].concat()).success();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].contains("1 series, 3 windows, context 16, horizon 4, stride 6, season 6"), "{printed}");
    assert_eq!(lines.len(), 5, "{printed}");
    let cells: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(cells[0], "naive");
    close(&serde_json::from_str(cells[3]).unwrap(), naive_mse);
}

/// Half the width of a level's interval at a step, of naive forecasts of a ramp of slope 1 over four steps, from eight origins: at
/// each step, all of them are off by the step's number, and neighbouring steps share their scores.
fn half_width(step: usize, level: f64) -> f64 {
    let reach = step / 2 + 1;
    let near = (0..4_usize).filter(|other| other.abs_diff(step) <= reach);
    let scores: Vec<f64> = near.flat_map(|other| [other as f64 + 1.0; 8]).collect();
    let rank = ((scores.len() + 1) as f64 * level - 1e-6).ceil().max(0.0) as usize;
    if level < 1e-9 { 0.0 } else { scores[rank.clamp(1, scores.len()) - 1] }
}

fn intervals_are_conformal_and_their_loss_is_weighted(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("ramp.csv");
    let values: Vec<f64> = (0..80).map(f64::from).collect();
    fs::write(&file, csv(&values)).unwrap();
    let shape = ["--horizon", "4", "--context", "16", "--windows", "2", "--season", "1", "--json"];
    let report =
        json(evaluate(shared, &file, &[&shape[..], &["--levels", "95,50", "--quantiles", "0.99"]].concat()));
    for naive in [&report["models"][1], &report["models"][2]] {
        let intervals = naive["intervals"].as_array().unwrap();
        for (interval, level) in intervals.iter().zip([50.0, 95.0]) {
            assert_eq!((&interval["level"], &interval["points"]), (&level.into(), &8.into()));
            let width = (0..4).map(|step| 2.0 * half_width(step, level / 100.0)).sum::<f64>() / 4.0;
            close(&interval["mean_width"], width);
        }
        // Errors of 1, 2, 3 and 4 within half widths of 2, 2, 3 and 3, the last never and two on the edge.
        let coverage = intervals[0]["coverage"].as_f64().unwrap();
        assert!((25.0..=75.0).contains(&coverage), "{coverage}");

        let quantiles = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99];
        let loss = |quantile: f64| {
            let point = |step: usize| {
                let side = if quantile < 0.5 { -1.0 } else { 1.0 };
                let error = step as f64 + 1.0 - side * half_width(step, (2.0 * quantile - 1.0_f64).abs());
                2.0 * f64::max(quantile * error, (quantile - 1.0) * error)
            };
            let truth: f64 = values[72..].iter().sum();
            2.0 * (0..4).map(point).sum::<f64>() / truth
        };
        let losses = naive["quantile_losses"].as_array().unwrap();
        assert_eq!(losses.len(), quantiles.len());
        for (found, quantile) in losses.iter().zip(quantiles) {
            close(&found["quantile"], quantile);
            close(&found["loss"], loss(quantile));
        }
        close(&naive["wql"], quantiles.map(loss).iter().sum::<f64>() / 10.0);
    }
    // Without any word on it there are intervals of 80 and 95 %.
    let printed = evaluate(shared, &file, &shape[..8]).success();
    assert!(printed.contains("80 % cover") && printed.contains("95 % cover"), "{printed}");
    let fewer = json(evaluate(shared, &file, &[&shape[..], &["--interval-origins", "1"]].concat()));
    assert_eq!(fewer["interval_origins"], 1);
    assert_ne!(fewer["models"][0]["wql"], report["models"][0]["wql"]);
}

fn errors_are_in_deviations_where_asked_and_packages_are_compared(shared: &Shared) {
    let folder = tempdir().unwrap();
    let values = series(40);
    let file = folder.path().join("load.csv");
    fs::write(&file, csv(&values)).unwrap();
    let evaluate = |scale: &str| {
        let packages = [shared.package("dense"), shared.package("moe"), shared.package("dense")];
        let mut command = command(["evaluate"]);
        command.args(packages).arg("--input").arg(&file).args(["--scale", scale]);
        Outcome::of(command.args(["--horizon", "8", "--context", "32", "--provider", "tract", "--json"]))
    };
    let (plain, scaled) = (json(evaluate("none")), json(evaluate("series")));
    let mean = values.iter().sum::<f64>() / 40.0;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 40.0;
    for (plain, scaled) in
        plain["models"].as_array().unwrap().iter().zip(scaled["models"].as_array().unwrap())
    {
        let of = |report: &Value, metric: &str| report[metric].as_f64().unwrap();
        close(&scaled["mse"], of(plain, "mse") / variance);
        close(&scaled["mae"], of(plain, "mae") / variance.sqrt());
        close(&scaled["mase"], of(plain, "mase"));
        close(&scaled["wape"], of(plain, "wape"));
        close(&scaled["mse_change"], of(plain, "mse_change"));
    }
    let models = &plain["models"];
    assert_eq!((&models[0]["mse_change"], &models[2]["mse_change"]), (&0.0.into(), &0.0.into()));
    let (first, second) = (models[0]["mse"].as_f64().unwrap(), models[1]["mse"].as_f64().unwrap());
    assert_ne!(first, second);
    close(&models[1]["mse_change"], second / first - 1.0);
}

/// A long table of series, each with the first time stamp, what to add for the next, and values.
fn long_table(series: &[(&str, &[&str], &[f64])]) -> String {
    let mut text = "unique_id,ds,y\n".to_owned();
    for (id, times, values) in series {
        for (time, value) in times.iter().zip(*values) {
            text += &format!("{id},{time},{value}\n");
        }
    }
    text
}

fn hours(count: usize) -> Vec<String> {
    (0..count).map(|hour| format!("2024-01-{:02} {:02}:00:00", 1 + hour / 24, hour % 24)).collect()
}

fn days(count: usize) -> Vec<String> {
    (0..count).map(|day| format!("2024-{:02}-{:02} 00:00:00", 1 + day / 28, 1 + day % 28)).collect()
}

fn a_season_is_seen_from_the_time_stamps(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("mixed.csv");
    let values: Vec<f64> = (0..56).map(|point| f64::from(point * point % 11) + 1.0).collect();
    let (hours, days) = (hours(56), days(28));
    let [hours, days]: [Vec<&str>; 2] =
        [&hours, &days].map(|times| times.iter().map(String::as_str).collect());
    let table =
        long_table(&[("a", &hours, &values), ("b", &days, &values[..28]), ("c", &hours, &values[..50])]);
    fs::write(&file, table).unwrap();
    let options = ["--horizon", "2", "--context", "16", "--windows", "1", "--no-intervals", "--per-series"];
    let report = json(evaluate(shared, &file, &[&options[..], &["--json"]].concat()));
    let seasonal = report["models"][2]["per_series"].as_array().unwrap();
    let expected = [("a", 24, 56), ("b", 7, 28), ("c", 24, 50)];
    assert_eq!(seasonal.len(), expected.len());
    for (found, (id, season, length)) in seasonal.iter().zip(expected) {
        assert_eq!((&found["series"], &found["season"]), (&id.into(), &season.into()));
        let error = |index: usize| (values[index] - values[index - season]).abs();
        close(&found["mae"], (error(length - 2) + error(length - 1)) / 2.0);
    }
    let given = json(evaluate(shared, &file, &[&options[..], &["--json", "--season", "5"]].concat()));
    assert!(
        given["models"][2]["per_series"].as_array().unwrap().iter().all(|series| series["season"] == 5),
        "{given}"
    );
    let printed = evaluate(shared, &file, &options).success();
    assert!(printed.contains("3 series, 3 windows") && printed.contains("seasons 7 to 24"), "{printed}");
}

fn any_kind_of_file_has_the_same_errors(shared: &Shared) {
    let folder = tempdir().unwrap();
    let values = series(60);
    let texts: Vec<String> = values.iter().map(f64::to_string).collect();
    let rows: Vec<String> = texts.iter().map(|text| format!("load,{text}")).collect();
    let files = [
        ("wide.csv", csv(&values)),
        ("long.csv", format!("unique_id,y\n{}\n", rows.join("\n"))),
        ("lines.jsonl", format!("{{\"sequence\": [{}]}}\n", texts.join(", "))),
    ];
    let options = ["--horizon", "4", "--context", "16", "--json"];
    let models = |outcome: Outcome| json(outcome)["models"].clone();
    let mut expected = None;
    for (name, text) in &files {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let found = models(evaluate(shared, &path, &options));
        assert!(found[0]["windows"] == 11 && found[0]["mse"].is_f64(), "{found}");
        assert_eq!(&found, expected.get_or_insert(found.clone()), "{name}");
    }
    let pipe = fs::File::open(folder.path().join("wide.csv")).unwrap();
    let arguments = arguments!["evaluate", shared.package("dense"), "--input", "-", "--provider", "tract"];
    let mut piped = command(arguments);
    let child = piped.args(options).stdin(pipe).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    assert_eq!(Some(models(Outcome::from(child.unwrap().wait_with_output().unwrap()))), expected);
}

fn every_series_has_a_line_of_its_own(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("wide.csv");
    let rows: Vec<String> = series(40).iter().map(|value| format!("{value},{}", 10.0 * value)).collect();
    fs::write(&file, format!("low,high\n{}\n", rows.join("\n"))).unwrap();
    let options = ["--horizon", "4", "--context", "16", "--per-series"];
    let report = json(evaluate(shared, &file, &[&options[..], &["--json"]].concat()));
    for model in report["models"].as_array().unwrap() {
        let [low, high] = [0, 1].map(|place| model["per_series"][place]["mse"].as_f64().unwrap());
        assert!((high / low / 100.0 - 1.0).abs() < 1e-3, "{low} {high}");
        close(&model["mse"], (low + high) / 2.0);
        assert_eq!((&model["windows"], &model["per_series"][0]["windows"]), (&12.into(), &6.into()));
    }
    let printed = evaluate(shared, &file, &options).success();
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0][..4], ["series", "model", "windows", "MSE"]);
    assert_eq!(
        lines[1..7].iter().map(|line| line[0]).collect::<Vec<_>>(),
        ["low", "low", "low", "high", "high", "high"]
    );
    close(
        &serde_json::from_str(lines[5][3]).unwrap(),
        report["models"][1]["per_series"][1]["mse"].as_f64().unwrap(),
    );
    assert!(lines[7].is_empty() && printed.contains("2 series, 12 windows"), "{printed}");
    let whole = json(evaluate(shared, &file, &["--horizon", "4", "--context", "16", "--json"]));
    assert!(whole["models"][0].get("per_series").is_none());
}

fn series_that_cannot_be_evaluated_are_named_and_left_out(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [all, good] = ["all.csv", "good.csv"].map(|name| folder.path().join(name));
    let values = series(40);
    let mut huge = values.clone();
    huge[30] = 1e300;
    let steps: Vec<String> = (0..40).map(|step| step.to_string()).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let known = [("good", &steps[..], &values[..])];
    fs::write(&good, long_table(&known)).unwrap();
    let others = [
        ("short", &steps[..9], &values[..9]),
        ("empty", &steps[..], &[f64::NAN; 40][..]),
        ("huge", &steps[..], &huge[..]),
    ];
    fs::write(&all, long_table(&[&others[..1], &known, &others[1..]].concat()).replace("NaN", "")).unwrap();
    let options = ["--horizon", "4", "--context", "16", "--no-intervals", "--json"];
    let outcome = evaluate(shared, &all, &options);
    let facts =
        ["`short`: 9 points are fewer than the 20", "`empty`: all 40 points", "`huge`: the window", "1e300"];
    for fact in facts {
        assert!(outcome.stderr.contains(fact), "{fact}: {outcome:?}");
    }
    assert_eq!(outcome.stderr.lines().count(), 3, "{outcome:?}");
    let (found, expected) = (json(outcome), json(evaluate(shared, &good, &options)));
    assert_eq!((&found["models"], &found["series"]), (&expected["models"], &1.into()));
    evaluate(shared, &all, &[&options[..], &["--strict"]].concat())
        .failure(&["all.csv", "`short`", "9 points"]);
    fs::write(&all, long_table(&others[2..])).unwrap();
    evaluate(shared, &all, &options).failure(&["all.csv", "no series can be evaluated", "`huge`", "1e300"]);
}

fn a_context_without_any_point_calibrates_nothing(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("late.csv");
    // Nothing is known of the contexts of the first windows, and of those that calibrate the first that is measured.
    let rows = series(60).into_iter().zip(40..);
    let known: String = rows.map(|(value, step)| format!("{step},{value}\n")).collect();
    let missing: String = (0..40).map(|step| format!("{step},\n")).collect();
    fs::write(&file, format!("step,load\n{missing}{known}")).unwrap();
    let options = ["--time-column", "step", "--horizon", "4", "--context", "16", "--json"];
    let outcome = evaluate(shared, &file, &options);
    assert_eq!(outcome.stderr, "");
    let report = json(outcome);
    let model = &report["models"][0];
    // Origins 44 to 96; there is nothing to see before 40 and some window begins at 40.
    assert_eq!(model["windows"], 14);
    assert!(model["mse"].is_f64() && model["wql"].is_f64(), "{model}");
    // The first window's own calibration has no score, so that it has no interval.
    let points = model["intervals"][0]["points"].as_u64().unwrap();
    assert!(points > 0 && points < model["points"].as_u64().unwrap(), "{model}");
}

fn the_newest_windows_are_drawn_with_what_came_true(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [file, svg] = ["load.csv", "plot.svg"].map(|name| folder.path().join(name));
    let rows: Vec<String> =
        hours(60).iter().zip(series(60)).map(|(time, value)| format!("{time},{value}\n")).collect();
    fs::write(&file, format!("date,load\n{}", rows.concat())).unwrap();
    let plot = ["--horizon", "4", "--context", "16", "--draw", "always", "--plot", svg.to_str().unwrap()];
    let drawn = evaluate(shared, &file, &plot);
    // The newest window begins at the 57th hour.
    assert!(
        drawn.stderr.contains("load") && drawn.stderr.contains("2024-01-03 08:00:00"),
        "{}",
        drawn.stderr
    );
    let printed = drawn.success();
    assert_eq!(printed, evaluate(shared, &file, &plot[..4]).success());
    let picture = fs::read_to_string(&svg).unwrap();
    for fact in ["4-point forecast and what came true", "load", "truth", "80 %", "95 %"] {
        assert!(picture.contains(fact), "{fact} is missing");
    }
    evaluate(shared, &file, &plot).failure(&["plot.svg", "--force"]);
    evaluate(shared, &file, &[&plot[..], &["--force", "--per-series"]].concat()).success();
}

fn more_context_than_the_model_holds_is_cut(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("long.csv");
    fs::write(&file, csv(&series(300))).unwrap();
    // The model holds 256 points.
    let report = json(evaluate(shared, &file, &["--horizon", "8", "--no-intervals", "--json"]));
    assert_eq!((&report["context"], &report["models"][0]["windows"]), (&248.into(), &6.into()));
    evaluate(shared, &file, &["--horizon", "256"]).failure(&["256", "at most 255"]);
}

fn a_series_shorter_than_a_window_is_named_with_its_file(shared: &Shared) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("short.csv");
    fs::write(&file, csv(&series(39))).unwrap();
    let outcome = evaluate(shared, &file, &["--horizon", "8", "--context", "32"]);
    outcome.failure(&["short.csv", "39 points", "40", "context 32 and horizon 8", "reduce"]);
}

fn nothing_to_evaluate_is_wrong_usage(_: &Shared) {
    run(["evaluate", "--input", "x.csv"]).usage_error(&["PACKAGE"]);
    for option in ["--horizon", "--context", "--windows", "--stride", "--season"] {
        run(["evaluate", "package", "--input", "x.csv", option, "0"]).usage_error(&[option]);
    }
    run(["evaluate", "package", "--input", "x.csv", "--no-intervals", "--levels", "80"])
        .usage_error(&["--levels"]);
}
