//! `tmoe forecast --plot` and `--draw`.

use std::fs;

use tempfile::tempdir;

use crate::outcome::{Outcome, entries};
use crate::shared::{Shared, operations, small_table};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    pictures_are_written_beside_the_forecast,
    a_picture_of_another_format_is_refused_before_any_work,
    a_terminal_s_drawing_stays_out_of_standard_output,
];

fn pictures_are_written_beside_the_forecast(shared: &Shared) {
    let folder = tempdir().unwrap();
    let [csv, svg, png] = ["forecast.csv", "plot.svg", "plot.PNG"].map(|name| folder.path().join(name));
    let printed = run(arguments![
        "forecast",
        shared.package("dense"),
        "--input",
        operations(),
        "--horizon",
        "24",
        "--provider",
        "tract",
        "--output",
        csv,
        "--plot",
        svg,
        "--plot",
        png
    ]);
    assert_eq!(printed.success(), "");
    assert_eq!(entries(folder.path()), ["forecast.csv", "plot.PNG", "plot.svg"]);
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for expected in ["24-point forecast", "demand_mw", "temperature_c", "history"] {
        assert!(svg.contains(expected), "{expected} is missing");
    }
    let png = fs::File::open(png).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert!(pixels.iter().any(|&value| value != pixels[0]), "the picture is empty");
}

fn a_picture_of_another_format_is_refused_before_any_work(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    for name in ["plot.pdf", "plot", "svg"] {
        let (csv, plot) = (folder.path().join("forecast.csv"), folder.path().join(name));
        let outcome = run(arguments![
            "forecast",
            shared.package("dense"),
            "--input",
            table,
            "--horizon",
            "5",
            "--output",
            csv,
            "--plot",
            plot
        ]);
        outcome.failure(&[name, ".svg or .png"]);
        assert_eq!(entries(folder.path()), ["table.csv"]);
    }
}

fn a_terminal_s_drawing_stays_out_of_standard_output(shared: &Shared) {
    let folder = tempdir().unwrap();
    let table = small_table(folder.path());
    let forecast = |draw: &str| {
        let arguments = arguments!["forecast", shared.package("dense"), "--input", table, "--horizon", "5"];
        Outcome::of(command(arguments).args(["--provider", "tract", "--draw", draw]))
    };
    let (drawn, silent, piped) = (forecast("always"), forecast("never"), forecast("auto"));
    assert_eq!((silent.stderr.as_str(), piped.stderr.as_str()), ("", ""));
    assert!(drawn.stderr.lines().count() > 10, "{}", drawn.stderr);
    assert!(!drawn.stderr.contains('\u{1b}'), "colours without a terminal");
    let printed = drawn.success();
    assert_eq!(printed, silent.success());
    assert_eq!(printed, piped.success());
}
