//! Tensors in safetensors files.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors, View};
use thiserror::Error;

use super::{NamedTensors, Tensor};

/// Why a file of tensors could not be read or written.
#[derive(Debug, Error)]
pub enum TensorFileError {
    /// The file system refused to read it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system refused to write it.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not safetensors, or damaged.
    #[error("{} is not a whole safetensors file: {source}; write it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SafeTensorError,
    },
    /// A tensor has an element type that no graph takes.
    #[error(
        "{}: the tensor `{tensor}` is {found}; write it as F32, F16, BF16, I64 or I32",
        path.display()
    )]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its element type.
        found: Dtype,
    },
}

impl Tensor {
    /// Reads all tensors of a safetensors file. I32 becomes int64.
    ///
    /// # Errors
    ///
    /// See [`TensorFileError`]; a tensor of any other element type is named.
    pub fn read_all(path: impl AsRef<Path>) -> Result<NamedTensors, TensorFileError> {
        let path = path.as_ref();
        let bytes =
            fs::read(path).map_err(|source| TensorFileError::Read { path: path.to_owned(), source })?;
        let malformed = |source| TensorFileError::Malformed { path: path.to_owned(), source };
        let file = SafeTensors::deserialize(&bytes).map_err(malformed)?;
        file.iter()
            .map(|(name, view)| match from_view(&view) {
                Some(tensor) => Ok((name.to_owned(), tensor)),
                None => Err(TensorFileError::ElementType {
                    path: path.to_owned(),
                    tensor: name.to_owned(),
                    found: view.dtype(),
                }),
            })
            .collect()
    }

    /// Writes tensors as a safetensors file (F32, F16, BF16 and I64), replacing what is there.
    ///
    /// The file is written beside its place and then renamed: it appears complete or not at all.
    ///
    /// # Errors
    ///
    /// [`TensorFileError::Write`].
    pub fn write_all(path: impl AsRef<Path>, tensors: &NamedTensors) -> Result<(), TensorFileError> {
        let path = path.as_ref();
        let write = |source| TensorFileError::Write { path: path.to_owned(), source };
        let bytes = safetensors::serialize(tensors.iter(), None)
            .map_err(|source| write(io::Error::new(io::ErrorKind::InvalidData, source)))?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = PathBuf::from(partial);
        let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
        if written.is_err() {
            // The first error says enough, and there may be nothing to remove.
            let _ = fs::remove_file(&partial);
        }
        written.map_err(write)
    }
}

/// `None` for an element type that no graph takes, and for data whose length contradicts its shape, which
/// `SafeTensors::deserialize` has excluded.
fn from_view(view: &TensorView<'_>) -> Option<Tensor> {
    fn elements<const N: usize, T>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&chunk| decode(chunk)).collect()
    }
    let shape = IxDyn(view.shape());
    let bytes = view.data();
    fn tensor<T>(shape: IxDyn, values: Vec<T>) -> Option<Tensor>
    where
        Tensor: From<ArrayD<T>>,
    {
        ArrayD::from_shape_vec(shape, values).ok().map(Tensor::from)
    }
    match view.dtype() {
        Dtype::F32 => tensor(shape, elements(bytes, f32::from_le_bytes)),
        Dtype::F16 => tensor(shape, elements(bytes, f16::from_le_bytes)),
        Dtype::BF16 => tensor(shape, elements(bytes, bf16::from_le_bytes)),
        Dtype::I64 => tensor(shape, elements(bytes, i64::from_le_bytes)),
        Dtype::I32 => tensor(shape, elements(bytes, |b| i64::from(i32::from_le_bytes(b)))),
        _ => None,
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        match self {
            Tensor::F32(_) => Dtype::F32,
            Tensor::F16(_) => Dtype::F16,
            Tensor::BF16(_) => Dtype::BF16,
            Tensor::I64(_) => Dtype::I64,
        }
    }

    fn shape(&self) -> &[usize] {
        Tensor::shape(self)
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match self {
            Tensor::F32(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Tensor::F16(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Tensor::BF16(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Tensor::I64(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        match self {
            Tensor::F32(array) => array.len() * size_of::<f32>(),
            Tensor::F16(array) => array.len() * size_of::<f16>(),
            Tensor::BF16(array) => array.len() * size_of::<bf16>(),
            Tensor::I64(array) => array.len() * size_of::<i64>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tensors.safetensors");
        let tensors = NamedTensors::from([
            ("x".to_owned(), Tensor::from(arr2(&[[1.0_f32, f32::MIN_POSITIVE], [-0.0, 3e38]]))),
            ("mask".to_owned(), Tensor::from(arr1(&[i64::MIN, 0, i64::MAX]))),
            ("empty".to_owned(), Tensor::from(ndarray::Array4::<f32>::zeros((2, 3, 0, 4)))),
            ("transposed".to_owned(), Tensor::from(arr2(&[[1_i64, 2, 3], [4, 5, 6]]).reversed_axes())),
        ]);
        Tensor::write_all(&path, &tensors).unwrap();
        assert_eq!(Tensor::read_all(&path).unwrap(), tensors);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    fn file_with(dtype: Dtype, bytes: &[u8], shape: Vec<usize>) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.safetensors");
        let view = TensorView::new(dtype, shape, bytes).unwrap();
        fs::write(&path, safetensors::serialize([("x", view)], None).unwrap()).unwrap();
        (folder, path)
    }

    #[test]
    fn narrow_floats_keep_their_type_and_narrow_integers_are_widened() {
        // 1.5 is 0x3e00 in IEEE half precision and 0x3fc0 in bfloat16.
        let cases = [
            (Dtype::F16, vec![0x00, 0x3e], Tensor::from(arr1(&[f16::from_f32(1.5)]))),
            (Dtype::BF16, vec![0xc0, 0x3f], Tensor::from(arr1(&[bf16::from_f32(1.5)]))),
            (Dtype::I32, vec![0xfe, 0xff, 0xff, 0xff], Tensor::from(arr1(&[-2_i64]))),
        ];
        for (dtype, bytes, expected) in cases {
            let (_folder, path) = file_with(dtype, &bytes, vec![1]);
            assert_eq!(Tensor::read_all(&path).unwrap()["x"], expected, "{dtype:?}");
        }
    }

    #[test]
    fn a_tensor_of_another_type_is_named() {
        let (_folder, path) = file_with(Dtype::F64, &[0; 8], vec![1]);
        let error = Tensor::read_all(&path).unwrap_err();
        assert!(matches!(error, TensorFileError::ElementType { ref tensor, .. } if tensor == "x"));
        assert!(error.to_string().contains("`x` is F64"), "{error}");
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        let (_folder, path) = file_with(Dtype::F32, &[0; 16], vec![4]);
        let whole = fs::read(&path).unwrap();
        for length in [0, 4, 12, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = Tensor::read_all(&path).unwrap_err();
            assert!(matches!(error, TensorFileError::Malformed { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn places_that_cannot_be_read_or_written_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no/such/file");
        assert!(Tensor::read_all(&path).unwrap_err().to_string().contains("no/such/file"));
        let error = Tensor::write_all(&path, &NamedTensors::new()).unwrap_err();
        assert!(error.to_string().starts_with("cannot write"), "{error}");
    }
}
