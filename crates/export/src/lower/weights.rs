//! Where a lowering gets its weights from.

use tmoe_onnx::{AnyValue, DataType, ExternalRef, F16, F32, GraphBuilder, Value};

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
        let place = self.places[id.0].clone();
        match blob.data_type {
            DataType::Float16 => g.external::<F16>(blob.name.clone(), shape, place).any(),
            _ => g.external::<F32>(blob.name.clone(), shape, place).any(),
        }
    }

    fn initializer(
        &self,
        g: &mut GraphBuilder,
        name: String,
        data_type: DataType,
        shape: &[i64],
        place: ExternalRef,
    ) -> Tensor {
        if data_type == DataType::Float16 {
            let half: Value<F16> = g.external(name, shape, place);
            g.cast::<F32>(half)
        } else {
            g.external(name, shape, place)
        }
    }
}

impl Weights for ExternalWeights<'_> {
    fn tensor(&self, g: &mut GraphBuilder, id: BlobId) -> Tensor {
        let blob = self.layout.blob(id);
        let shape: Vec<i64> = blob.shape.iter().copied().map(int).collect();
        self.initializer(g, blob.name.clone(), blob.data_type, &shape, self.places[id.0].clone())
    }

    fn expert(&self, g: &mut GraphBuilder, id: BlobId, expert: usize) -> Tensor {
        let blob = self.layout.blob(id);
        let (rows, columns) = blob.matrix_shape();
        let bytes = blob.matrix_bytes() as u64;
        let place = self.places[id.0]
            .slice(expert as u64 * bytes, bytes)
            .unwrap_or_else(|error| unreachable!("the layout stacks all experts: {error}"));
        let name = format!("{}.{expert}", blob.name);
        self.initializer(g, name, blob.data_type, &[int(rows), int(columns)], place)
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
}
