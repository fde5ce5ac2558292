//! How builds find an installed prefix.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::prefix::SONAME;
use crate::shared::{SOURCES, Shared, command, files_below, install, succeed};
use crate::toolchain::{Language, Toolchain, Way, find};

/// cmake of the PATH, or of the Python environment of the tests.
pub(crate) fn cmake() -> Option<PathBuf> {
    let python = env::var_os("TMOE_ONNX_PYTHON").map(PathBuf::from);
    find("cmake").or_else(|| of_wheel(python?.parent()?.parent()?))
}

/// The program in the package `cmake` of a Python environment.
fn of_wheel(environment: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(environment.join("lib")).ok()?;
    let program = |version: fs::DirEntry| version.path().join("site-packages/cmake/data/bin/cmake");
    versions.flatten().map(program).find(|program| program.is_file())
}

/// The first thing of every program: it says which version it runs with.
fn version_program(folder: &Path) -> PathBuf {
    let source = folder.join("version.cpp");
    let text = "#include <cstdio>\n#include <tmoe.hpp>\n\nint main() {\n    tmoe::options options;\n    \
                return std::puts(tmoe_version()) < 0 ? 1 : 0;\n}\n";
    fs::write(&source, text).unwrap();
    source
}

fn pkg_config(prefix: &Path, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(arguments).arg("tmoe");
    succeed(&mut command).stdout.split_whitespace().map(str::to_owned).collect()
}

fn needed(program: &Path) -> String {
    // The loader itself says what it would load.
    succeed(Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1")).stdout
}

pub(crate) fn shared_by_pkg_config(shared: &Shared, toolchain: &Toolchain) {
    let folder = shared.empty_folder();
    let (source, program) = (version_program(folder.path()), folder.path().join("version"));
    let mut compile = toolchain.command(Language::Cpp);
    compile.arg(source).arg("-o").arg(&program).args(pkg_config(shared.prefix(), &["--cflags", "--libs"]));
    succeed(&mut compile);
    let mut run = command(&program, Way::Plain);
    run.env("LD_LIBRARY_PATH", shared.prefix().join("lib"));
    assert_eq!(succeed(&mut run).stdout.trim(), env!("CARGO_PKG_VERSION"));
    assert!(needed(&program).contains(SONAME));
    assert_eq!(pkg_config(shared.prefix(), &["--modversion"]), [env!("CARGO_PKG_VERSION")]);
}

pub(crate) fn static_by_pkg_config(shared: &Shared, toolchain: &Toolchain) {
    let folder = shared.empty_folder();
    let program = folder.path().join("edge_service");
    let mut compile = toolchain.command(Language::Cpp);
    compile.arg(Path::new(SOURCES).join("examples/edge_service.cpp")).arg("-o").arg(&program);
    let flags = pkg_config(shared.prefix(), &["--static", "--cflags", "--libs"]);
    compile.args(flags.iter().map(|flag| if flag == "-ltmoe" { "-l:libtmoe.a" } else { flag }));
    succeed(&mut compile);
    let mut run = command(&program, Way::Plain);
    succeed(run.arg(shared.package()).args(["8", "16", "4"]));
    assert!(!needed(&program).contains("libtmoe"));
}

pub(crate) fn found_by_cmake(shared: &Shared, _: &Toolchain) {
    let folder = shared.empty_folder();
    version_program(folder.path());
    let lists = "cmake_minimum_required(VERSION 3.16)\nproject(version CXX)\nfind_package(tmoe VERSION REQUIRED)\n\
                 add_executable(shared version.cpp)\ntarget_link_libraries(shared PRIVATE tmoe::tmoe)\n\
                 add_executable(static version.cpp)\ntarget_link_libraries(static PRIVATE tmoe::static)\n\
                 set_target_properties(shared static PROPERTIES CXX_STANDARD 17)\n";
    let configure = |version: &str| {
        fs::write(folder.path().join("CMakeLists.txt"), lists.replace("VERSION REQUIRED", version)).unwrap();
        let mut configure = Command::new(cmake().expect("there is cmake"));
        configure.current_dir(folder.path()).args(["-S", ".", "-B"]);
        configure.arg(format!("build-{}", version.split(' ').next().unwrap()));
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", shared.prefix().display()));
        configure
    };
    let newer = configure("7.0 REQUIRED").output().unwrap();
    let text = String::from_utf8(newer.stderr).unwrap();
    assert!(!newer.status.success() && text.contains("version: 0.1.0"), "{text}");
    succeed(&mut configure("0.1 REQUIRED"));
    let mut build = Command::new(cmake().expect("there is cmake"));
    succeed(build.current_dir(folder.path()).args(["--build", "build-0.1"]));
    for (program, has_library) in [("shared", true), ("static", false)] {
        let program = folder.path().join("build-0.1").join(program);
        assert_eq!(succeed(&mut command(&program, Way::Plain)).stdout.trim(), env!("CARGO_PKG_VERSION"));
        assert_eq!(needed(&program).contains("libtmoe"), has_library);
    }
}

pub(crate) fn moved_and_installed_again(shared: &Shared) {
    let folder = shared.empty_folder();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    install(&first);
    install(&first);
    fs::rename(&first, &second).unwrap();
    assert_eq!(
        files_below(&second),
        [
            "include/tmoe.h",
            "include/tmoe.hpp",
            "lib/cmake/tmoe/tmoeConfig.cmake",
            "lib/cmake/tmoe/tmoeConfigVersion.cmake",
            "lib/libtmoe.a",
            "lib/libtmoe.so",
            "lib/libtmoe.so.1",
            "lib/pkgconfig/tmoe.pc",
        ]
    );
    for text in
        ["lib/cmake/tmoe/tmoeConfig.cmake", "lib/cmake/tmoe/tmoeConfigVersion.cmake", "lib/pkgconfig/tmoe.pc"]
    {
        let text = fs::read_to_string(second.join(text)).unwrap();
        assert!(!text.contains('@') && !text.contains(folder.path().to_str().unwrap()), "{text}");
    }
    let link = fs::read_link(second.join("lib/libtmoe.so")).unwrap();
    assert_eq!(link, Path::new(SONAME));
}
