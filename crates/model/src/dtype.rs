//! Element types of weights and their exact conversion to float32.

use std::fmt;
use std::str::FromStr;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// Element type of a stored weight, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FloatType {
    /// IEEE 754 binary32.
    F32,
    /// bfloat16: the upper half of a binary32.
    BF16,
    /// IEEE 754 binary16.
    F16,
}

impl FloatType {
    /// Every type, in the order in which error messages list them.
    pub const ALL: [FloatType; 3] = [FloatType::F32, FloatType::BF16, FloatType::F16];

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            FloatType::F32 => 4,
            FloatType::BF16 | FloatType::F16 => 2,
        }
    }

    /// The name in a safetensors header.
    pub const fn safetensors_name(self) -> &'static str {
        match self {
            FloatType::F32 => "F32",
            FloatType::BF16 => "BF16",
            FloatType::F16 => "F16",
        }
    }

    /// The name in `torch_dtype` of a `config.json`.
    pub const fn torch_name(self) -> &'static str {
        match self {
            FloatType::F32 => "float32",
            FloatType::BF16 => "bfloat16",
            FloatType::F16 => "float16",
        }
    }

    pub(crate) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F32 => Some(FloatType::F32),
            safetensors::Dtype::BF16 => Some(FloatType::BF16),
            safetensors::Dtype::F16 => Some(FloatType::F16),
            _ => None,
        }
    }

    /// Converts stored elements to float32, exactly: every bfloat16 and float16 is a float32.
    ///
    /// `bytes` may start at any address.
    ///
    /// # Errors
    ///
    /// [`LengthMismatch`] when `out` does not hold exactly the elements in `bytes`.
    pub fn copy_to_f32(self, bytes: &[u8], out: &mut [f32]) -> Result<(), LengthMismatch> {
        if out.len().checked_mul(self.size()) != Some(bytes.len()) {
            return Err(LengthMismatch { elements: bytes.len() / self.size(), out: out.len() });
        }
        match self {
            FloatType::F32 => {
                for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            FloatType::BF16 => {
                for (value, bytes) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *value = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
                }
            }
            FloatType::F16 => f16_to_f32(bytes, out),
        }
        Ok(())
    }

    /// Index and value of the first element that is NaN or infinite.
    ///
    /// `bytes` may start at any address; a last incomplete element is not looked at.
    pub fn first_non_finite(self, bytes: &[u8]) -> Option<(usize, f32)> {
        match self {
            FloatType::F32 => {
                let elements = bytes.as_chunks::<4>().0;
                let index = first(elements, |&bytes| exponent_full(u32::from_le_bytes(bytes)))?;
                Some((index, f32::from_le_bytes(*elements.get(index)?)))
            }
            FloatType::BF16 => {
                let elements = bytes.as_chunks::<2>().0;
                let index = first(elements, |&bytes| u16::from_le_bytes(bytes) & 0x7f80 == 0x7f80)?;
                Some((index, bf16::from_le_bytes(*elements.get(index)?).to_f32()))
            }
            FloatType::F16 => {
                let elements = bytes.as_chunks::<2>().0;
                let index = first(elements, |&bytes| u16::from_le_bytes(bytes) & 0x7c00 == 0x7c00)?;
                Some((index, f16::from_le_bytes(*elements.get(index)?).to_f32()))
            }
        }
    }

    /// Replaces the content of `out` by `values` as they are stored, rounded to nearest even.
    pub(crate) fn encode(self, values: &[f32], out: &mut Vec<u8>) {
        // The old content is overwritten below; only growth is filled.
        out.resize(values.len() * self.size(), 0);
        match self {
            FloatType::F32 => {
                for (bytes, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
                    *bytes = value.to_le_bytes();
                }
            }
            FloatType::BF16 => {
                for (bytes, value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
                    *bytes = bf16::from_f32(*value).to_le_bytes();
                }
            }
            FloatType::F16 => {
                for (bytes, value) in out.as_chunks_mut::<2>().0.iter_mut().zip(values) {
                    *bytes = f16::from_f32(*value).to_le_bytes();
                }
            }
        }
    }
}

impl fmt::Display for FloatType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.torch_name())
    }
}

/// The text names no [`FloatType`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown element type {found:?}, expected one of f32, bf16, f16")]
pub struct UnknownFloatType {
    /// The text.
    pub found: String,
}

impl FromStr for FloatType {
    type Err = UnknownFloatType;

    fn from_str(text: &str) -> Result<Self, UnknownFloatType> {
        match text {
            "f32" | "fp32" | "float32" => Ok(FloatType::F32),
            "bf16" | "bfloat16" => Ok(FloatType::BF16),
            "f16" | "fp16" | "float16" => Ok(FloatType::F16),
            _ => Err(UnknownFloatType { found: text.to_owned() }),
        }
    }
}

/// A destination that does not hold exactly the elements of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot convert {elements} elements into a slice of {out}, expected equal lengths")]
pub struct LengthMismatch {
    /// Elements in the source.
    pub elements: usize,
    /// Elements in the destination.
    pub out: usize,
}

/// Index of the first value that is NaN or infinite.
///
/// Runs at memory speed on the usual input, which has none: blocks are tested without branches.
pub fn first_non_finite(values: &[f32]) -> Option<usize> {
    first(values, |value| exponent_full(value.to_bits()))
}

/// Whether the bits of a binary32 are those of a NaN or an infinity.
fn exponent_full(bits: u32) -> bool {
    bits & 0x7f80_0000 == 0x7f80_0000
}

