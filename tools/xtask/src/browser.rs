//! `cargo xtask browser`: a headless Chromium for the tests of pages, out of a package of npm's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::chromium;
use crate::paths::{Workspace, for_people};
use crate::{process, staged};

/// Chromium for servers: it needs no desktop's libraries and brings its fonts.
const PACKAGE: &str = "@sparticuz/chromium@153.0.0";

/// Takes Brotli off every file of a folder, into another. Node.js has it built in.
const DECOMPRESS: &str = r#"
const { createReadStream, createWriteStream, readdirSync } = require("node:fs");
const { pipeline } = require("node:stream/promises");
const { createBrotliDecompress } = require("node:zlib");
const [from, to] = process.argv.slice(1);
(async () => {
  for (const name of readdirSync(from).filter(name => name.endsWith(".br"))) {
    const whole = createWriteStream(`${to}/${name.slice(0, -3)}`);
    await pipeline(createReadStream(`${from}/${name}`), createBrotliDecompress(), whole);
  }
})();
"#;

/// Starts the browser with the libraries and fonts that came with it.
const PROGRAM: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/chromium" "$@"
"#;

/// The fonts below the folder that this file is in, and those of the machine.
const FONTS: &str = r#"<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"#;

/// Makes sure that there is a browser, and prints where.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let browser = match found(workspace) {
        Some(browser) => browser,
        None => install(workspace)?,
    };
    println!("Browser: {}", for_people(&browser));
    Ok(())
}

/// The browser for tests: the one that `TMOE_CHROMIUM` names, one of the PATH, or one of the right version in
/// [`Workspace::browser`].
pub(crate) fn found(workspace: &Workspace) -> Option<PathBuf> {
    chromium::find().or_else(|| installed_in(&workspace.browser()))
}

fn installed_in(folder: &Path) -> Option<PathBuf> {
    let program = folder.join("browser");
    let version = fs::read_to_string(folder.join("VERSION")).ok()?;
    (version == PACKAGE && program.is_file()).then_some(program)
}

/// Installs the package into [`Workspace::browser`].
fn install(workspace: &Workspace) -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "there is a browser to install for Linux on x86-64 only; set {} to a Chromium or Chrome",
        chromium::BROWSER
    );
    let npm = Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !npm.is_ok_and(|status| status.success()) {
        bail!(
            "no npm found, which fetches the browser; install Node.js with npm, or set {} to a Chromium or Chrome",
            chromium::BROWSER
        );
    }
    staged::install(&workspace.browser(), fetch, installed_in)
}

fn fetch(staging: &Path) -> Result<PathBuf> {
    let (package, complete) = (staging.join("package"), staging.join("complete"));
    for folder in [&package, &complete] {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--pack-destination"]).arg(staging).arg(PACKAGE).current_dir(staging);
    let archive = process::output(&mut npm)?;
    let archive =
        archive.lines().last().with_context(|| format!("npm did not say where it put {PACKAGE}"))?;
    unpack(&staging.join(archive.trim()), staging)?;
    process::run(Command::new("node").args(["-e", DECOMPRESS]).arg(package.join("bin")).arg(&complete))?;
    for part in ["al2023.tar", "fonts.tar", "swiftshader.tar"] {
        let part = complete.join(part);
        unpack(&part, &complete)?;
        fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    for (name, text) in [("fonts.conf", FONTS), ("browser", PROGRAM), ("VERSION", PACKAGE)] {
        let path = complete.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for program in ["chromium", "browser"] {
        process::make_executable(&complete.join(program))?;
    }
    Ok(complete)
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    process::run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_of_another_version_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(installed_in(folder.path()), None);
        fs::write(folder.path().join("browser"), PROGRAM).unwrap();
        fs::write(folder.path().join("VERSION"), "@sparticuz/chromium@1.0.0").unwrap();
        assert_eq!(installed_in(folder.path()), None);
        fs::write(folder.path().join("VERSION"), PACKAGE).unwrap();
        assert_eq!(installed_in(folder.path()), Some(folder.path().join("browser")));
    }
}
