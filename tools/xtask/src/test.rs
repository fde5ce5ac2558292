//! `cargo xtask test`: set-up, then every test of the workspace.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::paths::Workspace;
use crate::{browser, chromium, clang, process, setup};

/// Runs the doc tests and then all others; `extra` goes to `cargo test`.
pub(crate) fn run(workspace: &Workspace, extra: &[OsString]) -> Result<()> {
    let onnxruntime = setup::onnxruntime(workspace);
    let python = setup::python_environment(workspace);
    let tensorrt_rtx = setup::tensorrt_rtx(workspace);
    if onnxruntime.is_err() {
        println!("Tests of the provider `cpu` will be reported as ignored, by name: no ONNX Runtime.");
    }
    if python.is_err() {
        println!("Tests with Python will be reported as ignored, by name: no Python environment.");
    }
    if !matches!(tensorrt_rtx, Some(Ok(_))) {
        println!("Tests that build engines will be reported as ignored, by name: no TensorRT-RTX.");
    }
    let browser = browser::found(workspace);
    if browser.is_none() {
        println!(
            "Tests of pages will be reported as ignored, by name: no Chromium (`cargo xtask browser` installs one)."
        );
    }
    let with_clang = clang::path_for_tests(workspace);
    // A library of its own, which `cargo test` does not make.
    process::show_and_run(workspace.cargo().args(["build", "--locked", "-p", "tmoe-ops"]))?;

    let compiler = has_cpp_compiler();
    if !compiler {
        println!("Tests of TensorRT are left out: no C++ compiler, and CXX names none.");
    }
    let all = if compiler { WITH_TENSORRT } else { WITHOUT_TENSORRT };
    for arguments in invocations(all, extra) {
        let mut command = workspace.cargo();
        command.arg("test").args(arguments);
        if let Ok(python) = &python {
            command.env("TMOE_ONNX_PYTHON", python).env("TMOE_OPS_LIBRARY", workspace.operator_library());
        }
        if let Some(Ok(library)) = &tensorrt_rtx {
            command.env("TMOE_TENSORRT_RTX", library);
        }
        if let Some(browser) = &browser {
            command.env(chromium::BROWSER, browser);
        }
        if let Some(path) = &with_clang {
            command.env("PATH", path);
        }
        process::show_and_run(&mut command)?;
    }
    Ok(())
}

/// The whole workspace, where there is a C++ compiler for the bindings to TensorRT.
const WITH_TENSORRT: &[&str] = &["--workspace", "--features", "tmoe-tests/tensorrt"];
/// The whole workspace, where there is none.
const WITHOUT_TENSORRT: &[&str] = &["--workspace", "--exclude", "tmoe-tensorrt"];

/// Whether a C++ compiler starts: the one that `CXX` names, or the system's.
fn has_cpp_compiler() -> bool {
    let compiler = env::var_os("CXX").filter(|name| !name.is_empty()).unwrap_or_else(|| "c++".into());
    let started =
        Command::new(compiler).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.is_ok_and(|status| status.success())
}

/// The arguments of each `cargo test` to run, with `all` for everything: doc tests first, so that the suites' summary closes
/// the output. A caller who says which targets to test gets one run of just those.
fn invocations(all: &[&str], extra: &[OsString]) -> Vec<Vec<OsString>> {
    let of_cargo = extra.iter().take_while(|argument| *argument != "--").map(OsString::as_os_str);
    let mut packages = all;
    let mut targets: &[&[&str]] = &[&["--doc"], &["--lib", "--bins", "--tests", "--examples"]];
    for argument in of_cargo {
        if selects(argument, &["-p", "--package", "--workspace", "--all"]) {
            packages = &[];
        }
        if selects(
            argument,
            &[
                "--doc",
                "--lib",
                "--bins",
                "--bin",
                "--tests",
                "--test",
                "--examples",
                "--example",
                "--benches",
                "--bench",
                "--all-targets",
            ],
        ) {
            targets = &[&[]];
        }
    }
    let run = |targets: &&[&str]| {
        packages.iter().chain(*targets).map(OsString::from).chain(extra.iter().cloned()).collect()
    };
    targets.iter().map(run).collect()
}

/// Whether `argument` is one of `flags`, alone or as `--flag=value` (`-pvalue` for one letter).
fn selects(argument: &OsStr, flags: &[&str]) -> bool {
    let Some(argument) = argument.to_str() else { return false };
    flags.iter().any(|flag| match argument.strip_prefix(flag) {
        Some(rest) => rest.is_empty() || rest.starts_with('=') || flag.len() == 2,
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(extra: &[&str]) -> Vec<String> {
        let extra: Vec<OsString> = extra.iter().map(OsString::from).collect();
        let joined = |arguments: Vec<OsString>| arguments.join(OsStr::new(" ")).into_string().unwrap();
        invocations(&["--workspace"], &extra).into_iter().map(joined).collect()
    }

    #[test]
    fn all_tests_are_run_with_the_doc_tests_first() {
        assert_eq!(lines(&[]), ["--workspace --doc", "--workspace --lib --bins --tests --examples"]);
    }

    #[test]
    fn arguments_are_passed_on_to_both_runs() {
        assert_eq!(
            lines(&["--locked", "decode", "--", "--nocapture"]),
            [
                "--workspace --doc --locked decode -- --nocapture",
                "--workspace --lib --bins --tests --examples --locked decode -- --nocapture"
            ]
        );
    }

    #[test]
    fn a_chosen_package_replaces_the_workspace() {
        for package in [&["-p", "tmoe-onnx"][..], &["--package=tmoe-onnx"], &["-ptmoe-onnx"]] {
            assert_eq!(lines(package)[0], format!("--doc {}", package.join(" ")));
            assert_eq!(lines(package).len(), 2);
        }
    }

    #[test]
    fn chosen_targets_are_run_once_and_alone() {
        assert_eq!(lines(&["--test", "parity"]), ["--workspace --test parity"]);
        assert_eq!(lines(&["--test=parity", "-p", "x"]), ["--test=parity -p x"]);
        assert_eq!(lines(&["--doc"]), ["--workspace --doc"]);
    }

    #[test]
    fn what_follows_two_dashes_belongs_to_the_tests() {
        assert_eq!(lines(&["--", "--test", "-p"]).len(), 2);
        assert!(lines(&["--", "-p"])[0].starts_with("--workspace"));
        assert_eq!(lines(&["--profile=release"]).len(), 2, "--profile is not -p");
        assert!(lines(&["--profile=release"])[0].starts_with("--workspace"));
    }
}
