//! Command lines that cannot be understood, and the help that explains them.

use crate::run;
use crate::shared::Shared;

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    what_a_command_needs_and_lacks_is_named,
    values_that_cannot_be_read_are_named,
    help_and_version_are_results,
];

fn what_a_command_needs_and_lacks_is_named(_: &Shared) {
    run(["forecast", "--horizon", "5", "--input", "t.csv"]).usage_error(&["<PACKAGE>"]);
    run(["forecast", "package", "--horizon", "5"]).usage_error(&["--input"]);
    run(["forecast", "package", "--input", "t.csv"]).usage_error(&["--horizon"]);
    run(["run", "package", "--inputs", "in"]).usage_error(&["--outputs"]);
    run(["verify"]).usage_error(&["<PACKAGE>"]);
    run(["bench"]).usage_error(&["<PACKAGE>"]);
}

fn values_that_cannot_be_read_are_named(_: &Shared) {
    let with = |more: [&'static str; 2]| {
        run(["forecast", "package", "--input", "t.csv", "--horizon", "5"].into_iter().chain(more))
    };
    with(["--graph", "sparse"]).usage_error(&["sparse", "--graph", "standard, dense, plugin"]);
    with(["--normalize", "minmax"]).usage_error(&["minmax", "--normalize", "window or none"]);
    with(["--context", "many"]).usage_error(&["many", "--context"]);
    with(["--threads", "0"]).usage_error(&["--threads"]);
    with(["--draw", "nicely"]).usage_error(&["nicely", "auto, always, never"]);
    run(["forecast", "package", "--input", "t.csv", "--horizon", "-5"]).usage_error(&["-5"]);
    run(["forecast", "package", "--input", "t.csv", "--horizon", "1.5"]).usage_error(&["1.5", "--horizon"]);
    run(["forcast"]).usage_error(&["forcast", "forecast"]);
}

fn help_and_version_are_results(_: &Shared) {
    let help = run(["--help"]).success();
    for command in ["forecast", "run", "verify", "bench", "providers", "serve"] {
        assert!(help.contains(command), "{help}");
        run([command, "--help"]).success();
    }
    assert_eq!(run(["--version"]).success(), format!("tmoe {}\n", env!("CARGO_PKG_VERSION")));
}
