//! Memory from call to call: once passes of many shapes were run, as many more take no more.
//!
//! What a process holds is everybody's in it, so the trials run one after the other. Only where the system says how much
//! that is: on Linux.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use ndarray::{Array2, Array3, s};
use tmoe_runner::Session;
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::subject::Subject;

/// Series and points of the largest pass.
const LARGEST: (usize, usize) = (8, 480);
/// Points of the pass after it.
const STEP: usize = 32;
/// Rounds, and passes of other shapes in each.
const ROUNDS: usize = 4;
const CALLS: i64 = 60;
/// Bytes per call that are taken for chance: a fraction of the smallest tensor that a pass makes.
const ALLOWED: i64 = 1 << 10;

fn main() -> ExitCode {
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let golden = Golden::all().into_iter().find(|golden| golden.name() == "moe").map(Arc::new);
    let golden = golden.unwrap_or_else(|| panic!("no golden checkpoint `moe`"));
    let mut trials = Vec::new();
    for subject in Subject::all() {
        let missing = subject.missing().or(held().is_none().then_some("the system does not say"));
        let mut name = format!("{subject}: no more memory from call to call");
        if let Some(reason) = missing {
            name += &format!(" [{reason}]");
        }
        let (packages, golden) = (Arc::clone(&packages), Arc::clone(&golden));
        let trial = Trial::test(name, move || {
            let session = packages.session(&golden, Variant::Last, subject)?;
            no_growth(&session)
        });
        trials.push(trial.with_ignored_flag(missing.is_some()));
    }
    let one_at_a_time = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    libtest_mimic::run(&one_at_a_time, trials).exit_code()
}

/// Bytes of this process that are no file's.
fn held() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn no_growth(session: &Session) -> Result<(), Failed> {
    let (batch, points) = LARGEST;
    let mut state: u64 = 0x9e37_79b9;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        1 + (state >> 33) as usize % limit
    };
    let mut calls = || -> Result<i64, Failed> {
        forecast(session, batch, points)?;
        for _ in 0..CALLS {
            forecast(session, below(batch), below(points))?;
        }
        held().ok_or_else(|| "the system does not say how much memory is held".into())
    };
    // What an allocator holds grows now and then until it has seen the worst order of sizes; what is lost is lost in every round.
    let mut before = calls()?;
    let mut growths = Vec::new();
    for _ in 0..ROUNDS {
        let after = calls()?;
        growths.push(after - before);
        before = after;
    }
    println!("{growths:?} bytes in rounds of {CALLS} calls, {before} in all");
    match growths.iter().min() {
        Some(&least) if least > CALLS * ALLOWED => {
            Err(format!("{growths:?} bytes more after every round of {CALLS} calls, {before} in all").into())
        }
        _ => Ok(()),
    }
}

/// A prefill and a decode.
fn forecast(session: &Session, batch: usize, points: usize) -> Result<(), Failed> {
    let total = points + STEP;
    let series =
        Array3::from_shape_fn((batch, total, 1), |(row, point, _)| (point as f32 * 0.4 + row as f32).sin());
    let mask = Array2::ones((batch, total));
    let mut decoder = session.decoder(batch, total).map_err(|error| error.to_string())?;
    for (first, end) in [(0, points), (points, total)] {
        let input = series.slice(s![.., first..end, ..]);
        decoder.step(input, mask.slice(s![.., ..end])).map_err(|error| error.to_string())?;
    }
    Ok(())
}
