//! A small package on disk.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;
use tmoe_model::Config;
use tmoe_package::{
    CacheType, FileEntry, GraphEntry, Manifest, OpSet, Positions, Precision, Source, Tool, files, hash_bytes,
};

/// A package whose files hold arbitrary bytes: opening does not look inside them.
pub(crate) fn package() -> TempDir {
    let folder = TempDir::new().unwrap();
    let contents = [
        (files::WEIGHTS, vec![7_u8; 1000]),
        (OpSet::Standard.file(), b"a graph".to_vec()),
        (files::SELFTEST, b"a self-test".to_vec()),
    ];
    let mut entries = BTreeMap::new();
    for (name, bytes) in contents {
        fs::write(folder.path().join(name), &bytes).unwrap();
        entries.insert(name.to_owned(), FileEntry { bytes: bytes.len() as u64, sha256: hash_bytes(&bytes) });
    }
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/gelu-one-head/config.json");
    let model = Config::from_json_file(golden).unwrap();
    let manifest = Manifest {
        schema: Manifest::SCHEMA,
        tool: Tool { name: "test".to_owned(), version: "0".to_owned() },
        horizons: model.horizon_lengths().to_vec(),
        model,
        precision: Precision::Fp32,
        positions: Positions::Last,
        with_loss: false,
        graphs: vec![GraphEntry {
            op_set: OpSet::Standard,
            file: OpSet::Standard.file().to_owned(),
            opset_imports: BTreeMap::from([(String::new(), 23)]),
            cache: CacheType::Float32,
            nodes: 1,
        }],
        files: entries,
        source: Source::new(BTreeMap::new()),
    };
    fs::write(folder.path().join(files::MANIFEST), manifest.to_json()).unwrap();
    folder
}
