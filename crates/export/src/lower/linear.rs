//! Linear layers: MatMul and Add; in the op set `plugin`, weights that are not float32 through `tmoe.Linear`, which takes them
//! as they are stored.

use tmoe_onnx::{AnyValue, DataType, GraphBuilder};
use tmoe_ops::schema::{DOMAIN, LINEAR};
use tmoe_package::OpSet;

use super::{Tensor, Weights, typed};
use crate::weights::{BlobId, LinearBlobs};

/// `x` `[.., in]` times a weight `[in, out]`.
pub(crate) fn product(
    g: &mut GraphBuilder,
    op_set: OpSet,
    weights: &dyn Weights,
    x: Tensor,
    weight: BlobId,
) -> Tensor {
    apply(g, op_set, weights, x, weight, None)
}

/// [`product`] plus a bias `[out]`, under a name of its own.
pub(crate) fn linear(
    g: &mut GraphBuilder,
    op_set: OpSet,
    weights: &dyn Weights,
    name: &str,
    x: Tensor,
    blobs: LinearBlobs,
) -> Tensor {
    g.scoped(name, |g| apply(g, op_set, weights, x, blobs.weight, Some(blobs.bias)))
}

fn apply(
    g: &mut GraphBuilder,
    op_set: OpSet,
    weights: &dyn Weights,
    x: Tensor,
    weight: BlobId,
    bias: Option<BlobId>,
) -> Tensor {
    if op_set == OpSet::Plugin {
        let stored = weights.stored(g, weight);
        if stored.data_type() != DataType::Float32 {
            let bias = bias.map(|bias| weights.tensor(g, bias).any());
            let scale = weights.scale(g, weight);
            return custom(g, x, &[Some(x.any()), Some(stored), bias, scale], stored);
        }
    }
    let weight = weights.tensor(g, weight);
    let product = g.matmul(x, weight);
    match bias {
        Some(bias) => {
            let bias = weights.tensor(g, bias);
            g.add(product, bias)
        }
        None => product,
    }
}

fn custom(g: &mut GraphBuilder, x: Tensor, inputs: &[Option<AnyValue>], weight: AnyValue) -> Tensor {
    let width = g.shape(weight).clone()[1].clone();
    let shape = g.shape(x).clone();
    let mut dims: Vec<_> = (0..shape.rank()).map(|axis| shape[axis].clone()).collect();
    if let Some(last) = dims.last_mut() {
        *last = width;
    }
    let outputs = g.custom(DOMAIN, LINEAR.name, inputs, &[], &[(DataType::Float32, dims.into())]);
    typed(&outputs, 0)
}
