//! The model's training loss: the mean over heads of a Huber loss on shifted labels, plus load balancing.
//!
//! Head of horizon n at position t predicts `labels[t .. t + n]`; labels beyond the end are 0
//! (`TimeMoeForPrediction.calc_ar_loss`). With `loss_masks`, points beyond the end do not count, and the loss is a
//! weighted mean; without (`loss_masks` of length 0), every point counts, those beyond the end as labels of 0: so does
//! the original.
//!
//! Load balancing (`load_balancing_loss_func`, after Fedus et al. 2021): experts x sum over experts of (how often chosen,
//! per token) x (mean probability), over the real tokens of all layers.

use tmoe_model::Config;
use tmoe_onnx::{Dim, F32, GraphBuilder, I64, Value};

use super::router::RouterStatistics;
use super::{Tensor, batch, int, loss_mask, sequence};

/// Where the Huber loss turns from quadratic to linear.
const HUBER_DELTA: f32 = 2.0;

/// What the loss is computed from.
pub(crate) struct LossInputs<'a> {
    /// The next point at every position, `[batch, sequence]`.
    pub(crate) labels: Tensor,
    /// Weight of every label, `[batch, sequence]`, or `[batch, 0]` for none.
    pub(crate) loss_masks: Tensor,
    /// Of every head at every position, `[batch, sequence, horizon]`.
    pub(crate) predictions: &'a [Tensor],
    /// One per routed layer.
    pub(crate) statistics: &'a [RouterStatistics],
    /// `[batch, sequence]`, 1 = real point.
    pub(crate) token_mask: Tensor,
}

/// The scalars `loss`, `ar_loss` (mean over heads) and `aux_loss` (load balancing, before its factor).
pub(crate) struct Losses {
    pub(crate) loss: Tensor,
    pub(crate) ar_loss: Tensor,
    pub(crate) aux_loss: Tensor,
}

/// Builds the losses.
pub(crate) fn loss(g: &mut GraphBuilder, config: &Config, inputs: &LossInputs<'_>) -> Losses {
    g.scoped("loss", |g| {
        let ar_loss = autoregressive(g, config, inputs);
        let aux_loss = g.scoped("load_balancing", |g| load_balancing(g, config, inputs));
        let loss = if config.apply_aux_loss() {
            let factor = g.const_scalar_f32(config.router_aux_loss_factor() as f32);
            let weighted = g.mul(aux_loss, factor);
            g.add(ar_loss, weighted)
        } else {
            g.identity(ar_loss)
        };
        Losses { loss, ar_loss, aux_loss }
    })
}

fn autoregressive(g: &mut GraphBuilder, config: &Config, inputs: &LossInputs<'_>) -> Tensor {
    let longest = config.horizon_lengths().iter().copied().max().unwrap_or(1);
    let extra = int(longest - 1);
    let labels = g.scoped("labels", |g| {
        let zero = g.const_scalar_f32(0.0);
        let filler = filler(g, inputs.labels, zero, extra);
        g.concat(&[inputs.labels, filler], 1)
    });
    let masks = g.scoped("loss_masks", |g| padded_masks(g, inputs, extra));

    let position = g.scoped("positions", |g| {
        let size = g.shape_of(inputs.labels, 1..2);
        let size = g.squeeze(size, &[0]);
        let (start, step) = (g.const_scalar_i64(0), g.const_scalar_i64(1));
        let position = g.range(start, size, step, sequence());
        g.unsqueeze(position, &[1])
    });
    let mut sum = None;
    for (&horizon, &prediction) in config.horizon_lengths().iter().zip(inputs.predictions) {
        let head = g.scoped(format!("h{horizon}"), |g| {
            let steps: Vec<i64> = (0..int(horizon)).collect();
            let steps = g.const_i64(&steps);
            let window = g.add(position, steps);
            let labels = g.gather(labels, window, 1);
            let masks = g.gather(masks, window, 1);
            let losses = huber(g, prediction, labels);
            let weighted = g.mul(losses, masks);
            let total = g.reduce_sum(weighted, &[0, 1, 2], false);
            let weight = g.reduce_sum(masks, &[0, 1, 2], false);
            g.div(total, weight)
        });
        sum = Some(match sum {
            None => head,
            Some(sum) => g.add(sum, head),
        });
    }
    let sum = sum.unwrap_or_else(|| g.const_scalar_f32(0.0));
    let heads = g.const_scalar_f32(config.horizon_lengths().len() as f32);
    g.div(sum, heads)
}

