//! Manifests as text: what is accepted keeps its promises, and nothing panics.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tmoe_model::Config;
use tmoe_package::{
    CacheType, FileEntry, GraphEntry, Manifest, ManifestError, OpSet, Positions, Precision, Source, Tool,
    files, hash_bytes,
};

/// The manifest that an export of a golden checkpoint with every graph has.
fn manifest(golden: &str) -> Manifest {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(golden);
    let model = Config::from_json_file(folder.join("config.json")).unwrap();
    let entry = |name: &str| FileEntry { bytes: 1000, sha256: hash_bytes(name.as_bytes()) };
    let graphs = OpSet::ALL.map(OpSet::file);
    let listed = graphs.into_iter().chain([files::WEIGHTS, files::SELFTEST]);
    let graph = |op_set: OpSet| GraphEntry {
        op_set,
        file: op_set.file().to_owned(),
        opset_imports: BTreeMap::from([(String::new(), 23)]),
        cache: CacheType::Float32,
        nodes: 300,
    };
    Manifest {
        schema: Manifest::SCHEMA,
        tool: Tool { name: "tmoe-export".to_owned(), version: "0.1.0".to_owned() },
        horizons: model.horizon_lengths().to_vec(),
        model,
        precision: Precision::Fp16,
        positions: Positions::Last,
        with_loss: false,
        graphs: OpSet::ALL.map(graph).to_vec(),
        files: listed.map(|name| (name.to_owned(), entry(name))).collect(),
        source: Source::new(BTreeMap::from([("model.safetensors".to_owned(), entry("source"))])),
    }
}

fn texts() -> impl Strategy<Value = String> {
    let goldens = ["dense", "gelu-one-head", "moe", "moe-bf16", "moe-gqa"];
    proptest::sample::select(goldens.to_vec()).prop_map(|golden| manifest(golden).to_json())
}

/// Reads a manifest and holds it to what the type says of every manifest.
fn check(text: &str) -> Result<(), TestCaseError> {
    let manifest = match Manifest::from_json(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            prop_assert!(!error.to_string().contains('\n'), "one line: {error}");
            return Ok(());
        }
    };
    prop_assert!(manifest.schema <= Manifest::SCHEMA);
    prop_assert_eq!(&manifest.horizons, manifest.model.horizon_lengths());
    for name in manifest.files.keys() {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        prop_assert!(inside, "{name:?}");
    }
    for graph in &manifest.graphs {
        prop_assert!(manifest.files.contains_key(&graph.file));
    }
    prop_assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
    Ok(())
}

/// The places of all values in a document, as JSON pointers; the whole document is the first.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointers(value, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::string::string_regex("(\\PC|[\n\t]){0,20}").unwrap().prop_map(Value::from),
        proptest::collection::vec(0_usize..100, 0..5).prop_map(Value::from),
        proptest::collection::btree_map("[a-z./\\\\]{0,8}", 0_u8..3, 0..3).prop_map(|map| json!(map)),
    ]
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        check(&text)?;
    }

    #[test]
    fn a_manifest_with_damaged_characters_is_refused_or_keeps_its_promises(
        text in texts(),
        edits in proptest::collection::vec((any::<Index>(), any::<char>()), 1..8),
    ) {
        let mut characters: Vec<char> = text.chars().collect();
        for (index, character) in edits {
            let at = index.index(characters.len());
            characters[at] = character;
        }
        check(&characters.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_manifest_with_a_part_left_out_or_repeated_is_refused_or_keeps_its_promises(
        text in texts(), from in any::<Index>(), to in any::<Index>(), repeat in any::<bool>(),
    ) {
        let lines: Vec<&str> = text.lines().collect();
        let (from, to) = (from.index(lines.len()), to.index(lines.len()));
        let (head, tail) = if repeat { (from.max(to), from.min(to)) } else { (from.min(to), from.max(to)) };
        check(&[&lines[..head], &lines[tail..]].concat().join("\n"))?;
    }

    #[test]
    fn a_manifest_with_replaced_values_is_refused_or_keeps_its_promises(
        text in texts(),
        edits in proptest::collection::vec((any::<Index>(), values()), 1..4),
    ) {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        for (index, value) in edits {
            let mut places = Vec::new();
            pointers(&document, "", &mut places);
            *document.pointer_mut(index.get::<String>(&places)).unwrap() = value;
        }
        check(&document.to_string())?;
    }

    #[test]
    fn every_number_of_the_model_survives_being_written(
        text in texts(), epsilon in 1e-12..1.0_f64, theta in 1.0..1e9_f64,
    ) {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document["model"]["rms_norm_eps"] = json!(epsilon);
        document["model"]["rope_theta"] = json!(theta);
        let manifest = Manifest::from_json(&document.to_string()).unwrap();
        prop_assert_eq!(manifest.model.rms_norm_eps(), epsilon);
        prop_assert_eq!(manifest.model.rope_theta(), theta);
        prop_assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
    }

    #[test]
    fn every_truncation_is_refused(text in texts(), length in any::<Index>()) {
        let text = text.trim_end();
        let cut = &text[..length.index(text.len())];
        prop_assert!(matches!(Manifest::from_json(cut), Err(ManifestError::Malformed(_))));
    }
}

#[test]
fn a_manifest_that_was_written_reads_back_equal() {
    for golden in ["dense", "gelu-one-head", "moe", "moe-bf16", "moe-gqa"] {
        let manifest = manifest(golden);
        assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
    }
}
