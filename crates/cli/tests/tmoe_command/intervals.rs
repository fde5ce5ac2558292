//! `tmoe forecast --levels` and `--quantiles`: where intervals stand, and that they are those of the errors made before.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::outcome::Outcome;
use crate::shared::{Printed, Shared, largest_difference, write_columns};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    one_earlier_forecast_gives_its_own_error_as_the_interval,
    wide_tables_have_bounds_beside_each_series_from_low_to_high,
    long_tables_and_json_lines_name_bounds_after_the_forecast,
    a_series_too_short_has_the_errors_of_the_others,
    without_any_errors_there_are_no_intervals_and_a_note,
    intervals_are_drawn,
    levels_beyond_their_range_are_refused,
];

/// 60 points that no model forecasts exactly.
fn uneven(seed: u32) -> Vec<f32> {
    (0..60_u32).map(|point| ((point * point + seed * 7) % 23) as f32 + (point % 6) as f32 * 4.0).collect()
}

fn deviation(values: &[f32]) -> f64 {
    let values = || values.iter().copied().map(f64::from);
    let count = values().count() as f64;
    let mean = values().sum::<f64>() / count;
    (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn one_earlier_forecast_gives_its_own_error_as_the_interval(shared: &Shared) {
    let folder = tempdir().unwrap();
    let values = uneven(1);
    let forecast = |values: &[f32], more: &[&str]| {
        let path = folder.path().join("series.csv");
        write_columns(&path, &[values.to_vec()]);
        let arguments = arguments!["forecast", shared.package("moe"), "--input", path, "--horizon", "1"];
        let outcome =
            Outcome::of(command(arguments).args(["--provider", "tract", "--context", "20"]).args(more));
        Printed::read(&outcome.success())
    };
    let earlier = forecast(&values[..59], &[]).columns[0][0];
    let error = (earlier - f64::from(values[59])).abs();
    let expected = error / deviation(&values[39..59]) * deviation(&values[40..]);

    let printed = forecast(&values, &["--levels", "50,90", "--interval-origins", "1"]);
    assert_eq!(printed.names, ["step", "s0", "s0-lo-90", "s0-lo-50", "s0-hi-50", "s0-hi-90"]);
    let point = printed.columns[0][0];
    // A single error is all that is known: every level has it.
    for (column, side) in [(1, -1.0), (2, -1.0), (3, 1.0), (4, 1.0)] {
        let found = side * (printed.columns[column][0] - point);
        assert!((found - expected).abs() < 1e-4 * expected, "{found} is not {expected}");
    }
}

fn wide_tables_have_bounds_beside_each_series_from_low_to_high(shared: &Shared) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("table.csv");
    write_columns(&path, &[uneven(1), uneven(2)]);
    let forecast = |more: &[&str]| {
        let arguments = arguments!["forecast", shared.package("moe"), "--input", path, "--horizon", "6"];
        let outcome =
            Outcome::of(command(arguments).args(["--provider", "tract", "--context", "20"]).args(more));
        Printed::read(&outcome.success())
    };
    let points = forecast(&[]);
    let printed = forecast(&["--levels", "95,80", "--quantiles", "0.5,0.1"]);
    let bounds = ["", "-lo-95", "-lo-80", "-hi-80", "-hi-95", "-q-0.1", "-q-0.5"];
    let names = ["s0", "s1"].map(|series| bounds.map(|bound| format!("{series}{bound}")));
    assert_eq!(printed.names[1..], names.concat());
    for series in 0..2 {
        let columns = &printed.columns[7 * series..7 * (series + 1)];
        assert!(largest_difference(&columns[0], &points.columns[series]) < 1e-3);
        assert_eq!(columns[6], columns[0], "the quantile of 0.5 is the forecast");
        assert_eq!(columns[5], columns[2], "the quantile of 0.1 is the lower end of 80 %");
        let step = |step: usize| [1, 2, 0, 3, 4].map(|column: usize| columns[column][step]);
        for ascending in (0..6).map(step) {
            assert!(ascending.is_sorted() && ascending[0] < ascending[4], "{ascending:?}");
        }
    }
}

fn long_tables_and_json_lines_name_bounds_after_the_forecast(shared: &Shared) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("long.csv");
    let rows: Vec<String> =
        uneven(3).iter().enumerate().map(|(point, value)| format!("a,{point},{value}")).collect();
    fs::write(&path, format!("unique_id,ds,y\n{}\n", rows.join("\n"))).unwrap();
    let forecast = |more: &[&str]| {
        let arguments = arguments!["forecast", shared.package("moe"), "--input", path, "--horizon", "3"];
        let outcome =
            Outcome::of(command(arguments).args(["--provider", "tract", "--levels", "80"]).args(more));
        outcome.success()
    };
    let csv = forecast(&[]);
    assert_eq!(csv.lines().next(), Some("unique_id,ds,forecast,forecast-lo-80,forecast-hi-80,error"));
    let line: Value = serde_json::from_str(&forecast(&["--output-format", "jsonl"])).unwrap();
    let low = line["forecast-lo-80"].as_array().unwrap();
    assert_eq!(low.len(), 3);
    assert_eq!(csv.lines().nth(1).unwrap().split(',').nth(3), Some(low[0].to_string().as_str()));
}

