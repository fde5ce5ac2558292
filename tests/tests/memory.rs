//! Memory from call to call: once passes of many shapes were run, as many more take no more.
//!
//! What a process holds is everybody's in it, so the trials run one after the other. Only where the system says how much
//! that is: on Linux.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use ndarray::{Array2, Array3, s};
use tmoe_runner::{OpSet, Provider, Session};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::subject::Subject;

/// Series and points of the largest pass.
const LARGEST: (usize, usize) = (8, 480);
/// Points of the pass after it.
const STEP: usize = 32;
/// Passes of other shapes.
const CALLS: i64 = 150;

/// Bytes per call that are taken for chance: where every output is as large as is known before, a part of the smallest tensor;
/// elsewhere, where outputs are as large as the data say, what the allocator leaves in pieces.
fn allowed(subject: Subject) -> i64 {
    match (subject.provider, subject.graph) {
        (Provider::Cpu, OpSet::Plugin) => 2 << 10,
        _ => 40 << 10,
    }
}

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
            no_growth(&session, CALLS * allowed(subject))
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

fn no_growth(session: &Session, allowed: i64) -> Result<(), Failed> {
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
    // What remains between passes is as much as the worst of them left in pieces.
    let before = calls()?;
    let grown = calls()? - before;
    println!("{grown} bytes more than {before} after {CALLS} calls");
    if grown > allowed {
        return Err(
            format!("{grown} bytes more than {before} after {CALLS} calls, {allowed} are allowed").into()
        );
    }
    Ok(())
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
