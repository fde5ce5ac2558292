//! With predictions at the last position only, the last layer computes keys and values everywhere and everything else at
//! one position.

use tmoe_package::{OpSet, Positions};

use crate::view::{Exported, Graph};

pub(crate) fn positions(exported: &Exported) {
    let config = exported.config();
    let options = exported.variant.options();
    // Losses need predictions everywhere.
    let trimmed = options.positions == Positions::Last && !options.with_loss;
    let (hidden, kv) = (config.hidden_size(), 2 * config.kv_width());
    for graph in &exported.graphs {
        for layer in 0..config.layers() {
            let path = format!("/model/layers.{layer}");
            let shape = |projection: &str| product(graph, &format!("{path}/{projection}"));
            let is_trimmed = trimmed && layer + 1 == config.layers();
            let points = if is_trimmed { "1" } else { "sequence" };
            if is_trimmed {
                assert_eq!(shape("self_attn/q_proj"), format!("float [batch, 1, {hidden}]"));
                assert_eq!(shape("self_attn/kv_proj"), format!("float [batch, sequence, {kv}]"));
            } else {
                assert_eq!(shape("self_attn/qkv_proj"), format!("float [batch, sequence, {}]", hidden + kv));
            }
            assert_eq!(shape("self_attn/o_proj"), format!("float [batch, {points}, {hidden}]"));
            assert_eq!(feed_forward_points(exported, graph, layer), points, "{} {path}", graph.op_set);
        }
        let horizons: usize = config.horizon_lengths().iter().sum();
        let points = if trimmed { "1" } else { "sequence" };
        assert_eq!(product(graph, "/model/lm_heads"), format!("float [batch, {points}, {horizons}]"));
    }
}

/// The declared output of a linear layer: a MatMul, or in the op set `plugin` one node for weights that are not float32.
fn product<'g>(graph: &'g Graph, path: &str) -> &'g str {
    let has = |name: &str| graph.nodes().iter().any(|node| node.name() == name);
    let custom = format!("{path}/Linear");
    let name = if has(&custom) { custom } else { format!("{path}/MatMul") };
    graph.outputs_of(&name)[0]
}

/// Positions per series in the feed-forward network of a layer.
fn feed_forward_points(exported: &Exported, graph: &Graph, layer: usize) -> &'static str {
    let config = exported.config();
    let path = format!("/model/layers.{layer}/ffn_layer");
    // The inner width of the network, or of one node that holds all of it the outer one.
    let (inner, width) = match graph.op_set {
        OpSet::Plugin => ("SparseMoe", config.hidden_size()),
        OpSet::Standard | OpSet::Dense => ("gate_up_proj/MatMul", 2 * config.intermediate_size()),
    };
    if config.use_dense() {
        let found = graph.outputs_of(&format!("{path}/{inner}"))[0];
        return ["1", "sequence"]
            .into_iter()
            .find(|points| found == format!("float [batch, {points}, {width}]"))
            .unwrap_or_else(|| panic!("{path}: {found}"));
    }
    // Routing works on tokens: outside of the op set `plugin` the positions of all series in one axis.
    let found = [
        graph.outputs_of(&format!("{path}/shared_expert/{inner}"))[0],
        graph.outputs_of(&format!("{path}/router/MatMul"))[0],
    ];
    let tokens = match graph.op_set {
        OpSet::Plugin => [("1", "batch, 1"), ("sequence", "batch, sequence")],
        OpSet::Standard | OpSet::Dense => [("1", "batch"), ("sequence", "batch*sequence")],
    };
    tokens
        .into_iter()
        .find(|(_, tokens)| {
            found
                == [
                    format!("float [{tokens}, {width}]"),
                    format!("float [{tokens}, {}]", config.experts() + 1),
                ]
        })
        .map(|(points, _)| points)
        .unwrap_or_else(|| panic!("{path}: {found:?}"))
}
