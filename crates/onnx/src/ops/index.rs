//! Reading and writing at computed positions.

use super::{at_least, dims};
use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::{Element, I64, Index};
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::Value;

/// What a scatter does with what is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Replaces it; positions must not repeat.
    #[default]
    None,
    /// Adds to it.
    Add,
    /// Multiplies it.
    Mul,
    /// Keeps the smaller; from version 18 on.
    Min,
    /// Keeps the larger; from version 18 on.
    Max,
}

impl Reduction {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Add => "add",
            Self::Mul => "mul",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    fn since(self) -> i64 {
        match self {
            Self::None | Self::Add | Self::Mul => 16,
            Self::Min | Self::Max => 18,
        }
    }
}

impl GraphBuilder {
    /// `Gather`: whole slices along an axis; the indices' shape takes the place of that axis. Negative indices count from
    /// the end.
    pub fn gather<T: Element, I: Index>(&mut self, x: Value<T>, indices: Value<I>, axis: i64) -> Value<T> {
        let (from, picked) = (self.shape(x), self.shape(indices));
        let shape = from.axis(axis).map(|axis| {
            let before = from.iter().take(axis);
            let after = from.iter().skip(axis + 1);
            before.chain(picked.iter()).chain(after).cloned().collect()
        });
        let call = Call::new("Gather").input(x).input(indices).attribute("axis", axis);
        self.apply_one(call, shape)
    }

    /// `GatherElements`: one element per index, which moves along `axis`; the output has the indices' shape.
    pub fn gather_elements<T: Element, I: Index>(
        &mut self,
        x: Value<T>,
        indices: Value<I>,
        axis: i64,
    ) -> Value<T> {
        let (from, picked) = (self.shape(x), self.shape(indices));
        let shape =
            from.axis(axis).and_then(|_| same_rank("the indices", picked, from)).map(|()| picked.clone());
        let call = Call::new("GatherElements").input(x).input(indices).attribute("axis", axis);
        self.apply_one(call, shape)
    }

    /// `GatherND`: the last axis of the indices holds positions along the leading axes of x, after `batch_dims` axes that
    /// both have in common.
    pub fn gather_nd<T: Element>(&mut self, x: Value<T>, indices: Value<I64>, batch_dims: usize) -> Value<T> {
        let shape = gathered_nd_shape(self.shape(x), self.shape(indices), batch_dims);
        let batch = i64::try_from(batch_dims).unwrap_or(i64::MAX);
        let call = Call::new("GatherND").input(x).input(indices);
        self.apply_one(call.attribute_if(batch != 0, "batch_dims", batch), shape)
    }

    /// `ScatterND`: a copy of x with updates at positions given by the last axis of the indices.
    pub fn scatter_nd<T: Element>(
        &mut self,
        x: Value<T>,
        indices: Value<I64>,
        updates: Value<T>,
        reduction: Reduction,
    ) -> Value<T> {
        let from = self.shape(x);
        // Updates have the shape that reading at these positions would give.
        let shape = gathered_nd_shape(from, self.shape(indices), 0)
            .and_then(|expected| super::exactly("the updates", self.shape(updates), &expected))
            .map(|()| from.clone());
        let call = Call::new("ScatterND")
            .input(x)
            .input(indices)
            .input(updates)
            .attribute("reduction", reduction.name())
            .since(reduction.since(), "ScatterND with this reduction");
        self.apply_one(call, shape)
    }

    /// `ScatterElements`: a copy of x with one update per index, which moves along `axis`.
    pub fn scatter_elements<T: Element, I: Index>(
        &mut self,
        x: Value<T>,
        indices: Value<I>,
        updates: Value<T>,
        axis: i64,
        reduction: Reduction,
    ) -> Value<T> {
        let (from, positions) = (self.shape(x), self.shape(indices));
        let shape = from
            .axis(axis)
            .and_then(|_| same_rank("the indices", positions, from))
            .and_then(|()| super::exactly("the updates", self.shape(updates), positions))
            .map(|()| from.clone());
        let call = Call::new("ScatterElements")
            .input(x)
            .input(indices)
            .input(updates)
            .attribute("axis", axis)
            .attribute("reduction", reduction.name())
            .since(reduction.since(), "ScatterElements with this reduction");
        self.apply_one(call, shape)
    }

    /// `NonZero`: positions of the elements that are not zero, `[rank, count]` in row-major order. Their number depends on
    /// the data: `count` names it.
    pub fn nonzero<T: Element>(&mut self, x: Value<T>, count: Dim) -> Value<I64> {
        let rank = i64::try_from(self.shape(x).rank()).unwrap_or(i64::MAX);
        let shape = at_least("the input", self.shape(x), 1).map(|()| Shape::from([Dim::fixed(rank), count]));
        self.apply_one(Call::new("NonZero").input(x), shape)
    }
}

fn same_rank(what: &'static str, found: &Shape, expected: &Shape) -> Result<(), OpProblem> {
    if found.rank() == expected.rank() {
        return Ok(());
    }
    Err(OpProblem::Rank { what, expected: expected.rank().to_string(), found: found.rank() })
}

fn gathered_nd_shape(from: &Shape, indices: &Shape, batch_dims: usize) -> Result<Shape, OpProblem> {
    at_least("the indices", indices, batch_dims.saturating_add(1))?;
    at_least("the input", from, batch_dims.saturating_add(1))?;
    for (a, b) in from.iter().zip(indices.iter()).take(batch_dims) {
        super::equal("a batch dimension of the input", a, "that of the indices", b)?;
    }
    let Some((depth, leading)) = indices.split_last() else {
        return dims::<1>("the indices", indices).map(|_| Shape::scalar());
    };
    let reach = depth.as_fixed().ok_or_else(|| OpProblem::NotFixed {
        what: "the last dimension of the indices",
        dim: depth.clone(),
    })?;
    let covered = usize::try_from(reach)
        .ok()
        .and_then(|reach| reach.checked_add(batch_dims))
        .filter(|&covered| reach >= 1 && covered <= from.rank())
        .ok_or_else(|| OpProblem::Argument {
            what: "the last dimension of the indices",
            expected: format!("1 to {}", from.rank() - batch_dims),
            found: reach.to_string(),
        })?;
    Ok(leading.iter().chain(from.iter().skip(covered)).cloned().collect())
}
