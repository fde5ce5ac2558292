//! Compiling C++ or CUDA sources to objects that are kept: what is the same is compiled once, whoever asks.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A compiler and its options; a source and `-c -o OBJECT` are added to them.
pub(crate) struct Compiler {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// Folders whose headers the sources include.
    pub(crate) headers: Vec<PathBuf>,
}

impl Compiler {
    /// One object per source, in the order of the sources, in `folder`. An object's name holds a hash of all that went into it.
    /// At most `jobs` compilers run at once; an error is what the first one that failed printed.
    pub(crate) fn objects(
        &self,
        sources: &[PathBuf],
        folder: &Path,
        jobs: usize,
    ) -> Result<Vec<PathBuf>, String> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let common = self.common_hash()?;
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some((index, source)) = next_of(sources, &next) {
                let object = self.object(source, common, folder);
                if object.is_err() {
                    // Nobody starts what nobody would use.
                    next.store(sources.len(), Ordering::Relaxed);
                }
                done.push((index, object));
            }
            done
        };
        let mut done: Vec<(usize, Result<PathBuf, String>)> = thread::scope(|scope| {
            let workers: Vec<_> =
                (0..jobs.clamp(1, sources.len().max(1))).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        done.sort_by_key(|(index, _)| *index);
        let objects = done.into_iter().map(|(_, object)| object).collect::<Result<Vec<_>, _>>()?;
        if objects.len() < sources.len() {
            return Err("a compiler's thread failed".to_owned());
        }
        Ok(objects)
    }

    fn object(&self, source: &Path, common: u64, folder: &Path) -> Result<PathBuf, String> {
        let hash = hash_of(&read(source)?, common);
        let stem = source.file_stem().unwrap_or_default().display();
        let object = folder.join(format!("{stem}-{hash:016x}.o"));
        if object.exists() {
            return Ok(object);
        }
        let partial = folder.join(format!("{stem}-{hash:016x}.{}.partial.o", std::process::id()));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("-c").arg(source).arg("-o").arg(&partial).stdin(Stdio::null());
        let output =
            command.output().map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        if !output.status.success() {
            let printed = String::from_utf8_lossy(&output.stderr).into_owned()
                + &String::from_utf8_lossy(&output.stdout);
            return Err(format!("{command:?} failed ({}):\n{printed}", output.status));
        }
        fs::rename(&partial, &object)
            .map_err(|error| format!("cannot create {}: {error}", object.display()))?;
        Ok(object)
    }

    /// Of the compiler's version, its options and the headers.
    fn common_hash(&self) -> Result<u64, String> {
        let version = Command::new(&self.program)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        let mut hash = hash_of(&version.stdout, 0xcbf2_9ce4_8422_2325);
        for argument in &self.arguments {
            hash = hash_of(&[argument.as_encoded_bytes(), &[0]].concat(), hash);
        }
        for folder in &self.headers {
            for header in files(folder, &["h", "cuh"])? {
                hash = hash_of(header.as_os_str().as_encoded_bytes(), hash);
                hash = hash_of(&read(&header)?, hash);
            }
        }
        Ok(hash)
    }
}

fn next_of<'a>(sources: &'a [PathBuf], next: &AtomicUsize) -> Option<(usize, &'a Path)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    sources.get(index).map(|source| (index, source.as_path()))
}

/// All files below a folder with one of the extensions, sorted.
pub(crate) fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot read {}: {error}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(files(&path, extensions)?);
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|one| extension == *one)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// FNV-1a, from an earlier hash on.
fn hash_of(bytes: &[u8], hash: u64) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
