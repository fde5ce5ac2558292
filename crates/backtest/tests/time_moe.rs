//! The original's evaluation protocol, against numbers computed by its own `BenchmarkEvalDataset` (pandas 3.1,
//! scikit-learn, NumPy) on CSV files with the columns of [`channels`], written with all digits.

use tmoe_backtest::Window;
use tmoe_backtest::metrics::PointErrors;
use tmoe_backtest::time_moe::{Evaluation, Split};

/// `(7919 i mod 1009) / 8 + i / 64` and `(104729 i mod 9973) / 16 - 300`.
fn channels(rows: usize) -> [Vec<f64>; 2] {
    let value = |factor, modulus, divisor| move |i: usize| (i * factor % modulus) as f64 / divisor;
    let (first, second) = (value(7919, 1009, 8.0), value(104729, 9973, 16.0));
    [(0..rows).map(|i| first(i) + i as f64 / 64.0).collect(), (0..rows).map(|i| second(i) - 300.0).collect()]
}

/// What the original gives for one file.
struct Expected {
    windows: usize,
    /// The first two inputs and the first label of the first window.
    first: [f64; 3],
    /// The last input and the first label of window `windows / 2`.
    middle: [f64; 2],
    /// The first input and the last label of the last window.
    last: [f64; 2],
    /// MSE and MAE of repeating the last input, over every 101st window.
    naive: [f64; 2],
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 2e-7 * expected.abs().max(1.0), "{found} is not {expected}");
}

#[track_caller]
fn check(file: &str, rows: usize, context: usize, horizon: usize, expected: &Expected) {
    let channels = channels(rows);
    let evaluation =
        Evaluation::new(Split::of_file(file.as_ref()), &[&channels[0], &channels[1]], context, horizon)
            .unwrap();
    let windows: Vec<Window<'_>> = evaluation.windows().collect();
    assert_eq!((windows.len(), evaluation.len()), (expected.windows, expected.windows));

    let (first, middle, last) = (windows[0], windows[windows.len() / 2], windows[windows.len() - 1]);
    let found = [
        [first.context[0], first.context[1]],
        [first.truth[0], middle.context[context - 1]],
        [middle.truth[0], last.context[0]],
        [last.truth[horizon - 1], 0.0],
    ];
    let [a, b, c] = expected.first;
    let numbers =
        [[a, b], [c, expected.middle[0]], [expected.middle[1], expected.last[0]], [expected.last[1], 0.0]];
    for (found, expected) in found.iter().flatten().zip(numbers.iter().flatten()) {
        close(*found, *expected);
    }

    let mut errors = PointErrors::default();
    for window in windows.iter().step_by(101) {
        errors.add(window.truth, &vec![window.context[context - 1] as f32; horizon], None).unwrap();
    }
    close(errors.mse().unwrap(), expected.naive[0]);
    close(errors.mae().unwrap(), expected.naive[1]);
}

#[test]
fn hourly_ett_gives_the_originals_windows() {
    let expected = Expected {
        windows: 5568, // 2,784 a channel; the seven of ETTh1 itself have 19,488
        first: [2.668119430541992, 2.3097221851348877, 1.3107227087020874],
        middle: [1.5272653102874756, -0.20186346769332886],
        last: [0.9992101192474365, -1.563543677330017],
        naive: [1.3718205986106997, 0.9204514399506956],
    };
    check("ETTh1.csv", 17420, 512, 96, &expected);
}

#[test]
fn quarter_hourly_ett_gives_the_originals_windows() {
    let expected = Expected {
        windows: 21600,
        first: [2.487934112548828, 2.3685572147369385, 2.926788806915283],
        middle: [-0.8471534252166748, 0.8895247578620911],
        last: [1.5301398038864136, -1.062891960144043],
        naive: [1.0637155861449492, 0.7164113583371127],
    };
    check("ettm2.csv", 57601, 3072, 720, &expected);
}

#[test]
fn any_other_file_gives_the_originals_windows() {
    let expected = Expected {
        windows: 1940,
        first: [-0.20727623999118805, -0.689119815826416, -0.68793785572052],
        middle: [-1.6612838506698608, 0.07986030727624893],
        last: [-1.347118616104126, 0.9513031244277954],
        naive: [1.5977548188772643, 0.9891931654512882],
    };
    check("other.csv", 5003, 100, 30, &expected);
}

#[test]
fn etth1_at_horizon_96_has_19488_windows() {
    let channel = channels(17420)[0].clone();
    let evaluation = Evaluation::new(Split::EttHourly, &[channel.as_slice(); 7], 512, 96).unwrap();
    assert_eq!(evaluation.len(), 19_488);
    assert_eq!(evaluation.channel(6).map(<[f64]>::len), Some(3391));
}
