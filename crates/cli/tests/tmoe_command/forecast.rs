//! `tmoe forecast`: the numbers, the time stamps and the forms of the result.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use tempfile::tempdir;
use tmoe_tests::packages::Variant;

use crate::outcome::{Outcome, entries};
use crate::shared::{Printed, Shared, largest_difference, operations, small_table, write_columns};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    the_numbers_are_those_of_the_original_model,
    the_demo_s_sample_is_forecast_as_the_original_model_does,
    half_precision_forecasts_nearly_the_same,
    window_normalisation_follows_scale_and_offset,
    hourly_time_stamps_continue_under_the_same_header,
    month_ends_continue_on_month_ends,
    without_time_stamps_the_forecast_counts_its_steps,
    json_holds_the_same_numbers_as_csv,
    a_file_gets_what_standard_output_would_get,
    standard_input_is_a_table_too,
    missing_points_are_no_obstacle,
    context_takes_the_newest_points_only,
    more_context_than_there_is_or_fits_is_cut,
    a_series_that_cannot_be_forecast_is_named_and_left_out,
    long_tables_lie_in_rows_and_keep_their_names,
    the_same_series_in_any_kind_of_file_have_the_same_forecast,
    gaps_are_missing_points_and_are_told,
    history_stands_before_the_forecast,
    a_horizon_or_context_of_nothing_is_refused,
    a_horizon_beyond_the_model_is_refused_with_the_limit,
    a_reader_that_has_seen_enough_is_no_failure,
];

#[track_caller]
fn json(outcome: Outcome) -> Value {
    serde_json::from_str(&outcome.success()).expect("JSON")
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().expect("a list").iter().map(|value| value.as_f64().expect("a number")).collect()
}

fn the_numbers_are_those_of_the_original_model(shared: &Shared) {
    for name in ["moe", "moe-gqa", "moe-bf16", "dense", "gelu-one-head"] {
        let golden = shared.golden(name);
        let folder = tempdir().unwrap();
        let table = folder.path().join("table.csv");
        let series: Vec<Vec<f32>> =
            golden.matrix("series").rows().into_iter().map(|row| row.to_vec()).collect();
        write_columns(&table, &series);
        for graph in ["standard", "dense"] {
            for horizon in golden.suffixes("generate.") {
                let report = json(run(arguments![
                    "forecast",
                    shared.package(name),
                    "--input",
                    table,
                    "--horizon",
                    horizon,
                    "--normalize",
                    "none",
                    "--provider",
                    "tract",
                    "--graph",
                    graph,
                    "--json"
                ]));
                for (row, expected) in
                    golden.matrix(&format!("generate.{horizon}")).rows().into_iter().enumerate()
                {
                    let found = numbers(&report["series"][format!("s{row}")]);
                    let expected: Vec<f64> = expected.iter().map(|&value| f64::from(value)).collect();
                    let difference = largest_difference(&found, &expected);
                    assert!(
                        difference <= 1e-4,
                        "{name}/{graph}: {difference:e} at horizon {horizon}, series {row}"
                    );
                }
            }
        }
    }
}

fn the_demo_s_sample_is_forecast_as_the_original_model_does(shared: &Shared) {
    let golden = shared.golden("demo");
    let series = golden.matrix("sample.series").row(0).to_vec();
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    write_columns(&table, std::slice::from_ref(&series));
    let arguments =
        arguments!["forecast", shared.package("demo"), "--input", table, "--horizon", "96", "--json"];
    let report = json(Outcome::of(command(arguments).args(["--provider", "tract"])));

    let count = series.len() as f64;
    let mean = series.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let deviation =
        (series.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count).sqrt();
    let expected: Vec<f64> =
        golden.matrix("sample.forecast.96").iter().map(|&value| f64::from(value)).collect();
    let difference = largest_difference(&numbers(&report["series"]["s0"]), &expected) / deviation;
    assert!(difference <= 1e-4, "{difference:e} standard deviations");
}

fn half_precision_forecasts_nearly_the_same(shared: &Shared) {
    let forecast = |variant| {
        let package = shared.variant("moe", variant);
        let arguments =
            arguments!["forecast", package, "--input", operations(), "--horizon", "8", "--context", "100"];
        Printed::read(&Outcome::of(command(arguments).args(["--provider", "tract"])).success()).columns
    };
    for (half, single) in forecast(Variant::Half).iter().zip(&forecast(Variant::Full)) {
        let size = single.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
        let difference = largest_difference(half, single);
        assert!(difference > 0.0 && difference < 0.01 * size, "{difference:e} of {size:e}");
    }
}

