//! Operators that change the shape and leave the elements in order.

use std::ops::{Bound, RangeBounds};

use super::{dims, distinct_axes};
use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{Element, I64};
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::{AnyValue, Value};

impl GraphBuilder {
    /// `Reshape` to a shape that constants can express: every symbolic dimension but one must be a dimension of the input
    /// at the same axis.
    ///
    /// The number of elements must be the same. A single dimension that is a new symbol takes the elements that the
    /// others leave, and names their number: `[batch, sequence, 64]` may become `[tokens, 64]`.
    pub fn reshape<T: Element>(&mut self, x: Value<T>, target: impl Into<Shape>) -> Value<T> {
        let target = target.into();
        let plan = plan_reshape(self.shape(x), &target);
        let (sizes, shape) = match plan {
            Ok(sizes) => (sizes, Ok(target)),
            Err(problem) => (Vec::new(), Err(problem)),
        };
        // With `allowzero` a 0 is a size; without it, a 0 takes over the input's dimension.
        let zero_size = matches!(&shape, Ok(target) if target.iter().any(|dim| dim.is(0)));
        let sizes = self.const_i64(&sizes);
        let call = Call::new("Reshape").input(x).input(sizes).attribute_if(zero_size, "allowzero", 1);
        self.apply_one(call, shape)
    }

    /// `Reshape` to a shape computed in the graph, which the caller declares. Where the numbers of elements are both
    /// known, they must be equal.
    pub fn reshape_to<T: Element>(
        &mut self,
        x: Value<T>,
        shape: Value<I64>,
        declared: impl Into<Shape>,
    ) -> Value<T> {
        let declared = declared.into();
        let (from, to) = (self.shape(x).element_count(), declared.element_count());
        let result = self.declared_rank(shape, &declared).and_then(|()| {
            if from != to && from.as_fixed().is_some() && to.as_fixed().is_some() {
                return Err(OpProblem::ElementCount { from, target: declared.clone(), to });
            }
            Ok(declared)
        });
        self.apply_one(Call::new("Reshape").input(x).input(shape), result)
    }

    /// `Expand` (broadcast) to a shape that constants can express: every symbolic dimension must be the input's own.
    pub fn expand<T: Element>(&mut self, x: Value<T>, target: impl Into<Shape>) -> Value<T> {
        let target = target.into();
        let plan = plan_expand(self.shape(x), &target);
        let (sizes, shape) = match plan {
            Ok(sizes) => (sizes, Ok(target)),
            Err(problem) => (Vec::new(), Err(problem)),
        };
        let sizes = self.const_i64(&sizes);
        self.apply_one(Call::new("Expand").input(x).input(sizes), shape)
    }

    /// `Expand` (broadcast) to a shape computed in the graph, which the caller declares.
    pub fn expand_to<T: Element>(
        &mut self,
        x: Value<T>,
        shape: Value<I64>,
        declared: impl Into<Shape>,
    ) -> Value<T> {
        let declared = declared.into();
        let result = self
            .declared_rank(shape, &declared)
            .and_then(|()| stretches_to(self.shape(x), &declared))
            .map(|()| declared);
        self.apply_one(Call::new("Expand").input(x).input(shape), result)
    }

    /// `Unsqueeze`: new axes of size 1, numbered in the output.
    pub fn unsqueeze<T: Element>(&mut self, x: Value<T>, axes: &[i64]) -> Value<T> {
        let shape = unsqueezed_shape(self.shape(x), axes);
        let axes = self.const_i64(axes);
        self.apply_one(Call::new("Unsqueeze").input(x).input(axes), shape)
    }

    /// `Squeeze`: removes axes of size 1.
    pub fn squeeze<T: Element>(&mut self, x: Value<T>, axes: &[i64]) -> Value<T> {
        let shape = squeezed_shape(self.shape(x), axes);
        let axes = self.const_i64(axes);
        self.apply_one(Call::new("Squeeze").input(x).input(axes), shape)
    }

