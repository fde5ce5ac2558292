//! Operators as kernels of ONNX Runtime, one per file; those in this folder run on the CPU, those in `cuda` on CUDA devices.

mod add_rms_norm;
mod attention_run;
#[cfg(feature = "cuda")]
pub(super) mod cuda;
mod flash_attention;
mod linear;
mod sparse_moe;

pub(super) use self::add_rms_norm::AddRmsNormKernel;
pub(super) use self::flash_attention::FlashAttentionKernel;
pub(super) use self::linear::LinearKernel;
pub(super) use self::sparse_moe::SparseMoeKernel;

use super::context::{Context, Element, Tensor};
use super::error::OperatorError;
use super::info::Info;
use crate::cpu::Weights;
use crate::schema::{Operator, SchemaError};

/// A float32 or int64 input of a run, by its place; the schema has said that it must be given.
fn required<'a>(
    context: &Context<'a>,
    schema: &'static Operator,
    index: usize,
) -> Result<Tensor<'a>, OperatorError> {
    let missing = || SchemaError::MissingInput { operator: schema.name, input: schema.inputs[index].name };
    Ok(context.input(index)?.ok_or_else(missing)?)
}

/// The elements of a tensor that has the only type that the schema allows for the input.
fn elements<'a, T: Element>(
    tensor: Tensor<'a>,
    schema: &'static Operator,
    index: usize,
) -> Result<&'a [T], OperatorError> {
    tensor.elements().ok_or_else(|| type_error::<T>(&tensor, schema, index))
}

/// An input of a run whose elements are not `T`.
fn type_error<T: Element>(tensor: &Tensor<'_>, schema: &'static Operator, index: usize) -> OperatorError {
    OperatorError::Schema(SchemaError::ElementType {
        operator: schema.name,
        input: schema.inputs[index].name,
        expected: vec![T::TYPE],
        found: tensor.element_type(),
    })
}

/// How many rows of width `hidden` an input of a run has. `width` is what the schema calls that size.
fn rows(
    tensor: &Tensor<'_>,
    schema: &'static Operator,
    index: usize,
    width: &str,
    hidden: usize,
) -> Result<usize, OperatorError> {
    match tensor.shape() {
        [outer @ .., last] if *last == hidden => Ok(outer.iter().product()),
        _ => Err(shape_error(schema, index, tensor, format!("[.., {width}] with {width} = {hidden}"))),
    }
}

/// Fails unless an input of a run has the shape of another one.
fn require_shape(
    tensor: &Tensor<'_>,
    expected: &[usize],
    other: &str,
    schema: &'static Operator,
    index: usize,
) -> Result<(), OperatorError> {
    if tensor.shape() == expected {
        return Ok(());
    }
    Err(shape_error(schema, index, tensor, format!("{expected:?} as `{other}`")))
}

/// An input of a run whose shape does not fit.
fn shape_error(
    schema: &'static Operator,
    index: usize,
    tensor: &Tensor<'_>,
    expected: String,
) -> OperatorError {
    OperatorError::Schema(SchemaError::Shape {
        operator: schema.name,
        input: schema.inputs[index].name,
        expected,
        found: format!("{:?}", tensor.shape()),
    })
}

/// A weight input that must be given, with the scale that int8 comes with.
fn weights<'a>(
    info: &'a Info,
    schema: &'static Operator,
    name: &'static str,
    scale: &'static str,
) -> Result<(Weights<'a>, Tensor<'a>), OperatorError> {
    let missing = |input| SchemaError::MissingInput { operator: schema.name, input };
    let tensor = info.weight(name)?.ok_or_else(|| missing(name))?;
    let weights = if let Some(values) = tensor.elements() {
        Weights::F32(values)
    } else if let Some(values) = tensor.elements() {
        Weights::F16(values)
    } else if let Some(values) = tensor.elements() {
        Weights::Bf16(values)
    } else if let Some(values) = tensor.elements() {
        let scales = info.weight(scale)?.ok_or_else(|| missing(scale))?;
        Weights::I8 { values, scales: scales.elements().unwrap_or_default() }
    } else {
        return Err(OperatorError::Unsupported {
            operator: schema.name,
            input: name,
            found: tensor.element_type(),
        });
    };
    Ok((weights, tensor))
}
