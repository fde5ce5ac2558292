//! The shapes that operators return, and what they refuse.

mod index;
mod linear;
mod movement;
mod nn;
mod reduce;
mod shape;

use tmoe_onnx::{Element, F32, GraphBuilder, GraphError, OpProblem, Shape, Value};

/// A graph, and inputs of the given shapes.
fn graph<const N: usize>(shapes: [Shape; N]) -> (GraphBuilder, [Value<F32>; N]) {
    let mut g = GraphBuilder::new("test", 23);
    let mut number = 0;
    let inputs = shapes.map(|shape| {
        number += 1;
        g.input(format!("input{number}"), shape)
    });
    (g, inputs)
}

/// The shape of what `build` makes of one input.
fn shape_after<T: Element>(
    from: Shape,
    build: impl FnOnce(&mut GraphBuilder, Value<F32>) -> Value<T>,
) -> String {
    let (mut g, [x]) = graph([from]);
    let y = build(&mut g, x);
    assert_eq!(g.error(), None);
    g.shape(y).to_string()
}

/// What `build` does wrong.
fn problem<const N: usize, R>(
    shapes: [Shape; N],
    build: impl FnOnce(&mut GraphBuilder, [Value<F32>; N]) -> R,
) -> OpProblem {
    let (mut g, inputs) = graph(shapes);
    build(&mut g, inputs);
    match g.error() {
        Some(GraphError::Op { problem, .. }) => (**problem).clone(),
        other => panic!("expected a problem with an operator, found {other:?}"),
    }
}
