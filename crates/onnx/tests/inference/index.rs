//! Reading, writing and ranking at positions.

use tmoe_onnx::{Bool, Dim, F32, GraphBuilder, I64, OpProblem, Reduction, Shape, Value, shape};

use crate::{problem, shape_after};

#[test]
fn indices_give_their_shape_to_what_is_read() {
    let mut g = GraphBuilder::new("test", 23);
    let x = g.input::<F32>("x", shape!["n", 4, 5]);
    let picks = g.input::<I64>("picks", shape!["a", "b"]);
    let places = g.input::<I64>("places", shape!["m", 2]);
    let y = g.gather(x, picks, 1);
    assert_eq!(g.shape(y).to_string(), "[n, a, b, 5]");
    let rows = g.gather_nd(x, places, 0);
    assert_eq!(g.shape(rows).to_string(), "[m, 5]");
    let scattered = g.scatter_nd(x, places, rows, Reduction::Add);
    assert_eq!(g.shape(scattered), g.shape(x));
    let batched = g.input::<I64>("batched", shape!["n", 1]);
    let per_batch = g.gather_nd(x, batched, 1);
    assert_eq!(g.shape(per_batch).to_string(), "[n, 5]");
    let condition = g.input::<Bool>("condition", shape!["a", "b", "c"]);
    let found = g.nonzero(condition, Dim::symbol("found"));
    assert_eq!(g.shape(found).to_string(), "[3, found]");
    assert_eq!(g.error(), None);
}

#[test]
fn positions_that_do_not_fit_are_refused() {
    let indexed = |indices: Shape, build: fn(&mut GraphBuilder, Value<F32>, Value<I64>)| {
        problem([shape!["n", 4, 5]], |g, [x]| {
            let indices = g.input::<I64>("indices", indices);
            build(g, x, indices);
        })
    };
    let axis = indexed(shape!["m"], |g, x, i| {
        g.gather(x, i, 3);
    });
    assert!(matches!(axis, OpProblem::Axis { .. }), "{axis}");
    let rank = indexed(shape!["m"], |g, x, i| {
        g.gather_elements(x, i, 0);
    });
    assert!(matches!(rank, OpProblem::Rank { .. }), "{rank}");
    let deep = indexed(shape!["m", 4], |g, x, i| {
        g.gather_nd(x, i, 0);
    });
    assert_eq!(deep.to_string(), "the last dimension of the indices is 4, expected 1 to 3");
    let unknown = indexed(shape!["m", "depth"], |g, x, i| {
        g.gather_nd(x, i, 0);
    });
    assert!(matches!(unknown, OpProblem::NotFixed { .. }), "{unknown}");
    let batch = indexed(shape!["m", 1], |g, x, i| {
        g.gather_nd(x, i, 1);
    });
    assert!(matches!(batch, OpProblem::Unequal { .. }), "{batch}");
    let shallow = indexed(shape![1], |g, x, i| {
        g.gather_nd(x, i, usize::MAX);
    });
    assert!(matches!(shallow, OpProblem::Rank { .. }), "{shallow}");
    let updates = indexed(shape!["m", 2], |g, x, i| {
        g.scatter_nd(x, i, x, Reduction::Add);
    });
    assert!(matches!(updates, OpProblem::Shape { what: "the updates", .. }), "{updates}");
    let elements = indexed(shape!["n", 4, 1], |g, x, i| {
        g.scatter_elements(x, i, x, 2, Reduction::None);
    });
    assert!(matches!(elements, OpProblem::Shape { what: "the updates", .. }), "{elements}");
    let scalar = problem([Shape::scalar()], |g, [x]| g.nonzero(x, Dim::symbol("found")));
    assert!(matches!(scalar, OpProblem::Rank { .. }), "{scalar}");
}

#[test]
fn top_k_one_hot_and_triangles_follow_their_axis() {
    assert_eq!(shape_after(shape!["n", 8], |g, x| g.top_k(x, 2, -1, true, true).1), "[n, 2]");
    let many = problem([shape!["n", 8]], |g, [x]| g.top_k(x, 9, -1, true, true));
    assert_eq!(many.to_string(), "k is 9, expected 0 to 8");
    let negative = problem([shape!["n", 8]], |g, [x]| g.top_k(x, -1, 0, true, true));
    assert_eq!(negative.to_string(), "k is -1, expected 0 or more");
    assert!(matches!(problem([shape![8]], |g, [x]| g.trilu(x, true, 0)), OpProblem::Rank { .. }));
    let mut g = GraphBuilder::new("test", 23);
    let ids = g.input::<I64>("ids", shape!["n", 2]);
    let classes = g.one_hot::<F32, _>(ids, 8, 0.0, 1.0, 1);
    assert_eq!(g.shape(classes).to_string(), "[n, 8, 2]");
    g.one_hot::<F32, _>(ids, 8, 0.0, 1.0, 3);
    assert!(g.error().unwrap().to_string().contains("axis 3 is not an axis of rank 3"));
}
