//! The packed folder as one compressed file, or as parts of it that a narrow way to the GPU machine lets through.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::python::Python;

/// Arguments: the folder, the file to write. Owners and times are left out, so that equal folders give equal files.
const COMPRESS: &str = "
import sys, tarfile, pathlib
def plain(entry):
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ''
    return entry
folder = pathlib.Path(sys.argv[1])
with tarfile.open(sys.argv[2], 'w:xz') as archive:
    archive.add(folder, folder.name, filter=plain)
";

/// The name of the script beside the parts.
const UNPACK: &str = "unpack.sh";

/// Bytes of every file below a folder, by path, sorted.
pub(crate) fn sizes(folder: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
        let facts = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if facts.is_dir() {
            found.extend(sizes(&path)?);
        } else {
            found.push((path, facts.len()));
        }
    }
    found.sort();
    Ok(found)
}

/// `<folder>.tar.xz` beside the folder.
pub(crate) fn compress(folder: &Path, python: &Python) -> Result<PathBuf> {
    let archive = folder.with_extension("tar.xz");
    process::run(Command::new(&python.executable).arg("-c").arg(COMPRESS).arg(folder).arg(&archive))?;
    Ok(archive)
}

/// Cuts a file into parts of at most `bytes` in a new `folder`, with a script that joins and unpacks them. Returns the script.
pub(crate) fn split(archive: &Path, bytes: u64, folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let name = archive.file_name().unwrap_or_default().display().to_string();
    let mut input = File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    for part in 0.. {
        // The shell lists the parts in the order of their names.
        let path = folder.join(format!("{name}.{part:04}"));
        let mut output = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let written = io::copy(&mut Read::by_ref(&mut input).take(bytes), &mut output)
            .with_context(|| format!("cannot write {}", path.display()))?;
        if written == 0 && part > 0 {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        if written < bytes {
            break;
        }
    }
    let script = folder.join(UNPACK);
    let text = format!(
        "#!/bin/sh\n# Joins the parts beside this file and unpacks them here.\nset -e\ncd \"$(dirname \"$0\")\"\n\
         cat {name}.[0-9]* > {name}\npython3 -m tarfile -e {name}\n"
    );
    fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_no_larger_than_asked_for_and_give_the_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("gpu.tar.xz");
        for (length, expected) in [(0, vec![0]), (5, vec![5]), (10, vec![10]), (25, vec![10, 10, 5])] {
            let bytes: Vec<u8> = (0..length).collect();
            fs::write(&archive, &bytes).unwrap();
            let parts = folder.path().join("parts");
            let script = split(&archive, 10, &parts).unwrap();
            let found: Vec<_> =
                sizes(&parts).unwrap().into_iter().filter(|(path, _)| *path != script).collect();
            assert_eq!(found.iter().map(|(_, size)| *size).collect::<Vec<_>>(), expected);
            let joined: Vec<u8> = found.iter().flat_map(|(path, _)| fs::read(path).unwrap()).collect();
            assert_eq!(joined, bytes);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_script_beside_the_parts_gives_the_folder_again() {
        let Ok(python) = Python::find() else { return };
        let target = tempfile::tempdir().unwrap();
        let folder = target.path().join("gpu");
        fs::create_dir_all(folder.join("tests")).unwrap();
        fs::write(folder.join("tests/a"), "a test").unwrap();
        let script = split(&compress(&folder, &python).unwrap(), 100, &target.path().join("parts")).unwrap();
        let status = Command::new("sh").arg(&script).status().unwrap();
        assert!(status.success());
        assert_eq!(fs::read_to_string(target.path().join("parts/gpu/tests/a")).unwrap(), "a test");
    }
}
