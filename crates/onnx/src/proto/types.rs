//! Types and shapes of values.

use prost::{Message, Oneof};

use super::StringStringEntryProto;

/// A named value with its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// Name of the value.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Type and shape.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// Text for people.
    #[prost(string, optional, tag = "3")]
    pub doc_string: Option<String>,
    /// Named values for tools and people.
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A type.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// Meaning of the value, such as `TENSOR`.
    #[prost(string, optional, tag = "6")]
    pub denotation: Option<String>,
    /// The kind of type.
    #[prost(oneof = "type_proto::Value", tags = "1, 4, 5, 8, 9")]
    pub value: Option<type_proto::Value>,
}

/// The kinds of [`TypeProto`].
pub mod type_proto {
    use super::{Message, Oneof, TensorShapeProto, TypeProto};

    /// The kind of a type.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Value {
        /// A dense tensor.
        #[prost(message, tag = "1")]
        TensorType(Tensor),
        /// A sequence of values of one type.
        #[prost(message, tag = "4")]
        SequenceType(Box<Sequence>),
        /// A map from keys to values of one type.
        #[prost(message, tag = "5")]
        MapType(Box<Map>),
        /// A sparse tensor.
        #[prost(message, tag = "8")]
        SparseTensorType(SparseTensor),
        /// A value that may be absent.
        #[prost(message, tag = "9")]
        OptionalType(Box<Optional>),
    }

    /// A dense tensor: element type and shape.
    #[derive(Clone, PartialEq, Message)]
    pub struct Tensor {
        /// Element type, a number of [`crate::DataType`] or another one of ONNX.
        #[prost(int32, optional, tag = "1")]
        pub elem_type: Option<i32>,
        /// Shape; absent when not even the rank is known.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// A sparse tensor: element type and shape.
    #[derive(Clone, PartialEq, Message)]
    pub struct SparseTensor {
        /// Element type, a number of [`crate::DataType`] or another one of ONNX.
        #[prost(int32, optional, tag = "1")]
        pub elem_type: Option<i32>,
        /// Shape; absent when not even the rank is known.
        #[prost(message, optional, tag = "2")]
        pub shape: Option<TensorShapeProto>,
    }

    /// A sequence.
    #[derive(Clone, PartialEq, Message)]
    pub struct Sequence {
        /// Type of the elements.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }

    /// A map.
    #[derive(Clone, PartialEq, Message)]
    pub struct Map {
        /// Element type of the keys.
        #[prost(int32, optional, tag = "1")]
        pub key_type: Option<i32>,
        /// Type of the values.
        #[prost(message, optional, boxed, tag = "2")]
        pub value_type: Option<Box<TypeProto>>,
    }

    /// A value that may be absent.
    #[derive(Clone, PartialEq, Message)]
    pub struct Optional {
        /// Type of the value when present.
        #[prost(message, optional, boxed, tag = "1")]
        pub elem_type: Option<Box<TypeProto>>,
    }
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// The dimensions, outermost first.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<tensor_shape_proto::Dimension>,
}

/// The dimensions of a [`TensorShapeProto`].
pub mod tensor_shape_proto {
    use super::{Message, Oneof};

    /// One dimension: a number, a name, or unknown.
    #[derive(Clone, PartialEq, Eq, Hash, Message)]
    pub struct Dimension {
        /// Meaning of the dimension, such as `DATA_BATCH`.
        #[prost(string, optional, tag = "3")]
        pub denotation: Option<String>,
        /// Number or name; absent when unknown.
        #[prost(oneof = "DimensionValue", tags = "1, 2")]
        pub value: Option<DimensionValue>,
    }

    /// A known or named size.
    #[derive(Clone, PartialEq, Eq, Hash, Oneof)]
    pub enum DimensionValue {
        /// A fixed size.
        #[prost(int64, tag = "1")]
        DimValue(i64),
        /// A named size: equal names are equal sizes.
        #[prost(string, tag = "2")]
        DimParam(String),
    }
}
