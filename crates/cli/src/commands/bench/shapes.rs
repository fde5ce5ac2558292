//! The matrix products of one pass, by shape.

use tmoe_package::{Manifest, Positions};

/// `count` products of `[rows, inner]` by `[inner, columns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) columns: usize,
}

impl Product {
    fn flops(&self) -> f64 {
        2.0 * self.count as f64 * self.rows as f64 * self.inner as f64 * self.columns as f64
    }
}

/// The products with weights of one pass: those of a layer that is repeated, and those that come once.
#[derive(Clone, Debug)]
pub(super) struct PassShapes {
    /// Of every layer but the last.
    pub(super) layer: Vec<Product>,
    /// How many such layers.
    pub(super) layers: usize,
    /// Of the last layer and the heads.
    pub(super) end: Vec<Product>,
    /// Floating-point operations of attention: scores and weighted values, each key at or before its query.
    pub(super) attention_flops: f64,
}

impl PassShapes {
    /// Products of a pass of `points` new points on `past`, for `batch` series. Tokens are taken to spread evenly over
    /// the experts.
    pub(super) fn new(manifest: &Manifest, batch: usize, points: usize, past: usize) -> Self {
        let config = &manifest.model;
        let hidden = config.hidden_size();
        let trimmed = manifest.positions == Positions::Last && !manifest.with_loss;
        let tokens = batch * points;
        let last_tokens = if trimmed { batch } else { tokens };
        let one = |rows, inner, columns| Product { count: 1, rows, inner, columns };
        let kv = 2 * config.kv_width();

        let mut layer = vec![one(tokens, hidden, hidden + kv)];
        layer.extend(after_attention(manifest, tokens));
        let mut end = if trimmed {
            vec![one(tokens, hidden, kv), one(last_tokens, hidden, hidden)]
        } else {
            vec![one(tokens, hidden, hidden + kv)]
        };
        end.extend(after_attention(manifest, last_tokens));
        end.push(one(last_tokens, hidden, config.horizon_lengths().iter().sum()));

        let seen = |queries: usize, first: usize| {
            // Query i sees the keys before it and itself.
            (0..queries).map(|query| (first + query + 1) as f64).sum::<f64>()
        };
        let pairs = (config.layers() - 1) as f64 * seen(points, past)
            + if trimmed { seen(1, past + points - 1) } else { seen(points, past) };
        let attention_flops = 4.0 * batch as f64 * hidden as f64 * pairs;
        Self { layer, layers: config.layers() - 1, end, attention_flops }
    }

    /// Floating-point operations of the products with weights.
    pub(super) fn weight_flops(&self) -> f64 {
        let sum = |products: &[Product]| products.iter().map(Product::flops).sum::<f64>();
        self.layers as f64 * sum(&self.layer) + sum(&self.end)
    }
}

/// The output projection of attention and the feed-forward network, for so many tokens.
fn after_attention(manifest: &Manifest, tokens: usize) -> Vec<Product> {
    let config = &manifest.model;
    let hidden = config.hidden_size();
    let gated = |count, rows, ffn: usize| {
        [
            Product { count, rows, inner: hidden, columns: 2 * ffn },
            Product { count, rows, inner: ffn, columns: hidden },
        ]
    };
    let mut products = vec![Product { count: 1, rows: tokens, inner: hidden, columns: hidden }];
    products.extend(gated(1, tokens, config.intermediate_size()));
    if let Some(ffn) = config.expert_ffn() {
        let routed = tokens * config.top_k();
        products.push(Product { count: 1, rows: tokens, inner: hidden, columns: config.experts() + 1 });
        // As even as whole tokens go: no more experts than there are tokens for.
        let busy = config.experts().min(routed);
        products.extend(gated(busy, routed.div_ceil(busy.max(1)), ffn));
    }
    products
}
