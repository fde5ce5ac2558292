//! Handles to the values of a graph under construction.

use std::fmt;
use std::marker::PhantomData;

use crate::element::{DataType, Element};
use crate::error::GraphError;

/// A value of one [`GraphBuilder`](crate::GraphBuilder), its element type known to the compiler.
///
/// A copyable handle; the builder keeps the name and the shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value<T: Element> {
    any: AnyValue,
    element: PhantomData<T>,
}

/// A value of one [`GraphBuilder`](crate::GraphBuilder), its element type known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AnyValue {
    pub(crate) graph: u64,
    pub(crate) id: usize,
    pub(crate) data_type: DataType,
}

impl<T: Element> Value<T> {
    /// Wraps a handle whose element type is `T` by construction.
    pub(crate) fn from_any_unchecked(any: AnyValue) -> Self {
        debug_assert_eq!(any.data_type, T::TYPE);
        Self { any, element: PhantomData }
    }

    /// The handle without its compile-time type.
    pub fn any(self) -> AnyValue {
        self.any
    }
}

impl AnyValue {
    /// The element type.
    pub fn data_type(self) -> DataType {
        self.data_type
    }

    /// The handle with its element type known to the compiler.
    ///
    /// # Errors
    /// [`GraphError::ElementType`] when the value has another element type.
    pub fn typed<T: Element>(self) -> Result<Value<T>, GraphError> {
        if self.data_type == T::TYPE {
            Ok(Value::from_any_unchecked(self))
        } else {
            Err(GraphError::ElementType { expected: T::TYPE, found: self.data_type })
        }
    }
}

impl<T: Element> From<Value<T>> for AnyValue {
    fn from(value: Value<T>) -> Self {
        value.any
    }
}

impl<T: Element> TryFrom<AnyValue> for Value<T> {
    type Error = GraphError;

    fn try_from(value: AnyValue) -> Result<Self, GraphError> {
        value.typed()
    }
}

impl<T: Element> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value<{}>(#{})", T::TYPE, self.any.id)
    }
}
