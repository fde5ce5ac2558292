//! What the server runs before it says that the model is ready: the self-test's inputs.

use std::collections::BTreeMap;
use std::fs;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};
use tmoe_onnx::DataType;
use tmoe_package::{Package, Profile, files};

use super::error::TritonError;
use super::ports::Port;

/// One run, of one series: Triton makes a batch by repeating it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The self-test's case.
    pub(super) case: String,
    pub(super) inputs: Vec<SampleInput>,
}

/// An input of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SampleInput {
    pub(super) port: Port,
    /// Its sizes without the batch's.
    pub(super) sizes: Vec<usize>,
    /// Little-endian elements in the port's type; empty for an empty cache.
    pub(super) bytes: Vec<u8>,
}

impl Sample {
    /// The file of an input in the folder `warmup`; none for an empty cache.
    pub(super) fn file(&self, input: &SampleInput) -> Option<String> {
        (!input.bytes.is_empty()).then(|| format!("{}.{}", self.case, input.port.name))
    }

    /// Whether a profile takes it.
    pub(super) fn fits(&self, profile: &Profile) -> bool {
        let size = |name: &str, axis: usize| {
            let input = self.inputs.iter().find(|input| input.port.name == name);
            input.and_then(|input| input.sizes.get(axis)).copied()
        };
        match (size("input_ids", 0), size("attention_mask", 0)) {
            (Some(sequence), Some(total)) => profile.covers(1, sequence, total.saturating_sub(sequence)),
            _ => false,
        }
    }
}

/// The first series of every case of a package's self-test, with inputs as `ports` has them.
pub(super) fn samples(package: &Package, ports: &[Port]) -> Result<Vec<Sample>, TritonError> {
    let path = package.path(files::SELFTEST);
    let bytes = fs::read(&path).map_err(|source| TritonError::io("read", &path, source))?;
    let refused = |reason: String| TritonError::SelfTest { path: path.clone(), reason };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| refused(error.to_string()))?;
    // In the file's order of names; the first pass, `prefill`, is before those that continue it or are padded.
    let mut cases: BTreeMap<&str, ()> = BTreeMap::new();
    for name in tensors.names() {
        if let Some((case, _)) = name.split_once(".input.") {
            cases.insert(case, ());
        }
    }
    if cases.is_empty() {
        return Err(refused("it has no case".to_owned()));
    }
    let sample = |case: &str| {
        let input = |port: &Port| {
            let name = format!("{case}.input.{}", port.name);
            let tensor = tensors.tensor(&name).map_err(|error| refused(format!("{name}: {error}")))?;
            let input = first_row(port, tensor.dtype(), tensor.shape(), tensor.data());
            input.ok_or_else(|| {
                let (found, shape) = (tensor.dtype(), tensor.shape());
                refused(format!("{name} is {found:?} {shape:?}, expected {} {:?}", port.data_type, port.dims))
            })
        };
        let inputs = ports.iter().map(input).collect::<Result<_, TritonError>>()?;
        Ok(Sample { case: case.to_owned(), inputs })
    };
    let mut samples = cases.into_keys().map(sample).collect::<Result<Vec<Sample>, TritonError>>()?;
    samples.sort_by_key(|sample| sample.case != "prefill");
    Ok(samples)
}

/// The first series of a tensor, in the type of a port; none if it does not fit.
fn first_row(port: &Port, found: Dtype, shape: &[usize], bytes: &[u8]) -> Option<SampleInput> {
    let (&batch, sizes) = shape.split_first()?;
    let fits = |(&dim, &size): (&i64, &usize)| dim == -1 || usize::try_from(dim) == Ok(size);
    if batch == 0 || sizes.len() != port.dims.len() || !port.dims.iter().zip(sizes).all(fits) {
        return None;
    }
    let row = bytes.get(..bytes.len() / batch)?;
    let floats = || -> Vec<f32> {
        let of = |bytes: &[u8]| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes);
        row.chunks_exact(4).map(of).collect()
    };
    let bytes = match (found, port.data_type) {
        (Dtype::F32, DataType::Float32) | (Dtype::I64, DataType::Int64) => row.to_vec(),
        (Dtype::F32, DataType::Float16) => {
            let mut halves = vec![f16::ZERO; row.len() / 4];
            halves.convert_from_f32_slice(&floats());
            halves.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        (Dtype::F32, DataType::Bfloat16) => {
            let mut halves = vec![bf16::ZERO; row.len() / 4];
            halves.convert_from_f32_slice(&floats());
            halves.iter().flat_map(|value| value.to_le_bytes()).collect()
        }
        _ => return None,
    };
    Some(SampleInput { port: port.clone(), sizes: sizes.to_vec(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(data_type: DataType, dims: &[i64]) -> Port {
        Port { name: "x".to_owned(), data_type, dims: dims.to_vec() }
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn only_the_first_series_is_taken_because_triton_repeats_it() {
        let row = first_row(
            &port(DataType::Float32, &[-1, 1]),
            Dtype::F32,
            &[2, 2, 1],
            &bytes(&[1.0, 2.0, 3.0, 4.0]),
        );
        let row = row.unwrap();
        assert_eq!((row.sizes, row.bytes), (vec![2, 1], bytes(&[1.0, 2.0])));
    }

    #[test]
    fn a_cache_of_half_the_memory_is_rounded_to_it() {
        let of = |data_type| {
            let port = port(data_type, &[-1]);
            first_row(&port, Dtype::F32, &[1, 2], &bytes(&[1.0, -2.0])).unwrap().bytes
        };
        // 1 and -2 in IEEE half precision and as upper halves of a float32.
        assert_eq!(of(DataType::Float16), [0x00, 0x3c, 0x00, 0xc0]);
        assert_eq!(of(DataType::Bfloat16), [0x80, 0x3f, 0x00, 0xc0]);
    }

    #[test]
    fn a_tensor_of_another_shape_or_type_is_refused() {
        let two = bytes(&[1.0, 2.0]);
        assert!(first_row(&port(DataType::Float32, &[3]), Dtype::F32, &[1, 2], &two).is_none());
        assert!(first_row(&port(DataType::Float32, &[-1, 1]), Dtype::F32, &[1, 2], &two).is_none());
        assert!(first_row(&port(DataType::Int64, &[-1]), Dtype::F32, &[1, 2], &two).is_none());
        assert!(first_row(&port(DataType::Float32, &[-1]), Dtype::F32, &[0, 2], &[]).is_none());
    }

    #[test]
    fn an_empty_cache_has_no_file() {
        let empty = first_row(&port(DataType::Float32, &[2, -1, 4]), Dtype::F32, &[2, 2, 0, 4], &[]).unwrap();
        assert_eq!(empty.sizes, [2, 0, 4]);
        let sample = Sample { case: "prefill".to_owned(), inputs: vec![] };
        assert_eq!(sample.file(&empty), None);
    }
}
