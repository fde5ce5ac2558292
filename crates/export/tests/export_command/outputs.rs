//! Where the output goes: what exists is kept, what cannot be written is named, and nothing half-written remains.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::checkpoints::{golden, package};
use crate::outcome::{Outcome, entries};
use crate::{arguments, command, run};

/// Both commands that write a folder, with a checkpoint to read where one is needed.
fn writers(output: &Path) -> [Vec<OsString>; 2] {
    [
        arguments!["onnx", golden("dense"), "--output", output].to_vec(),
        arguments!["init", "--preset", "tiny", "--output", output].to_vec(),
    ]
}

#[test]
fn an_output_that_exists_is_kept_and_force_is_advised() {
    for is_file in [false, true] {
        let folder = tempdir().unwrap();
        let output = folder.path().join("output");
        if is_file {
            fs::write(&output, "old").unwrap();
        } else {
            fs::create_dir(&output).unwrap();
            fs::write(output.join("photo"), "old").unwrap();
        }
        for arguments in writers(&output) {
            run(arguments).failure(&["output exists", "--force"]);
            assert_eq!(entries(folder.path()), ["output"]);
        }
        let kept = if is_file { output } else { output.join("photo") };
        assert_eq!(fs::read_to_string(kept).unwrap(), "old");
    }
}

#[test]
fn force_replaces_a_package_by_the_new_one() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let before = fs::read(package.join("manifest.json")).unwrap();
    fs::write(package.join("stale"), "").unwrap();
    run(arguments!["onnx", golden("moe"), "--output", package]).failure(&["package exists", "--force"]);
    assert_eq!(fs::read(package.join("manifest.json")).unwrap(), before);

    run(arguments!["onnx", golden("moe"), "--output", package, "--force"]).success();
    assert_ne!(fs::read(package.join("manifest.json")).unwrap(), before);
    assert!(!package.join("stale").exists());
    assert_eq!(entries(folder.path()), ["package"]);
    run(arguments!["inspect", package]).success();
}

#[test]
fn force_replaces_a_checkpoint_by_the_new_one() {
    let folder = tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let init =
        |seed: &str| run(arguments!["init", "--preset", "tiny", "--seed", seed, "-o", checkpoint, "--force"]);
    init("1").success();
    let before = fs::read(checkpoint.join("model.safetensors")).unwrap();
    init("2").success();
    assert!(fs::read(checkpoint.join("model.safetensors")).unwrap() != before);
    assert_eq!(entries(folder.path()), ["checkpoint"]);
}

#[test]
fn force_replaces_neither_a_file_nor_a_folder_of_another_kind() {
    let folder = tempdir().unwrap();
    let (photos, file) = (folder.path().join("photos"), folder.path().join("file"));
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("photo"), "old").unwrap();
    fs::write(&file, "old").unwrap();
    for output in [&photos, &file] {
        for mut arguments in writers(output) {
            arguments.push("--force".into());
            run(arguments).failure(&[output.to_str().unwrap(), "is not replaced"]);
        }
    }
    assert_eq!(entries(folder.path()), ["file", "photos"]);
    assert_eq!(fs::read_to_string(photos.join("photo")).unwrap(), "old");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
}

#[test]
fn the_checkpoint_itself_is_no_output_even_with_force() {
    let folder = tempdir().unwrap();
    let checkpoint = crate::checkpoints::copy("dense", folder.path());
    let before = entries(&checkpoint);
    run(arguments!["onnx", checkpoint, "--output", checkpoint, "--force"])
        .failure(&["checkpoint", "is not replaced"]);
    assert_eq!(entries(&checkpoint), before);
}

#[test]
fn an_export_that_fails_keeps_the_package_it_would_have_replaced() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    let before = fs::read(package.join("manifest.json")).unwrap();
    let checkpoint = crate::checkpoints::copy("moe", folder.path());
    crate::checkpoints::set_weight(&checkpoint, "model.norm.weight", 0, f32::NAN);
    run(arguments!["onnx", checkpoint, "--output", package, "--force"]).failure(&["model.norm.weight"]);
    assert_eq!(fs::read(package.join("manifest.json")).unwrap(), before);
    assert_eq!(entries(folder.path()), ["checkpoint", "package"]);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("file"), "old").unwrap();
    let below_a_file = folder.path().join("file/output");
    let below_nothing = folder.path().join("nothing/output");
    for (output, parent) in [(&below_a_file, "file"), (&below_nothing, "nothing")] {
        for arguments in writers(output) {
            run(arguments).failure(&["cannot write into", folder.path().join(parent).to_str().unwrap()]);
        }
    }
    for root in ["/", ".."] {
        for arguments in writers(Path::new(root)) {
            run(arguments).failure(&[]);
        }
    }
    assert_eq!(entries(folder.path()), ["file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_takes_no_files_is_named_even_to_root() {
    for arguments in writers(Path::new("/proc/output")) {
        run(arguments).failure(&["cannot write into /proc"]);
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_whichever_file_it_hits() {
    use crate::outcome::on_a_full_disk;

    let folder = tempdir().unwrap();
    let large = crate::checkpoints::moderate(folder.path());
    let before = entries(folder.path());
    let output = folder.path().join("output");
    // The graphs do not fit; the graphs fit but the weights do not.
    for (blocks, file, checkpoint) in [(20, "model.onnx", &golden("moe")), (8192, "weights.bin", &large)] {
        let mut command = on_a_full_disk(crate::PROGRAM, blocks);
        command.args(arguments!["onnx", checkpoint, "--output", output]);
        Outcome::of(&mut command).failure(&[file, "the package was not written"]);
        assert_eq!(entries(folder.path()), before);
    }
    let mut command = on_a_full_disk(crate::PROGRAM, 20);
    command.args(arguments!["init", "--preset", "tiny", "--output", output]);
    Outcome::of(&mut command).failure(&["cannot write model.safetensors", output.to_str().unwrap()]);
    assert_eq!(entries(folder.path()), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_standard_output_that_is_full_is_an_error_and_no_panic() {
    let folder = tempdir().unwrap();
    let package = package(folder.path());
    for arguments in [vec!["inspect"], vec!["inspect", "--json"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command(arguments).arg(&package).stdout(full).output().unwrap();
        Outcome::from(output).failure(&[]);
    }
}
