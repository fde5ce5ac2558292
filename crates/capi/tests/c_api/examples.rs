//! The edge services in `examples/`, compared with the runner itself.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tmoe_runner::{Forecaster, Normalization};

use crate::shared::{Printed, Shared, command, succeed_with};
use crate::toolchain::{Toolchain, Way};

type Test = fn(&Shared, &Toolchain, Way);

/// Names, tests, and whether they are run under valgrind too, which takes half a minute each.
pub(crate) const TESTS: &[(&str, Test, bool)] = &[
    ("examples::edge_service_c_slides_as_the_runner_forecasts", slides_in_c, false),
    ("examples::edge_service_cpp_slides_as_the_runner_forecasts", slides_in_cpp, false),
    ("examples::edge_service_c_gives_from_its_cache_what_whole_windows_give", grows_in_c, true),
    ("examples::edge_service_cpp_gives_from_its_cache_what_whole_windows_give", grows_in_cpp, true),
    ("examples::edge_service_c_ends_when_it_is_told_to", ends_when_told, false),
];

fn slides_in_c(shared: &Shared, toolchain: &Toolchain, way: Way) {
    slides(shared, &mut service(shared, "c", toolchain, way));
}

fn slides_in_cpp(shared: &Shared, toolchain: &Toolchain, way: Way) {
    slides(shared, &mut service(shared, "cpp", toolchain, way));
}

fn grows_in_c(shared: &Shared, toolchain: &Toolchain, way: Way) {
    grows(shared, &mut service(shared, "c", toolchain, way));
}

fn grows_in_cpp(shared: &Shared, toolchain: &Toolchain, way: Way) {
    grows(shared, &mut service(shared, "cpp", toolchain, way));
}

/// 9 points are one pass of 8 points and one of 1: the second continues from the first.
const HORIZON: usize = 9;
const CONTEXT: usize = 24;
const EVERY: usize = 5;
const POINTS: usize = 40;
const MEAN: f64 = 104.0;
const DEVIATION: f64 = 8.0;

/// The example in a language, with the package and the sizes as its arguments.
fn service(shared: &Shared, language: &str, toolchain: &Toolchain, way: Way) -> Command {
    let program = shared.compile(&format!("examples/edge_service.{language}"), toolchain, way);
    let mut command = command(&program, way);
    command.arg(shared.package()).args([HORIZON, CONTEXT, EVERY].map(|size| size.to_string()));
    command
}

/// What comes in; two points are missing.
fn series() -> Vec<f64> {
    let point = |index: usize| match index {
        7 | 18 => f64::NAN,
        _ => 100.0 + 10.0 * (index as f64 * 0.5).sin() + (index % 7) as f64,
    };
    (0..POINTS).map(point).collect()
}

/// As lines of text; missing points in both of their forms.
fn input() -> String {
    let line = |(index, value): (usize, f64)| match (index, value.is_nan()) {
        (7, true) => "\n".to_owned(),
        (_, true) => "nan\n".to_owned(),
        _ => format!("{value}\n"),
    };
    series().into_iter().enumerate().map(line).collect()
}

/// The forecasts that were printed, after so many points each.
fn forecasts(printed: &str) -> Vec<(usize, Vec<f64>)> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let points = words.next().unwrap().parse().unwrap();
        (points, words.map(|word| word.parse().unwrap()).collect())
    };
    printed.lines().map(line).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, &expected) in found.iter().zip(expected) {
        let expected = f64::from(expected);
        assert!((found - expected).abs() <= 1e-4 * expected.abs(), "{found}, expected {expected}");
    }
}

fn slides(shared: &Shared, command: &mut Command) {
    let Printed { stdout, stderr } = succeed_with(command, &input());
    let forecaster = Forecaster::new(shared.session());
    let series = series();
    let forecasts = forecasts(&stdout);
    assert_eq!(forecasts.len(), POINTS / EVERY);
    for ((points, found), number) in forecasts.iter().zip(1..) {
        assert_eq!(*points, number * EVERY);
        let window = series[points.saturating_sub(CONTEXT)..*points].to_vec();
        assert_close(found, &forecaster.forecast([window], HORIZON).unwrap()[0].values);
    }
    // What the library tells goes to the callback.
    assert!(stderr.contains("graph standard in fp32 on tract"), "{stderr}");
    assert!(stderr.contains("a faster provider than tract is not used: "), "{stderr}");
}

fn grows(shared: &Shared, command: &mut Command) {
    let Printed { stdout, stderr } =
        succeed_with(command.args([MEAN, DEVIATION].map(|number| number.to_string())), &input());
    let forecaster = Forecaster::new(shared.session()).with_normalization(Normalization::None);
    let mut printed = forecasts(&stdout).into_iter();
    let (mut window, mut cached, mut computed) = (Vec::new(), 0, 0);
    for (value, points) in series().into_iter().zip(1..) {
        if window.len() == CONTEXT {
            window.drain(..CONTEXT / 2);
            cached = 0;
        }
        window.push((value - MEAN) / DEVIATION);
        if points % EVERY == 0 {
            let expected = &forecaster.forecast([&window], HORIZON).unwrap()[0].values;
            let back = |value: &f32| (f64::from(*value) * DEVIATION + MEAN) as f32;
            let expected: Vec<f32> = expected.iter().map(back).collect();
            let (found_points, found) = printed.next().expect("another forecast");
            assert_eq!(found_points, points);
            assert_close(&found, &expected);
            // The points that are new, and the 8 that the ninth continues from.
            computed += window.len() - cached + 8;
            cached = window.len();
        }
    }
    assert_eq!(printed.next(), None);
    assert!(stderr.contains(&format!("computed {computed} points\n")), "{computed}: {stderr}");
}

fn ends_when_told(shared: &Shared, toolchain: &Toolchain, way: Way) {
    let mut service = service(shared, "c", toolchain, way);
    let mut child =
        service.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all("1\n2\n3\n4\n5\n".as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("5 "), "{line}");
    let mut kill = Command::new("kill");
    assert!(kill.args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let start = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > Duration::from_secs(60) => {
                child.kill().unwrap();
                panic!("it did not end");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    assert!(status.success(), "{status}");
    drop(input);
}
