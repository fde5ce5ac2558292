//! Files of series: forecasts come in the order of the file and are those of the series alone, however they are cut and shared out.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};

use tmoe_data::read::ReadOptions;
use tmoe_forecast::{FileForecaster, Intervals, RunError, SeriesForecast, SeriesProblem, Summary};
use tmoe_package::OpSet;
use tmoe_runner::{CancelToken, Control, Forecaster, Provider, Session};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::subject::Subject;

const HORIZON: usize = 9;

/// The smallest checkpoint, on the provider that is there on every machine.
fn session() -> Arc<Session> {
    static SESSION: OnceLock<(Packages, Arc<Session>)> = OnceLock::new();
    let (_, session) = SESSION.get_or_init(|| {
        let packages = Packages::new().unwrap();
        let golden = Golden::all().into_iter().find(|golden| golden.name() == "moe").unwrap();
        let subject = Subject { provider: Provider::Tract, graph: OpSet::Standard };
        let session = packages.session(&golden, Variant::Last, subject).unwrap();
        (packages, session)
    });
    Arc::clone(session)
}

fn forecaster() -> Forecaster {
    Forecaster::new(session()).with_token_budget(64)
}

/// A long table: series of 2 to 14 points, and one that is all missing.
fn table() -> String {
    let mut text = "unique_id,ds,y\n".to_owned();
    for series in 0..23 {
        for day in 1..=2 + (series * 5) % 13 {
            let value = if series == 7 { String::new() } else { format!("{}", (day * (series + 3)) % 11) };
            writeln!(text, "s{series},2024-01-{day:02},{value}").unwrap();
        }
    }
    text
}

fn run(files: &FileForecaster, text: String) -> (Summary, Vec<SeriesForecast>) {
    let entries = ReadOptions::new().read(std::io::Cursor::new(text), "table.csv").unwrap();
    let mut seen = Vec::new();
    let summary = files.run(entries, &Control::new(), |series| {
        seen.push(series);
        Ok::<(), std::convert::Infallible>(())
    });
    (summary.unwrap(), seen)
}

#[test]
fn forecasts_are_those_of_each_series_alone_in_the_order_of_the_file() {
    for (chunk_points, sessions) in [(1, 1), (120, 1), (usize::MAX, 1), (120, 3)] {
        let mut files = FileForecaster::new(forecaster(), HORIZON).with_chunk_points(chunk_points);
        for _ in 1..sessions {
            files = files.with_another(forecaster());
        }
        let (summary, seen) = run(&files, table());
        assert_eq!(summary, Summary { forecast: 22, failed: 1 });
        for (index, series) in seen.iter().enumerate() {
            assert_eq!((series.id.as_str(), series.index), (format!("s{index}").as_str(), index as u64));
            match &series.result {
                Ok(forecasted) => {
                    let days = 2 + (index * 5) % 13;
                    assert_eq!(forecasted.series.values.len(), days);
                    assert_eq!(forecasted.time.texts()[0], format!("2024-01-{:02}", days + 1));
                    assert_eq!(forecasted.time.len(), HORIZON);
                    let alone = forecaster().forecast([&forecasted.series.values], HORIZON).unwrap();
                    for (found, expected) in forecasted.forecast.values.iter().zip(&alone[0].values) {
                        assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{index}");
                    }
                }
                Err(problem) => {
                    assert_eq!(index, 7);
                    assert!(matches!(problem, SeriesProblem::Data(_)), "{problem}");
                }
            }
        }
        assert_eq!(seen.len(), 23);
    }
}

#[test]
fn quantiles_are_those_of_the_series_of_a_chunk_however_it_is_batched() {
    let intervals = Intervals::of_levels([0.5, 0.9]).unwrap().with_origins(3);
    let run = |horizon: usize, budget: usize| {
        let forecaster = Forecaster::new(session()).with_token_budget(budget);
        let files = FileForecaster::new(forecaster, horizon).with_intervals(intervals.clone());
        run(&files, table()).1
    };
    for (small, large) in run(3, 8).iter().zip(&run(3, 4096)) {
        let (Ok(small), Ok(large)) = (&small.result, &large.result) else { continue };
        let (small, large) = (small.quantiles.as_ref().unwrap(), large.quantiles.as_ref().unwrap());
        assert_eq!((small.len(), small[0].len()), (4, 3));
        for (small, large) in small.iter().flatten().zip(large.iter().flatten()) {
            assert!((small - large).abs() <= 1e-4 * large.abs().max(1.0), "{small} is not {large}");
        }
        for step in 0..3 {
            assert!(small.windows(2).all(|pair| pair[0][step] <= pair[1][step]), "{small:?}");
        }
    }
    // No series has 2 x 9 points: nothing is known of errors 9 steps ahead.
    let found = run(HORIZON, 64);
    assert!(
        found
            .iter()
            .filter_map(|series| series.result.as_ref().ok())
            .all(|series| series.quantiles.is_none())
    );
}

#[test]
fn a_file_that_breaks_off_is_an_error_after_the_forecasts_before() {
    let text = table() + "s23,2024-01-01,not a number\n";
    let entries = ReadOptions::new().read(std::io::Cursor::new(text), "table.csv").unwrap();
    let files = FileForecaster::new(forecaster(), HORIZON).with_chunk_points(1);
    let mut seen = 0;
    let error = files.run(entries, &Control::new(), |_| {
        seen += 1;
        Ok::<(), std::convert::Infallible>(())
    });
    let error = error.unwrap_err();
    assert!(matches!(error, RunError::Read(_)), "{error}");
    assert!(error.to_string().contains("table.csv") && error.to_string().contains("not a number"), "{error}");
    assert!(seen <= 23);
}

#[test]
fn a_sink_that_fails_ends_the_run_and_is_not_called_again() {
    for sessions in [1, 2] {
        let mut files = FileForecaster::new(forecaster(), HORIZON).with_chunk_points(1);
        for _ in 1..sessions {
            files = files.with_another(forecaster());
        }
        let entries = ReadOptions::new().read(std::io::Cursor::new(table()), "table.csv").unwrap();
        let mut calls = 0;
        let result = files.run(entries, &Control::new(), |_| {
            calls += 1;
            if calls == 3 { Err("the disk is full") } else { Ok(()) }
        });
        assert!(matches!(result, Err(RunError::Sink("the disk is full"))));
        assert_eq!(calls, 3);
    }
}

#[test]
fn a_cancelled_run_says_so() {
    let entries = ReadOptions::new().read(std::io::Cursor::new(table()), "table.csv").unwrap();
    let token = CancelToken::new();
    token.cancel();
    let result =
        FileForecaster::new(forecaster(), HORIZON)
            .run(entries, &Control::new().with_cancel(&token), |_| Ok::<(), &str>(()));
    assert!(matches!(result, Err(RunError::Model(tmoe_runner::Error::Cancelled))));
}

#[test]
fn a_horizon_beyond_the_model_is_an_error_of_the_run_not_of_every_series() {
    let entries = ReadOptions::new().read(std::io::Cursor::new(table()), "table.csv").unwrap();
    let files = FileForecaster::new(forecaster(), 1 << 20);
    let result = files.run(entries, &Control::new(), |_| Ok::<(), &str>(()));
    assert!(matches!(result, Err(RunError::Model(tmoe_runner::Error::Series(_)))));
}
