//! The commands as a person meets them, and the README that names them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn xtask(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments);
    command
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The word after each `cargo xtask ` in `text`.
fn commands_named_in(text: &str) -> BTreeSet<String> {
    let word =
        |rest: &str| rest.split(|c: char| !c.is_alphanumeric() && c != '-').next().unwrap_or("").to_owned();
    text.split("cargo xtask ").skip(1).map(word).collect()
}

fn assert_usage_error(output: &Output, expected: &str) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("cargo xtask help"), "{error}");
}

#[test]
fn help_lists_every_command_that_the_readme_and_ci_name() {
    let help = text(&xtask(&["help"]).output().unwrap().stdout);
    for file in ["README.md", ".ci/run", "tools/demo/README.md"] {
        let named = commands_named_in(&fs::read_to_string(root().join(file)).unwrap());
        for command in &named {
            let listed = help.lines().any(|line| line.trim_start().split(' ').next() == Some(command));
            assert!(listed, "{file} names `cargo xtask {command}`, which help does not list:\n{help}");
        }
        if file == "README.md" {
            assert!(named.contains("demo") && named.contains("test"), "{named:?}");
        }
    }
}

#[test]
fn the_layout_in_the_readme_names_what_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let layout = readme.split("## Layout").nth(1).unwrap().split("```").nth(1).unwrap();
    let paths: Vec<&str> = layout.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(paths.contains(&"crates/runner"), "{paths:?}");
    for path in &paths {
        assert!(root().join(path).exists(), "the README's layout names {path}, which does not exist");
    }
    for member in fs::read_dir(root().join("crates")).unwrap() {
        let member = format!("crates/{}", member.unwrap().file_name().display());
        assert!(paths.contains(&member.as_str()), "the README's layout lacks {member}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_code_2_and_says_where_to_look() {
    assert_usage_error(&xtask(&[]).output().unwrap(), "no command given");
    assert_usage_error(&xtask(&["dmeo"]).output().unwrap(), "no command named dmeo");
    assert_usage_error(
        &xtask(&["demo", "--fast"]).output().unwrap(),
        "demo takes no arguments, found --fast",
    );
    assert_usage_error(&xtask(&["setup", "x"]).output().unwrap(), "setup takes no arguments, found x");
    assert_usage_error(&xtask(&["check-onnx"]).output().unwrap(), "check-onnx needs the path");
    assert_usage_error(&xtask(&["gpu-pack", "90a"]).output().unwrap(), "gpu-pack takes --architectures");
    assert_usage_error(&xtask(&["browser", "x"]).output().unwrap(), "browser takes no arguments, found x");
    assert_usage_error(&xtask(&["cuda", "12"]).output().unwrap(), "cuda takes no arguments, found 12");
}

/// xtask where the only programs are Cargo and those in `folder`, which is also the target folder.
fn xtask_alone(arguments: &[&str], folder: &Path) -> Command {
    let mut command = xtask(arguments);
    command.env("PATH", folder).env("CARGO_TARGET_DIR", folder).env("CARGO", env!("CARGO"));
    command
        .env_remove("PYTHON")
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("CUDA_HOME")
        .env_remove("TMOE_TENSORRT_RTX")
        .env_remove("TMOE_CHROMIUM");
    command
}

#[test]
fn set_up_without_python_names_what_is_missing_and_fails() {
    let folder = tempfile::tempdir().unwrap();
    let output = xtask_alone(&["setup"], folder.path()).output().unwrap();
    let (printed, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{printed}{error}");
    assert!(printed.contains("ONNX Runtime: MISSING, no Python 3 found"), "{printed}");
    assert!(printed.contains("Python environment: MISSING, no Python 3 found"), "{printed}");
    if cfg!(target_os = "linux") {
        assert!(printed.contains("CUDA compiler: MISSING, no Python 3 found"), "{printed}");
    }
    let tensorrt_rtx = cfg!(all(target_os = "linux", target_arch = "x86_64"));
    if tensorrt_rtx {
        assert!(printed.contains("TensorRT-RTX: MISSING, no Python 3 found"), "{printed}");
    }
    let parts = 2 + usize::from(cfg!(target_os = "linux")) + usize::from(tensorrt_rtx);
    assert!(error.contains(&format!("{parts} of {parts} parts are missing")), "{error}");
}

#[test]
fn the_onnx_checker_without_python_fails_instead_of_passing_unchecked() {
    let folder = tempfile::tempdir().unwrap();
    let output = xtask_alone(&["check-onnx", "model.onnx"], folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no Python 3 found"), "{}", text(&output.stderr));
}

#[test]
fn a_browser_that_the_user_has_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let chosen =
        xtask_alone(&["browser"], folder.path()).env("TMOE_CHROMIUM", "/mine/chrome").output().unwrap();
    assert!(text(&chosen.stdout).contains("Browser: /mine/chrome"), "{}", text(&chosen.stderr));
    let own = folder.path().join("google-chrome");
    fs::write(&own, "").unwrap();
    let found = xtask_alone(&["browser"], folder.path()).output().unwrap();
    assert!(text(&found.stdout).contains(&format!("Browser: {}", own.display())), "{}", text(&found.stderr));
}

#[test]
fn without_npm_or_a_browser_it_is_said_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = xtask_alone(&["browser"], folder.path()).output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("set TMOE_CHROMIUM to a Chromium or Chrome"), "{error}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

#[test]
fn an_onnx_runtime_that_the_user_chose_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("mine.so");
    let output = xtask_alone(&["setup"], folder.path()).env("ORT_DYLIB_PATH", &library).output().unwrap();
    assert!(text(&output.stdout).contains(&format!("ONNX Runtime: {}", library.display())));
    assert!(!folder.path().join("onnxruntime").exists());
}

/// A `python3` that can be asked about itself and whose every other command fails with code 3.
#[cfg(unix)]
fn write_failing_python(folder: &Path, has_pip: &str) {
    use std::os::unix::fs::PermissionsExt;

    let python = folder.join("python3");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = -c ]; then echo 3.12.0; echo \"$0\"; echo {has_pip}; else exit 3; fi\n"
    );
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn a_download_that_fails_is_reported_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    write_failing_python(folder.path(), "True");
    let output = xtask_alone(&["setup"], folder.path()).output().unwrap();
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("ONNX Runtime: setting up with Python 3.12.0"), "{printed}");
    assert!(printed.contains("pip download") && printed.contains("exit status: 3"), "{printed}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["python3"]);
}

#[cfg(unix)]
#[test]
fn a_python_without_pip_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_failing_python(folder.path(), "False");
    let output = xtask_alone(&["setup"], folder.path()).output().unwrap();
    assert!(text(&output.stdout).contains("python3 (Python 3.12.0) has no pip"), "{}", text(&output.stdout));
}
