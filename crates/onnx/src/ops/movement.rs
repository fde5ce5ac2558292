//! Operators that move elements by position: permute, join, cut, repeat, pad.

use super::listed;
use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{Element, I64};
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::{AnyValue, Value};

impl GraphBuilder {
    /// `Transpose`: axis i of the output is axis `perm[i]` of the input.
    pub fn transpose<T: Element>(&mut self, x: Value<T>, perm: &[usize]) -> Value<T> {
        let shape = permuted_shape(self.shape(x), perm);
        let axes: Vec<i64> = perm.iter().map(|&axis| i64::try_from(axis).unwrap_or(i64::MAX)).collect();
        self.apply_one(Call::new("Transpose").input(x).attribute("perm", axes), shape)
    }

    /// `Concat` along an axis; all other dimensions must be equal.
    pub fn concat<T: Element>(&mut self, parts: &[Value<T>], axis: i64) -> Value<T> {
        let shapes: Vec<&Shape> = parts.iter().map(|&part| self.shape(part)).collect();
        let shape = joined_shape(&shapes, axis);
        let call = parts.iter().fold(Call::new("Concat"), |call, &part| call.input(part));
        self.apply_one(call.attribute("axis", axis), shape)
    }

    /// `Split` of an axis of known size into parts of known sizes.
    pub fn split<T: Element>(&mut self, x: Value<T>, axis: i64, sizes: &[i64]) -> Vec<Value<T>> {
        let outputs = split_shapes(self.shape(x), axis, sizes)
            .map(|shapes| shapes.into_iter().map(|shape| (T::TYPE, shape)).collect());
        let parts = self.const_i64(sizes);
        let call = Call::new("Split").input(x).input(parts).attribute("axis", axis);
        let outputs = self.apply_many(call, outputs, |shape| vec![(T::TYPE, shape); sizes.len()]);
        outputs.into_iter().map(Value::from_any_unchecked).collect()
    }

    /// `Slice` with constant bounds along `axes`; a negative bound counts from the end, `i64::MAX` is the end.
    ///
    /// A symbolic dimension is taken to be at least as long as the bounds reach: from 1 to the end of `sequence` are
    /// `sequence - 1`, the last two are 2. Bounds that cannot be resolved that way need [`GraphBuilder::slice_to`].
    pub fn slice<T: Element>(
        &mut self,
        x: Value<T>,
        starts: &[i64],
        ends: &[i64],
        axes: &[i64],
        steps: &[i64],
    ) -> Value<T> {
        let shape = sliced_shape(self.shape(x), starts, ends, axes, steps);
        let (starts, ends) = (self.const_i64(starts), self.const_i64(ends));
        self.slice_node(x, starts, ends, axes, steps, shape)
    }

    /// `Slice` with bounds computed in the graph along `axes`, to a shape that the caller declares.
    pub fn slice_to<T: Element>(
        &mut self,
        x: Value<T>,
        starts: Value<I64>,
        ends: Value<I64>,
        axes: &[i64],
        steps: &[i64],
        declared: impl Into<Shape>,
    ) -> Value<T> {
        let declared = declared.into();
        let bounds = Shape::from([i64::try_from(axes.len()).unwrap_or(i64::MAX)]);
        let shape = super::exactly("starts", self.shape(starts), &bounds)
            .and_then(|()| super::exactly("ends", self.shape(ends), &bounds))
            .and_then(|()| listed("steps", steps.len(), axes.len()))
            .and_then(|()| same_but(self.shape(x), &declared, axes))
            .map(|()| declared);
        self.slice_node(x, starts, ends, axes, steps, shape)
    }

    fn slice_node<T: Element>(
        &mut self,
        x: Value<T>,
        starts: Value<I64>,
        ends: Value<I64>,
        axes: &[i64],
        steps: &[i64],
        shape: Result<Shape, OpProblem>,
    ) -> Value<T> {
        let axes = self.const_i64(axes);
        let call = Call::new("Slice").input(x).input(starts).input(ends).input(axes);
        let steps = steps.iter().any(|&step| step != 1).then(|| self.const_i64(steps).any());
        self.apply_one(call.optional(steps), shape)
    }

    /// `Tile`: repeats every axis.
    pub fn tile<T: Element>(&mut self, x: Value<T>, repeats: &[i64]) -> Value<T> {
        let from = self.shape(x);
        let shape = tiled_shape(from, repeats);
        let repeats = self.const_i64(repeats);
        self.apply_one(Call::new("Tile").input(x).input(repeats), shape)
    }

    /// `Pad` with a constant: `begins[i]` elements before and `ends[i]` after axis i; negative counts cut.
    pub fn pad<T: Element>(
        &mut self,
        x: Value<T>,
        begins: &[i64],
        ends: &[i64],
        fill: T::Native,
    ) -> Value<T> {
        let from = self.shape(x);
        let shape = listed("begins", begins.len(), from.rank())
            .and_then(|()| listed("ends", ends.len(), from.rank()))
            .map(|()| {
                let dims = from.iter().zip(begins).zip(ends);
                dims.map(|((dim, &begin), &end)| dim.clone() + begin + end).collect()
            });
        let pads = self.const_i64(&[begins, ends].concat());
        let fill: AnyValue = self.const_scalar::<T>(fill).into();
        self.apply_one(Call::new("Pad").input(x).input(pads).input(fill), shape)
    }
}