fn a_series_too_short_has_the_errors_of_the_others(shared: &Shared) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("lines.jsonl");
    let long = serde_json::json!({ "sequence": uneven(4) });
    let short = serde_json::json!({ "sequence": [1.0, 2.0, 1.0, 3.0] });
    fs::write(&path, format!("{long}\n{short}\n")).unwrap();
    let arguments = arguments!["forecast", shared.package("moe"), "--input", path, "--horizon", "3"];
    let outcome = Outcome::of(command(arguments).args([
        "--provider",
        "tract",
        "--levels",
        "80",
        "--output-format",
        "jsonl",
    ]));
    assert_eq!(outcome.stderr, "");
    let printed = outcome.success();
    let line: Value = serde_json::from_str(printed.lines().nth(1).unwrap()).unwrap();
    for step in 0..3 {
        let value = |name: &str| line[name][step].as_f64().unwrap();
        assert!(value("forecast-lo-80") < value("forecast") && value("forecast") < value("forecast-hi-80"));
    }
}

fn without_any_errors_there_are_no_intervals_and_a_note(shared: &Shared) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("short.csv");
    fs::write(&path, "load\n1\n2\n1\n").unwrap();
    let arguments = arguments!["forecast", shared.package("moe"), "--input", path, "--horizon", "3"];
    let outcome = Outcome::of(command(arguments).args(["--provider", "tract", "--levels", "80"]));
    assert!(
        outcome.stderr.contains("no intervals for the series `load`: its 3 points"),
        "{}",
        outcome.stderr
    );
    let printed = Printed::read(&outcome.success());
    assert!(printed.columns[0].iter().all(|value| value.is_finite()));
    assert!(printed.columns[1..].iter().flatten().all(|value| value.is_nan()));
}

fn intervals_are_drawn(shared: &Shared) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("table.csv");
    write_columns(&path, &[uneven(5)]);
    let plots = ["plot.svg", "plot.html"].map(|name| folder.path().join(name));
    let arguments = arguments![
        "forecast",
        shared.package("moe"),
        "--input",
        path,
        "--horizon",
        "6",
        "--levels",
        "80,99.5",
        "--plot",
        plots[0],
        "--plot",
        plots[1]
    ];
    Outcome::of(command(arguments).args(["--provider", "tract"])).success();
    for plot in plots {
        let text = fs::read_to_string(&plot).unwrap();
        assert!(text.contains("80") && text.contains("99.5"), "{}", plot.display());
    }
    let printed = fs::read_to_string(folder.path().join("plot.svg")).unwrap();
    assert!(printed.contains("80 %") && printed.contains("99.5 %"));
}

fn levels_beyond_their_range_are_refused(shared: &Shared) {
    for (option, value, expected) in [
        ("--levels", "80,100", "between 0 and 100"),
        ("--quantiles", "95", "between 0 and 1"),
        ("--interval-origins", "0", "from 1 to 1000"),
    ] {
        let arguments = arguments!["forecast", shared.package("moe"), "--input", "-", "--horizon", "3"];
        let outcome = Outcome::of(command(arguments).args([option, value]));
        outcome.usage_error(&[expected]);
    }
}