fn window_normalisation_follows_scale_and_offset(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let plain: Vec<f32> = (0..60).map(|point| (point as f32 * 0.5).sin() + 0.01 * point as f32).collect();
    let scaled: Vec<f32> = plain.iter().map(|value| 1000.0 * value - 5000.0).collect();
    let constant = vec![42.0; 60];
    write_columns(&table, &[plain, scaled, constant]);
    let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "20"];
    let printed = Printed::read(&Outcome::of(command(arguments).args(["--provider", "tract"])).success());
    let [plain, scaled, constant] = printed.columns.as_slice() else { panic!("three series") };
    let expected: Vec<f64> = plain.iter().map(|value| 1000.0 * value - 5000.0).collect();
    assert!(largest_difference(scaled, &expected) < 0.1);
    // A constant series is divided by 1: what the model adds to it stays small beside it.
    assert!(constant.iter().all(|value| (value - 42.0).abs() < 10.0), "{constant:?}");
}

fn hourly_time_stamps_continue_under_the_same_header(shared: &Shared) {
    let arguments =
        arguments!["forecast", shared.package("demo"), "--input", operations(), "--horizon", "30"];
    let printed = Outcome::of(command(arguments).args(["--provider", "tract"])).success();
    let history = fs::read_to_string(operations()).unwrap();
    assert_eq!(printed.lines().next(), history.lines().next());
    let printed = Printed::read(&printed);
    assert_eq!(printed.time.len(), 30);
    assert_eq!(printed.time[0], "2026-03-30 00:00:00");
    assert_eq!(printed.time[23], "2026-03-30 23:00:00");
    assert_eq!(printed.time[29], "2026-03-31 05:00:00");
    assert_eq!(printed.columns.len(), 4);
    assert!(printed.columns.iter().flatten().all(|value| value.is_finite()));
}

fn month_ends_continue_on_month_ends(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    fs::write(&table, "month,sales\n2023-10-31,1\n2023-11-30,2\n2023-12-31,3\n").unwrap();
    let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "3"];
    let printed = Printed::read(&Outcome::of(command(arguments).args(["--provider", "tract"])).success());
    assert_eq!(printed.names, ["month", "sales"]);
    assert_eq!(printed.time, ["2024-01-31", "2024-02-29", "2024-03-31"]);
}

fn without_time_stamps_the_forecast_counts_its_steps(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    fs::write(&table, "load,temperature\n1,2\n3,4\n5,6\n").unwrap();
    let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "2"];
    let printed = Printed::read(&Outcome::of(command(arguments).args(["--provider", "tract"])).success());
    assert_eq!(printed.names, ["step", "load", "temperature"]);
    assert_eq!(printed.time, ["1", "2"]);
}

fn json_holds_the_same_numbers_as_csv(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let forecast = |more: &[&str]| {
        let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "9"];
        Outcome::of(command(arguments).args(["--provider", "tract"]).args(more))
    };
    let csv = Printed::read(&forecast(&[]).success());
    let report = json(forecast(&["--json"]));
    assert_eq!(report["time_column"], "date");
    assert_eq!(report["time"][0], "2024-03-01");
    assert_eq!(report["time"].as_array().unwrap().len(), 9);
    for (name, column) in csv.names.iter().skip(1).zip(&csv.columns) {
        assert_eq!(&numbers(&report["series"][name]), column);
    }
}

fn a_file_gets_what_standard_output_would_get(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    for (format, name) in [(None, "forecast.csv"), (Some("--json"), "forecast.json")] {
        let forecast = || {
            let arguments =
                arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "9"];
            let mut command = command(arguments);
            command.args(["--provider", "tract"]).args(format);
            command
        };
        let file = folder.path().join(name);
        let printed = Outcome::of(forecast().arg("--output").arg(&file));
        assert_eq!(printed.stderr, "");
        assert_eq!(printed.success(), "");
        assert_eq!(fs::read_to_string(&file).unwrap(), Outcome::of(&mut forecast()).success());
    }
    assert_eq!(entries(folder.path()), ["forecast.csv", "forecast.json", "table.csv"]);
}

