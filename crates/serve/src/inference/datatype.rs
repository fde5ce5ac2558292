//! Element types of tensors, and their values as bytes.

use std::fmt;
use std::str::FromStr;

use half::{bf16, f16};

/// An element type that holds numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    /// 8-bit integer.
    Int8,
    /// 16-bit integer.
    Int16,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// 8-bit unsigned integer.
    Uint8,
    /// 16-bit unsigned integer.
    Uint16,
    /// 32-bit unsigned integer.
    Uint32,
    /// 64-bit unsigned integer.
    Uint64,
    /// IEEE half precision.
    Fp16,
    /// The upper half of a single.
    Bf16,
    /// IEEE single precision.
    Fp32,
    /// IEEE double precision.
    Fp64,
}

const ALL: [(Datatype, &str, usize); 12] = [
    (Datatype::Int8, "INT8", 1),
    (Datatype::Int16, "INT16", 2),
    (Datatype::Int32, "INT32", 4),
    (Datatype::Int64, "INT64", 8),
    (Datatype::Uint8, "UINT8", 1),
    (Datatype::Uint16, "UINT16", 2),
    (Datatype::Uint32, "UINT32", 4),
    (Datatype::Uint64, "UINT64", 8),
    (Datatype::Fp16, "FP16", 2),
    (Datatype::Bf16, "BF16", 2),
    (Datatype::Fp32, "FP32", 4),
    (Datatype::Fp64, "FP64", 8),
];

/// A datatype that holds no numbers, or is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the datatype {found:?} is none of {}", ALL.map(|(_, name, _)| name).join(", "))]
pub struct UnknownDatatype {
    /// As it stands in the request.
    pub found: String,
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    fn from_str(text: &str) -> Result<Self, UnknownDatatype> {
        let known = ALL.iter().find(|(_, name, _)| *name == text).map(|&(datatype, ..)| datatype);
        known.ok_or_else(|| UnknownDatatype { found: text.chars().take(32).collect() })
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ALL.iter().find(|(datatype, ..)| datatype == self).map_or("", |&(_, name, _)| name))
    }
}

impl Datatype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        ALL.iter().find(|(datatype, ..)| *datatype == self).map_or(1, |&(.., size)| size)
    }

    /// The values of little-endian elements; what is left over at the end is not looked at.
    pub fn values(self, bytes: &[u8]) -> Vec<f64> {
        macro_rules! read {
            ($type:ty, $convert:expr) => {{
                let elements = bytes.as_chunks::<{ size_of::<$type>() }>().0.iter();
                elements.map(|&element| $convert(<$type>::from_le_bytes(element))).collect()
            }};
        }
        match self {
            Self::Int8 => read!(i8, f64::from),
            Self::Int16 => read!(i16, f64::from),
            Self::Int32 => read!(i32, f64::from),
            Self::Int64 => read!(i64, |value| value as f64),
            Self::Uint8 => read!(u8, f64::from),
            Self::Uint16 => read!(u16, f64::from),
            Self::Uint32 => read!(u32, f64::from),
            Self::Uint64 => read!(u64, |value| value as f64),
            Self::Fp16 => read!(f16, f64::from),
            Self::Bf16 => read!(bf16, f64::from),
            Self::Fp32 => read!(f32, f64::from),
            Self::Fp64 => read!(f64, f64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn elements_are_little_endian() {
        for (name, bytes, expected) in [
            ("INT8", &[0xff][..], -1.0),
            ("INT16", &[0xfe, 0xff], -2.0),
            ("INT32", &[1, 0, 0, 0x80], -2_147_483_647.0),
            ("INT64", &[0, 1, 0, 0, 0, 0, 0, 0], 256.0),
            ("UINT8", &[0xff], 255.0),
            ("UINT16", &[0, 1], 256.0),
            ("UINT32", &[0xff, 0xff, 0xff, 0xff], 4_294_967_295.0),
            ("UINT64", &[0, 0, 0, 0, 1, 0, 0, 0], 4_294_967_296.0),
            ("FP16", &[0x00, 0x3e], 1.5),
            ("BF16", &[0xc0, 0x3f], 1.5),
            ("FP32", &[0, 0, 0xc0, 0x3f], 1.5),
            ("FP64", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 1.5),
        ] {
            let datatype: Datatype = name.parse().unwrap();
            assert_eq!((datatype.size(), datatype.to_string().as_str()), (bytes.len(), name));
            assert_eq!(datatype.values(bytes), [expected], "{name}");
        }
        assert!("BYTES".parse::<Datatype>().is_err() && "fp32".parse::<Datatype>().is_err());
    }

    proptest! {
        #[test]
        fn there_is_a_value_for_every_whole_element(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            for (datatype, _, size) in ALL {
                prop_assert_eq!(datatype.values(&bytes).len(), bytes.len() / size);
            }
        }
    }
}
