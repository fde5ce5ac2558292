//! Attribute values of nodes.

use crate::proto::{AttributeProto, AttributeType, TensorProto};

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// One float.
    Float(f32),
    /// One string.
    String(String),
    /// A tensor.
    Tensor(Box<TensorProto>),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A list of floats.
    Floats(Vec<f32>),
    /// A list of strings.
    Strings(Vec<String>),
}

impl Attribute {
    pub(crate) fn into_proto(self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: Some(name.to_owned()), ..AttributeProto::default() };
        let kind = match self {
            Self::Int(value) => {
                proto.i = Some(value);
                AttributeType::Int
            }
            Self::Float(value) => {
                proto.f = Some(value);
                AttributeType::Float
            }
            Self::String(value) => {
                proto.s = Some(value.into_bytes());
                AttributeType::String
            }
            Self::Tensor(value) => {
                proto.t = Some(*value);
                AttributeType::Tensor
            }
            Self::Ints(values) => {
                proto.ints = values;
                AttributeType::Ints
            }
            Self::Floats(values) => {
                proto.floats = values;
                AttributeType::Floats
            }
            Self::Strings(values) => {
                proto.strings = values.into_iter().map(String::into_bytes).collect();
                AttributeType::Strings
            }
        };
        proto.set_type(kind);
        proto
    }
}

macro_rules! attribute_from {
    ($($from:ty => $variant:ident via $convert:expr;)*) => {$(
        impl From<$from> for Attribute {
            fn from(value: $from) -> Self {
                Self::$variant(($convert)(value))
            }
        }
    )*};
}

attribute_from! {
    i64 => Int via std::convert::identity;
    bool => Int via i64::from;
    f32 => Float via std::convert::identity;
    &str => String via str::to_owned;
    String => String via std::convert::identity;
    TensorProto => Tensor via Box::new;
    Vec<i64> => Ints via std::convert::identity;
    &[i64] => Ints via <[i64]>::to_vec;
    Vec<f32> => Floats via std::convert::identity;
}
