//! Output folders that appear complete or not at all.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that is filled under a temporary name beside its destination, and takes its place by renaming.
///
/// Dropped without [`StagedFolder::commit`], as after any error, it is deleted with everything in it and
/// the destination is as before.
#[derive(Debug)]
pub struct StagedFolder {
    staging: TempDir,
    target: PathBuf,
    parent: PathBuf,
}

/// An output folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// Something is there already.
    #[error("{} exists: choose another output, or replace it with --force", path.display())]
    Exists {
        /// The destination.
        path: PathBuf,
    },
    /// What is there is not what would be written, so it is not replaced even with force.
    #[error(
        "{} exists and is not replaced, because it is not a folder with {marker} in it: \
         choose another output or delete it yourself",
        path.display()
    )]
    Foreign {
        /// The destination.
        path: PathBuf,
        /// The file by which a folder of this kind is recognised.
        marker: &'static str,
    },
    /// The path ends in `..` or is a root.
    #[error("{} cannot be an output, expected a path that ends with the name of a new folder", path.display())]
    NoName {
        /// The destination.
        path: PathBuf,
    },
    /// The parent folder does not exist or cannot be written.
    #[error("cannot write into {}: {source}", parent.display())]
    Parent {
        /// The folder that should hold the destination.
        parent: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The finished folder could not take its place.
    #[error("cannot move the finished output to {}: {source}", path.display())]
    Commit {
        /// The destination.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl StagedFolder {
    /// Starts an output that will appear at `target`, in a parent folder that exists.
    ///
    /// With `force`, an existing folder is replaced when the new one is committed, provided that it is
    /// empty or holds a file named `marker`: a mistyped path must not cost someone's data.
    ///
    /// # Errors
    ///
    /// Any [`StagingError`] but [`StagingError::Commit`].
    pub fn new(target: &Path, force: bool, marker: &'static str) -> Result<Self, StagingError> {
        // Through a link to a folder, so that the folder is replaced and not the link.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_path_buf());
        let (Some(name), Some(parent)) = (target.file_name(), target.parent()) else {
            return Err(StagingError::NoName { path: target });
        };
        let parent = match parent.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => parent.to_path_buf(),
        };
        if fs::symlink_metadata(&target).is_ok() {
            if !force {
                return Err(StagingError::Exists { path: target });
            }
            let is_empty = fs::read_dir(&target).is_ok_and(|mut entries| entries.next().is_none());
            if !is_empty && !target.join(marker).is_file() {
                return Err(StagingError::Foreign { path: target, marker });
            }
        }
        let prefix = format!(".{}.", name.to_string_lossy());
        let staging = sibling(&parent, &prefix)?;
        Ok(StagedFolder { staging, target, parent })
    }

    /// The folder to write into.
    pub fn path(&self) -> &Path {
        self.staging.path()
    }

    /// Makes the folder appear at its destination.
    ///
    /// # Errors
    ///
    /// [`StagingError::Commit`] or [`StagingError::Parent`]; the destination is then as before.
    pub fn commit(self) -> Result<(), StagingError> {
        let StagedFolder { staging, target, parent } = self;
        let failed = |source| StagingError::Commit { path: target.clone(), source };
        if fs::symlink_metadata(&target).is_err() {
            fs::rename(staging.path(), &target).map_err(failed)?;
        } else {
            let old = sibling(&parent, ".replaced.")?;
            let aside = old.path().join("old");
            fs::rename(&target, &aside).map_err(failed)?;
            if let Err(source) = fs::rename(staging.path(), &target) {
                // Best effort to undo; the error that matters is the first one.
                let _ = fs::rename(&aside, &target);
                return Err(failed(source));
            }
        }
        // It has moved away: there is nothing left to delete under the temporary name.
        let _ = staging.keep();
        Ok(())
    }
}

