//! Compilers, and ways to run what they make.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A C and a C++ compiler that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    pub(crate) name: &'static str,
    c: Option<PathBuf>,
    cpp: Option<PathBuf>,
}

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// As it is.
    Plain,
    /// Under AddressSanitizer, leaks included.
    Sanitized,
    /// Under valgrind, leaks included.
    Valgrind,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Sanitized, Self::Valgrind];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plain => "",
            Self::Sanitized => ", AddressSanitizer",
            Self::Valgrind => ", valgrind",
        })
    }
}

/// A source language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    C,
    Cpp,
}

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

impl Toolchain {
    /// The system's compilers, or those that `CC` and `CXX` name.
    pub(crate) fn gcc() -> Self {
        let chosen = |variable: &str| env::var_os(variable).filter(|name| !name.is_empty());
        let first = |variable: &str, names: [&str; 2]| {
            let chosen = chosen(variable).map(PathBuf::from).filter(|program| starts(program));
            chosen.or_else(|| names.into_iter().find_map(find))
        };
        Self { name: "gcc", c: first("CC", ["gcc", "cc"]), cpp: first("CXX", ["g++", "c++"]) }
    }

    pub(crate) fn clang() -> Self {
        Self { name: "clang", c: find("clang"), cpp: find("clang++") }
    }

    /// What is missing, if something is.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match self.name {
            _ if self.c.is_some() && self.cpp.is_some() => None,
            "clang" => Some("no clang"),
            _ => Some("no C and C++ compiler"),
        }
    }

    /// Whether programs cannot be compiled with AddressSanitizer: its library is a package of its own in places.
    pub(crate) fn no_sanitizer(&self) -> Option<&'static str> {
        static GCC: OnceLock<bool> = OnceLock::new();
        static CLANG: OnceLock<bool> = OnceLock::new();
        let known = if self.name == "gcc" { &GCC } else { &CLANG };
        let works = known.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (source, program) = (folder.path().join("a.c"), folder.path().join("a"));
            std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
            let mut compile = Command::new(self.c.as_deref().unwrap_or(Path::new("cc")));
            compile.arg("-fsanitize=address").arg(source).arg("-o").arg(&program).stderr(Stdio::null());
            compile.status().is_ok_and(|status| status.success())
                && Command::new(program).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        });
        (!works).then_some("no AddressSanitizer")
    }

    /// A command of the compiler for a language, in its standard, with all warnings as errors.
    pub(crate) fn command(&self, language: Language) -> Command {
        let (compiler, standard) = match language {
            Language::C => (&self.c, "-std=c11"),
            Language::Cpp => (&self.cpp, "-std=c++17"),
        };
        let mut command = Command::new(compiler.as_deref().expect("there is a compiler"));
        command.arg(standard).args(WARNINGS).args(["-g", "-O1"]);
        command
    }
}

/// A program of that name in the PATH.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn starts(program: &Path) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
