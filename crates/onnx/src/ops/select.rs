//! Ranking and classes: `TopK`, `OneHot`, `Trilu`.

use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{Element, I64, Index, Numeric};
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::Value;

impl GraphBuilder {
    /// `TopK`: the k largest (or smallest) elements along an axis, and their positions; of equal elements the one with
    /// the lower position comes first. `sorted` orders them by value.
    pub fn top_k<T: Numeric>(
        &mut self,
        x: Value<T>,
        k: i64,
        axis: i64,
        largest: bool,
        sorted: bool,
    ) -> (Value<T>, Value<I64>) {
        let shape = top_k_shape(self.shape(x), k, axis);
        let count = self.const_i64(&[k]);
        let call = Call::new("TopK")
            .input(x)
            .input(count)
            .attribute("axis", axis)
            .attribute("largest", largest)
            .attribute("sorted", sorted);
        let shapes = shape.map(|shape| [shape.clone(), shape]);
        let [values, indices] = self.apply(call, [T::TYPE, I64::TYPE], shapes);
        (Value::from_any_unchecked(values), Value::from_any_unchecked(indices))
    }

    /// `OneHot`: a new axis of size `depth` (at `axis` of the output) that is `on` at the index and `off` elsewhere.
    pub fn one_hot<T: Element, I: Index>(
        &mut self,
        indices: Value<I>,
        depth: i64,
        off: T::Native,
        on: T::Native,
        axis: i64,
    ) -> Value<T> {
        let from = self.shape(indices);
        let shape = crate::shape::resolve_axis(axis, from.rank() + 1).map(|axis| {
            let mut dims = from.to_vec();
            dims.insert(axis, Dim::fixed(depth));
            Shape::from(dims)
        });
        let depth = self.const_scalar_i64(depth);
        let values = self.const_tensor::<T>(&[2], &[off, on]);
        let call = Call::new("OneHot").input(indices).input(depth).input(values).attribute("axis", axis);
        self.apply_one(call, shape)
    }

    /// `Trilu`: the upper (or lower) triangle of the last two axes, zero elsewhere; `k` moves the diagonal to the right.
    pub fn trilu<T: Element>(&mut self, x: Value<T>, upper: bool, k: i64) -> Value<T> {
        let shape = super::at_least("the input", self.shape(x), 2).map(|()| self.shape(x).clone());
        let diagonal = (k != 0).then(|| self.const_scalar_i64(k).any());
        let call = Call::new("Trilu").input(x).optional(diagonal).attribute("upper", upper);
        self.apply_one(call, shape)
    }
}

fn top_k_shape(from: &Shape, k: i64, axis: i64) -> Result<Shape, OpProblem> {
    let position = from.axis(axis)?;
    let size = from.get(position).and_then(Dim::as_fixed);
    if k < 0 || size.is_some_and(|size| k > size) {
        return Err(OpProblem::Argument {
            what: "k",
            expected: size.map_or_else(|| "0 or more".to_owned(), |size| format!("0 to {size}")),
            found: k.to_string(),
        });
    }
    Ok(from.clone().with_dim(axis, k))
}