/// The masks, followed by what makes them as long as the padded labels: zeros, or ones where there are no masks.
fn padded_masks(g: &mut GraphBuilder, inputs: &LossInputs<'_>, extra: i64) -> Tensor {
    let label_count = g.shape_of(inputs.labels, 1..2);
    let mask_count = g.shape_of(inputs.loss_masks, 1..2);
    let zero = g.const_i64(&[0]);
    let given = g.greater(mask_count, zero);
    let given = g.cast::<F32>(given);
    let one = g.const_tensor::<F32>(&[1], &[1.0]);
    let value = g.sub(one, given);
    let missing = g.sub(label_count, mask_count);
    let extra_size = g.const_i64(&[extra]);
    let missing = g.add(missing, extra_size);
    let batch_size = g.shape_of(inputs.labels, 0..1);
    let size = g.concat(&[batch_size, missing], 0);
    let rest = sequence() + Dim::fixed(extra) - loss_mask();
    let filler = g.expand_to(value, size, [batch(), rest]);
    g.concat(&[inputs.loss_masks, filler], 1)
}

/// `[batch, extra]` of a value.
fn filler(g: &mut GraphBuilder, like: Tensor, value: Tensor, extra: i64) -> Tensor {
    let batch_size = g.shape_of(like, 0..1);
    let extra_size = g.const_i64(&[extra]);
    let size: Value<I64> = g.concat(&[batch_size, extra_size], 0);
    g.expand_to(value, size, [batch(), Dim::fixed(extra)])
}

/// `d^2 / 2` up to delta, `delta (|d| - delta / 2)` beyond (Huber 1964), elementwise.
fn huber(g: &mut GraphBuilder, prediction: Tensor, label: Tensor) -> Tensor {
    g.scoped("huber", |g| {
        let difference = g.sub(prediction, label);
        let size = g.abs(difference);
        let delta = g.const_scalar_f32(HUBER_DELTA);
        let near = g.less_or_equal(size, delta);
        let half = g.const_scalar_f32(0.5);
        let squared = g.mul(difference, difference);
        let quadratic = g.mul(squared, half);
        let half_delta = g.const_scalar_f32(HUBER_DELTA / 2.0);
        let beyond = g.sub(size, half_delta);
        let linear = g.mul(beyond, delta);
        g.where_(near, quadratic, linear)
    })
}

fn load_balancing(g: &mut GraphBuilder, config: &Config, inputs: &LossInputs<'_>) -> Tensor {
    let Some((first, rest)) = inputs.statistics.split_first() else {
        return g.const_scalar_f32(0.0);
    };
    let (mut chosen, mut probability) = (first.chosen, first.probability);
    for layer in rest {
        chosen = g.add(chosen, layer.chosen);
        probability = g.add(probability, layer.probability);
    }
    let tokens = g.reduce_sum(inputs.token_mask, &[0, 1], false);
    let layers = g.const_scalar_f32(inputs.statistics.len() as f32);
    let count = g.mul(tokens, layers);
    let frequency = g.div(chosen, count);
    let mean = g.div(probability, count);
    let product = g.mul(frequency, mean);
    let sum = g.reduce_sum(product, &[0], false);
    let experts = g.const_scalar_f32(config.experts() as f32);
    g.mul(sum, experts)
}

/// The weight of every token, `[batch, sequence]`, from the attention mask.
pub(crate) fn token_mask(g: &mut GraphBuilder, input_ids: Tensor, attention_mask: Value<I64>) -> Tensor {
    g.scoped("token_mask", |g| {
        let total = g.shape_of(attention_mask, 1..2);
        let new = g.shape_of(input_ids, 1..2);
        let start = g.sub(total, new);
        let end = g.const_i64(&[i64::MAX]);
        let mask = g.slice_to(attention_mask, start, end, &[1], &[1], [batch(), sequence()]);
        g.cast::<F32>(mask)
    })
}
