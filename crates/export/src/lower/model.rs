//! A whole graph, from the inputs of the package's contract to its outputs.

use tmoe_model::{Config, FloatType};
use tmoe_onnx::{F32, GraphBuilder, GraphError, I64, Model, ModelMetadata};
use tmoe_package::{CacheType, OpSet, Positions as PredictedPositions};

use super::loss::{LossInputs, loss, token_mask};
use super::positions::last_of;
use super::{
    Hidden, LayerCache, LayerInputs, OPSET, Positions, RouterStatistics, Tensor, Weights, batch, embedding,
    fixed, heads, layer, loss_mask, output_name, past, position_tables, sequence,
};
use crate::weights::WeightLayout;

/// Which graph to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GraphOptions {
    pub(crate) op_set: OpSet,
    pub(crate) positions: PredictedPositions,
    pub(crate) with_loss: bool,
    /// The type of the key/value cache; only the op set plugin has any but float32.
    pub(crate) cache: CacheType,
    /// The type in which the checkpoint is stored; see [`position_tables`].
    pub(crate) stored: FloatType,
}

/// What the layers begin with.
pub(crate) struct Prelude {
    /// `[batch, sequence, hidden]`.
    pub(crate) hidden: Tensor,
    pub(crate) positions: Positions,
    /// With losses: `[batch, sequence]`, 1 = real point.
    pub(crate) token_mask: Option<Tensor>,
}

/// What the layers end with.
pub(crate) struct Tail<'a> {
    /// `[batch, positions, hidden]`.
    pub(crate) hidden: Hidden,
    /// One per routed layer, with losses.
    pub(crate) statistics: &'a [RouterStatistics],
    /// As in [`Prelude`].
    pub(crate) token_mask: Option<Tensor>,
}

/// Builds a graph of the package.
pub(crate) fn build(
    config: &Config,
    layout: &WeightLayout,
    weights: &dyn Weights,
    options: GraphOptions,
) -> Result<Model, GraphError> {
    let mut builder = GraphBuilder::new("time_moe", OPSET);
    let g = &mut builder;
    if options.op_set == OpSet::Plugin {
        g.import_opset(tmoe_ops::schema::DOMAIN, i64::from(tmoe_ops::schema::VERSION));
    }
    let Prelude { hidden, positions, token_mask } = prelude(g, config, layout, weights, options);
    let caches: Vec<_> =
        (0..config.layers()).map(|index| LayerCache::input(g, config, index, options.cache)).collect();

    let mut hidden = Hidden::Whole(hidden);
    let (mut presents, mut statistics) = (Vec::new(), Vec::new());
    for (index, (blobs, cache)) in layout.layers.iter().zip(caches).enumerate() {
        let inputs = LayerInputs { hidden, positions: &positions, cache, statistics_mask: token_mask };
        let outputs = g.scoped("model", |g| layer(g, config, options, index, blobs, weights, inputs));
        hidden = outputs.hidden;
        presents.push(outputs.present);
        statistics.extend(outputs.statistics);
    }
    tail(g, config, layout, weights, options, Tail { hidden, statistics: &statistics, token_mask });
    for (index, present) in presents.into_iter().enumerate() {
        g.output(format!("present.{index}.key"), present.key);
        g.output(format!("present.{index}.value"), present.value);
    }
    builder.finish(metadata(options))
}

/// The graph's inputs but for the caches, and everything before the first layer.
pub(crate) fn prelude(
    g: &mut GraphBuilder,
    config: &Config,
    layout: &WeightLayout,
    weights: &dyn Weights,
    options: GraphOptions,
) -> Prelude {
    let input_ids = g.input::<F32>("input_ids", [batch(), sequence(), fixed(config.input_size())]);
    let attention_mask = g.input::<I64>("attention_mask", [batch(), past() + sequence()]);
    g.scoped("model", |g| Prelude {
        hidden: embedding(g, config, layout, weights, input_ids),
        positions: match options.op_set {
            OpSet::Plugin => Positions::Mask(attention_mask),
            OpSet::Standard | OpSet::Dense => {
                Positions::Tables(position_tables(g, config, options.stored, input_ids, attention_mask))
            }
        },
        token_mask: options.with_loss.then(|| token_mask(g, input_ids, attention_mask)),
    })
}

/// Everything after the last layer, and the graph's outputs but for the caches.
pub(crate) fn tail(
    g: &mut GraphBuilder,
    config: &Config,
    layout: &WeightLayout,
    weights: &dyn Weights,
    options: GraphOptions,
    inputs: Tail<'_>,
) {
    let Tail { hidden, statistics, token_mask } = inputs;
    let predictions = g.scoped("model", |g| heads(g, config, options.op_set, layout, weights, hidden));
    for (&horizon, &prediction) in config.horizon_lengths().iter().zip(&predictions) {
        let output = match options.positions {
            PredictedPositions::All => prediction,
            PredictedPositions::Last => g.scoped(format!("last.h{horizon}"), |g| {
                let last = if options.with_loss { last_of(g, prediction, 1) } else { prediction };
                g.squeeze(last, &[1])
            }),
        };
        g.output(output_name(horizon), output);
    }
    if let Some(token_mask) = token_mask {
        let labels = g.input::<F32>("labels", [batch(), sequence()]);
        let loss_masks = g.input::<F32>("loss_masks", [batch(), loss_mask()]);
        let inputs = LossInputs { labels, loss_masks, predictions: &predictions, statistics, token_mask };
        let losses = loss(g, config, &inputs);
        g.output("loss", losses.loss);
        g.output("ar_loss", losses.ar_loss);
        g.output("aux_loss", losses.aux_loss);
    }
}

fn metadata(options: GraphOptions) -> ModelMetadata {
    ModelMetadata {
        producer_name: "tmoe-export".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc: "Time-MoE, a mixture-of-experts foundation model for time series.".into(),
        properties: vec![
            ("op_set".into(), options.op_set.name().into()),
            ("positions".into(), options.positions.name().into()),
        ],
    }
}
