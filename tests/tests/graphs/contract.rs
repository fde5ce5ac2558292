//! What every graph of a package promises, whatever it computes.

use std::collections::{BTreeMap, BTreeSet};

use tmoe_onnx::proto::ValueInfoProto;
use tmoe_package::{OpSet, Positions};
use tmoe_tests::packages::Variant;

use crate::view::{Exported, type_text};

pub(crate) fn inputs_and_outputs(exported: &Exported) {
    let config = exported.config();
    let options = exported.variant.options();
    for graph in &exported.graphs {
        // What attention computes in: the weights' type in the op set plugin, if that is a float's.
        let cache_type = match (graph.op_set, exported.variant) {
            (OpSet::Plugin, Variant::Half) => "float16",
            (OpSet::Plugin, Variant::Bf16) => "bfloat16",
            _ => "float",
        };
        let cache = |points: &str| {
            format!("{cache_type} [batch, {}, {points}, {}]", config.kv_heads(), config.head_dim())
        };
        let entry = exported.package.manifest().graph(graph.op_set).expect("every graph is in the manifest");
        assert_eq!(entry.cache.name().trim_end_matches("32"), cache_type, "{}", graph.op_set);
        let mut inputs = vec![
            ("input_ids".to_owned(), "float [batch, sequence, 1]".to_owned()),
            ("attention_mask".to_owned(), "int64 [batch, past + sequence]".to_owned()),
        ];
        let mut outputs = Vec::new();
        for &horizon in config.horizon_lengths() {
            let shape = match options.positions {
                Positions::All => format!("float [batch, sequence, {horizon}]"),
                Positions::Last => format!("float [batch, {horizon}]"),
            };
            outputs.push((format!("predictions.h{horizon}"), shape));
        }
        for layer in 0..config.layers() {
            for part in ["key", "value"] {
                inputs.push((format!("past_key_values.{layer}.{part}"), cache("past")));
                outputs.push((format!("present.{layer}.{part}"), cache("past + sequence")));
            }
        }
        if options.with_loss {
            inputs.push(("labels".to_owned(), "float [batch, sequence]".to_owned()));
            inputs.push(("loss_masks".to_owned(), "float [batch, loss_mask]".to_owned()));
            outputs
                .extend(["loss", "ar_loss", "aux_loss"].map(|name| (name.to_owned(), "float []".to_owned())));
        }
        let ports = |infos: &[ValueInfoProto]| -> BTreeMap<_, _> {
            infos
                .iter()
                .map(|info| {
                    (info.name().to_owned(), type_text(info).unwrap_or_else(|| "not declared".to_owned()))
                })
                .collect()
        };
        assert_eq!(ports(&graph.model.graph().input), inputs.iter().cloned().collect(), "{}", graph.op_set);
        assert_eq!(ports(&graph.model.graph().output), outputs.iter().cloned().collect(), "{}", graph.op_set);
    }
}

pub(crate) fn operators_are_those_of_the_op_set(exported: &Exported) {
    for graph in &exported.graphs {
        let proto = graph.model.proto();
        let imports: Vec<_> =
            proto.opset_import.iter().map(|import| (import.domain(), import.version())).collect();
        let expected: &[(&str, i64)] = match graph.op_set {
            OpSet::Standard | OpSet::Dense => &[("", 23)],
            OpSet::Plugin => &[("", 23), ("tmoe", 1)],
        };
        assert_eq!(imports, expected, "{}", graph.op_set);
        assert!(proto.functions.is_empty(), "{}", graph.op_set);
        for node in graph.nodes() {
            let domain = match node.op_type() {
                "SparseMoe" | "FlashAttention" | "Linear" | "AddRmsNorm" => "tmoe",
                _ => "",
            };
            assert_eq!(node.domain(), domain, "{}: {}", graph.op_set, node.name());
        }
        let entry = exported.package.manifest().graph(graph.op_set).expect("every graph is in the manifest");
        let expected = expected.iter().map(|&(domain, version)| (domain.to_owned(), version)).collect();
        assert_eq!(entry.opset_imports, expected);
    }
}

pub(crate) fn every_value_is_declared(exported: &Exported) {
    for graph in &exported.graphs {
        for node in graph.nodes() {
            for value in node.output.iter().filter(|value| !value.is_empty()) {
                assert!(graph.declared(value).is_some(), "{}: {value} of {}", graph.op_set, node.name());
            }
        }
    }
}

pub(crate) fn node_names(exported: &Exported) {
    for graph in &exported.graphs {
        let mut names = BTreeSet::new();
        for node in graph.nodes() {
            let name = node.name();
            assert!(names.insert(name), "{}: two nodes are called {name}", graph.op_set);
            let mut parts = name.split('/');
            assert_eq!(parts.next(), Some(""), "{}: {name} does not begin with /", graph.op_set);
            let parts: Vec<&str> = parts.collect();
            let last = parts.last().copied().unwrap_or_default();
            let numbered =
                last.rsplit_once('_').map(|(operator, number)| (operator, number.parse::<usize>()));
            let is_operator =
                last == node.op_type() || matches!(numbered, Some((op, Ok(_))) if op == node.op_type());
            assert!(is_operator, "{}: {name} does not end in {}", graph.op_set, node.op_type());
            assert!(parts.iter().all(|part| !part.is_empty()), "{}: {name}", graph.op_set);
        }
    }
}

pub(crate) fn the_manifest_counts_the_nodes(exported: &Exported) {
    for graph in &exported.graphs {
        let entry = exported.package.manifest().graph(graph.op_set).expect("every graph is in the manifest");
        assert_eq!(entry.nodes, graph.nodes().len(), "{}", graph.op_set);
    }
}
