//! The CUDA compiler, and what it is asked to compile for.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is compiled for: machine code of every generation, and PTX of the newest for what comes after it.
const ARCHITECTURES: &str = "75,80,86,89,90a,120";

/// The variable that names other architectures.
pub(crate) const ARCHITECTURES_VARIABLE: &str = "TMOE_CUDA_ARCHITECTURES";

/// The oldest compiler that knows the options of [`options`] and the newest of [`ARCHITECTURES`].
const OLDEST: [u32; 2] = [12, 8];

/// A CUDA toolkit, or as much of one as compiling needs.
#[derive(Clone, Debug)]
pub(crate) struct Toolkit {
    pub(crate) nvcc: PathBuf,
    /// Where `libcudart_static.a` lies.
    pub(crate) libraries: PathBuf,
    /// How it was found.
    pub(crate) origin: &'static str,
}

/// What `cargo xtask cuda` installs, below the target folder.
pub(crate) const INSTALLED: &str = "cuda/nvidia/cu13";

/// The toolkit of `$CUDA_HOME`, else that of the `nvcc` on the PATH, else what `cargo xtask cuda` installed below one of the
/// folders that hold `inside_target`.
pub(crate) fn find(inside_target: &Path) -> Result<Toolkit, String> {
    if let Some(home) = env::var_os("CUDA_HOME").filter(|home| !home.is_empty()) {
        let home = PathBuf::from(home);
        return in_home(&home, "CUDA_HOME").ok_or_else(|| {
            format!("CUDA_HOME is {}, where bin/nvcc or libcudart_static.a is missing", home.display())
        });
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("nvcc")).find(|nvcc| nvcc.is_file());
    let on_path = on_path.and_then(|nvcc| {
        let real = nvcc.canonicalize().ok()?;
        in_home(real.parent()?.parent()?, "PATH")
    });
    let installed =
        || inside_target.ancestors().find_map(|folder| in_home(&folder.join(INSTALLED), "cargo xtask cuda"));
    on_path.or_else(installed).ok_or_else(|| {
        "no CUDA compiler was found. `cargo xtask cuda` installs one below the target folder (100 MB); or set CUDA_HOME to the \
         folder of a CUDA toolkit, 12.8 or newer"
            .to_owned()
    })
}

impl Toolkit {
    /// Fails with what to do if the compiler does not start or is older than [`OLDEST`].
    pub(crate) fn check_version(&self) -> Result<(), String> {
        let (nvcc, [major, minor]) = (self.nvcc.display(), OLDEST);
        let remedy = format!(
            "the kernels need CUDA {major}.{minor} or newer: set CUDA_HOME to the folder of one; `cargo xtask cuda` installs one \
             below the target folder, in {INSTALLED}, if none newer is found"
        );
        let output = Command::new(&self.nvcc)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {nvcc} (from {}): {error}; {remedy}", self.origin))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        match version_in(&printed) {
            Some(version) if version >= OLDEST => Ok(()),
            Some([major, minor]) => {
                Err(format!("{nvcc} (from {}) is of CUDA {major}.{minor}; {remedy}", self.origin))
            }
            None => Err(format!(
                "{nvcc} --version (from {}) names no release, it printed {:?}; {remedy}",
                self.origin,
                printed.trim()
            )),
        }
    }
}

/// Major and minor version in what `nvcc --version` prints: `... tools, release 13.0, V13.0.88`.
fn version_in(printed: &str) -> Option<[u32; 2]> {
    let release = printed.split("release ").nth(1)?;
    let (major, rest) = release.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some([major.parse().ok()?, minor.parse().ok()?])
}

fn in_home(home: &Path, origin: &'static str) -> Option<Toolkit> {
    let nvcc = home.join("bin/nvcc");
    let libraries = ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"];
    let libraries = libraries.map(|folder| home.join(folder));
    let libraries = libraries.into_iter().find(|folder| folder.join("libcudart_static.a").is_file())?;
    nvcc.is_file().then_some(Toolkit { nvcc, libraries, origin })
}

/// The architectures: those of [`ARCHITECTURES_VARIABLE`], else all.
pub(crate) fn architectures() -> String {
    let chosen = env::var(ARCHITECTURES_VARIABLE).unwrap_or_default();
    if chosen.trim().is_empty() { ARCHITECTURES.to_owned() } else { chosen }
}

/// Options of nvcc for objects that may go into any kind of program. The kernels' machine code is much alike: what compresses it for
/// size makes an eighth of it, in the same time; drivers for CUDA 12.8 and newer read it.
pub(crate) fn options(architectures: &str) -> Result<Vec<OsString>, String> {
    let mut options: Vec<OsString> =
        ["-O3", "-std=c++17", "-compress-mode=size", "-Xcompiler=-Wall,-Wextra,-fPIC"]
            .map(OsString::from)
            .into();
    options.extend(code_options(architectures)?.into_iter().map(OsString::from));
    Ok(options)
}

/// `-gencode` for each architecture, and PTX of the newest that has no letter: those are of one generation only.
fn code_options(architectures: &str) -> Result<Vec<String>, String> {
    let names: Vec<&str> =
        architectures.split([',', ';', ' ']).map(str::trim).filter(|name| !name.is_empty()).collect();
    if names == ["native"] {
        return Ok(vec!["-arch=native".to_owned()]);
    }
    let mut options = Vec::new();
    let mut newest = None;
    for name in names {
        let number = name.trim_end_matches(['a', 'f']);
        let Ok(generation) = number.parse::<u32>() else {
            return Err(format!(
                "{ARCHITECTURES_VARIABLE} names {name:?}, expected numbers like 80,90a or the word native"
            ));
        };
        options.push(format!("-gencode=arch=compute_{name},code=sm_{name}"));
        if number == name {
            newest = newest.max(Some(generation));
        }
    }
    options.extend(newest.map(|newest| format!("-gencode=arch=compute_{newest},code=compute_{newest}")));
    Ok(options)
}
