//! The parts of the model as graphs of their own, with weights as inputs.

use tmoe_model::Config;
use tmoe_onnx::{AnyValue, Dim, F32, GraphBuilder, GraphError, KvCache, ModelMetadata};

use super::engine::Program;
use crate::error::ExportError;
use crate::lower::{
    GraphOptions, Hidden, LayerInputs, OPSET, PositionTables, Positions, Prelude, Queries, Rotary,
    RouterStatistics, Tail, Tensor, Weights, batch, fixed, int, layer as lower_layer, past,
    prelude as lower_prelude, sequence, tail as lower_tail,
};
use crate::weights::{BlobId, ProjectionBlobs, WeightLayout};

/// Names under which a layer's routing statistics leave its program.
pub(super) const STATISTICS: [&str; 2] = ["chosen", "probability"];

/// The name of one matrix of a stack.
pub(super) fn expert_name(blob: &str, expert: usize) -> String {
    format!("{blob}.{expert}")
}

/// Weights as graph inputs.
struct InputWeights<'a>(&'a WeightLayout);

impl Weights for InputWeights<'_> {
    fn tensor(&self, g: &mut GraphBuilder, id: BlobId) -> Tensor {
        let blob = self.0.blob(id);
        let dims: Vec<Dim> = blob.shape.iter().copied().map(fixed).collect();
        g.input::<F32>(blob.name.clone(), dims)
    }

    fn expert(&self, g: &mut GraphBuilder, id: BlobId, expert: usize) -> Tensor {
        let blob = self.0.blob(id);
        let (rows, columns) = blob.matrix_shape();
        g.input::<F32>(expert_name(&blob.name, expert), [fixed(rows), fixed(columns)])
    }

    fn stored(&self, g: &mut GraphBuilder, id: BlobId) -> AnyValue {
        self.tensor(g, id).any()
    }

    fn stack(&self, g: &mut GraphBuilder, id: BlobId) -> AnyValue {
        let blob = self.0.blob(id);
        let (rows, columns) = blob.matrix_shape();
        g.input::<F32>(blob.name.clone(), [blob.matrices(), rows, columns].map(fixed)).any()
    }

    // Whatever is stored, the programs get float32.
    fn scale(&self, _: &mut GraphBuilder, _: BlobId) -> Option<AnyValue> {
        None
    }

    fn stack_scale(&self, _: &mut GraphBuilder, _: BlobId) -> Option<AnyValue> {
        None
    }
}

fn compile(name: &str, builder: GraphBuilder) -> Result<Program, ExportError> {
    let model = builder.finish(ModelMetadata::default()).map_err(|error| graph_error(name, error))?;
    Program::compile(name, &model)
}

fn graph_error(name: &str, source: GraphError) -> ExportError {
    ExportError::Graph { graph: format!("self-test {name}"), source: Box::new(source) }
}

/// From the graph's inputs to the first layer's.
pub(super) fn prelude(
    config: &Config,
    layout: &WeightLayout,
    options: GraphOptions,
) -> Result<Program, ExportError> {
    let mut g = GraphBuilder::new("prelude", OPSET);
    let Prelude { hidden, positions, token_mask } =
        lower_prelude(&mut g, config, layout, &InputWeights(layout), options);
    let Positions::Tables(positions) = positions else {
        unreachable!("only the op set plugin has no tables");
    };
    g.output("hidden", hidden);
    g.output("cos", positions.all.rotary.cos);
    g.output("sin", positions.all.rotary.sin);
    g.output("bias", positions.all.bias);
    g.output("last.cos", positions.last.rotary.cos);
    g.output("last.sin", positions.last.rotary.sin);
    g.output("last.bias", positions.last.bias);
    if let Some(mask) = token_mask {
        g.output("token_mask", mask);
    }
    compile("prelude", g)
}

/// One layer, made from the layer `index`.
pub(super) fn layer(
    config: &Config,
    layout: &WeightLayout,
    options: GraphOptions,
    index: usize,
) -> Result<Program, ExportError> {
    let mut builder = GraphBuilder::new("layer", OPSET);
    let g = &mut builder;
    let total = || past() + sequence();
    let blobs = &layout.layers[index];
    let half = || fixed(config.head_dim() / 2);
    let hidden = g.input::<F32>("hidden", [batch(), sequence(), fixed(config.hidden_size())]);
    let rotary = Rotary {
        cos: g.input("cos", [batch(), sequence(), half()]),
        sin: g.input("sin", [batch(), sequence(), half()]),
    };
    let positions = match blobs.projections {
        ProjectionBlobs::Fused(_) => {
            let bias = g.input("bias", [batch(), fixed(1), sequence(), total()]);
            let all = Queries { rotary, bias };
            PositionTables { all, last: all }
        }
        ProjectionBlobs::QueryApart { .. } => {
            let bias = g.input("last.bias", [batch(), fixed(1), fixed(1), total()]);
            let last = Rotary {
                cos: g.input("last.cos", [batch(), fixed(1), half()]),
                sin: g.input("last.sin", [batch(), fixed(1), half()]),
            };
            PositionTables { all: Queries { rotary, bias }, last: Queries { rotary: last, bias } }
        }
    };
    let positions = Positions::Tables(positions);
    let cached = || [batch(), fixed(config.kv_heads()), past(), fixed(config.head_dim())];
    let (key, value) = (g.input("past.key", cached()), g.input("past.value", cached()));
    let cache = KvCache::<F32> { key, value }.into();
    let statistics_mask = options.with_loss.then(|| g.input::<F32>("token_mask", [batch(), sequence()]));
    let hidden = Hidden::Whole(hidden);
    let inputs = LayerInputs { hidden, positions: &positions, cache, statistics_mask };
    let outputs = lower_layer(g, config, options, index, blobs, &InputWeights(layout), inputs);
    let hidden = outputs.hidden.whole(g);
    g.output("hidden.next", hidden);
    g.output("present.key", outputs.present.key);
    g.output("present.value", outputs.present.value);
    if let Some(RouterStatistics { chosen, probability }) = outputs.statistics {
        g.output(STATISTICS[0], chosen);
        g.output(STATISTICS[1], probability);
    }
    compile(&format!("layer {index}"), builder)
}

/// From the last layer's output to the predictions and losses.
pub(super) fn tail(
    config: &Config,
    layout: &WeightLayout,
    options: GraphOptions,
) -> Result<Program, ExportError> {
    let mut builder = GraphBuilder::new("tail", OPSET);
    let g = &mut builder;
    let trimmed = layout
        .layers
        .last()
        .is_some_and(|blobs| matches!(blobs.projections, ProjectionBlobs::QueryApart { .. }));
    let positions = if trimmed { fixed(1) } else { sequence() };
    let hidden = g.input::<F32>("hidden", [batch(), positions, fixed(config.hidden_size())]);
    let token_mask = options.with_loss.then(|| g.input::<F32>("token_mask", [batch(), sequence()]));
    let mut statistics = Vec::new();
    if options.with_loss && !config.use_dense() {
        for index in 0..config.layers() {
            let [chosen, probability] = STATISTICS
                .map(|name| g.input::<F32>(format!("{name}.{index}"), [Dim::fixed(int(config.experts()))]));
            statistics.push(RouterStatistics { chosen, probability });
        }
    }
    let inputs = Tail { hidden: Hidden::Whole(hidden), statistics: &statistics, token_mask };
    lower_tail(g, config, layout, &InputWeights(layout), options, inputs);
    compile("tail", builder)
}
