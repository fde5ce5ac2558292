//! Tensors in host memory, to ONNX Runtime and back.

use ndarray::ArrayD;
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Shape, Tensor as OrtTensor, TensorElementType};

use crate::tensor::{NamedTensors, Tensor};

/// Host tensors as inputs of a run.
pub(super) fn feeds(inputs: NamedTensors) -> ort::Result<Vec<(String, SessionInputValue<'static>)>> {
    inputs.into_iter().map(|(name, tensor)| Ok((name, from_host(tensor)?.into()))).collect()
}

/// Outputs of a run as host tensors.
pub(crate) fn results(outputs: &SessionOutputs<'_>) -> ort::Result<NamedTensors> {
    outputs.iter().map(|(name, value)| Ok((name.to_owned(), to_host(&value)?))).collect()
}

pub(crate) fn from_host(tensor: Tensor) -> ort::Result<DynValue> {
    Ok(match tensor {
        Tensor::F32(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::F16(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::BF16(array) => OrtTensor::from_array(array)?.into_dyn(),
        Tensor::I64(array) => OrtTensor::from_array(array)?.into_dyn(),
    })
}

fn to_host(value: &DynValue) -> ort::Result<Tensor> {
    fn array<T: Clone>((shape, data): (&Shape, &[T])) -> ort::Result<ArrayD<T>> {
        ArrayD::from_shape_vec(shape.to_ixdyn(), data.to_vec()).map_err(ort::Error::wrap)
    }
    match value.data_type() {
        TensorElementType::Float32 => Ok(Tensor::F32(array(value.try_extract_tensor()?)?)),
        TensorElementType::Float16 => Ok(Tensor::F16(array(value.try_extract_tensor()?)?)),
        TensorElementType::Bfloat16 => Ok(Tensor::BF16(array(value.try_extract_tensor()?)?)),
        TensorElementType::Int64 => Ok(Tensor::I64(array(value.try_extract_tensor()?)?)),
        other => Err(ort::Error::new(format!("an output has {other} elements, expected floats or int64"))),
    }
}
