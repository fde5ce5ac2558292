//! Shapes: lists of dimensions, and the rules by which they combine.

use std::fmt;
use std::ops::Deref;

use crate::dim::Dim;
use crate::error::OpProblem;

/// The shape of a value, outermost axis first; empty for a scalar.
///
/// ```
/// use tmoe_onnx::{Dim, Shape, shape};
///
/// let x = shape!["batch", Dim::symbol("past") + Dim::symbol("sequence"), 64];
/// assert_eq!(x.to_string(), "[batch, past + sequence, 64]");
/// assert_eq!(x.dim(-1), Some(&Dim::fixed(64)));
/// assert_eq!(Shape::from([2, 3]).fixed_element_count(), Some(6));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

/// A [`Shape`] from sizes, names and [`Dim`]s: `shape!["batch", 4, dim]`.
#[macro_export]
macro_rules! shape {
    ($($dim:expr),* $(,)?) => {
        $crate::Shape::from(::std::vec![$($crate::Dim::from($dim)),*])
    };
}

impl Shape {
    /// The shape of a scalar.
    pub const fn scalar() -> Self {
        Self(Vec::new())
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dimension of an axis, counted from the end when negative; `None` beyond the rank.
    pub fn dim(&self, axis: i64) -> Option<&Dim> {
        self.axis(axis).ok().and_then(|axis| self.0.get(axis))
    }

    /// Number of elements.
    pub fn element_count(&self) -> Dim {
        self.0.iter().cloned().fold(Dim::fixed(1), |product, dim| product * dim)
    }

    /// Number of elements, when it is known and fits in `u64`.
    pub fn fixed_element_count(&self) -> Option<u64> {
        self.0
            .iter()
            .try_fold(1_u64, |product, dim| product.checked_mul(u64::try_from(dim.as_fixed()?).ok()?))
    }

    /// The sizes, when all are known.
    pub fn as_fixed(&self) -> Option<Vec<i64>> {
        self.0.iter().map(Dim::as_fixed).collect()
    }

    /// The shape with one dimension replaced; unchanged when there is no such axis.
    pub fn with_dim(mut self, axis: i64, dim: impl Into<Dim>) -> Self {
        if let Ok(axis) = self.axis(axis)
            && let Some(slot) = self.0.get_mut(axis)
        {
            *slot = dim.into();
        }
        self
    }

    /// The dimensions.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// Resolves an axis that may count from the end.
    pub(crate) fn axis(&self, axis: i64) -> Result<usize, OpProblem> {
        resolve_axis(axis, self.rank())
    }

    /// The shape that results when two shapes are broadcast against each other (numpy rules: aligned at the last axis, a
    /// size of 1 stretches, everything else must be equal).
    ///
    /// # Errors
    /// [`OpProblem::Broadcast`] with the first pair of dimensions, from the last axis, that do not go together.
    pub fn broadcast(&self, other: &Self) -> Result<Self, OpProblem> {
        let rank = self.rank().max(other.rank());
        let mut dims = Vec::with_capacity(rank);
        let one = Dim::fixed(1);
        for from_end in 1..=rank {
            let at = |shape: &Self| {
                let position = shape.rank().checked_sub(from_end)?;
                shape.0.get(position).cloned()
            };
            let left = at(self).unwrap_or_else(|| one.clone());
            let right = at(other).unwrap_or_else(|| one.clone());
            dims.push(if left == right || right == one {
                left
            } else if left == one {
                right
            } else {
                return Err(OpProblem::Broadcast { left, right });
            });
        }
        dims.reverse();
        Ok(Self(dims))
    }
}

/// Resolves an axis that may count from the end of `rank` axes.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Result<usize, OpProblem> {
    let count = i64::try_from(rank).unwrap_or(i64::MAX);
    let resolved = if axis < 0 { axis.saturating_add(count) } else { axis };
    match usize::try_from(resolved) {
        Ok(position) if position < rank => Ok(position),
        _ => Err(OpProblem::Axis { axis, rank }),
    }
}

impl Deref for Shape {
    type Target = [Dim];

    fn deref(&self) -> &[Dim] {
        &self.0
    }
}

impl From<Vec<Dim>> for Shape {
    fn from(dims: Vec<Dim>) -> Self {
        Self(dims)
    }
}

impl From<&[Dim]> for Shape {
    fn from(dims: &[Dim]) -> Self {
        Self(dims.to_vec())
    }
}

impl<const N: usize> From<[Dim; N]> for Shape {
    fn from(dims: [Dim; N]) -> Self {
        Self(dims.into())
    }
}

impl<const N: usize> From<&[Dim; N]> for Shape {
    fn from(dims: &[Dim; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<&[i64]> for Shape {
    fn from(sizes: &[i64]) -> Self {
        sizes.iter().copied().map(Dim::fixed).collect()
    }
}

impl<const N: usize> From<[i64; N]> for Shape {
    fn from(sizes: [i64; N]) -> Self {
        sizes.as_slice().into()
    }
}

impl<const N: usize> From<&[i64; N]> for Shape {
    fn from(sizes: &[i64; N]) -> Self {
        sizes.as_slice().into()
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Self {
        shape.clone()
    }
}

impl FromIterator<Dim> for Shape {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Self {
        Self(dims.into_iter().collect())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (position, dim) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
