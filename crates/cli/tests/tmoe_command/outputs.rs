//! Where results go: what exists is kept, what cannot be written is named, and nothing half-written remains.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::outcome::{Outcome, entries};
use crate::shared::{Shared, small_table};
use crate::{arguments, command};

pub(crate) const TESTS: &[(&str, crate::Test)] = crate::tests![
    what_exists_is_kept_and_force_replaces_it,
    a_folder_is_never_replaced,
    a_place_that_cannot_be_written_is_named,
    #[cfg(unix)]
    a_full_disk_leaves_nothing,
    #[cfg(target_os = "linux")]
    a_standard_output_that_is_full_is_an_error_and_no_panic,
];

/// `tmoe forecast` on tract with its result going to `option`, a path.
fn forecast(
    program: &mut std::process::Command,
    shared: &Shared,
    folder: &Path,
    option: &str,
    path: &Path,
) -> Outcome {
    program.args(arguments!["forecast", shared.package("dense"), "--input", folder.join("table.csv")]);
    program.args(["--horizon", "5", "--provider", "tract", option]).arg(path);
    Outcome::of(program)
}

/// `tmoe run` on tract with its outputs going to a path.
fn raw(program: &mut std::process::Command, shared: &Shared, folder: &Path, path: &Path) -> Outcome {
    program.args(arguments!["run", shared.package("dense"), "--inputs", folder.join("inputs.safetensors")]);
    program.args(["--provider", "tract", "--outputs"]).arg(path);
    Outcome::of(program)
}

/// A folder with a table and with inputs for a graph.
fn folder() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    small_table(folder.path());
    crate::raw_run::write_inputs(&folder.path().join("inputs.safetensors"), 1, 3);
    folder
}

const BEFORE: [&str; 2] = ["inputs.safetensors", "table.csv"];

fn tmoe() -> std::process::Command {
    command([""; 0])
}

fn what_exists_is_kept_and_force_replaces_it(shared: &Shared) {
    let folder = folder();
    let path = folder.path();
    let old = |name: &str| {
        fs::write(path.join(name), "old").unwrap();
        path.join(name)
    };
    let (csv, svg, tensors) = (old("old.csv"), old("old.svg"), old("old.safetensors"));
    forecast(&mut tmoe(), shared, path, "--output", &csv).failure(&["old.csv", "exists already", "--force"]);
    forecast(&mut tmoe(), shared, path, "--plot", &svg).failure(&["old.svg", "exists already", "--force"]);
    raw(&mut tmoe(), shared, path, &tensors).failure(&["old.safetensors", "exists already", "--force"]);
    for file in [&csv, &svg, &tensors] {
        assert_eq!(fs::read_to_string(file).unwrap(), "old");
    }

    // `--force` stands after the other arguments.
    let force = |first: Outcome, arguments: &[std::ffi::OsString]| {
        assert_eq!(first.code, Some(1));
        Outcome::of(command(arguments).args(["--provider", "tract", "--force"])).success();
    };
    let table = path.join("table.csv");
    let package = shared.package("dense");
    force(
        forecast(&mut tmoe(), shared, path, "--output", &csv),
        &arguments!["forecast", package, "--input", table, "--horizon", "5", "--output", csv, "--plot", svg],
    );
    let inputs = path.join("inputs.safetensors");
    force(
        raw(&mut tmoe(), shared, path, &tensors),
        &arguments!["run", package, "--inputs", inputs, "--outputs", tensors],
    );
    assert!(fs::read_to_string(&csv).unwrap().starts_with("date,a,b\n"));
    assert!(fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    assert!(fs::read(&tensors).unwrap().len() > 100);
    assert_eq!(entries(path), ["inputs.safetensors", "old.csv", "old.safetensors", "old.svg", "table.csv"]);
}

fn a_folder_is_never_replaced(shared: &Shared) {
    let folder = folder();
    let path = folder.path();
    for name in ["folder", "folder.svg"] {
        fs::create_dir(path.join(name)).unwrap();
    }
    let mut forced = tmoe();
    forced.args(arguments![
        "forecast",
        shared.package("dense"),
        "--input",
        path.join("table.csv"),
        "--force"
    ]);
    forced.args(["--horizon", "5", "--provider", "tract", "--output"]).arg(path.join("folder"));
    Outcome::of(&mut forced).failure(&["folder", "is a folder"]);
    let mut forced = tmoe();
    forced.args(arguments![
        "run",
        shared.package("dense"),
        "--inputs",
        path.join("inputs.safetensors"),
        "--force"
    ]);
    forced.args(["--provider", "tract", "--outputs"]).arg(path.join("folder"));
    Outcome::of(&mut forced).failure(&["cannot write", "folder"]);
    let outcome = forecast(&mut tmoe(), shared, path, "--plot", &path.join("folder.svg"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(entries(path), ["folder", "folder.svg", "inputs.safetensors", "table.csv"]);
    assert_eq!(entries(&path.join("folder")), [""; 0]);
}

fn a_place_that_cannot_be_written_is_named(shared: &Shared) {
    let folder = folder();
    let path = folder.path();
    let mut places = vec![path.join("table.csv"), path.join("nothing")];
    if cfg!(target_os = "linux") {
        places.push("/proc".into());
    }
    for place in places {
        let (csv, svg, tensors) =
            (place.join("out.csv"), place.join("out.svg"), place.join("out.safetensors"));
        forecast(&mut tmoe(), shared, path, "--output", &csv).failure(&[csv.to_str().unwrap()]);
        raw(&mut tmoe(), shared, path, &tensors).failure(&[tensors.to_str().unwrap()]);
        // The forecast itself was printed before.
        let outcome = forecast(&mut tmoe(), shared, path, "--plot", &svg);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(
            outcome.stderr.starts_with("error: ") && outcome.stderr.contains(svg.to_str().unwrap()),
            "{outcome:?}"
        );
        assert_eq!(entries(path), BEFORE);
    }
}

#[cfg(unix)]
fn a_full_disk_leaves_nothing(shared: &Shared) {
    use crate::outcome::on_a_full_disk;

    let folder = folder();
    let path = folder.path();
    // Exported before the disk is full.
    shared.package("dense");
    let full = || on_a_full_disk(crate::PROGRAM, 0);
    forecast(&mut full(), shared, path, "--output", &path.join("out.csv"))
        .failure(&["out.csv", "nothing was written"]);
    raw(&mut full(), shared, path, &path.join("out.safetensors"))
        .failure(&["cannot write", "out.safetensors"]);
    for plot in ["out.svg", "out.png"] {
        let outcome = forecast(&mut full(), shared, path, "--plot", &path.join(plot));
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.stderr.starts_with("error: ") && outcome.stderr.contains(plot), "{outcome:?}");
    }
    assert_eq!(entries(path), BEFORE);
}

#[cfg(target_os = "linux")]
fn a_standard_output_that_is_full_is_an_error_and_no_panic(shared: &Shared) {
    let folder = folder();
    let table = folder.path().join("table.csv");
    let package = shared.package("dense");
    for arguments in [
        &arguments!["forecast", package, "--input", table, "--horizon", "5", "--provider", "tract"][..],
        &arguments!["forecast", package, "--input", table, "--horizon", "5", "--provider", "tract", "--json"],
        &arguments!["verify", package, "--providers", "tract"],
        &arguments!["verify", package, "--providers", "tract", "--json"],
        &arguments!["providers"],
        &arguments!["providers", "--json"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        Outcome::from(command(arguments).stdout(full).output().unwrap()).failure(&[]);
    }
}