fn first<T>(values: &[T], bad: impl Fn(&T) -> bool) -> Option<usize> {
    // Long enough that the loop inside is vectorised, short enough that it stays in the first cache
    // level when a block has to be looked at again.
    const BLOCK: usize = 2048;
    for (block, values) in values.chunks(BLOCK).enumerate() {
        // A fold without early exit: the compiler turns it into vector instructions, which it cannot
        // do with `any` or `position`.
        if values.iter().fold(false, |found, value| found | bad(value)) {
            return values.iter().position(bad).map(|at| block * BLOCK + at);
        }
    }
    None
}

/// Converts through blocks of aligned integers, because the processor's conversion instructions are
/// only reached through slices of `f16`.
fn f16_to_f32(bytes: &[u8], out: &mut [f32]) {
    const BLOCK: usize = 512;
    let mut bits = [0_u16; BLOCK];
    for (bytes, out) in bytes.chunks(2 * BLOCK).zip(out.chunks_mut(BLOCK)) {
        for (bits, bytes) in bits.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *bits = u16::from_le_bytes(*bytes);
        }
        if let Some(bits) = bits.get(..out.len()) {
            bits.reinterpret_cast::<f16>().convert_to_f32_slice(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// float16 to float32 from the definition of the format, in float64.
    fn f16_by_definition(bits: u16) -> f64 {
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let exponent = i32::from(bits >> 10 & 0x1f);
        let fraction = f64::from(bits & 0x3ff);
        match exponent {
            0 => sign * fraction * 2_f64.powi(-24),
            31 if fraction == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            _ => sign * (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
        }
    }

    #[test]
    fn every_float16_is_converted_exactly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let mut out = vec![0.0; bits.len()];
        FloatType::F16.copy_to_f32(&bytes, &mut out).unwrap();
        for (bits, value) in bits.into_iter().zip(out) {
            let expected = f16_by_definition(bits);
            if expected.is_nan() {
                assert!(value.is_nan());
            } else {
                assert_eq!(f64::from(value), expected, "{bits:#06x}");
                assert_eq!(value.is_sign_negative(), bits >> 15 == 1, "{bits:#06x}");
            }
        }
    }

    #[test]
    fn every_bfloat16_is_the_upper_half_of_its_float32() {
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(|bits: u16| bits.to_le_bytes()).collect();
        let mut out = vec![0.0_f32; 1 << 16];
        FloatType::BF16.copy_to_f32(&bytes, &mut out).unwrap();
        for (bits, value) in (0..=u16::MAX).zip(out) {
            assert_eq!(value.to_bits(), u32::from(bits) << 16);
        }
    }

    #[test]
    fn a_destination_of_another_length_is_refused() {
        let mut out = [0.0; 3];
        for (kind, bytes) in [(FloatType::F32, 16), (FloatType::BF16, 8), (FloatType::F16, 8)] {
            assert_eq!(
                kind.copy_to_f32(&vec![0; bytes], &mut out),
                Err(LengthMismatch { elements: 4, out: 3 })
            );
        }
        assert!(FloatType::F32.copy_to_f32(&[0; 13], &mut out).is_err());
    }

    #[test]
    fn names_on_the_command_line_are_those_of_the_precisions() {
        assert_eq!("f32".parse(), Ok(FloatType::F32));
        assert_eq!("bf16".parse(), Ok(FloatType::BF16));
        assert_eq!("fp16".parse(), Ok(FloatType::F16));
        assert_eq!(
            "int8".parse::<FloatType>().unwrap_err().to_string(),
            "unknown element type \"int8\", expected one of f32, bf16, f16"
        );
    }

    proptest! {
        #[test]
        fn conversion_does_not_depend_on_alignment_or_length(
            bytes in proptest::collection::vec(any::<u8>(), 0..5000),
            shift in 0_usize..8,
        ) {
            for kind in FloatType::ALL {
                let bytes = bytes.get(shift..).unwrap_or_default();
                let bytes = &bytes[..bytes.len() / kind.size() * kind.size()];
                let mut out = vec![0.0; bytes.len() / kind.size()];
                kind.copy_to_f32(bytes, &mut out).unwrap();
                for (bytes, value) in bytes.chunks(kind.size()).zip(out) {
                    let expected = match *bytes {
                        [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
                        [a, b] if kind == FloatType::BF16 => f32::from_le_bytes([0, 0, a, b]),
                        [a, b] => f16_by_definition(u16::from_le_bytes([a, b])) as f32,
                        _ => unreachable!(),
                    };
                    prop_assert!(
                        value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan())
                    );
                }
            }
        }

        #[test]
        fn the_first_value_that_is_not_finite_is_found(
            length in 0_usize..6000,
            spoiled in proptest::collection::vec(
                (any::<proptest::sample::Index>(), prop_oneof![
                    Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY)]),
                0..3,
            ),
        ) {
            let mut values = vec![f32::MAX; length];
            if length > 0 {
                for (index, value) in spoiled {
                    values[index.index(length)] = value;
                }
            }
            let expected = values.iter().position(|value| !value.is_finite());
            prop_assert_eq!(first_non_finite(&values), expected);
            for kind in FloatType::ALL {
                // The largest float32 would round to infinity in float16.
                let small: Vec<f32> =
                    values.iter().map(|&v| if v.is_finite() { 1.5 } else { v }).collect();
                let mut bytes = Vec::new();
                kind.encode(&small, &mut bytes);
                let found = kind.first_non_finite(&bytes);
                prop_assert_eq!(found.map(|(index, _)| index), expected);
                prop_assert!(found.is_none_or(|(_, value)| !value.is_finite()));
            }
        }
    }
}
