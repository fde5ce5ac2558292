//! Operators that change the shape.

use tmoe_onnx::{Dim, F32, GraphError, OpProblem, shape};

use crate::{graph, problem, shape_after};

#[test]
fn reshape_takes_over_dimensions_and_names_the_rest() {
    let x = || shape!["batch", "sequence", 64];
    assert_eq!(shape_after(x(), |g, x| g.reshape(x, shape!["tokens", 64])), "[tokens, 64]");
    assert_eq!(
        shape_after(x(), |g, x| g.reshape(x, shape!["batch", "sequence", 4, 16])),
        "[batch, sequence, 4, 16]"
    );
    let pairs = shape!["batch", Dim::symbol("sequence") * 2, 32];
    assert_eq!(shape_after(x(), |g, x| g.reshape(x, pairs)), "[batch, 2*sequence, 32]");

    let lost = problem([x()], |g, [x]| g.reshape(x, shape!["batch", "sequence", 4, 15]));
    assert!(matches!(lost, OpProblem::ElementCount { .. }), "{lost}");
    let reused = problem([x()], |g, [x]| g.reshape(x, shape!["sequence", 64]));
    assert!(matches!(reused, OpProblem::ElementCount { .. }), "{reused}");
    let indivisible = problem([x()], |g, [x]| g.reshape(x, shape!["tokens", 65]));
    assert!(matches!(indivisible, OpProblem::ElementCount { .. }), "{indivisible}");
    let swapped = problem([x()], |g, [x]| g.reshape(x, shape!["sequence", "batch", 64]));
    assert!(swapped.to_string().contains("compute the shape and use reshape_to"), "{swapped}");
    let empty = problem([shape!["batch", 0]], |g, [x]| g.reshape(x, shape![0, "batch"]));
    assert!(matches!(empty, OpProblem::RuntimeShape { .. }), "{empty}");
}

#[test]
fn computed_shapes_must_have_the_declared_rank_and_size() {
    let (mut g, [x]) = graph([shape!["batch", "sequence"]]);
    let sizes = g.shape_of(x, ..);
    let swapped = g.reshape_to(x, sizes, shape!["sequence", "batch"]);
    assert_eq!(g.shape(swapped), &shape!["sequence", "batch"]);
    g.reshape_to(x, sizes, shape!["tokens"]);
    assert!(matches!(g.error(), Some(GraphError::Op { .. })));

    let lost = problem([shape![2, 3]], |g, [x]| {
        let sizes = g.const_i64(&[7]);
        g.reshape_to(x, sizes, [7])
    });
    assert!(matches!(lost, OpProblem::ElementCount { .. }), "{lost}");
    let scalar = problem([shape![2]], |g, _| {
        let scalar = g.const_scalar_i64(2);
        g.constant_of_shape::<F32>(scalar, [2], 0.0)
    });
    assert!(matches!(scalar, OpProblem::Rank { found: 0, .. }), "{scalar}");
}

#[test]
fn expand_stretches_only_dimensions_of_one() {
    let y = shape_after(shape!["batch", 1, 4], |g, x| g.expand(x, shape![2, "batch", 5, 4]));
    assert_eq!(y, "[2, batch, 5, 4]");
    let shrink = problem([shape!["batch", 4]], |g, [x]| g.expand(x, shape!["batch", 1]));
    assert!(matches!(shrink, OpProblem::Shape { .. }), "{shrink}");
    let runtime = problem([shape![1, 4]], |g, [x]| g.expand(x, shape!["batch", 4]));
    assert!(runtime.to_string().contains("use expand_to"), "{runtime}");
}

#[test]
fn axes_are_added_removed_and_permuted() {
    assert_eq!(shape_after(shape!["a", "b"], |g, x| g.unsqueeze(x, &[0, -1])), "[1, a, b, 1]");
    assert_eq!(shape_after(shape![1, "a", 1], |g, x| g.squeeze(x, &[0, -1])), "[a]");
    assert_eq!(shape_after(shape!["a", "b", 3], |g, x| g.transpose(x, &[2, 0, 1])), "[3, a, b]");
    assert!(matches!(problem([shape!["a"]], |g, [x]| g.squeeze(x, &[0])), OpProblem::Unequal { .. }));
    assert!(matches!(
        problem([shape!["a"]], |g, [x]| g.unsqueeze(x, &[2])),
        OpProblem::Axis { axis: 2, rank: 2 }
    ));
    assert!(matches!(
        problem([shape![1, 1]], |g, [x]| g.squeeze(x, &[0, -2])),
        OpProblem::RepeatedAxis { axis: -2 }
    ));
    for perm in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
        let wrong = problem([shape![2, 3]], |g, [x]| g.transpose(x, perm));
        assert!(matches!(wrong, OpProblem::Permutation { rank: 2, .. }), "{wrong}");
    }
}
