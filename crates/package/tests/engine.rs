//! Engines of a package: what is accepted, and what is refused with the command that builds it again.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tmoe_package::{
    Engine, EngineError, EngineManifest, FileEntry, Flavour, Integrity, OpSet, Package, PluginLibrary,
    Precision, Profile, Span, Tool, files, hash_bytes,
};

const BYTES: &[u8] = b"an engine";

fn manifest(package: &Path) -> EngineManifest {
    let span = |min, opt, max| Span { min, opt, max };
    EngineManifest {
        schema: EngineManifest::SCHEMA,
        tool: Tool { name: "test".to_owned(), version: "0".to_owned() },
        package: hash_bytes(&fs::read(package.join(files::MANIFEST)).unwrap()),
        flavour: Flavour::TensorRtRtx,
        version: "1.7.1".to_owned(),
        architecture: 86,
        op_set: OpSet::Dense,
        precision: Precision::Bf16,
        profiles: vec![Profile {
            name: "prefill".to_owned(),
            batch: span(1, 1, 8),
            sequence: span(1, 512, 1024),
            past: span(0, 0, 0),
        }],
        plugins: None,
        engine: FileEntry { bytes: BYTES.len() as u64, sha256: hash_bytes(BYTES) },
    }
}

fn add_engine(package: &Path, edit: impl FnOnce(&mut Value)) -> PathBuf {
    let folder = package.join(files::ENGINES).join(Engine::folder_name(Flavour::TensorRtRtx, "1.7.1", 86));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(files::ENGINE), BYTES).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest(package).to_json()).unwrap();
    edit(&mut manifest);
    fs::write(folder.join(files::ENGINE_MANIFEST), manifest.to_string()).unwrap();
    folder
}

fn refusal(package: &Path, folder: PathBuf) -> EngineError {
    let package = Package::open(package).unwrap();
    let error = Engine::open(&package, folder).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("tmoe-export engine ") && !message.contains('\n'), "{message}");
    error
}

#[test]
fn an_engine_of_this_package_opens() {
    let folder = support::package();
    let engine = add_engine(folder.path(), |_| ());
    let package = Package::open(folder.path()).unwrap();
    assert_eq!(Engine::folders(&package).unwrap(), [engine.as_path()]);
    let opened = Engine::open(&package, &engine).unwrap();
    assert_eq!(*opened.manifest(), manifest(folder.path()));
    assert_eq!(engine.file_name().unwrap(), "tensorrt-rtx-1.7.1-sm86");
    let profile = &opened.manifest().profiles[0];
    for (shape, covered) in
        [((1, 512, 0), true), ((8, 1024, 0), true), ((9, 512, 0), false), ((1, 1, 1), false)]
    {
        assert_eq!(profile.covers(shape.0, shape.1, shape.2), covered, "{shape:?}");
    }
}

#[test]
fn a_package_without_engines_has_none() {
    let folder = support::package();
    assert_eq!(Engine::folders(&Package::open(folder.path()).unwrap()).unwrap(), [] as [PathBuf; 0]);
}

#[test]
fn an_engine_of_another_package_is_stale() {
    let folder = support::package();
    let engine = add_engine(folder.path(), |_| ());
    let path = folder.path().join(files::MANIFEST);
    // The same package, written once more: another manifest.
    fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
    let error = refusal(folder.path(), engine);
    assert!(matches!(error, EngineError::OtherPackage { .. }), "{error}");
    let command = "--flavour tensorrt-rtx --architecture 86 --graph dense --precision bf16 --batch 1,1,8 --context 1,512,1024 --force";
    assert!(error.to_string().ends_with(command), "{error}");
}

#[test]
fn the_command_that_builds_an_engine_names_its_plugins() {
    let folder = support::package();
    let mut manifest = manifest(folder.path());
    (manifest.flavour, manifest.op_set) = (Flavour::TensorRt, OpSet::Plugin);
    let sha256 = hash_bytes(b"plugins");
    manifest.plugins = Some(PluginLibrary { file: "libtmoe_trt_plugins.so".to_owned(), sha256 });
    assert_eq!(
        manifest.build_command("p".as_ref()),
        "tmoe-export engine p --flavour tensorrt --architecture 86 --graph plugin --precision bf16 --plugins libtmoe_trt_plugins.so \
         --batch 1,1,8 --context 1,512,1024"
    );
}

#[test]
fn a_truncated_engine_is_refused() {
    let folder = support::package();
    let engine = add_engine(folder.path(), |_| ());
    fs::write(engine.join(files::ENGINE), &BYTES[..4]).unwrap();
    let error = refusal(folder.path(), engine.clone());
    assert!(matches!(error, EngineError::Changed { .. }), "{error}");
    let package = Package::open(folder.path()).unwrap();
    let error = Engine::open_with(&package, engine, Integrity::Lengths).unwrap_err();
    assert!(matches!(error, EngineError::Length { expected: 9, found: 4, .. }), "{error}");
}

#[test]
fn a_changed_engine_is_refused_unless_lengths_will_do() {
    let folder = support::package();
    let engine = add_engine(folder.path(), |_| ());
    fs::write(engine.join(files::ENGINE), b"an angine").unwrap();
    let error = refusal(folder.path(), engine.clone());
    assert!(matches!(error, EngineError::Changed { .. }), "{error}");
    let package = Package::open(folder.path()).unwrap();
    Engine::open_with(&package, engine, Integrity::Lengths).unwrap();
}

#[test]
fn flavours_are_read_by_their_names() {
    for flavour in Flavour::ALL {
        assert_eq!(flavour.name().parse(), Ok(flavour));
        assert_eq!(serde_json::to_value(flavour).unwrap(), flavour.name());
    }
    let error = "TensorRT".parse::<Flavour>().unwrap_err().to_string();
    assert!(error.contains("tensorrt-rtx"), "{error}");
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    type Edit = fn(&mut Value);
    let edits: [(Edit, &str); 5] = [
        (|m| m["schema"] = json!(9), "schema 9"),
        (|m| m["profiles"] = json!([]), "no profile"),
        (|m| m["profiles"][0]["past"] = json!({"min": 4, "opt": 2, "max": 9}), "4 over 2 to 9"),
        (|m| m["flavour"] = json!("tensor\nrt"), "unknown variant"),
        (|m| *m = json!([]), "expected struct"),
    ];
    for (edit, expected) in edits {
        let folder = support::package();
        let engine = add_engine(folder.path(), edit);
        let error = refusal(folder.path(), engine);
        assert!(matches!(error, EngineError::Malformed { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}