    /// `Shape`: the sizes of a range of axes as a vector: `..` for all, `1..3`, `2..`.
    pub fn shape_of(&mut self, x: impl Into<AnyValue>, axes: impl RangeBounds<usize>) -> Value<I64> {
        let x = x.into();
        let rank = self.shape(x).rank();
        let start = match axes.start_bound() {
            Bound::Included(&axis) => axis,
            Bound::Excluded(&axis) => axis.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match axes.end_bound() {
            Bound::Included(&axis) => axis.saturating_add(1),
            Bound::Excluded(&axis) => axis,
            Bound::Unbounded => rank,
        };
        let as_i64 = |axis: usize| i64::try_from(axis).unwrap_or(i64::MAX);
        let result = if start <= end && end <= rank {
            Ok(Shape::from([as_i64(end - start)]))
        } else {
            Err(OpProblem::Argument {
                what: "the range of axes",
                expected: format!("within 0..{rank}"),
                found: format!("{start}..{end}"),
            })
        };
        let call = Call::new("Shape").input(x).attribute_if(start != 0, "start", as_i64(start)).attribute_if(
            end != rank,
            "end",
            as_i64(end),
        );
        self.apply_one(call, result)
    }

    /// Requires a computed shape to have as many entries as the declared one has axes.
    pub(super) fn declared_rank(&self, shape: Value<I64>, declared: &Shape) -> Result<(), OpProblem> {
        let [entries] = dims::<1>("the computed shape", self.shape(shape))?;
        let rank = Dim::fixed(i64::try_from(declared.rank()).unwrap_or(i64::MAX));
        super::equal("entries of the computed shape", entries, "axes of the declared shape", &rank)
    }
}

/// The constant that `Reshape` takes: sizes, 0 for a dimension taken over, -1 for the one that is left.
fn plan_reshape(from: &Shape, target: &Shape) -> Result<Vec<i64>, OpProblem> {
    let runtime = |dim: &Dim| OpProblem::RuntimeShape {
        target: target.clone(),
        dim: dim.clone(),
        instead: "reshape_to",
    };
    let has_zero = target.iter().any(|dim| dim.is(0));
    let mut sizes = Vec::with_capacity(target.rank());
    let mut left_over = None;
    for (axis, dim) in target.iter().enumerate() {
        sizes.push(match dim.as_fixed() {
            Some(size) => size,
            // With a size of 0 in the target, 0 cannot mean taking over, and nothing can be left over.
            None if has_zero => return Err(runtime(dim)),
            None if from.get(axis) == Some(dim) => 0,
            None if left_over.is_none() => {
                left_over = Some((axis, dim));
                -1
            }
            None => return Err(runtime(dim)),
        });
    }
    let (total, wanted) = (from.element_count(), target.element_count());
    let named = left_over.is_some_and(|(axis, dim)| {
        let is_new = dim
            .as_symbol()
            .is_some_and(|name| !from.iter().any(|other| other.symbols().any(|symbol| symbol == name)));
        let others: Shape = target
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != axis)
            .map(|(_, dim)| dim.clone())
            .collect();
        is_new && total.exact_div(&others.element_count()).is_some()
    });
    if total == wanted || named {
        Ok(sizes)
    } else {
        Err(OpProblem::ElementCount { from: total, target: target.clone(), to: wanted })
    }
}

/// The constant that `Expand` takes: sizes, and 1 for a symbolic dimension that stays.
fn plan_expand(from: &Shape, target: &Shape) -> Result<Vec<i64>, OpProblem> {
    stretches_to(from, target)?;
    let added = target.rank() - from.rank();
    target
        .iter()
        .enumerate()
        .map(|(axis, dim)| match dim.as_fixed() {
            Some(size) => Ok(size),
            None if axis.checked_sub(added).and_then(|axis| from.get(axis)) == Some(dim) => Ok(1),
            None => Err(OpProblem::RuntimeShape {
                target: target.clone(),
                dim: dim.clone(),
                instead: "expand_to",
            }),
        })
        .collect()
}

fn stretches_to(from: &Shape, target: &Shape) -> Result<(), OpProblem> {
    let together = from.broadcast(target)?;
    super::exactly("the input broadcast to the target", &together, target)
}

fn unsqueezed_shape(from: &Shape, axes: &[i64]) -> Result<Shape, OpProblem> {
    let rank = from.rank() + axes.len();
    let new = distinct_axes(axes, rank)?;
    let mut old = from.iter();
    Ok((0..rank)
        .filter_map(|axis| if new.contains(&axis) { Some(Dim::fixed(1)) } else { old.next().cloned() })
        .collect())
}

fn squeezed_shape(from: &Shape, axes: &[i64]) -> Result<Shape, OpProblem> {
    let removed = distinct_axes(axes, from.rank())?;
    let mut kept = Vec::with_capacity(from.rank());
    for (axis, dim) in from.iter().enumerate() {
        if removed.contains(&axis) {
            super::equal("a squeezed dimension", dim, "the size that can be removed", &Dim::fixed(1))?;
        } else {
            kept.push(dim.clone());
        }
    }
    Ok(kept.into())
}
