//! The tensors of a checkpoint: their names, shapes and order.

use std::fmt;

use crate::config::Config;

/// One of the three projections of a gated feed-forward network `down(act(gate(x)) * up(x))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FfnPart {
    /// `gate_proj`, `[ffn, hidden]`.
    Gate,
    /// `up_proj`, `[ffn, hidden]`.
    Up,
    /// `down_proj`, `[hidden, ffn]`.
    Down,
}

impl FfnPart {
    /// The three projections, in the order in which they are applied.
    pub const ALL: [FfnPart; 3] = [FfnPart::Gate, FfnPart::Up, FfnPart::Down];

    fn shape(self, hidden: usize, ffn: usize) -> Vec<usize> {
        match self {
            FfnPart::Gate | FfnPart::Up => vec![ffn, hidden],
            FfnPart::Down => vec![hidden, ffn],
        }
    }
}

impl fmt::Display for FfnPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FfnPart::Gate => "gate_proj",
            FfnPart::Up => "up_proj",
            FfnPart::Down => "down_proj",
        })
    }
}

/// A weight of the model, by role.
///
/// `Display` gives its name in a Hugging Face checkpoint, [`TensorName::shape`] its shape, both as
/// PyTorch stores them: a linear layer's weight is `[out, in]`. Layers, experts and heads count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TensorName {
    /// `emb_layer` of the embedding `act(gate_layer(x)) * emb_layer(x)`, `[hidden, 1]`.
    Embed,
    /// `gate_layer` of the embedding, `[hidden, 1]`.
    EmbedGate,
    /// RMSNorm before the attention of a layer, `[hidden]`.
    InputNorm(usize),
    /// Query projection of a layer, `[hidden, hidden]`.
    Query(usize),
    /// Query bias of a layer, `[hidden]`.
    QueryBias(usize),
    /// Key projection of a layer, `[kv_width, hidden]`.
    Key(usize),
    /// Key bias of a layer, `[kv_width]`.
    KeyBias(usize),
    /// Value projection of a layer, `[kv_width, hidden]`.
    Value(usize),
    /// Value bias of a layer, `[kv_width]`.
    ValueBias(usize),
    /// Output projection of the attention of a layer, `[hidden, hidden]`.
    AttentionOutput(usize),
    /// RMSNorm before the feed-forward network of a layer, `[hidden]`.
    PostAttentionNorm(usize),
    /// Router of a layer, `[experts, hidden]`.
    Router(usize),
    /// A projection of a routed expert, of width [`Config::expert_ffn`].
    Expert {
        /// The layer.
        layer: usize,
        /// The expert.
        expert: usize,
        /// Which projection.
        part: FfnPart,
    },
    /// A projection of the shared expert, of width [`Config::intermediate_size`].
    SharedExpert {
        /// The layer.
        layer: usize,
        /// Which projection.
        part: FfnPart,
    },
    /// Gate of the shared expert of a layer, `[1, hidden]`.
    SharedExpertGate(usize),
    /// A projection of the plain feed-forward network of a layer ([`Config::use_dense`]), of width
    /// [`Config::intermediate_size`].
    Dense {
        /// The layer.
        layer: usize,
        /// Which projection.
        part: FfnPart,
    },
    /// RMSNorm after the last layer, `[hidden]`.
    FinalNorm,
    /// Output head, `[horizon, hidden]`; counted as in [`Config::horizon_lengths`].
    Head(usize),
}

impl TensorName {
    /// Every tensor of a model, in the order of its forward pass.
    pub fn all(config: &Config) -> impl Iterator<Item = TensorName> + use<> {
        let layers = config.layers();
        let heads = config.horizon_lengths().len();
        let experts = config.experts();
        let use_dense = config.use_dense();
        [TensorName::Embed, TensorName::EmbedGate]
            .into_iter()
            .chain((0..layers).flat_map(move |layer| layer_tensors(layer, experts, use_dense)))
            .chain([TensorName::FinalNorm])
            .chain((0..heads).map(TensorName::Head))
    }

