//! The matrix products of one pass, by shape.

use tmoe_package::{Manifest, Positions};

/// Inner size and columns of a matrix of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weights {
    pub(super) inner: usize,
    pub(super) columns: usize,
}

/// The matrices that a pass multiplies with: those of a layer, and those that come once.
#[derive(Clone, Debug)]
pub(super) struct ModelShapes {
    /// Of every layer but the last.
    pub(super) layer: Vec<Weights>,
    /// Of the last layer, and the heads.
    pub(super) end: Vec<Weights>,
}

impl ModelShapes {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let config = &manifest.model;
        let hidden = config.hidden_size();
        let weights = |inner, columns| Weights { inner, columns };
        let (qkv, kv) = (hidden + 2 * config.kv_width(), 2 * config.kv_width());
        let mut after_attention = vec![weights(hidden, hidden)];
        let mut gated = |ffn: usize| {
            after_attention.extend([weights(hidden, 2 * ffn), weights(ffn, hidden)]);
        };
        gated(config.intermediate_size());
        if let Some(ffn) = config.expert_ffn() {
            (0..config.experts()).for_each(|_| gated(ffn));
            after_attention.push(weights(hidden, config.experts() + 1));
        }
        let layer = [vec![weights(hidden, qkv)], after_attention.clone()].concat();
        // The trimmed last layer makes keys and values of all points, and queries of one.
        let first = if trimmed(manifest) {
            vec![weights(hidden, kv), weights(hidden, hidden)]
        } else {
            vec![weights(hidden, qkv)]
        };
        let heads = weights(hidden, config.horizon_lengths().iter().sum());
        Self { layer, end: [first, after_attention, vec![heads]].concat() }
    }
}

/// How many rows each matrix of [`ModelShapes`] is multiplied with in one pass.
#[derive(Clone, Debug)]
pub(super) struct PassShapes {
    /// [layers but the last, matrices].
    pub(super) layers: Vec<Vec<usize>>,
    pub(super) end: Vec<usize>,
    /// Floating-point operations of attention: scores and weighted values, each key at or before its query.
    pub(super) attention_flops: f64,
}

impl PassShapes {
    /// Rows of a pass of `points` new points on `past`, for `batch` series, whose points go to the experts as
    /// `routing`, [layers, experts], says.
    pub(super) fn new(
        manifest: &Manifest,
        batch: usize,
        points: usize,
        past: usize,
        routing: &[Vec<usize>],
    ) -> Self {
        let config = &manifest.model;
        let (tokens, trimmed) = (batch * points, trimmed(manifest));
        let last_tokens = if trimmed { batch } else { tokens };
        let after_attention = |tokens: usize, experts: &[usize]| {
            let mut rows = vec![tokens; 3];
            rows.extend(experts.iter().flat_map(|&points| [points, points]));
            rows.extend((!experts.is_empty()).then_some(tokens));
            rows
        };
        let (last, others) =
            routing.split_last().map_or((&[][..], routing), |(last, others)| (&last[..], others));
        let layers =
            others.iter().map(|experts| [vec![tokens], after_attention(tokens, experts)].concat()).collect();
        let first = if trimmed { vec![tokens, last_tokens] } else { vec![tokens] };
        let end = [first, after_attention(last_tokens, last), vec![last_tokens]].concat();

        let seen = |queries: usize, first: usize| {
            // Query i sees the keys before it and itself.
            (0..queries).map(|query| (first + query + 1) as f64).sum::<f64>()
        };
        let pairs = (config.layers() - 1) as f64 * seen(points, past)
            + if trimmed { seen(1, past + points - 1) } else { seen(points, past) };
        let attention_flops = 4.0 * batch as f64 * config.hidden_size() as f64 * pairs;
        Self { layers, end, attention_flops }
    }
}

/// Whether the last layer computes the last position only.
fn trimmed(manifest: &Manifest) -> bool {
    manifest.positions == Positions::Last && !manifest.with_loss
}
