//! `tmoe bench`, as small as it goes: what is reported, not how fast it is.

use serde_json::Value;

use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    json_reports_every_figure,
    a_table_is_for_people,
    sizes_that_the_model_does_not_hold_are_refused,
    a_batch_that_no_memory_holds_is_refused,
];

fn bench(shared: &Shared, more: &[&str]) -> Outcome {
    let arguments = arguments!["bench", shared.package("moe"), "--provider", "tract", "--repeats", "2"];
    Outcome::of(command(arguments).args(more))
}

fn json_reports_every_figure(shared: &Shared) {
    for graph in ["standard", "dense"] {
        let sizes = ["--batch", "2", "--context", "16", "--horizon", "9", "--json", "--graph", graph];
        let report: Value = serde_json::from_str(&bench(shared, &sizes).success()).unwrap();
        assert_eq!(report["provider"], "tract");
        assert_eq!(report["graph"], graph);
        assert_eq!(
            (&report["batch"], &report["context"], &report["horizon"]),
            (&2.into(), &16.into(), &9.into())
        );
        assert_eq!((&report["prefill"]["points"], &report["prefill"]["past"]), (&16.into(), &0.into()));
        assert_eq!((&report["decode"]["points"], &report["decode"]["past"]), (&64.into(), &16.into()));
        for pass in ["prefill", "decode"] {
            assert_eq!(report[pass]["seconds"]["runs"], 2);
            for figure in [
                "/seconds/median",
                "/points_per_second",
                "/flops",
                "/roofline/gflops",
                "/roofline_ratio",
                "/peak_gflops",
                "/peak_ratio",
            ] {
                let value = report[pass].pointer(figure).and_then(Value::as_f64);
                assert!(value.is_some_and(|value| value > 0.0), "{pass}{figure}: {value:?}");
            }
        }
        assert!(report["forecast"]["median"].as_f64().unwrap() > 0.0);
        assert!(report["load_seconds"].as_f64().unwrap() > 0.0);
    }
}

fn a_table_is_for_people(shared: &Shared) {
    let printed = bench(shared, &["--context", "16", "--horizon", "8"]).success();
    for expected in [
        "tract standard",
        "prefill, 16 on 0",
        "decode, 64 on 16",
        "forecast of 8",
        "roofline ratio",
        "of the peak",
    ] {
        assert!(printed.contains(expected), "{expected} is missing in:\n{printed}");
    }
}

fn sizes_that_the_model_does_not_hold_are_refused(shared: &Shared) {
    bench(shared, &["--context", "500", "--horizon", "13"]).failure(&["500", "13", "512"]);
    bench(shared, &["--context", "18446744073709551615"]).failure(&["512"]);
    for option in ["--batch", "--context", "--horizon", "--repeats"] {
        run(["bench", "package", option, "0"]).usage_error(&[option, "at least 1"]);
    }
}

fn a_batch_that_no_memory_holds_is_refused(shared: &Shared) {
    for batch in ["1000000000000", "18446744073709551615"] {
        let outcome = bench(shared, &["--context", "8", "--horizon", "1", "--batch", batch]);
        assert!(matches!(outcome.code, Some(1 | 2)) && outcome.stderr.starts_with("error: "), "{outcome:#?}");
        assert!(outcome.stderr.contains(batch), "{outcome:#?}");
    }
}
