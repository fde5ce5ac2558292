//! The Python that is there, and the environment with the packages that tests use.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths::Workspace;
use crate::process;

/// A Python 3 interpreter that can run pip.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    /// The interpreter itself, not a launcher or a shim.
    pub(crate) executable: PathBuf,
    pub(crate) version: String,
}

/// Prints three lines: the version, the interpreter's path, whether pip is installed.
const PROBE: &str = "import sys, importlib.util as u; print('%d.%d.%d' % sys.version_info[:3]); \
                     print(sys.executable); print(u.find_spec('pip') is not None)";

impl Python {
    /// The first of `$PYTHON`, `python3`, `python` and (Windows) `py -3` that is Python 3 with pip.
    pub(crate) fn find() -> Result<Self> {
        let mut candidates: Vec<(OsString, &[&str])> = Vec::new();
        candidates.extend(env::var_os("PYTHON").map(|program| (program, &[][..])));
        candidates.extend([("python3".into(), &[][..]), ("python".into(), &[][..])]);
        if cfg!(windows) {
            candidates.push(("py".into(), &["-3"]));
        }

        let mut without_pip = None;
        for (program, arguments) in candidates {
            match probe(&program, arguments).as_deref().and_then(parse_probe) {
                Some((python, true)) => return Ok(python),
                Some((python, false)) => without_pip = without_pip.or(Some(python)),
                None => {}
            }
        }
        match without_pip {
            Some(Python { executable, version }) => {
                bail!("{} (Python {version}) has no pip", executable.display())
            }
            None => bail!("no Python 3 found"),
        }
    }

    /// `python -m pip COMMAND`, unmoved by personal settings that would change where files go.
    pub(crate) fn pip(&self, command: &str) -> Command {
        let mut pip = Command::new(&self.executable);
        pip.args(["-m", "pip", command]).stdin(Stdio::null());
        pip.envs([
            ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
            ("PIP_NO_INPUT", "1"),
            ("PIP_ROOT_USER_ACTION", "ignore"),
            ("PIP_USER", "0"),
        ]);
        pip
    }
}

/// What was installed into an environment. Written last: an interrupted installation has none.
const STAMP: &str = "installed.txt";

fn probe(program: &OsStr, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).args(["-c", PROBE]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

fn parse_probe(text: &str) -> Option<(Python, bool)> {
    let mut lines = text.lines();
    let version = lines.next().filter(|version| version.starts_with("3."))?.to_owned();
    let executable = lines.next().filter(|path| !path.is_empty())?.into();
    Some((Python { executable, version }, lines.next()? == "True"))
}

/// The interpreter of [`Workspace::python_environment`], if the environment runs and holds exactly the
/// packages of [`Workspace::requirements`].
pub(crate) fn installed(workspace: &Workspace) -> Option<PathBuf> {
    let folder = workspace.python_environment();
    let installed = fs::read_to_string(folder.join(STAMP)).ok()?;
    let wanted = fs::read_to_string(workspace.requirements()).ok()?;
    let interpreter = interpreter_in(&folder);
    // An environment outlives neither the removal nor the update of the Python it was made with.
    (installed == wanted && probe(interpreter.as_os_str(), &[]).is_some()).then_some(interpreter)
}

/// Makes [`Workspace::python_environment`] anew, and returns its interpreter.
pub(crate) fn install(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    let folder = workspace.python_environment();
    let interpreter = interpreter_in(&folder);
    let requirements = workspace.requirements();
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }

    // Debian and Ubuntu ship venv without ensurepip, so pip is used from outside the environment.
    let mut venv = Command::new(&python.executable);
    venv.args(["-m", "venv", "--without-pip"]).arg(&folder);
    process::run(venv.stdin(Stdio::null()))?;
    let mut packages = Command::new(&interpreter);
    packages.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
    let packages = process::output(&mut packages)?;
    let mut pip = python.pip("install");
    // pip would compare with the packages of the Python outside, which do not matter here.
    pip.args(["--no-warn-conflicts", "--only-binary=:all:", "--target"]).arg(Path::new(packages.trim_end()));
    process::run(pip.arg("--requirement").arg(&requirements))?;

    let stamp = folder.join(STAMP);
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(interpreter)
}

fn interpreter_in(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_tells_its_version_its_path_and_whether_it_has_pip() {
        let (python, pip) = parse_probe("3.11.7\n/opt/my python/bin/python3\nTrue\n").unwrap();
        assert_eq!(python.version, "3.11.7");
        assert_eq!(python.executable, Path::new("/opt/my python/bin/python3"));
        assert!(pip);
        assert!(!parse_probe("3.12.1\r\nC:\\Python\\python.exe\r\nFalse\r\n").unwrap().1);
    }

    #[test]
    fn what_is_not_python_3_is_passed_over() {
        assert!(parse_probe("2.7.18\n/usr/bin/python\nTrue\n").is_none());
        assert!(parse_probe("Python was not found; run without arguments to install\n").is_none());
        assert!(parse_probe("3.11.7\n\nTrue\n").is_none());
        assert!(parse_probe("").is_none());
    }
}
