//! The cache of a generation: whatever room was reserved for it, the passes compute the same, and a stream, whose forecasts
//! continue from it again and again, forecasts as its whole window does.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use ndarray::{Array2, Axis, s};
use tmoe_runner::{Control, Forecaster, Normalization, Predictions, Session, Stream};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::subject::Subject;

fn main() -> ExitCode {
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let goldens: Vec<_> = Golden::all().into_iter().map(Arc::new).collect();
    let mut trials = Vec::new();
    for subject in Subject::all() {
        let variants = [Variant::Last, Variant::Half, Variant::Bf16];
        for (golden, variant) in goldens.iter().flat_map(|golden| variants.map(|variant| (golden, variant))) {
            let missing = subject.missing();
            let mut name = format!(
                "{subject}/{}/{}: too little reserved changes nothing",
                golden.name(),
                variant.name()
            );
            if let Some(reason) = missing {
                name += &format!(" [{reason}]");
            }
            let (packages, golden) = (Arc::clone(&packages), Arc::clone(golden));
            let trial = Trial::test(name, move || {
                let session = packages.session(&golden, variant, subject)?;
                too_little_reserved(&session)
            });
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
        for golden in &goldens {
            let missing = subject.missing();
            let mut name = format!("{subject}/{}: a stream forecasts as its window does", golden.name());
            if let Some(reason) = missing {
                name += &format!(" [{reason}]");
            }
            let (packages, golden) = (Arc::clone(&packages), Arc::clone(golden));
            let trial = Trial::test(name, move || {
                let session = packages.session(&golden, Variant::Last, subject)?;
                streams_as_windows(&session)
            });
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Points of each pass.
const PASSES: [usize; 5] = [7, 1, 2, 9, 4];

fn too_little_reserved(session: &Session) -> Result<(), Failed> {
    let total = PASSES.iter().sum();
    let series = Array2::from_shape_fn((2, total), |(row, point)| (point as f32 * 0.4 + row as f32).sin());
    let expected = generate(session, &series, total)?;
    for capacity in [0, 1, 8, 4 * total] {
        if generate(session, &series, capacity)? != expected {
            return Err(format!("room for {capacity} points gives other predictions").into());
        }
    }
    Ok(())
}

fn generate(session: &Session, series: &Array2<f32>, capacity: usize) -> Result<Vec<Predictions>, Failed> {
    let mut decoder = session.decoder(series.nrows(), capacity).map_err(|error| error.to_string())?;
    let mut first = 0;
    let mut predictions = Vec::new();
    for points in PASSES {
        let end = first + points;
        let input = series.slice(s![.., first..end]).insert_axis(Axis(2));
        let mask = Array2::ones((series.nrows(), end));
        predictions.push(decoder.step(input, mask.view()).map_err(|error| error.to_string())?);
        first = end;
    }
    Ok(predictions)
}

/// A stream that grows by these points, one of them missing, and is restarted once.
fn streams_as_windows(session: &Arc<Session>) -> Result<(), Failed> {
    let forecaster = Forecaster::new(Arc::clone(session)).with_normalization(Normalization::None);
    let heads = session.package().manifest().model.horizon_lengths();
    let (shortest, longest) = (heads.iter().min().unwrap_or(&1), heads.iter().max().unwrap_or(&1));
    let mut stream = Stream::new(session, Some(40)).map_err(|error| error.to_string())?;
    let mut window = Vec::new();
    for (round, points) in PASSES.into_iter().chain(PASSES).enumerate() {
        if round == PASSES.len() {
            stream.restart(5);
            window.drain(..window.len() - 5);
        }
        let next =
            |index: usize| if round == 3 && index == 4 { f64::NAN } else { (index + round) as f64 * 0.4 };
        let new: Vec<f64> = (0..points).map(|index| next(index).sin()).collect();
        stream.push(&new).map_err(|error| error.to_string())?;
        window.extend(new);
        // One pass, and one that the cache must forget.
        for horizon in [*longest, longest + shortest] {
            let found = stream.forecast(horizon, &Control::new()).map_err(|error| error.to_string())?;
            let expected = forecaster.forecast([&window], horizon).map_err(|error| error.to_string())?;
            let expected = &expected[0].values;
            let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let differs = |(found, expected): (&f32, &f32)| (found - expected).abs() > 1e-4 * largest;
            if found.len() != expected.len() || found.iter().zip(expected).any(differs) {
                return Err(format!("after {} points: {found:?}, expected {expected:?}", window.len()).into());
            }
        }
    }
    Ok(())
}
