//! Floats of three widths.

use half::{bf16, f16};
use ndarray::{ArrayD, CowArray, IxDyn};

use super::{ElementType, Tensor};

impl ElementType {
    /// Whether elements are floats that a [`Tensor`] can hold.
    pub fn is_float(&self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }
}

impl Tensor {
    /// Its elements as float32, which loses nothing; `None` if they are no floats.
    pub fn to_f32(&self) -> Option<CowArray<'_, f32, IxDyn>> {
        match self {
            Self::F32(array) => Some(array.into()),
            Self::F16(array) => Some(array.mapv(f16::to_f32).into()),
            Self::BF16(array) => Some(array.mapv(bf16::to_f32).into()),
            Self::I64(_) => None,
        }
    }

    /// The same floats in another width, rounded to nearest, ties to even. Anything else stays as it is.
    #[must_use]
    pub fn into_float(self, element_type: &ElementType) -> Self {
        if self.element_type() == *element_type || !element_type.is_float() {
            return self;
        }
        let Some(values) = self.to_f32().map(CowArray::into_owned) else { return self };
        narrowed(values, element_type)
    }
}

fn narrowed(values: ArrayD<f32>, element_type: &ElementType) -> Tensor {
    match element_type {
        ElementType::F16 => Tensor::F16(values.mapv(f16::from_f32)),
        ElementType::BF16 => Tensor::BF16(values.mapv(bf16::from_f32)),
        _ => Tensor::F32(values),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr1;

    use super::*;

    #[test]
    fn floats_are_rounded_to_the_nearest_and_ties_go_to_even() {
        // Between neighbours of bfloat16 lies 2^-7, of half precision 2^-10, above 1.
        let numbers = arr1(&[1.0_f32 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.5]);
        let values = || Tensor::from(numbers.clone());
        let rounded = values().into_float(&ElementType::BF16);
        assert_eq!(rounded.element_type(), ElementType::BF16);
        assert_eq!(rounded.into_float(&ElementType::F32), arr1(&[1.0_f32, 1.015625, -1.5]).into());
        let exact = values().into_float(&ElementType::F16);
        assert_eq!(exact.to_f32().unwrap(), numbers.into_dyn());
    }

    #[test]
    fn what_is_no_float_stays_as_it_is() {
        let integers = || Tensor::from(arr1(&[1_i64, 2]));
        assert_eq!(integers().into_float(&ElementType::BF16), integers());
        assert!(integers().to_f32().is_none());
        let floats = || Tensor::from(arr1(&[1.0_f32]));
        assert_eq!(floats().into_float(&ElementType::I64), floats());
    }
}
