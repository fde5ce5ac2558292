//! The programs in `tests/programs`, which check what they get themselves.

use crate::shared::{Shared, command, succeed};
use crate::toolchain::{Toolchain, Way};

type Test = fn(&Shared, &Toolchain, Way);

/// Names, tests, and whether they are run under valgrind too.
pub(crate) const TESTS: &[(&str, Test, bool)] = &[
    ("programs::every_error_code_can_be_had_in_c", errors, true),
    ("programs::errors_are_exceptions_in_cpp", exceptions, false),
    ("programs::many_threads_share_handles", threads, false),
];

fn errors(shared: &Shared, toolchain: &Toolchain, way: Way) {
    run(shared, "errors.c", toolchain, way);
}

fn exceptions(shared: &Shared, toolchain: &Toolchain, way: Way) {
    run(shared, "exceptions.cpp", toolchain, way);
}

fn threads(shared: &Shared, toolchain: &Toolchain, way: Way) {
    run(shared, "threads.cpp", toolchain, way);
}

fn run(shared: &Shared, source: &str, toolchain: &Toolchain, way: Way) {
    let program = shared.compile(&format!("tests/programs/{source}"), toolchain, way);
    succeed(command(&program, way).arg(shared.package()));
}
