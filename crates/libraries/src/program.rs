//! Folders beside a program, and cargo's target folder.

use std::path::{Path, PathBuf};

/// Beside the program and in the folders `inner` there, in `lib` as installers lay it out, and for a program that cargo built,
/// in the folder `built` of cargo's target folder.
pub fn folders_near(program: &Path, inner: &[&str], built: &str) -> Vec<PathBuf> {
    let Some(folder) = program.parent() else { return Vec::new() };
    let inner = inner.iter().map(|name| folder.join(name));
    let installed = folder.parent().map(|prefix| prefix.join("lib"));
    let built = cargo_target(folder).map(|target| target.join(built));
    std::iter::once(folder.to_owned()).chain(inner).chain(installed).chain(built).collect()
}

/// cargo's target folder, for a program in `target/<profile>` or `target/<triple>/<profile>`, or in `deps` or
/// `examples` there.
///
/// Other folders above the program are not searched: one of them may be writable for everybody, as `/tmp` is, and
/// what is found is run. That is also why cargo's mark is wanted in the profile's folder and not only above it.
fn cargo_target(folder: &Path) -> Option<&Path> {
    let is_inner = folder.file_name().is_some_and(|name| name == "deps" || name == "examples");
    let profile = if is_inner { folder.parent()? } else { folder };
    if !profile.join(".cargo-lock").is_file() {
        return None;
    }
    profile.ancestors().skip(1).take(2).find(|above| above.join("CACHEDIR.TAG").is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_folders_beside_the_program_come_in_order() {
        let found = folders_near(Path::new("/opt/tmoe/bin/tmoe"), &["lib", "example"], "example");
        let expected = ["/opt/tmoe/bin", "/opt/tmoe/bin/lib", "/opt/tmoe/bin/example", "/opt/tmoe/lib"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn only_a_folder_with_cargos_marks_is_a_target_folder() {
        let root = tempfile::tempdir().unwrap();
        let deps = root.path().join("debug/deps");
        fs::create_dir_all(&deps).unwrap();
        fs::write(root.path().join("CACHEDIR.TAG"), "").unwrap();
        let built =
            || folders_near(&deps.join("test-0123"), &[], "example").contains(&root.path().join("example"));
        assert!(!built());
        fs::write(root.path().join("debug/.cargo-lock"), "").unwrap();
        assert!(built());
    }
}
