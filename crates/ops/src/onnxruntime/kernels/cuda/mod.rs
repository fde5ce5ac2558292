//! Operators as kernels of ONNX Runtime's CUDA provider, one per file.
//!
//! Weights stay where ONNX Runtime put them, in the layout of the package. Nothing waits for the device, so the session may
//! capture a run in a CUDA graph.

mod add_rms_norm;
mod flash_attention;
mod linear;
mod sparse_moe;

use std::env;

pub(in crate::onnxruntime) use self::add_rms_norm::AddRmsNormKernel;
pub(in crate::onnxruntime) use self::flash_attention::FlashAttentionKernel;
pub(in crate::onnxruntime) use self::linear::LinearKernel;
pub(in crate::onnxruntime) use self::sparse_moe::SparseMoeKernel;

use super::super::context::{Context, Element, Tensor};
use super::super::error::OperatorError;
use super::super::info::Info;
use super::{required, type_error};
use crate::cuda::{FloatType, Products};
use crate::schema::{ElementType, Operator, SchemaError};

/// The variable that allows products of float32 to be rounded to TF32, if it is 1.
const ALLOW_TF32: &str = "TMOE_ALLOW_TF32";

fn products() -> Products {
    match env::var_os(ALLOW_TF32) {
        Some(value) if value == "1" => Products::Tf32,
        _ => Products::Exact,
    }
}

/// The type and the sizes of a weight that must be given.
fn weight<'a>(
    info: &'a Info,
    schema: &'static Operator,
    name: &'static str,
) -> Result<(FloatType, Tensor<'a>), OperatorError> {
    let missing = || SchemaError::MissingInput { operator: schema.name, input: name };
    let tensor = info.weight(name)?.ok_or_else(missing)?;
    let found = tensor.element_type();
    let unsupported = || OperatorError::UnsupportedOnCuda { operator: schema.name, input: name, found };
    Ok((float_type(found).ok_or_else(unsupported)?, tensor))
}

/// A type that the kernels compute with.
fn float_type(element_type: ElementType) -> Option<FloatType> {
    match element_type {
        ElementType::Float32 => Some(FloatType::Float32),
        ElementType::Float16 => Some(FloatType::Float16),
        ElementType::BFloat16 => Some(FloatType::BFloat16),
        _ => None,
    }
}

/// Where the elements of an input lie, if they are of that type.
fn address<T: Element>(
    tensor: &Tensor<'_>,
    schema: &'static Operator,
    index: usize,
) -> Result<*const T, OperatorError> {
    if tensor.element_type() == T::TYPE {
        return Ok(tensor.address().cast());
    }
    Err(type_error::<T>(tensor, schema, index))
}

/// Where the elements of a weight lie, whose type and sizes were read when the kernel was made.
fn weight_address(
    context: &Context<'_>,
    schema: &'static Operator,
    index: usize,
) -> Result<*const std::ffi::c_void, OperatorError> {
    Ok(required(context, schema, index)?.address())
}