fn tiled_shape(from: &Shape, repeats: &[i64]) -> Result<Shape, OpProblem> {
    listed("repeats", repeats.len(), from.rank())?;
    if let Some(count) = repeats.iter().find(|&&count| count < 0) {
        return Err(OpProblem::Argument {
            what: "the number of repeats",
            expected: "0 or more".to_owned(),
            found: count.to_string(),
        });
    }
    Ok(from.iter().zip(repeats).map(|(dim, &count)| dim.clone() * count).collect())
}

fn permuted_shape(from: &Shape, perm: &[usize]) -> Result<Shape, OpProblem> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..from.rank()) {
        return Err(OpProblem::Permutation { perm: perm.to_vec(), rank: from.rank() });
    }
    Ok(perm.iter().filter_map(|&axis| from.get(axis).cloned()).collect())
}

fn joined_shape(shapes: &[&Shape], axis: i64) -> Result<Shape, OpProblem> {
    let Some((first, rest)) = shapes.split_first() else {
        return Err(OpProblem::ListLength { what: "the list of parts", expected: 1, found: 0 });
    };
    let mut joined = (*first).clone();
    for part in rest {
        same_but(&joined, part, &[axis])?;
        if let (Some(sum), Some(dim)) = (joined.dim(axis).cloned(), part.dim(axis).cloned()) {
            joined = joined.with_dim(axis, sum + dim);
        }
    }
    joined.axis(axis).map(|_| joined)
}

/// Requires two shapes to be equal but for some axes.
fn same_but(left: &Shape, right: &Shape, axes: &[i64]) -> Result<(), OpProblem> {
    let free = super::distinct_axes(axes, left.rank())?;
    if left.rank() != right.rank() {
        return Err(OpProblem::Rank {
            what: "the other shape",
            expected: left.rank().to_string(),
            found: right.rank(),
        });
    }
    for (axis, (a, b)) in left.iter().zip(right.iter()).enumerate() {
        if !free.contains(&axis) {
            super::equal("a dimension", a, "the same dimension of the other shape", b)?;
        }
    }
    Ok(())
}

fn split_shapes(from: &Shape, axis: i64, sizes: &[i64]) -> Result<Vec<Shape>, OpProblem> {
    let position = from.axis(axis)?;
    let dim = from.get(position).cloned().unwrap_or(Dim::fixed(0));
    let sum = sizes.iter().try_fold(0_i64, |sum, &size| sum.checked_add(size));
    if sizes.iter().any(|&size| size < 0) || sum.is_none() || sum != dim.as_fixed() {
        return Err(OpProblem::SplitSum { parts: sizes.to_vec(), axis, dim });
    }
    Ok(sizes.iter().map(|&size| from.clone().with_dim(axis, size)).collect())
}

fn sliced_shape(
    from: &Shape,
    starts: &[i64],
    ends: &[i64],
    axes: &[i64],
    steps: &[i64],
) -> Result<Shape, OpProblem> {
    listed("starts", starts.len(), axes.len())?;
    listed("ends", ends.len(), axes.len())?;
    listed("steps", steps.len(), axes.len())?;
    super::distinct_axes(axes, from.rank())?;
    let mut shape = from.clone();
    for (((&axis, &start), &end), &step) in axes.iter().zip(starts).zip(ends).zip(steps) {
        let dim = from.dim(axis).cloned().unwrap_or(Dim::fixed(0));
        let length = match dim.as_fixed() {
            Some(size) => Dim::fixed(sliced_length(size, start, end, step)?),
            None => symbolic_slice(&dim, start, end, step)?,
        };
        shape = shape.with_dim(axis, length);
    }
    Ok(shape)
}

/// Number of elements of a slice, by the rules of ONNX: negative bounds count from the end, then bounds are clamped.
fn sliced_length(size: i64, start: i64, end: i64, step: i64) -> Result<i64, OpProblem> {
    if step == 0 {
        return Err(zero_step());
    }
    let size = size.max(0);
    let absolute = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound };
    let (start, end) = (absolute(start), absolute(end));
    let distance = match size.checked_sub(1) {
        _ if step > 0 => end.clamp(0, size) - start.clamp(0, size),
        Some(last @ 0..) => start.clamp(0, last) - end.clamp(-1, last),
        _ => 0,
    };
    let count = u64::try_from(distance).unwrap_or(0).div_ceil(step.unsigned_abs());
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

fn symbolic_slice(dim: &Dim, start: i64, end: i64, step: i64) -> Result<Dim, OpProblem> {
    let unresolved =
        || OpProblem::NotFixed { what: "a dimension sliced with these bounds", dim: dim.clone() };
    match (step, start, end) {
        (0, _, _) => Err(zero_step()),
        (1, 0.., i64::MAX) => Ok(dim.clone() - start),
        (1, ..0, i64::MAX) => Ok(Dim::fixed(start.saturating_neg())),
        (1, 0.., 0..) | (1, ..0, ..0) => Ok(Dim::fixed(end.saturating_sub(start).max(0))),
        (1, 0.., ..0) => Ok(dim.clone() + end - start),
        _ => Err(unresolved()),
    }
}

fn zero_step() -> OpProblem {
    OpProblem::Argument { what: "the step", expected: "not 0".to_owned(), found: "0".to_owned() }
}
