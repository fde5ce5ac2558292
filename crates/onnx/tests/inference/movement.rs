//! Operators that move elements.

use proptest::prelude::*;
use tmoe_onnx::{F32, GraphError, OpProblem, Value, shape};

use crate::{graph, problem, shape_after};

#[test]
fn parts_join_and_split_along_an_axis() {
    let (mut g, [past, new]) = graph([shape!["batch", "past", 4], shape!["batch", "sequence", 4]]);
    let joined = g.concat(&[past, new], 1);
    assert_eq!(g.shape(joined).to_string(), "[batch, past + sequence, 4]");
    let parts = g.split(joined, -1, &[1, 3]);
    assert_eq!(g.shape(parts[1]).to_string(), "[batch, past + sequence, 3]");
    assert_eq!(g.error(), None);

    let wrong = |axis, sizes: &'static [i64]| {
        problem([shape!["batch", 4]], |g, [x]| {
            // Callers index the parts: there are as many as were asked for, whatever is wrong with them.
            assert_eq!(g.split(x, axis, sizes).len(), sizes.len());
        })
    };
    assert_eq!(wrong(1, &[1, 2]).to_string(), "parts [1, 2] do not add up to the 4 of axis 1");
    assert!(matches!(wrong(1, &[5, -1]), OpProblem::SplitSum { .. }));
    assert!(matches!(wrong(1, &[i64::MAX, i64::MAX]), OpProblem::SplitSum { .. }));
    assert!(matches!(wrong(0, &[1, 2]), OpProblem::SplitSum { .. }));
    assert!(matches!(wrong(2, &[4]), OpProblem::Axis { .. }));

    let unequal = problem([shape!["a", 2], shape!["b", 2]], |g, parts| g.concat(&parts, 1));
    assert!(matches!(unequal, OpProblem::Unequal { .. }), "{unequal}");
    let rank = problem([shape![2], shape![2, 2]], |g, parts| g.concat(&parts, 0));
    assert!(matches!(rank, OpProblem::Rank { .. }), "{rank}");
    let axis = problem([shape![2]], |g, parts| g.concat(&parts, 1));
    assert!(matches!(axis, OpProblem::Axis { .. }), "{axis}");
    let none = problem([], |g, _: [Value<F32>; 0]| g.concat::<F32>(&[], 0));
    assert!(matches!(none, OpProblem::ListLength { .. }), "{none}");
}

#[test]
fn slices_of_symbolic_dimensions_are_as_long_as_their_bounds_say() {
    let slice =
        |start, end, step| shape_after(shape!["n"], move |g, x| g.slice(x, &[start], &[end], &[0], &[step]));
    assert_eq!(slice(1, i64::MAX, 1), "[n - 1]");
    assert_eq!(slice(-2, i64::MAX, 1), "[2]");
    assert_eq!(slice(1, -1, 1), "[n - 2]");
    assert_eq!(slice(2, 5, 1), "[3]");
    assert_eq!(slice(-5, -2, 1), "[3]");
    let unresolved = problem([shape!["n"]], |g, [x]| g.slice(x, &[0], &[i64::MAX], &[0], &[2]));
    assert!(matches!(unresolved, OpProblem::NotFixed { .. }), "{unresolved}");
    let zero = problem([shape!["n"]], |g, [x]| g.slice(x, &[0], &[1], &[0], &[0]));
    assert_eq!(zero.to_string(), "the step is 0, expected not 0");
    let lists = problem([shape!["n"]], |g, [x]| g.slice(x, &[0], &[1, 2], &[0], &[1]));
    assert!(matches!(lists, OpProblem::ListLength { what: "ends", .. }), "{lists}");
    let other = problem([shape!["n", 3]], |g, [x]| {
        let (start, end) = (g.const_i64(&[0]), g.const_i64(&[1]));
        g.slice_to(x, start, end, &[0], &[1], shape![1, 4])
    });
    assert!(matches!(other, OpProblem::Unequal { .. }), "{other}");
}

proptest! {
    #[test]
    fn slices_of_fixed_dimensions_have_as_many_elements_as_walking_finds(
        size in 0_i64..7, start in -9_i64..9, end in -9_i64..9, step in -3_i64..4,
    ) {
        prop_assume!(step != 0);
        // ONNX, Slice-13: negative bounds count from the end; then start is clamped to [0, size] (or [0, size - 1] when
        // stepping back) and end to [0, size] (or [-1, size - 1]).
        let from_end = |bound: i64| if bound < 0 { bound + size } else { bound };
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let mut position = from_end(start).max(0).min(high);
        let stop = from_end(end).max(low).min(high);
        let mut count = 0;
        while (step > 0 && position < stop) || (step < 0 && position > stop) {
            count += 1;
            position += step;
        }
        let shape = shape_after(shape![size], |g, x| g.slice(x, &[start], &[end], &[0], &[step]));
        prop_assert_eq!(shape, format!("[{count}]"));
    }
}

#[test]
fn tiles_and_pads_change_each_axis() {
    assert_eq!(shape_after(shape!["n", 3], |g, x| g.tile(x, &[2, 1])), "[2*n, 3]");
    assert_eq!(shape_after(shape!["n", 3], |g, x| g.pad(x, &[1, 0], &[1, -1], 0.0)), "[n + 2, 2]");
    assert!(matches!(problem([shape![3]], |g, [x]| g.tile(x, &[1, 1])), OpProblem::ListLength { .. }));
    assert!(matches!(problem([shape![3]], |g, [x]| g.tile(x, &[-1])), OpProblem::Argument { .. }));
    assert!(matches!(problem([shape![3]], |g, [x]| g.pad(x, &[0], &[], 0.0)), OpProblem::ListLength { .. }));
    let (mut g, [x]) = graph([shape![3]]);
    g.pad(x, &[-2], &[-2], 0.0);
    assert!(matches!(g.error(), Some(GraphError::Dimension { .. })), "{:?}", g.error());
}
