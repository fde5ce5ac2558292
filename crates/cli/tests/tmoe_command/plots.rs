//! `tmoe forecast --plot` and `--draw`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use crate::outcome::{Outcome, entries};
use crate::shared::{Shared, operations, small_table};
use crate::{arguments, command, run};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    pictures_are_written_beside_the_forecast,
    a_picture_of_another_format_is_refused_before_any_work,
    a_terminal_s_drawing_stays_out_of_standard_output,
];

pub(crate) const WITH_NODE: &[(&str, crate::Test)] =
    crate::tests![the_scripts_of_a_page_draw_and_follow_the_pointer];

/// Whether Node.js is there, which runs scripts without a browser.
pub(crate) fn has_node() -> bool {
    Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success())
}

fn pictures_are_written_beside_the_forecast(shared: &Shared) {
    let folder = tempdir().unwrap();
    let names = ["forecast.csv", "plot.svg", "plot.PNG", "plot.html"];
    let [csv, svg, png, html] = names.map(|name| folder.path().join(name));
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
        png,
        "--plot",
        html
    ]);
    assert_eq!(printed.success(), "");
    assert_eq!(entries(folder.path()), ["forecast.csv", "plot.PNG", "plot.html", "plot.svg"]);
    let svg = fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for expected in ["24-point forecast", "demand_mw", "temperature_c", "history"] {
        assert!(svg.contains(expected), "{expected} is missing");
    }
    let html = fs::read_to_string(html).unwrap();
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    for expected in ["24-point forecast", "\"name\":\"demand_mw\"", "\"name\":\"temperature_c\""] {
        assert!(html.contains(expected), "{expected} is missing");
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
        outcome.failure(&[name, ".svg, .png or .html"]);
        assert_eq!(entries(folder.path()), ["table.csv"]);
    }
}

fn the_scripts_of_a_page_draw_and_follow_the_pointer(_: &Shared) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plot/html");
    for test in ["scale.test.js", "page.test.js"] {
        let output = Command::new("node").arg(test).current_dir(&scripts).output().unwrap();
        assert!(output.status.success(), "{test}\n{}", String::from_utf8_lossy(&output.stderr));
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
