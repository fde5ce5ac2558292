//! `manifest.json`: what a package contains.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tmoe_model::Config;
use tmoe_model::header::one_line;

use crate::hash::Sha256Hex;

/// Which operators a graph is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpSet {
    /// `ai.onnx` only; each expert runs on the tokens routed to it.
    Standard,
    /// `ai.onnx` only, friendly to static shapes: every expert runs on every token, masked.
    Dense,
    /// `tmoe` operators beside those of `ai.onnx`: routed experts and attention in one node each.
    Plugin,
}

impl OpSet {
    /// Every op set, in the order in which the exporter writes the graphs.
    pub const ALL: [OpSet; 3] = [OpSet::Standard, OpSet::Dense, OpSet::Plugin];

    /// The name in manifests and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            OpSet::Standard => "standard",
            OpSet::Dense => "dense",
            OpSet::Plugin => "plugin",
        }
    }

    /// The graph's file in a package.
    pub fn file(self) -> &'static str {
        match self {
            OpSet::Standard => "model.onnx",
            OpSet::Dense => "model.dense.onnx",
            OpSet::Plugin => "model.plugin.onnx",
        }
    }
}

/// The text names no op set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no op set `{found}`; choose one of standard, dense, plugin")]
pub struct UnknownOpSet {
    /// The text.
    pub found: String,
}

impl FromStr for OpSet {
    type Err = UnknownOpSet;

    fn from_str(text: &str) -> Result<Self, UnknownOpSet> {
        let named = OpSet::ALL.into_iter().find(|op_set| op_set.name() == text);
        named.ok_or_else(|| UnknownOpSet { found: text.to_owned() })
    }
}

/// The element type in which weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE single precision.
    Fp32,
    /// IEEE half precision for matrices; norms, biases, router and embedding stay float32.
    Fp16,
    /// bfloat16 for matrices, the rest as with [`Precision::Fp16`].
    Bf16,
    /// 8-bit integers with one float32 scale per output column for matrices but the heads', the rest as with
    /// [`Precision::Fp16`].
    Int8,
}

impl Precision {
    /// The name in manifests and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Fp16 => "fp16",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }
}

/// Where the graphs compute predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Positions {
    /// At the last position of each row: `predictions.h{n}` is [batch, n].
    Last,
    /// At every position: `predictions.h{n}` is [batch, sequence, n].
    All,
}

impl Positions {
    /// The name in manifests and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Positions::Last => "last",
            Positions::All => "all",
        }
    }
}

/// The element type of a graph's key/value cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheType {
    /// IEEE single precision.
    #[default]
    Float32,
    /// IEEE half precision.
    Float16,
    /// The upper half of a float32.
    BFloat16,
}

impl CacheType {
    /// The type that the exporter gives a graph's cache: what attention computes in. That is float32 but for the op set
    /// [`OpSet::Plugin`], whose products take keys and values in the precision of the weights, if that is a float's.
    pub fn of(op_set: OpSet, precision: Precision) -> Self {
        match (op_set, precision) {
            (OpSet::Plugin, Precision::Fp16) => CacheType::Float16,
            (OpSet::Plugin, Precision::Bf16) => CacheType::BFloat16,
            _ => CacheType::Float32,
        }
    }

    /// The name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            CacheType::Float32 => "float32",
            CacheType::Float16 => "float16",
            CacheType::BFloat16 => "bfloat16",
        }
    }
}

macro_rules! display_by_name {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    )*};
}
display_by_name!(OpSet, Precision, Positions, CacheType);

/// The program that wrote the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One graph of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphEntry {
    /// Which operators it uses.
    pub op_set: OpSet,
    /// Its file in the package.
    pub file: String,
    /// ONNX operator sets that it imports, domain to version; "" is `ai.onnx`.
    pub opset_imports: BTreeMap<String, i64>,
    /// The element type of `past_key_values.*` and `present.*`; float32 where a manifest does not say.
    #[serde(default)]
    pub cache: CacheType,
    /// How many nodes it has.
    pub nodes: usize,
}

/// Length and digest of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 of the contents.
    pub sha256: Sha256Hex,
}

/// The weights that the package was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// SHA-256 over the lines `<sha256>  <file name>\n` of `files`, in name order.
    pub sha256: Sha256Hex,
    /// The safetensors files, by name.
    pub files: BTreeMap<String, FileEntry>,
}

impl Source {
    /// Sums up the digests of the source files.
    pub fn new(files: BTreeMap<String, FileEntry>) -> Self {
        let list: String = files.iter().map(|(name, entry)| format!("{}  {name}\n", entry.sha256)).collect();
        Self { sha256: crate::hash::hash_bytes(list.as_bytes()), files }
    }
}

/// `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this schema; see [`Manifest::SCHEMA`].
    pub schema: u32,
    /// Who wrote it.
    pub tool: Tool,
    /// The model's configuration.
    pub model: Config,
    /// The horizon heads, ascending: each is the number of points that one head forecasts.
    pub horizons: Vec<usize>,
    /// How the weights are stored.
    pub precision: Precision,
    /// Where predictions are computed.
    pub positions: Positions,
    /// Whether the graphs have the inputs `labels`, `loss_masks` and the loss outputs.
    pub with_loss: bool,
    /// The graphs.
    pub graphs: Vec<GraphEntry>,
    /// Every file of the package except the manifest.
    pub files: BTreeMap<String, FileEntry>,
    /// What the package was made from.
    pub source: Source,
}

