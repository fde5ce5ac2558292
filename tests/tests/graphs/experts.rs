//! Every expert of every layer is in every graph, and all graphs read the same bytes.

use tmoe_package::OpSet;

use crate::view::{Exported, Place};

pub(crate) fn every_expert_is_used(exported: &Exported) {
    let config = exported.config();
    let (layers, experts) = if config.use_dense() { (0, 0) } else { (config.layers(), config.experts()) };
    let (standard, dense) = (exported.graph(OpSet::Standard), exported.graph(OpSet::Dense));
    for layer in 0..layers {
        let stack = format!("layers.{layer}.ffn.experts");
        let path = format!("/model/layers.{layer}/ffn_layer/experts");
        for expert in 0..experts {
            let gate_up = standard.products_of(&format!("{stack}.gate_up.weight.{expert}"));
            assert_eq!(gate_up, [format!("{path}.{expert}/gate_up_proj/MatMul")]);
            let down = standard.products_of(&format!("{stack}.down.weight.{expert}"));
            assert_eq!(down, [format!("{path}.{expert}/down_proj/MatMul")]);
        }
        let gate_up = format!("{stack}.gate_up.weight");
        let down = format!("{stack}.down.weight");
        assert_eq!(dense.products_of(&gate_up), [format!("{path}/gate_up_proj/MatMul")]);
        assert_eq!(dense.products_of(&down), [format!("{path}/down_proj/MatMul")]);
        let (hidden, ffn) = (config.hidden_size() as i64, config.expert_ffn().unwrap_or(0) as i64);
        assert_eq!(dense.initializer(&gate_up).dims, [experts as i64, hidden, 2 * ffn]);
        assert_eq!(dense.initializer(&down).dims, [experts as i64, ffn, hidden]);
    }
    one_node_holds_all_experts(exported);
    residual_sums_are_in_the_norms(exported);
    // Two products per expert, and each expert's result reaches the sum.
    let in_experts = |op: &str| {
        let nodes = standard.nodes().iter().filter(|node| node.name().contains("/experts."));
        nodes.filter(|node| node.op_type() == op).count()
    };
    assert_eq!(in_experts("MatMul"), 2 * layers * experts);
    assert_eq!(in_experts("ScatterND"), layers * experts);
}

/// In the op set `plugin` each layer's experts are one node that reads the whole stacks, and its shared expert another.
fn one_node_holds_all_experts(exported: &Exported) {
    let config = exported.config();
    let plugin = exported.graph(OpSet::Plugin);
    let nodes: Vec<_> = plugin.nodes().iter().filter(|node| node.op_type() == "SparseMoe").collect();
    assert_eq!(nodes.len(), if config.use_dense() { 1 } else { 2 } * config.layers());
    let hidden = config.hidden_size() as i64;
    let stacks = |name: &str, experts: usize, ffn: usize| {
        let (experts, ffn) = (experts as i64, ffn as i64);
        assert_eq!(plugin.initializer(&format!("{name}.gate_up.weight")).dims, [experts, hidden, 2 * ffn]);
        assert_eq!(plugin.initializer(&format!("{name}.down.weight")).dims, [experts, ffn, hidden]);
        let gate_up = format!("{name}.gate_up.weight");
        let readers = nodes.iter().filter(|node| node.input.contains(&gate_up)).count();
        assert_eq!(readers, 1, "{name}");
    };
    for layer in 0..config.layers() {
        let path = format!("layers.{layer}.ffn");
        match config.expert_ffn() {
            Some(ffn) if !config.use_dense() => {
                let node = |part: &str| {
                    let name = format!("/model/layers.{layer}/ffn_layer/{part}/SparseMoe");
                    nodes.iter().find(|node| node.name() == name).expect("both are named after their part")
                };
                assert_eq!(node("shared_expert").input.last(), node("experts").output.first());
                stacks(&format!("{path}.experts"), config.experts(), ffn);
                stacks(&format!("{path}.shared_expert"), 1, config.intermediate_size());
            }
            _ => stacks(&path, 1, config.intermediate_size()),
        }
    }
}

/// In the op set `plugin` all norms but the first also add, and nothing else of a layer does, unless it is a bias.
fn residual_sums_are_in_the_norms(exported: &Exported) {
    let plugin = exported.graph(OpSet::Plugin);
    let names = |op_type: &str| -> Vec<&str> {
        let nodes = plugin.nodes().iter().filter(|node| node.op_type() == op_type);
        nodes.map(tmoe_onnx::proto::NodeProto::name).collect()
    };
    assert_eq!(names("RMSNormalization"), ["/model/layers.0/input_layernorm/RMSNormalization"]);
    assert_eq!(names("AddRmsNorm").len(), 2 * exported.config().layers());
    let in_layers = |name: &&str| name.starts_with("/model/layers.") && !name.contains("router_statistics");
    assert!(names("Add").iter().filter(|name| in_layers(name)).all(|name| name.contains("_proj/")));
    assert_eq!(names("Mul").iter().filter(|name| in_layers(name)).count(), 0);
}

pub(crate) fn experts_are_slices_of_the_stack(exported: &Exported) {
    let config = exported.config();
    if config.use_dense() {
        return;
    }
    let (standard, dense) = (exported.graph(OpSet::Standard), exported.graph(OpSet::Dense));
    let (single, stacked) = (standard.external(), dense.external());
    for layer in 0..config.layers() {
        for part in ["gate_up", "down"] {
            let name = format!("layers.{layer}.ffn.experts.{part}.weight");
            let stack = stacked[name.as_str()];
            let length = stack.length / config.experts() as u64;
            for expert in 0..config.experts() {
                let expected = Place { offset: stack.offset + expert as u64 * length, length };
                assert_eq!(single[format!("{name}.{expert}").as_str()], expected, "{name}.{expert}");
            }
        }
    }
}
