//! The operators, one file per family: each method checks shapes, infers the output's and adds the node.

pub(crate) mod attention;
mod compare;
mod custom;
mod elementwise;
pub(crate) mod index;
mod linear;
mod movement;
pub(crate) mod nn;
mod reduce;
mod select;
mod sequence;
mod shape;

use crate::dim::Dim;
use crate::error::OpProblem;
use crate::shape::Shape;

/// Requires two dimensions to be equal.
fn equal(left_of: &'static str, left: &Dim, right_of: &'static str, right: &Dim) -> Result<(), OpProblem> {
    if left == right {
        return Ok(());
    }
    Err(OpProblem::Unequal { left_of, left: left.clone(), right_of, right: right.clone() })
}

/// Requires a shape of rank `N`, and gives its dimensions.
fn dims<'a, const N: usize>(what: &'static str, shape: &'a Shape) -> Result<&'a [Dim; N], OpProblem> {
    shape.dims().try_into().map_err(|_| OpProblem::Rank {
        what,
        expected: N.to_string(),
        found: shape.rank(),
    })
}

/// Requires a shape of at least `least` axes.
fn at_least(what: &'static str, shape: &Shape, least: usize) -> Result<(), OpProblem> {
    if shape.rank() >= least {
        return Ok(());
    }
    Err(OpProblem::Rank { what, expected: format!("at least {least}"), found: shape.rank() })
}

/// Requires a shape to be exactly this one.
fn exactly(what: &'static str, found: &Shape, expected: &Shape) -> Result<(), OpProblem> {
    if found == expected {
        return Ok(());
    }
    Err(OpProblem::Shape { what, expected: expected.clone(), found: found.clone() })
}

/// Requires a list of as many entries as there are axes, or other things.
fn listed(what: &'static str, found: usize, expected: usize) -> Result<(), OpProblem> {
    if found == expected {
        return Ok(());
    }
    Err(OpProblem::ListLength { what, expected, found })
}

/// Resolves axes that may count from the end; none may come twice.
fn distinct_axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, OpProblem> {
    let mut resolved = Vec::with_capacity(axes.len());
    for &axis in axes {
        let position = crate::shape::resolve_axis(axis, rank)?;
        if resolved.contains(&position) {
            return Err(OpProblem::RepeatedAxis { axis });
        }
        resolved.push(position);
    }
    Ok(resolved)
}
