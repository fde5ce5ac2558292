//! Small constants, shared by value.

use std::fmt::Write;

use super::{GraphBuilder, Source};
use crate::element::{DataType, Element, F32, Float, I64};
use crate::error::GraphError;
use crate::shape::Shape;
use crate::value::Value;

#[cfg(target_endian = "big")]
compile_error!(
    "ONNX stores tensors in little-endian order, and this crate copies them as they lie in memory"
);

/// What makes two constants the same: element type, sizes, bytes.
pub(super) type ConstantKey = (DataType, Vec<i64>, Vec<u8>);

/// Constants of at most this many elements show their values in their name.
const NAMED_ELEMENTS: usize = 8;

impl GraphBuilder {
    /// A vector of `int64`, as shapes and axes are given.
    pub fn const_i64(&mut self, values: &[i64]) -> Value<I64> {
        let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
        self.const_tensor::<I64>(&[length], values)
    }

    /// A scalar.
    pub fn const_scalar<T: Element>(&mut self, value: T::Native) -> Value<T> {
        self.const_tensor::<T>(&[], &[value])
    }

    /// A scalar of `float32`.
    pub fn const_scalar_f32(&mut self, value: f32) -> Value<F32> {
        self.const_scalar::<F32>(value)
    }

    /// A scalar of `int64`.
    pub fn const_scalar_i64(&mut self, value: i64) -> Value<I64> {
        self.const_scalar::<I64>(value)
    }

    /// A scalar of any floating-point type, rounded to it.
    pub fn const_float<T: Float>(&mut self, value: f64) -> Value<T> {
        self.const_scalar::<T>(T::from_f64(value))
    }

    /// A tensor kept inline in the model: for small constants, weights belong in [`GraphBuilder::external`].
    ///
    /// Constants of equal type, shape and bytes are one initializer, named by its values:
    /// `/constants/int64/[1,-1]`.
    pub fn const_tensor<T: Element>(&mut self, shape: &[i64], data: &[T::Native]) -> Value<T> {
        let declared = Shape::from(shape);
        let expected = declared.fixed_element_count();
        if expected != u64::try_from(data.len()).ok() {
            self.fail(GraphError::ConstantLength {
                data_type: T::TYPE,
                shape: declared.clone(),
                expected: expected
                    .map_or_else(|| "an impossible number of".to_owned(), |count| count.to_string()),
                found: data.len(),
            });
        }
        let bytes: Vec<u8> = bytemuck::cast_slice(data).to_vec();
        let key = (T::TYPE, shape.to_vec(), bytes);
        if let Some(&id) = self.constants.get(&key) {
            return Value::from_any_unchecked(self.handle(id, T::TYPE));
        }
        let name = self.constant_name::<T>(shape, data);
        self.claim_name(&name, "a constant");
        let value = self.add_value(name, T::TYPE, declared, Source::Constant(key.2.clone()));
        self.constants.insert(key, value.id);
        Value::from_any_unchecked(value)
    }

    fn constant_name<T: Element>(&self, shape: &[i64], data: &[T::Native]) -> String {
        let mut name = format!("/constants/{}/", T::TYPE);
        match (shape, data) {
            ([], [value]) => push(&mut name, value),
            (_, data) if data.len() <= NAMED_ELEMENTS => {
                if shape.len() > 1 {
                    push_sizes(&mut name, shape);
                }
                name.push('[');
                for (position, value) in data.iter().enumerate() {
                    if position > 0 {
                        name.push(',');
                    }
                    push(&mut name, value);
                }
                name.push(']');
            }
            _ => push_sizes(&mut name, shape),
        }
        if !self.value_names.contains(&name) {
            return name;
        }
        (1_usize..)
            .map(|number| format!("{name}_{number}"))
            .find(|numbered| !self.value_names.contains(numbered))
            .unwrap_or(name)
    }
}

fn push(name: &mut String, value: &impl std::fmt::Debug) {
    // Writing to a string cannot fail.
    let _ = write!(name, "{value:?}");
}

fn push_sizes(name: &mut String, shape: &[i64]) {
    let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
    name.push_str(&sizes.join("x"));
}
