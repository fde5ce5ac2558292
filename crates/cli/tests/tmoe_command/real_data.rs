//! Forecasts and backtests of measured data, where the public table ETTh1 lies beside the project.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::outcome::Outcome;
use crate::shared::{Printed, Shared};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    etth1_is_forecast,
    the_time_moe_protocol_gives_what_the_original_gives,
    intervals_of_95_percent_hold_about_so_many_points,
];

/// Where the table is expected.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ETTh1.csv")
}

fn etth1_is_forecast(shared: &Shared) {
    let arguments = arguments!["forecast", shared.package("demo"), "--input", path(), "--horizon", "96"];
    let outcome = Outcome::of(command(arguments).args(["--context", "512", "--provider", "tract"]));
    let printed = Printed::read(&outcome.success());
    assert_eq!(printed.names, ["date", "HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]);
    assert_eq!(printed.time.len(), 96);
    assert_eq!(printed.time[0], "2018-06-26 20:00:00");
    assert_eq!(printed.time[95], "2018-06-30 19:00:00");
    assert!(printed.columns.iter().flatten().all(|value| value.is_finite()));
}

/// The numbers are those of the original PyTorch model in its own evaluation, float32, from the demo checkpoint's weights.
fn the_time_moe_protocol_gives_what_the_original_gives(shared: &Shared) {
    let arguments =
        arguments!["evaluate", shared.package("demo"), "--input", path(), "--protocol", "time-moe"];
    let outcome = Outcome::of(command(arguments).args(["--horizon", "96", "--json"]));
    let report: Value = serde_json::from_str(&outcome.success()).unwrap();
    let model = &report["models"][0];
    assert_eq!(
        (&report["context"], &report["series"], &model["windows"]),
        (&512.into(), &7.into(), &19_488.into())
    );
    for (metric, expected) in [("mse", 1.015_334_0), ("mae", 0.811_827_1)] {
        let found = model[metric].as_f64().unwrap();
        assert!((found - expected).abs() < 1e-4, "{metric} {found} is not {expected}");
    }
}

fn intervals_of_95_percent_hold_about_so_many_points(shared: &Shared) {
    let arguments =
        arguments!["evaluate", shared.package("demo"), "--input", path(), "--windows", "24", "--json"];
    let report: Value = serde_json::from_str(&Outcome::of(&mut command(arguments)).success()).unwrap();
    let [model, seasonal] = [&report["models"][0], &report["models"][2]];
    let interval = &model["intervals"][1];
    assert_eq!((&interval["level"], &interval["points"]), (&95.0.into(), &(7 * 24 * 96).into()));
    let coverage = interval["coverage"].as_f64().unwrap();
    assert!((92.0..=98.0).contains(&coverage), "{coverage}");
    let mse = |report: &Value| report["mse"].as_f64().unwrap();
    assert!(mse(model) < mse(seasonal), "{report}");
}