/// Why the text of a manifest was refused.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("manifest.json is not a package manifest: {}; export the package again", one_line(.0))]
    Malformed(#[from] serde_json::Error),
    /// Written by a newer version of the tools.
    #[error(
        "the package has schema {found}, this version of tmoe reads up to {}; update tmoe, or \
         export the package again with this version",
        Manifest::SCHEMA
    )]
    NewerSchema {
        /// The manifest's schema version.
        found: u64,
    },
    /// A file name that could reach outside the package.
    #[error(
        "manifest.json lists the file {name:?}, which is not a plain path inside the package; \
         export the package again"
    )]
    UnsafePath {
        /// The name as listed.
        name: String,
    },
    /// A graph whose file is not in the list of files.
    #[error(
        "manifest.json has the graph {graph} in {file:?}, but does not list that file; export the package again"
    )]
    UnlistedGraph {
        /// The graph's op set.
        graph: OpSet,
        /// Its file.
        file: String,
    },
    /// The horizons disagree with the model's configuration.
    #[error(
        "manifest.json lists the horizons {horizons:?}, but its model has {model:?}; export the package again"
    )]
    Horizons {
        /// As listed.
        horizons: Vec<usize>,
        /// Of the model configuration.
        model: Vec<usize>,
    },
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: u64,
}

impl Manifest {
    /// The schema version that this crate writes, and the newest it reads.
    pub const SCHEMA: u32 = 1;

    /// Reads and checks the text of a manifest.
    ///
    /// # Errors
    ///
    /// See [`ManifestError`]. The schema version is looked at first, so that a manifest of a newer
    /// schema is reported as such whatever else changed in it.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        let SchemaOnly { schema } = serde_json::from_str(text)?;
        if schema > u64::from(Self::SCHEMA) {
            return Err(ManifestError::NewerSchema { found: schema });
        }
        let manifest: Self = serde_json::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The text of the manifest, indented, with a final newline.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .unwrap_or_else(|error| unreachable!("a manifest has only string keys: {error}"));
        text.push('\n');
        text
    }

    /// The entry of a graph, if the package has it.
    pub fn graph(&self, op_set: OpSet) -> Option<&GraphEntry> {
        self.graphs.iter().find(|graph| graph.op_set == op_set)
    }

    fn check(&self) -> Result<(), ManifestError> {
        for name in self.files.keys() {
            if !is_plain_path(name) {
                return Err(ManifestError::UnsafePath { name: name.clone() });
            }
        }
        for graph in &self.graphs {
            if !self.files.contains_key(&graph.file) {
                return Err(ManifestError::UnlistedGraph { graph: graph.op_set, file: graph.file.clone() });
            }
        }
        if self.horizons != self.model.horizon_lengths() {
            return Err(ManifestError::Horizons {
                horizons: self.horizons.clone(),
                model: self.model.horizon_lengths().to_vec(),
            });
        }
        Ok(())
    }
}

/// Whether a listed name stays inside the package: relative, no `..`, no empty part.
fn is_plain_path(name: &str) -> bool {
    !name.contains(['\\', '\0', ':'])
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_inside_the_package_are_plain() {
        for plain in ["weights.bin", "engines/trt-10/prefill.engine"] {
            assert!(is_plain_path(plain), "{plain}");
        }
        for other in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "C:\\x", "a\\..\\b"] {
            assert!(!is_plain_path(other), "{other}");
        }
    }

    #[test]
    fn a_newer_schema_is_named_even_when_nothing_else_can_be_read() {
        let error = Manifest::from_json(r#"{"schema": 9, "novel": true}"#).unwrap_err();
        assert!(matches!(error, ManifestError::NewerSchema { found: 9 }), "{error}");
        assert!(error.to_string().contains("update tmoe"), "{error}");
    }

    #[test]
    fn text_that_is_no_manifest_is_an_error() {
        for text in ["", "[]", "{}", r#"{"schema": -1}"#, r#"{"schema": 1}"#] {
            let error = Manifest::from_json(text).unwrap_err();
            assert!(matches!(error, ManifestError::Malformed(_)), "{text}: {error}");
        }
    }

    #[test]
    fn a_graph_whose_cache_is_not_stated_has_one_of_float32() {
        let graph = |cache: &str| {
            let text =
                format!(r#"{{"op_set": "plugin", "file": "f", "opset_imports": {{}}, {cache} "nodes": 1}}"#);
            serde_json::from_str::<GraphEntry>(&text).map(|graph| graph.cache)
        };
        assert_eq!(graph("").unwrap(), CacheType::Float32);
        for cache in [CacheType::Float32, CacheType::Float16, CacheType::BFloat16] {
            assert_eq!(graph(&format!(r#""cache": "{cache}","#)).unwrap(), cache);
        }
        assert!(graph(r#""cache": "float8","#).is_err());
    }

    #[test]
    fn only_the_op_set_plugin_keeps_its_cache_in_half_the_memory() {
        for precision in [Precision::Fp32, Precision::Fp16, Precision::Bf16, Precision::Int8] {
            for op_set in [OpSet::Standard, OpSet::Dense] {
                assert_eq!(CacheType::of(op_set, precision), CacheType::Float32);
            }
        }
        let plugin = |precision| CacheType::of(OpSet::Plugin, precision);
        assert_eq!(plugin(Precision::Bf16), CacheType::BFloat16);
        assert_eq!(plugin(Precision::Fp16), CacheType::Float16);
        assert_eq!(plugin(Precision::Int8), CacheType::Float32);
    }

    #[test]
    fn an_error_that_quotes_control_characters_stays_on_one_line() {
        let text = r#"{"schema": 1, "tool": {"name": "t", "version": "1"}, "precision": "fp\n\u001b[2J"}"#;
        let message = Manifest::from_json(text).unwrap_err().to_string();
        assert!(message.contains(r"fp\n\u{1b}[2J") && !message.contains(char::is_control), "{message}");
    }
}
