//! The files that a command writes.

use std::path::PathBuf;

use crate::Failure;

/// Finds out before the work, not after it, that its result has no place.
pub(crate) fn refuse_existing<'a>(
    files: impl Iterator<Item = &'a PathBuf>,
    force: bool,
) -> Result<(), Failure> {
    let files: Vec<&PathBuf> = files.collect();
    let twice = files.iter().enumerate().find(|(index, path)| files[..*index].contains(path));
    if let Some((_, path)) = twice {
        return Err(
            format!("{} is named for two outputs; choose another file for one", path.display()).into()
        );
    }
    match files.into_iter().find(|path| path.is_file() && !force) {
        Some(path) => Err(format!(
            "{} exists already; choose another file, or pass --force to replace it",
            path.display()
        )
        .into()),
        None => Ok(()),
    }
}
