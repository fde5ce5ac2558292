//! The C interface as programs in C and C++ meet it: from an installed prefix, compiled with all warnings as errors, run as they
//! are, under AddressSanitizer and under valgrind.
//!
//! The tests are listed at run time: what a machine cannot run is reported as ignored, by name.

#[cfg(target_os = "linux")]
mod examples;
mod header;
#[cfg(target_os = "linux")]
mod installed;
#[path = "../../install/prefix.rs"]
#[cfg(target_os = "linux")]
mod prefix;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod readme;
#[cfg(target_os = "linux")]
mod shared;
#[cfg(target_os = "linux")]
mod toolchain;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut trials = vec![Trial::test("header::is_what_cbindgen_makes_of_the_sources", || {
        header::is_what_cbindgen_makes_of_the_sources();
        Ok(())
    })];
    #[cfg(target_os = "linux")]
    trials.extend(on_linux());
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The library is installed for Linux only.
#[cfg(target_os = "linux")]
fn on_linux() -> Vec<Trial> {
    use std::sync::Arc;

    use shared::Shared;
    use toolchain::{Toolchain, find};

    let shared = Arc::new(Shared::new());
    let mut trials = Vec::new();
    let mut add = |name: String, missing: Option<&str>, test: Box<dyn FnOnce(&Shared) + Send>| {
        let name = match missing {
            Some(reason) => format!("{name} [{reason}]"),
            None => name,
        };
        let shared = Arc::clone(&shared);
        let trial = Trial::test(name, move || {
            test(&shared);
            Ok(())
        });
        trials.push(trial.with_ignored_flag(missing.is_some()));
    };
    let valgrind = find("valgrind");
    let no_valgrind = valgrind.is_none().then_some("no valgrind");
    for toolchain in [Toolchain::gcc(), Toolchain::clang()] {
        let no_compiler = toolchain.missing();
        for &(name, test, slow_too) in examples::TESTS.iter().chain(programs::TESTS) {
            for way in toolchain::Way::ALL {
                let missing = match way {
                    // What valgrind sees does not depend on the compiler.
                    toolchain::Way::Valgrind if !slow_too || toolchain.name != "gcc" => continue,
                    toolchain::Way::Valgrind => no_compiler.or(no_valgrind),
                    toolchain::Way::Sanitized => no_compiler.or(toolchain.no_sanitizer()),
                    toolchain::Way::Plain => no_compiler,
                };
                let name = format!("{name} [{}{way}]", toolchain.name);
                let toolchain = toolchain.clone();
                add(name, missing, Box::new(move |shared| test(shared, &toolchain, way)));
            }
        }
    }
    let gcc = Toolchain::gcc();
    let no_compiler = gcc.missing();
    let no_pkg_config = find("pkg-config").is_none().then_some("no pkg-config");
    let no_nm = find("nm").is_none().then_some("no nm");
    let has_cmake = installed::cmake().is_some() && find("make").is_some();
    let no_cmake = (!has_cmake).then_some("no cmake with make");
    type Test = fn(&Shared, &Toolchain);
    let others: [(&str, Option<&str>, Test); 6] = [
        ("header::is_alone_what_the_library_exports", no_nm, |shared, _| {
            header::is_all_that_is_exported(shared)
        }),
        ("readme::the_example_runs", no_compiler, readme::the_example_runs),
        (
            "installed::pkg_config_finds_the_shared_library",
            no_compiler.or(no_pkg_config),
            installed::shared_by_pkg_config,
        ),
        (
            "installed::pkg_config_finds_the_static_library",
            no_compiler.or(no_pkg_config),
            installed::static_by_pkg_config,
        ),
        ("installed::cmake_finds_both_libraries", no_compiler.or(no_cmake), installed::found_by_cmake),
        ("installed::a_prefix_can_be_moved_and_installed_again", None, |shared, _| {
            installed::moved_and_installed_again(shared)
        }),
    ];
    for (name, missing, test) in others {
        let gcc = gcc.clone();
        add(name.to_owned(), missing, Box::new(move |shared| test(shared, &gcc)));
    }
    trials
}
