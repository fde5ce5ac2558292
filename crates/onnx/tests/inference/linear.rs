//! Matrix products.

use tmoe_onnx::{OpProblem, shape};

use crate::{graph, problem};

#[test]
fn matrix_products_multiply_the_last_two_axes_and_broadcast_the_others() {
    let (mut g, [a, b]) = graph([shape!["batch", 4, "sequence", 8], shape![8, "total"]]);
    let y = g.matmul(a, b);
    assert_eq!(g.shape(y), &shape!["batch", 4, "sequence", "total"]);

    let unequal = problem([shape![2, 3], shape![4, 5]], |g, [a, b]| g.matmul(a, b));
    assert_eq!(
        unequal.to_string(),
        "columns of the first matrix (3) and rows of the second (4) must be equal"
    );
    let vector = problem([shape![3], shape![3, 5]], |g, [a, b]| g.matmul(a, b));
    assert!(matches!(vector, OpProblem::Rank { found: 1, .. }), "{vector}");
    let batches = problem([shape!["a", 2, 3], shape!["b", 3, 4]], |g, [a, b]| g.matmul(a, b));
    assert!(matches!(batches, OpProblem::Broadcast { .. }), "{batches}");
}

#[test]
fn gemm_transposes_and_refuses_a_bias_that_widens_the_product() {
    let (mut g, [a, b, bias]) = graph([shape![8, "tokens"], shape![5, 8], shape![5]]);
    let y = g.gemm(a, b, Some(bias), true, true);
    assert_eq!(g.shape(y), &shape!["tokens", 5]);
    let wide = problem([shape![1, 8], shape![8, 5], shape![3, 5]], |g, [a, b, c]| {
        g.gemm(a, b, Some(c), false, false)
    });
    assert!(matches!(wide, OpProblem::Shape { .. }), "{wide}");
}

#[test]
fn einsum_reads_its_equation() {
    let (mut g, [q, k]) = graph([shape!["b", "h", "q", 8], shape!["b", "h", "k", 8]]);
    let y = g.einsum("bhqd,bhkd->bhqk", &[q, k]);
    assert_eq!(g.shape(y), &shape!["b", "h", "q", "k"]);

    for (equation, text) in [
        ("bhqd,bhkd", "letters, commas and one arrow"),
        ("bhqd,bhkd->bz", "letters, commas and one arrow"),
        ("bhqd,bhkd->bb", "letters, commas and one arrow"),
        ("bh.d,bhkd->b", "letters, commas and one arrow"),
        ("bhqd->b", "left side has 1 entries, expected 2"),
        ("bhq,bhkd->b", "a term of the equation has 3 entries, expected 4"),
        ("bhkd,bhkd->b", "must be equal"),
    ] {
        let wrong = problem([shape!["b", "h", "q", 8], shape!["b", "h", "k", 8]], |g, inputs| {
            g.einsum(equation, &inputs)
        });
        assert!(wrong.to_string().contains(text), "{equation}: {wrong}");
    }
}
