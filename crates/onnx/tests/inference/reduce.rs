//! Reductions and sequences.

use tmoe_onnx::{Dim, OpProblem, shape};

use crate::{problem, shape_after};

#[test]
fn reductions_remove_axes_or_leave_ones() {
    assert_eq!(shape_after(shape!["a", "b", 3], |g, x| g.reduce_sum(x, &[-1, 0], false)), "[b]");
    assert_eq!(shape_after(shape!["a", "b", 3], |g, x| g.reduce_mean(x, &[1], true)), "[a, 1, 3]");
    assert_eq!(shape_after(shape!["a", "b"], |g, x| g.reduce_max(x, &[], false)), "[]");
    assert!(matches!(problem([shape!["a"]], |g, [x]| g.reduce_sum(x, &[1], false)), OpProblem::Axis { .. }));
}

#[test]
fn scalars_and_axes_of_sequences_are_checked() {
    let vector = problem([shape![2]], |g, [x]| {
        let one = g.const_scalar_f32(1.0);
        g.range(one, x, one, Dim::symbol("n"))
    });
    assert!(matches!(vector, OpProblem::Shape { what: "limit", .. }), "{vector}");
    let bound = problem([shape![2]], |g, [x]| g.clip(x, x, x));
    assert!(matches!(bound, OpProblem::Shape { what: "low", .. }), "{bound}");
    assert!(matches!(problem([shape![2]], |g, [x]| g.cumsum(x, 1, false, false)), OpProblem::Axis { .. }));
    assert!(matches!(problem([shape![2]], |g, [x]| g.softmax(x, -2)), OpProblem::Axis { .. }));
    let range = problem([shape![2]], |g, [x]| g.shape_of(x, 1..3));
    assert_eq!(range.to_string(), "the range of axes is 1..3, expected within 0..1");
}
