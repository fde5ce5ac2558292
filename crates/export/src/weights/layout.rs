//! Which blobs a package's `weights.bin` has, and from which tensors of the checkpoint each is made.
//!
//! A linear layer is stored `[in, out]`, the transpose of the checkpoint, so that the graphs need no transposition.
//! Projections of the same input stand side by side in one matrix; the experts of a layer are stacked in one blob,
//! whose slices are initializers of their own for the graphs that call experts one by one.

use tmoe_model::{Config, FfnPart, TensorName};
use tmoe_onnx::DataType;
use tmoe_package::{Positions, Precision};

/// Index of a blob in [`WeightLayout::blobs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlobId(pub(crate) usize);

/// A source tensor's place in a blob: its transpose fills `columns` of one of the blob's matrices.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) tensor: TensorName,
    /// Rows of the source tensor: columns filled here.
    pub(crate) out: usize,
    /// Columns of the source tensor: rows filled here.
    pub(crate) input: usize,
    /// Which of the stacked matrices.
    pub(crate) matrix: usize,
    /// First column in that matrix.
    pub(crate) column: usize,
}

/// One tensor of `weights.bin`.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
    /// The declared shape: `[n]`, `[in, out]` or `[experts, in, out]`.
    pub(crate) shape: Vec<usize>,
    /// What fills it; nothing where `scales_of` does.
    pub(crate) blocks: Vec<Block>,
    /// The int8 blob of whose columns these are the scales: the one before.
    pub(crate) scales_of: Option<BlobId>,
    /// The scales of this int8 blob: the one after.
    pub(crate) scales: Option<BlobId>,
}

impl Blob {
    /// How many matrices are stacked: 1 unless the shape has three dimensions.
    pub(crate) fn matrices(&self) -> usize {
        if self.shape.len() == 3 { self.shape[0] } else { 1 }
    }

    /// Shape of one matrix; a vector is a matrix of one row.
    pub(crate) fn matrix_shape(&self) -> (usize, usize) {
        match *self.shape.as_slice() {
            [columns] => (1, columns),
            [.., rows, columns] => (rows, columns),
            [] => (1, 1),
        }
    }

    /// Bytes of one matrix.
    pub(crate) fn matrix_bytes(&self) -> usize {
        let (rows, columns) = self.matrix_shape();
        rows * columns * self.data_type.size()
    }

    /// Bytes of the whole blob.
    pub(crate) fn bytes(&self) -> usize {
        self.matrices() * self.matrix_bytes()
    }
}

/// A gated feed-forward network, or the stack of all experts' networks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GatedBlobs {
    /// `[.., hidden, 2 x ffn]`: the gate's columns, then those of the up projection.
    pub(crate) gate_up: BlobId,
    /// `[.., ffn, hidden]`.
    pub(crate) down: BlobId,
}

/// A linear layer with bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinearBlobs {
    /// `[in, out]`.
    pub(crate) weight: BlobId,
    /// `[out]`.
    pub(crate) bias: BlobId,
}

/// How a layer projects to queries, keys and values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ProjectionBlobs {
    /// One product for all three.
    Fused(LinearBlobs),
    /// Queries apart from keys and values: for a last layer whose queries are needed at one position only.
    QueryApart {
        /// `[hidden, hidden]`.
        query: LinearBlobs,
        /// `[hidden, 2 x kv_width]`.
        key_value: LinearBlobs,
    },
}

/// The feed-forward network of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FfnBlobs {
    /// One network for every token.
    Dense(GatedBlobs),
    /// Routed experts and a shared one.
    Sparse {
        /// `[hidden, experts + 1]`: the router, and in the last column the gate of the shared expert.
        router: BlobId,
        /// The routed experts, stacked.
        experts: GatedBlobs,
        /// The shared expert.
        shared: GatedBlobs,
    },
}

/// The blobs of one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerBlobs {
    pub(crate) input_norm: BlobId,
    pub(crate) projections: ProjectionBlobs,
    pub(crate) attention_output: BlobId,
    pub(crate) post_attention_norm: BlobId,
    pub(crate) ffn: FfnBlobs,
}

