//! Attention in the op set `plugin`: one node per layer, which knows the precision of the package.

use tmoe_package::OpSet;
use tmoe_tests::packages::Variant;

use crate::view::Exported;

pub(crate) fn products_have_the_packages_precision(exported: &Exported) {
    let expected = match exported.variant {
        Variant::Half => "float16",
        Variant::Bf16 => "bfloat16",
        _ => "float32",
    };
    let plugin = exported.graph(OpSet::Plugin);
    let nodes: Vec<_> = plugin.nodes().iter().filter(|node| node.op_type() == "FlashAttention").collect();
    assert_eq!(nodes.len(), exported.config().layers());
    for node in nodes {
        let attribute = node.attribute.iter().find(|attribute| attribute.name() == "compute_type");
        let found = attribute.map(|attribute| String::from_utf8_lossy(attribute.s()).into_owned());
        assert_eq!(found.as_deref(), Some(expected), "{}", node.name());
    }
}

/// What the projections give reaches attention without a copy: no node lies between the two.
pub(crate) fn projections_stay_side_by_side(exported: &Exported) {
    let plugin = exported.graph(OpSet::Plugin);
    let maker = |value: &str| {
        let node = plugin.nodes().iter().find(|node| node.output.iter().any(|output| output == value));
        node.unwrap_or_else(|| panic!("no node gives {value}")).name()
    };
    for node in plugin.nodes().iter().filter(|node| node.name().contains("/self_attn/")) {
        assert_ne!(node.op_type(), "Split", "{}", node.name());
        if node.op_type() != "FlashAttention" {
            continue;
        }
        let path = node.name().strip_suffix("/FlashAttention").expect("names end in the operator");
        let [q, k, v] = [0, 1, 2].map(|input| node.input[input].as_str());
        let is_projection = |value: &str, projection: &str| {
            let found = maker(value);
            assert!(found.starts_with(&format!("{path}/{projection}/")), "{found} gives {value}");
        };
        assert_eq!(v, "", "{}", node.name());
        if k.is_empty() {
            is_projection(q, "qkv_proj");
        } else {
            is_projection(q, "q_proj");
            is_projection(k, "kv_proj");
        }
    }
}
