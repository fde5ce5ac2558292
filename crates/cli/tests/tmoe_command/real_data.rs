//! A forecast of measured data, where the public table ETTh1 lies beside the project.

use std::path::{Path, PathBuf};

use crate::outcome::Outcome;
use crate::shared::{Printed, Shared};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![etth1_is_forecast];

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