fn standard_input_is_a_table_too(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let package = shared.package("dense");
    let from_file =
        run(arguments!["forecast", package, "--input", table, "--horizon", "3", "--provider", "tract"])
            .success();
    let from_pipe = |text: &[u8]| {
        let mut command = command(arguments!["forecast", package, "--input", "-", "--horizon", "3"]);
        command
            .args(["--provider", "tract"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        Outcome::from(child.wait_with_output().unwrap())
    };
    assert_eq!(from_pipe(&fs::read(&table).unwrap()).success(), from_file);
    from_pipe(b"").failure(&["standard input", "empty"]);
}

fn missing_points_are_no_obstacle(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    fs::write(&table, "date,a,b,c\n2024-01-01,,1,1\n2024-01-02,2,,2\n2024-01-03,3,3,\n2024-01-04,4,NaN,\n")
        .unwrap();
    let arguments = arguments!["forecast", shared.package("moe"), "--input", table, "--horizon", "5"];
    let printed = Printed::read(&Outcome::of(command(arguments).args(["--provider", "tract"])).success());
    assert_eq!(printed.time[0], "2024-01-05");
    assert_eq!(printed.columns.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 5]);
    assert!(printed.columns.iter().flatten().all(|value| value.is_finite()));
}

fn context_takes_the_newest_points_only(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [long, short] = ["long.csv", "short.csv"].map(|name| folder.path().join(name));
    let series: Vec<f32> = (0..50).map(|point| (point as f32).sin() * point as f32).collect();
    write_columns(&long, std::slice::from_ref(&series));
    write_columns(&short, &[series[30..].to_vec()]);
    let forecast = |table, context: &[&str]| {
        let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "8"];
        Outcome::of(command(arguments).args(["--provider", "tract"]).args(context)).success()
    };
    assert_eq!(forecast(&long, &["--context", "20"]), forecast(&short, &[]));
    assert_ne!(forecast(&long, &[]), forecast(&short, &[]));
}

fn more_context_than_there_is_or_fits_is_cut(shared: &Shared) {
    let forecast = |context: &[&str]| {
        let arguments =
            arguments!["forecast", shared.package("dense"), "--input", operations(), "--horizon", "8"];
        Outcome::of(command(arguments).args(["--provider", "tract"]).args(context)).success()
    };
    // The model holds 256 points.
    assert_eq!(forecast(&["--context", "18446744073709551615"]), forecast(&["--context", "248"]));
    assert_eq!(forecast(&[]), forecast(&["--context", "248"]));
}

fn long_tables_lie_in_rows_and_keep_their_names(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    fs::write(
        &table,
        "shop,day,sold\na,2024-01-01,1\na,2024-01-02,2\nb,2024-02-01,\nc,2024-03-01,1\nc,2024-03-02,3\n",
    )
    .unwrap();
    let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "2"];
    let columns = ["--id-column", "shop", "--time-column", "day", "--target-column", "sold"];
    let outcome = Outcome::of(command(arguments).args(["--provider", "tract"]).args(columns));
    assert!(outcome.stderr.contains("`b`") && outcome.stderr.contains("at least 2"), "{outcome:?}");
    let printed = outcome.success();
    let lines: Vec<Vec<&str>> = printed.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["shop", "day", "forecast", "error"]);
    let keys: Vec<[&str; 2]> = lines[1..].iter().map(|line| [line[0], line[1]]).collect();
    let expected =
        [["a", "2024-01-03"], ["a", "2024-01-04"], ["b", ""], ["c", "2024-03-03"], ["c", "2024-03-04"]];
    assert_eq!(keys, expected);
    assert!(lines[3][3].contains("at least 2") && lines[1][2].parse::<f64>().is_ok(), "{printed}");
}

fn the_same_series_in_any_kind_of_file_have_the_same_forecast(shared: &Shared) {
    let folder = tempdir().unwrap();
    let values: Vec<f64> = (0..40).map(|point| f64::from(point % 7) + 0.25 * f64::from(point)).collect();
    let texts: Vec<String> = values.iter().map(f64::to_string).collect();
    let wide = format!("load\n{}\n", texts.join("\n"));
    let rows: Vec<String> = texts.iter().map(|text| format!("load,{text}")).collect();
    let long = format!("unique_id,y\n{}\n", rows.join("\n"));
    let lines = format!("{{\"sequence\": [{}]}}\n", texts.join(", "));
    let forecast = |name: &str, options: &[&str]| {
        let path = folder.path().join(name);
        let arguments = arguments!["forecast", shared.package("dense"), "--input", path, "--horizon", "9"];
        Outcome::of(command(arguments).args(["--provider", "tract"]).args(options)).success()
    };
    for (name, text) in [("wide.csv", &wide), ("long.csv", &long), ("lines.jsonl", &lines)] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let expected = Printed::read(&forecast("wide.csv", &[])).columns.remove(0);
    for name in ["wide.csv", "long.csv", "lines.jsonl"] {
        let report: Value =
            serde_json::from_str(&forecast(name, &["--json", "--output-layout", "long"])).unwrap();
        assert_eq!(numbers(&report[0]["forecast"]), expected, "{name}");
    }
    // What was written can be read: the forecast of a Parquet file with the history is the forecast of the table.
    let parquet = folder.path().join("table.parquet");
    let output = ["--history", "--output-layout", "wide", "--output", parquet.to_str().unwrap()];
    assert_eq!(forecast("wide.csv", &output), "");
    let from_parquet = Printed::read(&forecast("table.parquet", &["--context", "40"]));
    let mut longer = values.clone();
    longer.extend(&expected);
    write_columns(
        &folder.path().join("longer.csv"),
        &[longer.iter().map(|&value| value as f32).collect::<Vec<_>>()],
    );
    let from_csv = Printed::read(&forecast("longer.csv", &["--context", "40"]));
    let difference = largest_difference(&from_parquet.columns[0], &from_csv.columns[0]);
    assert!(difference < 1e-4, "{difference:e}");
}

