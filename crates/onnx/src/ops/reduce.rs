//! Reductions.

use super::distinct_axes;
use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{Float, Numeric, Wide};
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::{AnyValue, Value};

impl GraphBuilder {
    /// `ReduceSum` over the axes; over all when none is given.
    pub fn reduce_sum<T: Wide>(&mut self, x: Value<T>, axes: &[i64], keepdims: bool) -> Value<T> {
        self.reduce("ReduceSum", x, axes, keepdims)
    }

    /// `ReduceMean` over the axes; over all when none is given.
    pub fn reduce_mean<T: Float>(&mut self, x: Value<T>, axes: &[i64], keepdims: bool) -> Value<T> {
        self.reduce("ReduceMean", x, axes, keepdims)
    }

    /// `ReduceMax` over the axes; over all when none is given.
    pub fn reduce_max<T: Numeric>(&mut self, x: Value<T>, axes: &[i64], keepdims: bool) -> Value<T> {
        self.reduce("ReduceMax", x, axes, keepdims)
    }

    /// `ReduceMin` over the axes; over all when none is given.
    pub fn reduce_min<T: Numeric>(&mut self, x: Value<T>, axes: &[i64], keepdims: bool) -> Value<T> {
        self.reduce("ReduceMin", x, axes, keepdims)
    }

    fn reduce<T: Numeric>(&mut self, op: &str, x: Value<T>, axes: &[i64], keepdims: bool) -> Value<T> {
        let shape = reduced_shape(self.shape(x), axes, keepdims);
        let rank = i64::try_from(self.shape(x).rank()).unwrap_or(i64::MAX);
        let axes: Vec<i64> = if axes.is_empty() { (0..rank).collect() } else { axes.to_vec() };
        let call = Call::new(op).input(x);
        // The axes became an input with version 13 for sums, and with 18 for the others.
        let call = if op == "ReduceSum" || self.opset() >= 18 {
            let axes: AnyValue = self.const_i64(&axes).into();
            call.input(axes)
        } else {
            call.attribute("axes", axes)
        };
        self.apply_one(call.attribute("keepdims", keepdims), shape)
    }
}

fn reduced_shape(shape: &Shape, axes: &[i64], keepdims: bool) -> Result<Shape, OpProblem> {
    let reduced = distinct_axes(axes, shape.rank())?;
    let is_reduced = |axis: &usize| axes.is_empty() || reduced.contains(axis);
    Ok(shape
        .iter()
        .enumerate()
        .filter_map(|(axis, dim)| match (is_reduced(&axis), keepdims) {
            (false, _) => Some(dim.clone()),
            (true, true) => Some(Dim::fixed(1)),
            (true, false) => None,
        })
        .collect())
}
