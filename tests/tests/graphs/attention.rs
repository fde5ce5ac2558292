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
