//! Where a lowering gets its weights from.

use tmoe_onnx::{AnyValue, BF16, DataType, ExternalRef, F16, F32, GraphBuilder, I8, Value};

use super::{Tensor, int};
use crate::weights::{BlobId, WeightLayout};

/// Hands out the weights of a model as float32 values of a graph.
pub(crate) trait Weights {
    /// A whole blob.
    fn tensor(&self, g: &mut GraphBuilder, id: BlobId) -> Tensor;

    /// The matrix of one expert, out of a blob that stacks them.
    fn expert(&self, g: &mut GraphBuilder, id: BlobId, expert: usize) -> Tensor;

    /// A whole blob in the type in which it is stored, for operators that take several.
    fn stored(&self, g: &mut GraphBuilder, id: BlobId) -> AnyValue;

    /// [`Weights::stored`] as a stack of matrices: one matrix is a stack of one.
    fn stack(&self, g: &mut GraphBuilder, id: BlobId) -> AnyValue;

    /// Scales of the columns of a blob that is stored as int8: as [`Weights::stored`] without the axis of its rows.
    fn scale(&self, g: &mut GraphBuilder, id: BlobId) -> Option<AnyValue>;

    /// [`Weights::scale`] for [`Weights::stack`].
    fn stack_scale(&self, g: &mut GraphBuilder, id: BlobId) -> Option<AnyValue>;
}

/// Initializers in `weights.bin`; those stored in another type are cast where they are used.
pub(crate) struct ExternalWeights<'a> {
    pub(crate) layout: &'a WeightLayout,
    /// The place of each blob.
    pub(crate) places: &'a [ExternalRef],
}

impl ExternalWeights<'_> {
    fn stored_as(&self, g: &mut GraphBuilder, id: BlobId, shape: &[i64]) -> AnyValue {
        let blob = self.layout.blob(id);
        let (name, place) = (blob.name.clone(), self.places[id.0].clone());
        match blob.data_type {
            DataType::Float16 => g.external::<F16>(name, shape, place).any(),
            DataType::Bfloat16 => g.external::<BF16>(name, shape, place).any(),
            DataType::Int8 => g.external::<I8>(name, shape, place).any(),
            _ => g.external::<F32>(name, shape, place).any(),
        }
    }

    fn scale_as(&self, g: &mut GraphBuilder, id: BlobId, shape: &[i64]) -> Option<AnyValue> {
        let scales = self.layout.blob(id).scales?;
        let name = self.layout.blob(scales).name.clone();
        Some(g.external::<F32>(name, shape, self.places[scales.0].clone()).any())
    }

    /// Part of a blob of matrices as float32, whatever it is stored as.
    fn float(&self, g: &mut GraphBuilder, id: BlobId, part: &Part) -> Tensor {
        let blob = self.layout.blob(id);
        let (name, shape) = (part.named(&blob.name), part.shape.as_slice());
        let place = part.place(&self.places[id.0], blob.matrix_bytes());
        match blob.data_type {
            DataType::Float16 => {
                let stored: Value<F16> = g.external(name, shape, place);
                g.cast::<F32>(stored)
            }
            DataType::Bfloat16 => {
                let stored: Value<BF16> = g.external(name, shape, place);
                g.cast::<F32>(stored)
            }
            DataType::Int8 => {
                let stored: Value<I8> = g.external(name, shape, place);
                let stored = g.cast::<F32>(stored);
                let Some(scales) = blob.scales else {
                    unreachable!("the layout gives every int8 blob its scales");
                };
                let (_, columns) = blob.matrix_shape();
                // One scale for all rows of a column.
                let mut shape = part.shape.clone();
                if let [.., rows, _] = shape.as_mut_slice() {
                    *rows = 1;
                }
                let name = part.named(&self.layout.blob(scales).name);
                let place = part.place(&self.places[scales.0], columns * size_of::<f32>());
                let scale: Tensor = g.external(name, &shape, place);
                g.mul(stored, scale)
            }
            _ => g.external(name, shape, place),
        }
    }
}

/// A blob, or one matrix of it.
struct Part {
    shape: Vec<i64>,
    expert: Option<usize>,
}

impl Part {
    fn named(&self, blob: &str) -> String {
        match self.expert {
            Some(expert) => format!("{blob}.{expert}"),
            None => blob.to_owned(),
        }
    }

    /// Where it lies, in a blob of which every matrix has so many bytes.
    fn place(&self, blob: &ExternalRef, bytes: usize) -> ExternalRef {
        let Some(expert) = self.expert else { return blob.clone() };
        blob.slice((expert * bytes) as u64, bytes as u64)
            .unwrap_or_else(|error| unreachable!("the layout stacks all experts: {error}"))
    }
}

impl Weights for ExternalWeights<'_> {
    fn tensor(&self, g: &mut GraphBuilder, id: BlobId) -> Tensor {
        let shape = self.layout.blob(id).shape.iter().copied().map(int).collect();
        self.float(g, id, &Part { shape, expert: None })
    }

    fn expert(&self, g: &mut GraphBuilder, id: BlobId, expert: usize) -> Tensor {
        let (rows, columns) = self.layout.blob(id).matrix_shape();
        self.float(g, id, &Part { shape: vec![int(rows), int(columns)], expert: Some(expert) })
    }

    fn stored(&self, g: &mut GraphBuilder, id: BlobId) -> AnyValue {
        let shape: Vec<i64> = self.layout.blob(id).shape.iter().copied().map(int).collect();
        self.stored_as(g, id, &shape)
    }

    fn stack(&self, g: &mut GraphBuilder, id: BlobId) -> AnyValue {
        let blob = self.layout.blob(id);
        let (rows, columns) = blob.matrix_shape();
        self.stored_as(g, id, &[blob.matrices(), rows, columns].map(int))
    }

    fn scale(&self, g: &mut GraphBuilder, id: BlobId) -> Option<AnyValue> {
        let scales = self.layout.blob(id).scales?;
        let shape: Vec<i64> = self.layout.blob(scales).shape.iter().copied().map(int).collect();
        self.scale_as(g, id, &shape)
    }

    fn stack_scale(&self, g: &mut GraphBuilder, id: BlobId) -> Option<AnyValue> {
        let blob = self.layout.blob(id);
        let (_, columns) = blob.matrix_shape();
        self.scale_as(g, id, &[blob.matrices(), columns].map(int))
    }
}
