//! `manifest.json` of a package: what is accepted stays inside the package and survives being written.

#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use tmoe_package::Manifest;

fuzz_target!(|text: &str| {
    match Manifest::from_json(text) {
        Ok(manifest) => {
            assert!(manifest.schema <= Manifest::SCHEMA);
            assert_eq!(manifest.horizons, manifest.model.horizon_lengths());
            for name in manifest.files.keys() {
                assert!(
                    Path::new(name).components().all(|part| matches!(part, Component::Normal(_))),
                    "{name:?}"
                );
            }
            for graph in &manifest.graphs {
                assert!(manifest.files.contains_key(&graph.file));
            }
            let written = manifest.to_json();
            assert_eq!(Manifest::from_json(&written).expect("what was written is read"), manifest);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
    }
});
