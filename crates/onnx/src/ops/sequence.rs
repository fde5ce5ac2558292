//! Making and accumulating sequences.

use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{Element, I64, Wide};
use crate::proto::TensorProto;
use crate::shape::Shape;
use crate::value::Value;

impl GraphBuilder {
    /// `Range`: start, start + delta, .. below limit, from three scalars; `length` names their number.
    pub fn range<T: Wide>(
        &mut self,
        start: Value<T>,
        limit: Value<T>,
        delta: Value<T>,
        length: Dim,
    ) -> Value<T> {
        let scalar = Shape::scalar();
        let shape = super::exactly("start", self.shape(start), &scalar)
            .and_then(|()| super::exactly("limit", self.shape(limit), &scalar))
            .and_then(|()| super::exactly("delta", self.shape(delta), &scalar))
            .map(|()| Shape::from([length]));
        self.apply_one(Call::new("Range").input(start).input(limit).input(delta), shape)
    }

    /// `CumSum` along an axis; `exclusive` leaves the element itself out, `reverse` sums from the end.
    pub fn cumsum<T: Wide>(&mut self, x: Value<T>, axis: i64, exclusive: bool, reverse: bool) -> Value<T> {
        let shape = self.shape(x).axis(axis).map(|_| self.shape(x).clone());
        let axis = self.const_scalar_i64(axis);
        let call = Call::new("CumSum")
            .input(x)
            .input(axis)
            .attribute_if(exclusive, "exclusive", 1)
            .attribute_if(reverse, "reverse", 1);
        self.apply_one(call, shape)
    }

    /// `ConstantOfShape`: a tensor of one value, its shape computed in the graph and declared by the caller.
    pub fn constant_of_shape<T: Element>(
        &mut self,
        shape: Value<I64>,
        declared: impl Into<Shape>,
        fill: T::Native,
    ) -> Value<T> {
        let declared = declared.into();
        let result = self.declared_rank(shape, &declared).map(|()| declared);
        let value = TensorProto {
            dims: vec![1],
            data_type: Some(T::TYPE.code()),
            raw_data: Some(bytemuck::bytes_of(&fill).to_vec()),
            ..TensorProto::default()
        };
        let call = Call::new("ConstantOfShape").input(shape).attribute("value", value);
        self.apply_one(call, result)
    }
}