    /// Every tensor of a model with its shape, in the order of [`TensorName::all`].
    pub fn with_shapes(config: &Config) -> impl Iterator<Item = (TensorName, Vec<usize>)> {
        TensorName::all(config).filter_map(|name| Some((name, name.shape(config)?)))
    }

    /// The shape of the tensor in a model, or `None` when that model has no such tensor.
    pub fn shape(&self, config: &Config) -> Option<Vec<usize>> {
        use TensorName::*;

        let hidden = config.hidden_size();
        let kv_width = config.kv_width();
        let shared = config.intermediate_size();
        let sparse_ffn = config.expert_ffn();
        let in_layer = self.layer().is_none_or(|layer| layer < config.layers());
        if !in_layer {
            return None;
        }
        match *self {
            Embed | EmbedGate => Some(vec![hidden, config.input_size()]),
            InputNorm(_) | PostAttentionNorm(_) | FinalNorm | QueryBias(_) => Some(vec![hidden]),
            Query(_) | AttentionOutput(_) => Some(vec![hidden, hidden]),
            Key(_) | Value(_) => Some(vec![kv_width, hidden]),
            KeyBias(_) | ValueBias(_) => Some(vec![kv_width]),
            Router(_) => sparse_ffn.map(|_| vec![config.experts(), hidden]),
            Expert { expert, part, .. } => sparse_ffn
                .filter(|_| expert < config.experts())
                .map(|expert_ffn| part.shape(hidden, expert_ffn)),
            SharedExpert { part, .. } => sparse_ffn.map(|_| part.shape(hidden, shared)),
            SharedExpertGate(_) => sparse_ffn.map(|_| vec![1, hidden]),
            Dense { part, .. } => config.use_dense().then(|| part.shape(hidden, shared)),
            Head(head) => {
                config.horizon_lengths().get(head).map(|horizon| vec![horizon * config.input_size(), hidden])
            }
        }
    }

    /// The layer that the tensor belongs to, if it belongs to one.
    pub const fn layer(&self) -> Option<usize> {
        use TensorName::*;

        match *self {
            Embed | EmbedGate | FinalNorm | Head(_) => None,
            InputNorm(layer)
            | Query(layer)
            | QueryBias(layer)
            | Key(layer)
            | KeyBias(layer)
            | Value(layer)
            | ValueBias(layer)
            | AttentionOutput(layer)
            | PostAttentionNorm(layer)
            | Router(layer)
            | Expert { layer, .. }
            | SharedExpert { layer, .. }
            | SharedExpertGate(layer)
            | Dense { layer, .. } => Some(layer),
        }
    }
}

/// The tensors of one layer. Boxed because the two feed-forward networks are iterators of different
/// types; one small allocation per layer.
fn layer_tensors(layer: usize, experts: usize, use_dense: bool) -> Box<dyn Iterator<Item = TensorName>> {
    let attention = [
        TensorName::InputNorm(layer),
        TensorName::Query(layer),
        TensorName::QueryBias(layer),
        TensorName::Key(layer),
        TensorName::KeyBias(layer),
        TensorName::Value(layer),
        TensorName::ValueBias(layer),
        TensorName::AttentionOutput(layer),
        TensorName::PostAttentionNorm(layer),
    ]
    .into_iter();
    if use_dense {
        return Box::new(attention.chain(FfnPart::ALL.map(|part| TensorName::Dense { layer, part })));
    }
    let routed = (0..experts)
        .flat_map(move |expert| FfnPart::ALL.map(|part| TensorName::Expert { layer, expert, part }));
    Box::new(
        attention
            .chain([TensorName::Router(layer)])
            .chain(routed)
            .chain(FfnPart::ALL.map(|part| TensorName::SharedExpert { layer, part }))
            .chain([TensorName::SharedExpertGate(layer)]),
    )
}