fn sibling(parent: &Path, prefix: &str) -> Result<TempDir, StagingError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    {
        // A temporary folder is private unless said; this one becomes an output like any other, under the umask.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(parent).map_err(|source| {
        // Without the temporary name, which means nothing to the user.
        let source = std::io::Error::from(source.kind());
        StagingError::Parent { parent: parent.to_path_buf(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &str = "config.json";

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_output_appears_when_it_is_committed_and_not_before() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        let staged = StagedFolder::new(&target, false, MARKER).unwrap();
        fs::write(staged.path().join("a"), "1").unwrap();
        assert!(!target.exists());
        staged.commit().unwrap();
        assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "1");
        assert_eq!(names(parent.path()), ["out"]);
    }

    #[test]
    fn nothing_remains_of_an_output_that_is_dropped() {
        let parent = tempfile::tempdir().unwrap();
        let staged = StagedFolder::new(&parent.path().join("out"), false, MARKER).unwrap();
        fs::write(staged.path().join("a"), "1").unwrap();
        drop(staged);
        assert_eq!(names(parent.path()), Vec::<String>::new());
    }

    #[test]
    fn what_exists_is_kept_without_force_and_replaced_with_it() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        fs::create_dir(&target).unwrap();
        fs::write(target.join(MARKER), "old").unwrap();
        let error = StagedFolder::new(&target, false, MARKER).unwrap_err();
        assert!(matches!(error, StagingError::Exists { .. }));
        assert!(error.to_string().contains("--force"), "{error}");

        let staged = StagedFolder::new(&target, true, MARKER).unwrap();
        fs::write(staged.path().join(MARKER), "new").unwrap();
        assert_eq!(fs::read_to_string(target.join(MARKER)).unwrap(), "old");
        staged.commit().unwrap();
        assert_eq!(fs::read_to_string(target.join(MARKER)).unwrap(), "new");
        assert_eq!(names(parent.path()), ["out"]);
    }

    #[test]
    fn force_does_not_replace_what_is_not_of_the_same_kind() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("photos");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("photo"), "1").unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "1").unwrap();
        for path in [&folder, &file] {
            let error = StagedFolder::new(path, true, MARKER).unwrap_err();
            assert!(matches!(error, StagingError::Foreign { .. }), "{error}");
        }
        assert_eq!(names(parent.path()), ["file", "photos"]);
    }

    #[test]
    fn force_replaces_an_empty_folder() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("out");
        fs::create_dir(&target).unwrap();
        StagedFolder::new(&target, true, MARKER).unwrap().commit().unwrap();
        assert_eq!(names(parent.path()), ["out"]);
    }

    #[test]
    fn a_parent_that_does_not_exist_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("missing").join("out");
        let error = StagedFolder::new(&target, false, MARKER).unwrap_err();
        assert!(matches!(error, StagingError::Parent { .. }));
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn a_path_without_a_name_is_no_output() {
        assert!(matches!(StagedFolder::new(Path::new("/"), true, MARKER), Err(StagingError::NoName { .. })));
    }

    #[test]
    fn a_bare_name_is_written_into_the_current_folder() {
        let staged = StagedFolder::new(Path::new("tmoe-staging-test"), false, MARKER).unwrap();
        assert!(staged.path().exists());
    }

    #[cfg(unix)]
    #[test]
    fn the_output_is_as_readable_as_any_new_folder() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        let usual = parent.path().join("usual");
        fs::create_dir(&usual).unwrap();
        let target = parent.path().join("out");
        StagedFolder::new(&target, false, MARKER).unwrap().commit().unwrap();
        assert_eq!(mode(&target), mode(&usual));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_stays_and_the_folder_is_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("real");
        fs::create_dir(&target).unwrap();
        fs::write(target.join(MARKER), "old").unwrap();
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let staged = StagedFolder::new(&link, true, MARKER).unwrap();
        fs::write(staged.path().join(MARKER), "new").unwrap();
        staged.commit().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(target.join(MARKER)).unwrap(), "new");
    }
}
