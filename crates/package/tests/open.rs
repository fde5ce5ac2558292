//! Opening packages that were damaged, and folders that are none.

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use tmoe_package::{Integrity, Manifest, ManifestError, OpSet, Package, PackageError, files, hash_bytes};

/// Changes the manifest on disk as JSON.
fn edit_manifest(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join(files::MANIFEST);
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

fn refusal(folder: &Path) -> PackageError {
    let error = Package::open(folder).unwrap_err();
    let message = error.to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    assert!(message.contains(&*folder.to_string_lossy()), "it names the place: {message}");
    error
}

fn manifest_refusal(folder: &Path) -> ManifestError {
    match refusal(folder) {
        PackageError::Manifest { source, .. } => source,
        other => panic!("expected an error about the manifest, found {other:?}"),
    }
}

#[test]
fn a_whole_package_opens_and_says_what_it_contains() {
    let folder = support::package();
    let package = Package::open(folder.path()).unwrap();
    assert_eq!(package.manifest().horizons, [12]);
    assert_eq!(package.graph_path(OpSet::Standard).unwrap(), folder.path().join("model.onnx"));
    let error = package.graph_path(OpSet::Dense).unwrap_err();
    assert!(matches!(error, PackageError::NoGraph { wanted: OpSet::Dense, .. }), "{error}");
    assert!(error.to_string().contains("it has: standard"), "{error}");
}

#[test]
fn a_changed_byte_in_any_file_is_found_by_its_hash() {
    for name in [files::WEIGHTS, "model.onnx", files::SELFTEST] {
        let folder = support::package();
        let path = folder.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[5] ^= 1;
        fs::write(&path, &bytes).unwrap();
        match refusal(folder.path()) {
            PackageError::Changed { path: named, found, .. } => {
                assert_eq!((named, found), (path, hash_bytes(&bytes)));
            }
            other => panic!("{name}: {other:?}"),
        }
        Package::open_with(folder.path(), Integrity::Lengths).expect("lengths are as before");
    }
}

#[test]
fn a_truncated_or_longer_file_is_named_with_both_lengths() {
    for length in [0, 999, 1001] {
        let folder = support::package();
        let path = folder.path().join(files::WEIGHTS);
        fs::write(&path, vec![7_u8; length]).unwrap();
        for integrity in [Integrity::Hashes, Integrity::Lengths] {
            match Package::open_with(folder.path(), integrity).unwrap_err() {
                PackageError::Length { path: named, expected: 1000, found } => {
                    assert_eq!((named, found), (path.clone(), length as u64));
                }
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    for name in [files::WEIGHTS, "model.onnx", files::SELFTEST] {
        let folder = support::package();
        let path = folder.path().join(name);
        fs::remove_file(&path).unwrap();
        assert!(matches!(refusal(folder.path()), PackageError::MissingFile(named) if named == path));
    }
}

#[test]
fn a_folder_in_place_of_a_file_is_refused() {
    let folder = support::package();
    let path = folder.path().join(files::WEIGHTS);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refusal(folder.path());
}

#[test]
fn what_is_no_package_is_told_apart_from_what_does_not_exist() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(refusal(folder.path()), PackageError::NotAPackage(_)));
    assert!(matches!(refusal(&folder.path().join("nowhere")), PackageError::NotFound(_)));
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(matches!(refusal(&file), PackageError::NotAPackage(_)));
}

#[test]
fn a_newer_schema_asks_for_an_update() {
    let folder = support::package();
    edit_manifest(folder.path(), |manifest| manifest["schema"] = json!(Manifest::SCHEMA + 1));
    let error = manifest_refusal(folder.path());
    assert!(
        matches!(error, ManifestError::NewerSchema { found } if found == u64::from(Manifest::SCHEMA) + 1)
    );
    assert!(error.to_string().contains("update tmoe"), "{error}");
}

#[test]
fn a_manifest_that_is_cut_off_or_not_text_is_refused() {
    let folder = support::package();
    let path = folder.path().join(files::MANIFEST);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(manifest_refusal(folder.path()), ManifestError::Malformed(_)));
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(refusal(folder.path()), PackageError::Io { .. }));
}

#[test]
fn a_manifest_cannot_name_files_outside_the_package() {
    for name in ["../secret", "/etc/passwd", "a/../../secret", "", "."] {
        let folder = support::package();
        edit_manifest(folder.path(), |manifest| {
            let entry = manifest["files"][files::WEIGHTS].clone();
            manifest["files"][name] = entry;
        });
        match manifest_refusal(folder.path()) {
            ManifestError::UnsafePath { name: named } => assert_eq!(named, name),
            other => panic!("{name:?}: {other:?}"),
        }
    }
}

#[test]
fn a_graph_must_be_among_the_files_whose_hashes_are_listed() {
    for file in ["other.onnx", "../model.onnx", "/etc/passwd"] {
        let folder = support::package();
        edit_manifest(folder.path(), |manifest| manifest["graphs"][0]["file"] = json!(file));
        let error = manifest_refusal(folder.path());
        assert!(matches!(error, ManifestError::UnlistedGraph { graph: OpSet::Standard, .. }), "{error}");
    }
}

#[test]
fn horizons_that_contradict_the_model_are_refused() {
    let folder = support::package();
    edit_manifest(folder.path(), |manifest| manifest["horizons"] = json!([1, 12]));
    assert!(matches!(manifest_refusal(folder.path()), ManifestError::Horizons { .. }));
}

#[test]
fn a_model_configuration_that_breaks_its_rules_is_refused() {
    let folder = support::package();
    edit_manifest(folder.path(), |manifest| manifest["model"]["num_attention_heads"] = json!(7));
    assert!(matches!(manifest_refusal(folder.path()), ManifestError::Malformed(_)));
}