fn gaps_are_missing_points_and_are_told(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    let day = |day: u32| format!("2024-01-{day:02},{}\n", day % 5);
    let days = (1..=20).filter(|day| ![7, 8].contains(day)).map(day);
    fs::write(&table, "date,load\n".to_owned() + &days.collect::<String>()).unwrap();
    let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "2"];
    let outcome = Outcome::of(command(&arguments).args(["--provider", "tract"]));
    assert!(outcome.stderr.contains("`load`: 2 time stamps that were left out"), "{outcome:?}");
    assert!(outcome.stderr.contains("row 8"), "{outcome:?}");
    let masked = Printed::read(&outcome.success());
    assert_eq!(masked.time, ["2024-01-21", "2024-01-22"]);
    let interpolate = ["--provider", "tract", "--missing", "interpolate"];
    let interpolated = Printed::read(&Outcome::of(command(&arguments).args(interpolate)).success());
    assert_ne!(masked.columns, interpolated.columns);
    let refuse = ["--provider", "tract", "--gaps", "error", "--strict"];
    Outcome::of(command(&arguments).args(refuse)).failure(&["`load`", "row 8", "2024-01-09"]);
}

fn history_stands_before_the_forecast(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "3"];
    let outcome = Outcome::of(command(arguments).args(["--provider", "tract", "--history"]));
    let printed = outcome.success();
    let history = fs::read_to_string(&table).unwrap();
    assert_eq!(printed.lines().count(), history.lines().count() + 3);
    let times = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(times(&printed)[..history.lines().count()], times(&history)[..]);
}

fn a_series_that_cannot_be_forecast_is_named_and_left_out(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = folder.path().join("table.csv");
    for (cell, fact) in [("", "missing"), ("1e300", "1e300")] {
        fs::write(&table, format!("good,bad\n1,\n2,{cell}\n")).unwrap();
        let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "5"];
        let forecast =
            |options: &[&str]| Outcome::of(command(&arguments).args(["--provider", "tract"]).args(options));
        let outcome = forecast(&[]);
        assert!(outcome.stderr.contains("`bad`") && outcome.stderr.contains(fact), "{outcome:?}");
        let printed = Printed::read(&outcome.success());
        assert!(printed.columns[0].iter().all(|value| value.is_finite()));
        assert!(printed.columns[1].iter().all(|value| value.is_nan()));
        forecast(&["--strict"]).failure(&["`bad`", fact]);
    }
}

fn a_horizon_or_context_of_nothing_is_refused(shared: &Shared) {
    let folder = tempdir().unwrap();
    for table in [small_table(folder.path()), operations()] {
        let arguments =
            arguments!["forecast", shared.package("dense"), "--provider", "tract", "--input", table];
        Outcome::of(command(&arguments).args(["--horizon", "0"])).failure(&["horizon is 0"]);
        Outcome::of(command(&arguments).args(["--horizon", "5", "--context", "0"]))
            .failure(&["context is 0"]);
    }
}

fn a_horizon_beyond_the_model_is_refused_with_the_limit(shared: &Shared) {
    let folder = tempdir().unwrap();
    let output = folder.path().join("forecast.csv");
    let plain = folder.path().join("plain.csv");
    write_columns(&plain, &[vec![1.0, 2.0, 4.0]]);
    for table in [plain, operations()] {
        for horizon in ["256", "1000000", "9000000000000000", "18446744073709551615"] {
            let arguments =
                arguments!["forecast", shared.package("dense"), "--input", table, "--output", output];
            let outcome = Outcome::of(command(arguments).args(["--provider", "tract", "--horizon", horizon]));
            outcome.failure(&[horizon, "256", "at most 255"]);
        }
    }
    assert_eq!(entries(folder.path()), ["plain.csv"]);
    let arguments =
        arguments!["forecast", shared.package("dense"), "--input", operations(), "--horizon", "255"];
    Outcome::of(command(arguments).args(["--provider", "tract"])).success();
}

fn a_reader_that_has_seen_enough_is_no_failure(shared: &Shared) {
    for format in [None, Some("--json")] {
        let arguments =
            arguments!["forecast", shared.package("dense"), "--input", operations(), "--horizon", "200"];
        let outcome =
            crate::outcome::without_a_reader(command(arguments).args(["--provider", "tract"]).args(format));
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    }
}