impl LayerBlobs {
    /// All blobs of the layer, in the order of the file.
    pub(crate) fn ids(&self) -> Vec<BlobId> {
        let mut ids = vec![self.input_norm];
        match self.projections {
            ProjectionBlobs::Fused(all) => ids.extend([all.weight, all.bias]),
            ProjectionBlobs::QueryApart { query, key_value } => {
                ids.extend([query.weight, query.bias, key_value.weight, key_value.bias]);
            }
        }
        ids.extend([self.attention_output, self.post_attention_norm]);
        match self.ffn {
            FfnBlobs::Dense(network) => ids.extend([network.gate_up, network.down]),
            FfnBlobs::Sparse { router, experts, shared } => {
                ids.extend([router, experts.gate_up, experts.down, shared.gate_up, shared.down]);
            }
        }
        ids
    }
}

/// Every blob of a model, in the order of the file, and the role of each.
#[derive(Clone, Debug)]
pub(crate) struct WeightLayout {
    pub(crate) blobs: Vec<Blob>,
    pub(crate) embed: BlobId,
    pub(crate) embed_gate: BlobId,
    pub(crate) layers: Vec<LayerBlobs>,
    pub(crate) final_norm: BlobId,
    /// `[hidden, sum of horizons]`: the heads side by side.
    pub(crate) heads: BlobId,
}

impl WeightLayout {
    /// The layout for a model. With [`Positions::Last`] the last layer's queries stand apart.
    pub(crate) fn new(config: &Config, precision: Precision, last_layer: Positions) -> Self {
        let mut planner = Planner { config, matrix_type: matrix_type(precision), blobs: Vec::new() };
        // Eight bits in the last product would show in every forecast.
        let head_type = match precision {
            Precision::Int8 => DataType::Float32,
            _ => planner.matrix_type,
        };
        let embed = planner.vector("embed.value", &[TensorName::Embed]);
        let embed_gate = planner.vector("embed.gate", &[TensorName::EmbedGate]);
        let layers = (0..config.layers())
            .map(|layer| {
                let trimmed = last_layer == Positions::Last && layer + 1 == config.layers();
                planner.layer(layer, trimmed)
            })
            .collect();
        let final_norm = planner.vector("norm", &[TensorName::FinalNorm]);
        let heads: Vec<_> = (0..config.horizon_lengths().len()).map(TensorName::Head).collect();
        let heads = planner.matrix("heads", head_type, &heads);
        Self { blobs: planner.blobs, embed, embed_gate, layers, final_norm, heads }
    }

    /// A blob by its id.
    pub(crate) fn blob(&self, id: BlobId) -> &Blob {
        &self.blobs[id.0]
    }
}

/// Norms, biases, embedding and router stay float32: they are small, and rounding the router changes the routing.
fn matrix_type(precision: Precision) -> DataType {
    match precision {
        Precision::Fp32 => DataType::Float32,
        Precision::Fp16 => DataType::Float16,
        Precision::Bf16 => DataType::Bfloat16,
        Precision::Int8 => DataType::Int8,
    }
}

struct Planner<'a> {
    config: &'a Config,
    matrix_type: DataType,
    blobs: Vec<Blob>,
}