impl fmt::Display for TensorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use TensorName::*;

        if let Some(layer) = self.layer() {
            write!(f, "model.layers.{layer}.")?;
        }
        match *self {
            Embed => f.write_str("model.embed_layer.emb_layer.weight"),
            EmbedGate => f.write_str("model.embed_layer.gate_layer.weight"),
            InputNorm(_) => f.write_str("input_layernorm.weight"),
            Query(_) => f.write_str("self_attn.q_proj.weight"),
            QueryBias(_) => f.write_str("self_attn.q_proj.bias"),
            Key(_) => f.write_str("self_attn.k_proj.weight"),
            KeyBias(_) => f.write_str("self_attn.k_proj.bias"),
            Value(_) => f.write_str("self_attn.v_proj.weight"),
            ValueBias(_) => f.write_str("self_attn.v_proj.bias"),
            AttentionOutput(_) => f.write_str("self_attn.o_proj.weight"),
            PostAttentionNorm(_) => f.write_str("post_attention_layernorm.weight"),
            Router(_) => f.write_str("ffn_layer.gate.weight"),
            Expert { expert, part, .. } => write!(f, "ffn_layer.experts.{expert}.{part}.weight"),
            SharedExpert { part, .. } => write!(f, "ffn_layer.shared_expert.{part}.weight"),
            SharedExpertGate(_) => f.write_str("ffn_layer.shared_expert_gate.weight"),
            Dense { part, .. } => write!(f, "ffn_layer.{part}.weight"),
            FinalNorm => f.write_str("model.norm.weight"),
            Head(head) => write!(f, "lm_heads.{head}.out_layer.weight"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;
    use crate::header;
    use crate::testing::golden;

    /// Names and shapes in the weight files that PyTorch wrote.
    fn stored(folder: &str) -> BTreeMap<String, Vec<usize>> {
        let mut tensors = BTreeMap::new();
        for entry in fs::read_dir(golden(folder)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if file.starts_with("model") && file.ends_with(".safetensors") {
                let header = header::parse(&fs::read(&path).unwrap()).unwrap();
                tensors.extend(header.into_iter().map(|(name, entry)| (name, entry.shape)));
            }
        }
        tensors
    }

    #[test]
    fn names_and_shapes_are_those_of_the_original_model() {
        for folder in ["moe", "moe-gqa", "dense", "moe-bf16", "gelu-one-head"] {
            let config = Config::from_json_file(golden(folder).join("config.json")).unwrap();
            let named: BTreeMap<String, Vec<usize>> = TensorName::all(&config)
                .map(|tensor| (tensor.to_string(), tensor.shape(&config).unwrap()))
                .collect();
            assert_eq!(named, stored(folder), "{folder}");
        }
    }

    #[test]
    fn the_parameter_count_is_the_sum_over_all_tensors() {
        for folder in ["moe", "moe-gqa", "dense", "moe-bf16", "gelu-one-head"] {
            let config = Config::from_json_file(golden(folder).join("config.json")).unwrap();
            let stored: usize = stored(folder).values().map(|s| s.iter().product::<usize>()).sum();
            assert_eq!(config.parameter_count(), stored as u64, "{folder}");
        }
    }

    #[test]
    fn no_tensor_is_named_twice() {
        let config = Config::from_json_file(golden("moe").join("config.json")).unwrap();
        let mut names: Vec<String> = TensorName::all(&config).map(|t| t.to_string()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_tensor_that_a_model_does_not_have_has_no_shape() {
        let sparse = Config::from_json_file(golden("moe").join("config.json")).unwrap();
        let dense = Config::from_json_file(golden("dense").join("config.json")).unwrap();
        let part = FfnPart::Gate;
        assert_eq!(TensorName::Query(3).shape(&sparse), None);
        assert_eq!(TensorName::Head(4).shape(&sparse), None);
        assert_eq!(TensorName::Expert { layer: 0, expert: 8, part }.shape(&sparse), None);
        assert_eq!(TensorName::Dense { layer: 0, part }.shape(&sparse), None);
        assert_eq!(TensorName::Router(0).shape(&dense), None);
        assert_eq!(TensorName::SharedExpertGate(0).shape(&dense), None);
        assert_eq!(TensorName::SharedExpert { layer: 0, part }.shape(&dense), None);
        assert_eq!(TensorName::Expert { layer: 0, expert: 0, part }.shape(&dense), None);
    }
}
