//! What a model consists of.

use std::collections::BTreeMap;

use super::{Model, ModelError};
use crate::builder::is_standard;
use crate::element::DataType;
use crate::external::ExternalRef;
use crate::proto::{DataLocation, TensorProto};

/// What a model consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelStats {
    /// Nodes of the main graph by operator; operators of other domains than ai.onnx as `domain::Op`.
    pub nodes: BTreeMap<String, usize>,
    /// Initializers in the model.
    pub inline_initializers: usize,
    /// Their bytes.
    pub inline_bytes: u64,
    /// Initializers in external files.
    pub external_initializers: usize,
    /// Their bytes; bytes that several of them share count once for each.
    pub external_bytes: u64,
}

impl ModelStats {
    /// Number of nodes of the main graph.
    pub fn node_count(&self) -> usize {
        self.nodes.values().sum()
    }
}

impl Model {
    /// Counts nodes and initializers.
    ///
    /// # Errors
    /// [`ModelError::ExternalData`] when an initializer does not say where its data lies.
    pub fn stats(&self) -> Result<ModelStats, ModelError> {
        let mut stats = ModelStats::default();
        for node in &self.graph().node {
            let op = node.op_type.as_deref().unwrap_or("");
            let key = match node.domain.as_deref() {
                Some(domain) if !is_standard(domain) => format!("{domain}::{op}"),
                _ => op.to_owned(),
            };
            *stats.nodes.entry(key).or_insert(0) += 1;
        }
        for tensor in &self.graph().initializer {
            if tensor.data_location() == DataLocation::External {
                let place = external_ref(tensor)?;
                stats.external_initializers += 1;
                stats.external_bytes = stats.external_bytes.saturating_add(place.length);
            } else {
                stats.inline_initializers += 1;
                stats.inline_bytes = stats.inline_bytes.saturating_add(inline_bytes(tensor));
            }
        }
        Ok(stats)
    }

    /// Names and places of the initializers in external files, in the order of the model.
    ///
    /// # Errors
    /// [`ModelError::ExternalData`] when an initializer does not say where its data lies, or names a file outside the
    /// folder of the model.
    pub fn external_tensors(&self) -> Result<Vec<(String, ExternalRef)>, ModelError> {
        self.graph()
            .initializer
            .iter()
            .filter(|tensor| tensor.data_location() == DataLocation::External)
            .map(|tensor| Ok((tensor.name().to_owned(), external_ref(tensor)?)))
            .collect()
    }
}

fn external_ref(tensor: &TensorProto) -> Result<ExternalRef, ModelError> {
    let entry = |key: &str| {
        let entries = &tensor.external_data;
        entries.iter().find(|entry| entry.key() == key).and_then(|entry| entry.value.clone())
    };
    let wrong = |key, expected| ModelError::ExternalData {
        tensor: tensor.name().to_owned(),
        key,
        found: entry(key),
        expected,
    };
    let location = entry("location")
        .filter(|location| stays_inside(location))
        .ok_or_else(|| wrong("location", "a relative path within the folder of the model"))?;
    let number = |key| match entry(key) {
        None => Ok(None),
        Some(text) => match text.parse::<i64>().map(u64::try_from) {
            Ok(Ok(number)) => Ok(Some(number)),
            _ => Err(wrong(key, "a number of bytes")),
        },
    };
    let length = match number("length")? {
        Some(length) => length,
        // The format lets the length be left out; the shape says it then.
        None => shape_bytes(tensor).ok_or_else(|| wrong("length", "a number of bytes"))?,
    };
    Ok(ExternalRef { location, offset: number("offset")?.unwrap_or(0), length })
}

fn stays_inside(location: &str) -> bool {
    use std::path::{Component, Path};
    let mut components = Path::new(location).components().peekable();
    components.peek().is_some()
        && components.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn shape_bytes(tensor: &TensorProto) -> Option<u64> {
    let size = DataType::from_code(tensor.data_type())?.size();
    tensor.dims.iter().try_fold(size as u64, |bytes, &dim| bytes.checked_mul(u64::try_from(dim).ok()?))
}

fn inline_bytes(tensor: &TensorProto) -> u64 {
    let strings: usize = tensor.string_data.iter().map(Vec::len).sum();
    let bytes = tensor.raw_data.as_ref().map_or(0, Vec::len)
        + strings
        + 4 * (tensor.float_data.len() + tensor.int32_data.len())
        + 8 * (tensor.int64_data.len() + tensor.double_data.len() + tensor.uint64_data.len());
    bytes as u64
}