impl Planner<'_> {
    fn push(&mut self, name: String, data_type: DataType, shape: Vec<usize>, blocks: Vec<Block>) -> BlobId {
        let id = BlobId(self.blobs.len());
        let scales = (data_type == DataType::Int8).then_some(BlobId(id.0 + 1));
        self.blobs.push(Blob { name, data_type, shape, blocks, scales_of: None, scales });
        if scales.is_some() {
            let weight = &self.blobs[id.0];
            let (_, columns) = weight.matrix_shape();
            let shape = match weight.shape.len() {
                3 => vec![weight.matrices(), columns],
                _ => vec![columns],
            };
            self.blobs.push(Blob {
                name: format!("{}.scale", weight.name),
                data_type: DataType::Float32,
                shape,
                blocks: Vec::new(),
                scales_of: Some(id),
                scales: None,
            });
        }
        id
    }

    /// Blocks of tensors side by side in one matrix, and that matrix's rows and columns.
    fn side_by_side(&self, tensors: &[TensorName], matrix: usize) -> (Vec<Block>, usize, usize) {
        let (mut column, mut rows) = (0, 1);
        let blocks = tensors
            .iter()
            .map(|&tensor| {
                let shape = tensor.shape(self.config).unwrap_or_default();
                let (out, input) = match *shape.as_slice() {
                    [out, input] => (out, input),
                    [out] => (out, 1),
                    _ => unreachable!("every tensor of the model is a vector or a matrix"),
                };
                rows = input;
                column += out;
                Block { tensor, out, input, matrix, column: column - out }
            })
            .collect();
        (blocks, rows, column)
    }

    /// A float32 vector: the tensors one after the other.
    fn vector(&mut self, name: impl Into<String>, tensors: &[TensorName]) -> BlobId {
        let (blocks, _, columns) = self.side_by_side(tensors, 0);
        self.push(name.into(), DataType::Float32, vec![columns], blocks)
    }

    /// One matrix: the tensors side by side.
    fn matrix(&mut self, name: impl Into<String>, data_type: DataType, tensors: &[TensorName]) -> BlobId {
        let (blocks, rows, columns) = self.side_by_side(tensors, 0);
        self.push(name.into(), data_type, vec![rows, columns], blocks)
    }

    fn linear(&mut self, name: String, weights: &[TensorName], biases: &[TensorName]) -> LinearBlobs {
        let weight = self.matrix(format!("{name}.weight"), self.matrix_type, weights);
        let bias = self.vector(format!("{name}.bias"), biases);
        LinearBlobs { weight, bias }
    }

    fn gated(&mut self, name: &str, tensor: impl Fn(FfnPart) -> TensorName) -> GatedBlobs {
        let inner = [tensor(FfnPart::Gate), tensor(FfnPart::Up)];
        let gate_up = self.matrix(format!("{name}.gate_up.weight"), self.matrix_type, &inner);
        let outer = [tensor(FfnPart::Down)];
        let down = self.matrix(format!("{name}.down.weight"), self.matrix_type, &outer);
        GatedBlobs { gate_up, down }
    }

    /// One matrix per expert, stacked.
    fn stacked(&mut self, name: String, tensors: impl Fn(usize) -> Vec<TensorName>) -> BlobId {
        let experts = self.config.experts();
        let (mut blocks, mut shape) = (Vec::new(), vec![experts, 0, 0]);
        for expert in 0..experts {
            let (more, rows, columns) = self.side_by_side(&tensors(expert), expert);
            blocks.extend(more);
            shape = vec![experts, rows, columns];
        }
        self.push(name, self.matrix_type, shape, blocks)
    }

    fn layer(&mut self, layer: usize, trimmed: bool) -> LayerBlobs {
        use TensorName::*;

        let path = format!("layers.{layer}");
        let input_norm = self.vector(format!("{path}.input_norm"), &[InputNorm(layer)]);
        let projections = if trimmed {
            ProjectionBlobs::QueryApart {
                query: self.linear(format!("{path}.attn.q"), &[Query(layer)], &[QueryBias(layer)]),
                key_value: self.linear(
                    format!("{path}.attn.kv"),
                    &[Key(layer), Value(layer)],
                    &[KeyBias(layer), ValueBias(layer)],
                ),
            }
        } else {
            ProjectionBlobs::Fused(self.linear(
                format!("{path}.attn.qkv"),
                &[Query(layer), Key(layer), Value(layer)],
                &[QueryBias(layer), KeyBias(layer), ValueBias(layer)],
            ))
        };
        let attention_output =
            self.matrix(format!("{path}.attn.o.weight"), self.matrix_type, &[AttentionOutput(layer)]);
        let post_attention_norm =
            self.vector(format!("{path}.post_attention_norm"), &[PostAttentionNorm(layer)]);
        let ffn = if self.config.use_dense() {
            FfnBlobs::Dense(self.gated(&format!("{path}.ffn"), |part| Dense { layer, part }))
        } else {
            let router = self.matrix(
                format!("{path}.ffn.router.weight"),
                DataType::Float32,
                &[Router(layer), SharedExpertGate(layer)],
            );
            let experts = GatedBlobs {
                gate_up: self.stacked(format!("{path}.ffn.experts.gate_up.weight"), |expert| {
                    [FfnPart::Gate, FfnPart::Up].map(|part| Expert { layer, expert, part }).to_vec()
                }),
                down: self.stacked(format!("{path}.ffn.experts.down.weight"), |expert| {
                    vec![Expert { layer, expert, part: FfnPart::Down }]
                }),
            };
            let shared =
                self.gated(&format!("{path}.ffn.shared_expert"), |part| SharedExpert { layer, part });
            FfnBlobs::Sparse { router, experts, shared }
        };
        LayerBlobs { input_norm, projections, attention_output, post_attention_norm, ffn }
    }
}
