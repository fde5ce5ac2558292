//! Ctrl-C during a forecast: the command stops and nothing half-written remains.

use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::outcome::{entries, interrupted};
use crate::shared::{Shared, write_columns};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![an_interrupted_forecast_leaves_nothing];

fn an_interrupted_forecast_leaves_nothing(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [table, output] = ["table.csv", "forecast.csv"].map(|name| folder.path().join(name));
    let column = |series: usize| (0..400).map(|point| ((series * point) as f32).sin()).collect();
    // Enough series for many passes, between which the command looks whether to stop.
    let series: Vec<Vec<f32>> = (0..400).map(column).collect();
    write_columns(&table, &series);
    let package = shared.package("demo");
    // Before the session is open a signal ends the process at once, so wait longer until it comes during the passes.
    for wait in [1, 2, 4, 8, 16].map(|quarters| Duration::from_millis(250 * quarters)) {
        let mut forecast = command(arguments!["forecast", package, "--input", table, "--output", output]);
        let begin = Instant::now();
        let outcome = interrupted(forecast.args(["--horizon", "96", "--provider", "tract"]), "INT", || {
            begin.elapsed() > wait
        });
        assert_ne!(outcome.code, Some(0), "the forecast ended before its signal came");
        assert_eq!(entries(folder.path()), ["table.csv"]);
        if outcome.code.is_some() {
            outcome.failure(&["cancelled"]);
            return;
        }
    }
    panic!("no signal came during the passes");
}
