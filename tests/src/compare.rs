//! How far what came out is from what was expected.

use std::fmt;

use ndarray::{Array2, ArrayD, ArrayViewD, Dimension};

/// The largest error that passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// Of the largest difference, relative to the largest absolute value expected in the tensor.
    Relative(f64),
    /// Of the largest difference itself.
    Absolute(f64),
    /// Of the norm of all differences, relative to the norm of the tensor expected: where a few values may be far off.
    Norm(f64),
}

impl Tolerance {
    /// The number.
    pub fn limit(self) -> f64 {
        match self {
            Self::Relative(limit) | Self::Absolute(limit) | Self::Norm(limit) => limit,
        }
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative(limit) => write!(f, "{limit:.0e} of the largest value"),
            Self::Absolute(limit) => write!(f, "{limit:.0e}"),
            Self::Norm(limit) => write!(f, "{limit:.0e} of the norm"),
        }
    }
}

/// What should come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    values: ArrayD<f64>,
    mask: Option<Array2<i64>>,
}

impl Expected {
    /// These values.
    pub fn new(values: ArrayD<f64>) -> Self {
        Self { values, mask: None }
    }

    /// These values in float32.
    pub fn float(values: ArrayD<f32>) -> Self {
        Self::new(values.mapv(f64::from))
    }

    /// Only where `mask` is 1 do the values mean something; it is `[batch, positions]`, as the first two axes of the
    /// values.
    pub fn where_real(self, mask: Array2<i64>) -> Self {
        Self { mask: Some(mask), ..self }
    }

    /// The values.
    pub fn values(&self) -> &ArrayD<f64> {
        &self.values
    }

    /// The error of `found`, in the terms of `tolerance`.
    ///
    /// # Errors
    ///
    /// A sentence when the shapes differ, when a value is not finite, and when there is nothing to compare.
    pub fn error(&self, found: ArrayViewD<'_, f32>, tolerance: Tolerance) -> Result<f64, String> {
        if found.shape() != self.values.shape() {
            return Err(format!("the shape is {:?}, expected {:?}", found.shape(), self.values.shape()));
        }
        let (mut difference, mut magnitude, mut compared) = (0.0_f64, 0.0_f64, 0);
        let mut norms = (0.0_f64, 0.0_f64);
        for ((index, &expected), &found) in self.values.indexed_iter().zip(&found) {
            let is_real = self.mask.as_ref().is_none_or(|mask| mask[[index[0], index[1]]] == 1);
            if !is_real {
                continue;
            }
            if !(found.is_finite() && expected.is_finite()) {
                return Err(format!("{found} at {:?}, expected {expected}", index.slice()));
            }
            difference = difference.max((f64::from(found) - expected).abs());
            magnitude = magnitude.max(expected.abs());
            norms = (norms.0 + (f64::from(found) - expected).powi(2), norms.1 + expected.powi(2));
            compared += 1;
        }
        match tolerance {
            _ if compared == 0 => Err("nothing was compared".to_owned()),
            Tolerance::Relative(_) if magnitude > 0.0 => Ok(difference / magnitude),
            Tolerance::Norm(_) if magnitude > 0.0 => Ok((norms.0 / norms.1).sqrt()),
            _ => Ok(difference),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2, arr3};

    use super::*;

    const RELATIVE: Tolerance = Tolerance::Relative(0.0);

    #[test]
    fn errors_are_relative_to_the_largest_value_expected_or_absolute() {
        let expected = Expected::new(arr1(&[1.0, -8.0]).into_dyn());
        let found = arr1(&[3.0_f32, -8.0]).into_dyn();
        assert_eq!(expected.error(found.view(), RELATIVE), Ok(0.25));
        assert_eq!(expected.error(found.view(), Tolerance::Absolute(0.0)), Ok(2.0));
        assert_eq!(expected.error(found.view(), Tolerance::Norm(0.0)), Ok((4.0_f64 / 65.0).sqrt()));
        let zeros = Expected::new(arr1(&[0.0, 0.0]).into_dyn());
        assert_eq!(zeros.error(arr1(&[0.5_f32, 0.0]).into_dyn().view(), RELATIVE), Ok(0.5));
    }

    #[test]
    fn masked_positions_are_not_compared_and_real_ones_are() {
        let expected = Expected::new(arr3(&[[[1.0], [2.0]]]).into_dyn());
        let found = arr3(&[[[f32::NAN], [1.0]]]).into_dyn();
        let error = |mask| expected.clone().where_real(arr2(&[mask])).error(found.view(), RELATIVE);
        assert_eq!(error([0, 1]), Ok(0.5));
        assert!(error([1, 1]).unwrap_err().contains("NaN"));
        assert!(error([0, 0]).is_err(), "a comparison of nothing must not pass");
    }

    #[test]
    fn another_shape_is_an_error_even_of_as_many_elements() {
        let expected = Expected::new(arr2(&[[1.0, 2.0]]).into_dyn());
        assert!(expected.error(arr1(&[1.0_f32, 2.0]).into_dyn().view(), RELATIVE).is_err());
    }
}
