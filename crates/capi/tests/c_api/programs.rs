//! The programs in `tests/programs`, which check what they get themselves.

use crate::shared::{Shared, command, succeed};
use crate::toolchain::{Toolchain, Way};

type Test = fn(&Shared, &Toolchain, Way);

pub(crate) const TESTS: &[(&str, Test)] = &[
    ("programs::every_error_code_can_be_had_in_c", |shared, toolchain, way| {
        run(shared, "errors.c", toolchain, way);
    }),
    ("programs::errors_are_exceptions_in_cpp", |shared, toolchain, way| {
        run(shared, "exceptions.cpp", toolchain, way);
    }),
    ("programs::many_threads_share_handles", |shared, toolchain, way| {
        run(shared, "threads.cpp", toolchain, way);
    }),
];

fn run(shared: &Shared, source: &str, toolchain: &Toolchain, way: Way) {
    let program = shared.compile(&format!("tests/programs/{source}"), toolchain, way);
    succeed(command(&program, way).arg(shared.package()));
}
