//! A tensor as it came in, checked: as many values as its shape says.

use thiserror::Error;

use super::datatype::{Datatype, UnknownDatatype};

/// A tensor that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: Datatype,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub values: Vec<f64>,
}

/// Why a tensor was refused.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TensorError {
    /// Its datatype.
    #[error("the input {name:?}: {source}")]
    Datatype {
        /// The tensor.
        name: String,
        /// What is wrong.
        source: UnknownDatatype,
    },
    /// A dimension that is negative, or more elements than there are bytes in a machine.
    #[error("the input {name:?} has the shape {shape:?}, which is none")]
    Shape {
        /// The tensor.
        name: String,
        /// As it stands in the request.
        shape: Vec<i64>,
    },
    /// Its values are more or fewer than its shape says.
    #[error("the input {name:?} has {found} values, and its shape {shape:?} says {expected}")]
    Values {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// What the shape says.
        expected: usize,
        /// What is there.
        found: usize,
    },
    /// Its bytes are more or fewer than its shape and datatype say.
    #[error("the input {name:?} has {found} bytes, and its shape {shape:?} of {datatype} says {expected}")]
    Bytes {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// Its datatype.
        datatype: Datatype,
        /// What these say.
        expected: usize,
        /// What is there.
        found: usize,
    },
}

/// What is said of a tensor before its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Its element type, as text.
    pub datatype: String,
    /// Its shape, unchecked.
    pub shape: Vec<i64>,
}

impl Head {
    /// A tensor of values.
    ///
    /// # Errors
    ///
    /// [`TensorError`].
    pub fn with_values(self, values: Vec<f64>) -> Result<Tensor, TensorError> {
        let (datatype, shape, expected) = self.checked()?;
        if values.len() != expected {
            let Self { name, shape, .. } = self;
            return Err(TensorError::Values { name, shape, expected, found: values.len() });
        }
        Ok(Tensor { name: self.name, datatype, shape, values })
    }

    /// A tensor of bytes, little-endian.
    ///
    /// # Errors
    ///
    /// [`TensorError`].
    pub fn with_bytes(self, bytes: &[u8]) -> Result<Tensor, TensorError> {
        let (datatype, shape, elements) = self.checked()?;
        let expected = elements.saturating_mul(datatype.size());
        if bytes.len() != expected {
            let Self { name, shape, .. } = self;
            return Err(TensorError::Bytes { name, shape, datatype, expected, found: bytes.len() });
        }
        Ok(Tensor { name: self.name, datatype, shape, values: datatype.values(bytes) })
    }

    fn checked(&self) -> Result<(Datatype, Vec<usize>, usize), TensorError> {
        let datatype = self.datatype.parse();
        let datatype =
            datatype.map_err(|source| TensorError::Datatype { name: self.name.clone(), source })?;
        let shape: Option<Vec<usize>> = self.shape.iter().map(|&size| usize::try_from(size).ok()).collect();
        let elements =
            |shape: &Vec<usize>| shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
        let checked = shape.and_then(|shape| Some((elements(&shape)?, shape)));
        match checked {
            Some((elements, shape)) => Ok((datatype, shape, elements)),
            None => Err(TensorError::Shape { name: self.name.clone(), shape: self.shape.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(datatype: &str, shape: &[i64]) -> Head {
        Head { name: "series".to_owned(), datatype: datatype.to_owned(), shape: shape.to_vec() }
    }

    #[test]
    fn values_and_bytes_must_be_as_many_as_the_shape_says() {
        let tensor = head("FP32", &[1, 2]).with_bytes(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]).unwrap();
        assert_eq!((tensor.shape.as_slice(), tensor.values.as_slice()), (&[1, 2][..], &[1.0, 2.0][..]));
        assert_eq!(head("FP64", &[1, 2]).with_values(vec![1.0, 2.0]).unwrap().values, tensor.values);
        let error = head("FP32", &[1, 2]).with_bytes(&[0; 7]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the input \"series\" has 7 bytes, and its shape [1, 2] of FP32 says 8"
        );
        let error = head("FP32", &[3]).with_values(vec![1.0]).unwrap_err();
        assert!(matches!(error, TensorError::Values { expected: 3, found: 1, .. }), "{error}");
    }

    #[test]
    fn shapes_that_no_memory_holds_are_refused_before_anything_is_reserved() {
        for shape in [&[-1, 2][..], &[i64::MAX, i64::MAX], &[1 << 40, 1 << 40, 0, 1 << 40]] {
            let error = head("FP32", shape).with_bytes(&[]).unwrap_err();
            assert!(matches!(error, TensorError::Shape { .. }), "{error}");
        }
        let error = head("FP64", &[1 << 61]).with_bytes(&[]).unwrap_err();
        assert!(matches!(error, TensorError::Bytes { expected: usize::MAX, found: 0, .. }), "{error}");
    }
}
