//! The inputs and outputs that a package's graphs have, from its manifest: for providers that must know them before a graph is
//! loaded, and for engines, whose dimensions have no names.

use tmoe_package::{CacheType, Manifest, OpSet, Positions};

use crate::contract::{ATTENTION_MASK, CacheLayout, INPUT_IDS, predictions};
use crate::signature::{Dim, Port, Signature};
use crate::tensor::ElementType;

/// What a graph of a package takes and gives.
pub(crate) fn signature(manifest: &Manifest, op_set: OpSet) -> Signature {
    let cache_type =
        match manifest.graphs.iter().find(|graph| graph.op_set == op_set).map(|graph| graph.cache) {
            Some(CacheType::Float16) => ElementType::F16,
            Some(CacheType::BFloat16) => ElementType::BF16,
            Some(CacheType::Float32) | None => ElementType::F32,
        };
    let cache = CacheLayout::of(&manifest.model, op_set, cache_type);
    let (kv_heads, head_dim) = (Dim::Fixed(cache.kv_heads), Dim::Fixed(cache.head_dim));
    let cached = |name: &str, points: Dim| Port {
        element_type: cache.element_type.clone(),
        ..port(name, [symbol("batch"), kv_heads.clone(), points, head_dim.clone()])
    };
    let total = || Dim::parse("past + sequence");

    let mut inputs = vec![
        port(INPUT_IDS, [symbol("batch"), symbol("sequence"), Dim::Fixed(1)]),
        Port {
            name: ATTENTION_MASK.to_owned(),
            element_type: ElementType::I64,
            shape: vec![symbol("batch"), total()],
        },
    ];
    inputs.extend(cache.entries.iter().map(|entry| cached(&entry.past, symbol("past"))));
    let heads = manifest.model.horizon_lengths().iter().map(|&length| match manifest.positions {
        Positions::Last => port(&predictions(length), [symbol("batch"), Dim::Fixed(length)]),
        Positions::All => {
            port(&predictions(length), [symbol("batch"), symbol("sequence"), Dim::Fixed(length)])
        }
    });
    let mut outputs: Vec<Port> = heads.collect();
    outputs.extend(cache.entries.iter().map(|entry| cached(&entry.present, total())));
    if manifest.with_loss {
        inputs.push(port("labels", [symbol("batch"), symbol("sequence")]));
        inputs.push(port("loss_masks", [symbol("batch"), symbol("loss_mask")]));
        outputs.extend(["loss", "ar_loss", "aux_loss"].map(|name| port(name, [])));
    }
    Signature { inputs, outputs }
}

fn symbol(name: &str) -> Dim {
    Dim::Symbol(name.to_owned())
}

fn port(name: &str, shape: impl IntoIterator<Item = Dim>) -> Port {
    Port { name: name.to_owned(), element_type: ElementType::F32, shape: shape.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Provider, ProviderOptions};
    use crate::raw::RawModel;

    #[test]
    fn what_the_manifest_says_is_what_the_exporters_graph_has() {
        let folder = tempfile::tempdir().unwrap();
        let package = crate::provider::testing::package(folder.path());
        let found = RawModel::open(
            package.graph_path(OpSet::Dense).unwrap(),
            Provider::Tract,
            &ProviderOptions::default(),
        );
        let sorted = |mut ports: Vec<Port>| {
            ports.sort_by(|left, right| left.name.cmp(&right.name));
            ports
        };
        let (found, expected) = (found.unwrap(), signature(package.manifest(), OpSet::Dense));
        assert_eq!(sorted(found.signature().inputs.clone()), sorted(expected.inputs));
        assert_eq!(sorted(found.signature().outputs.clone()), sorted(expected.outputs));
    }
}
