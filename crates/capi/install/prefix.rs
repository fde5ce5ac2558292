//! The C interface as it is installed, below a prefix that can be moved:
//!
//! ```text
//! include/tmoe.h, tmoe.hpp
//! lib/libtmoe.so.1, and libtmoe.so, which is the same
//! lib/libtmoe.a
//! lib/cmake/tmoe/tmoeConfig.cmake, tmoeConfigVersion.cmake     find_package(tmoe)
//! lib/pkgconfig/tmoe.pc                                        pkg-config tmoe
//! ```
//!
//! Included by `cargo xtask install-capi` and by the tests of this crate.

use std::fs;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::symlink;
use std::path::Path;

/// What programs ask the loader for; the number is that of the interface.
pub(crate) const SONAME: &str = "libtmoe.so.1";

/// What the static library needs besides itself, on Linux with glibc.
const PRIVATE_LIBRARIES: [&str; 7] = ["gcc_s", "util", "rt", "pthread", "m", "dl", "c"];

/// What was built, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built<'a> {
    /// The folder of this crate.
    pub(crate) sources: &'a Path,
    /// Where Cargo put `libtmoe_capi.so` and `libtmoe_capi.a`.
    pub(crate) libraries: &'a Path,
    /// The version of the crate.
    pub(crate) version: &'a str,
    /// Whether there is C++ in it: the bindings to TensorRT.
    pub(crate) cpp: bool,
}

impl Built<'_> {
    /// Writes everything below `prefix`.
    pub(crate) fn install(&self, prefix: &Path) -> io::Result<()> {
        let (include, lib) = (prefix.join("include"), prefix.join("lib"));
        let (cmake, pkgconfig) = (lib.join("cmake/tmoe"), lib.join("pkgconfig"));
        for folder in [&include, &cmake, &pkgconfig] {
            fs::create_dir_all(folder).map_err(|error| about(folder, &error))?;
        }
        for header in ["tmoe.h", "tmoe.hpp"] {
            copy(&self.sources.join("include").join(header), &include.join(header))?;
        }
        copy(&self.libraries.join("libtmoe_capi.so"), &lib.join(SONAME))?;
        copy(&self.libraries.join("libtmoe_capi.a"), &lib.join("libtmoe.a"))?;
        link(SONAME, &lib.join("libtmoe.so"))?;
        for (folder, name) in
            [(&cmake, "tmoeConfig.cmake"), (&cmake, "tmoeConfigVersion.cmake"), (&pkgconfig, "tmoe.pc")]
        {
            let template = self.sources.join("install").join(format!("{name}.in"));
            let text = fs::read_to_string(&template).map_err(|error| about(&template, &error))?;
            let path = folder.join(name);
            fs::write(&path, self.fill_in(&text)).map_err(|error| about(&path, &error))?;
        }
        Ok(())
    }

    fn fill_in(&self, template: &str) -> String {
        let cpp = if self.cpp { &["stdc++"][..] } else { &[] };
        let libraries: Vec<&str> = cpp.iter().chain(&PRIVATE_LIBRARIES).copied().collect();
        let flags: Vec<String> = libraries.iter().map(|library| format!("-l{library}")).collect();
        template
            .replace("@VERSION@", self.version)
            .replace("@SONAME@", SONAME)
            .replace("@PRIVATE_FLAGS@", &flags.join(" "))
            .replace("@PRIVATE_LIBRARIES@", &libraries.join(";"))
    }
}

/// Removes first what is there: a program that runs keeps the library that it has.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    remove(to)?;
    fs::copy(from, to).map(|_| ()).map_err(|error| about(from, &error))
}

fn link(target: &str, path: &Path) -> io::Result<()> {
    remove(path)?;
    symlink(target, path).map_err(|error| about(path, &error))
}

#[cfg(not(unix))]
fn symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(about(path, &error)),
        _ => Ok(()),
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
