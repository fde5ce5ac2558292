//! Dimensions and shapes.

use proptest::prelude::*;
use tmoe_onnx::{Dim, OpProblem, Shape, shape};

const NAMES: [&str; 3] = ["batch", "past", "sequence"];

fn size_of(name: &str) -> Option<i64> {
    NAMES.iter().zip([3, 5, 7]).find_map(|(known, size)| (*known == name).then_some(size))
}

fn dim() -> impl Strategy<Value = Dim> {
    let leaf = prop_oneof![
        (-9_i64..10).prop_map(Dim::fixed),
        (0..NAMES.len()).prop_map(|position| Dim::symbol(NAMES[position])),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a + b),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a - b),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a * b),
            (inner, -4_i64..5).prop_map(|(a, factor)| a * factor),
        ]
    })
}

proptest! {
    #[test]
    fn arithmetic_of_dimensions_is_arithmetic_of_their_sizes(a in dim(), b in dim()) {
        let value = |dim: &Dim| dim.eval(size_of).unwrap();
        prop_assert_eq!(value(&(a.clone() + b.clone())), value(&a) + value(&b));
        prop_assert_eq!(value(&(a.clone() - b.clone())), value(&a) - value(&b));
        prop_assert_eq!(value(&(a.clone() * b.clone())), value(&a) * value(&b));
    }

    #[test]
    fn equal_polynomials_are_equal_however_they_were_written(a in dim(), b in dim(), c in dim()) {
        let left = (a.clone() + b.clone()) * c.clone();
        let right = c.clone() * b.clone() + a.clone() * c;
        prop_assert_eq!(left.to_string(), right.to_string());
        prop_assert_eq!(left, right);
        prop_assert_eq!(a.clone() + b.clone() - b, a);
    }
}

#[test]
fn dimensions_read_like_formulas() {
    let (batch, past, sequence) = (Dim::symbol("batch"), Dim::symbol("past"), Dim::symbol("sequence"));
    assert_eq!((sequence.clone() + past.clone()).to_string(), "past + sequence");
    assert_eq!((batch.clone() * sequence.clone() * 2 - 1).to_string(), "2*batch*sequence - 1");
    assert_eq!((Dim::fixed(4) - sequence.clone()).to_string(), "-sequence + 4");
    assert_eq!((sequence.clone() - sequence.clone()).to_string(), "0");
    assert_eq!((batch.clone() * 2 - batch).as_symbol(), Some("batch"));
    assert_eq!((past + sequence).as_symbol(), None);
}

#[test]
fn a_dimension_without_its_symbols_or_beyond_i64_has_no_size() {
    assert_eq!((Dim::symbol("unknown") + 1).eval(size_of), None);
    assert_eq!((Dim::symbol("past") * i64::MAX).eval(size_of), None);
    assert_eq!((Dim::fixed(i64::MAX) + 1).as_fixed(), Some(i64::MAX));
}

#[test]
fn shapes_broadcast_from_the_last_axis_where_dimensions_are_equal_or_one() {
    let scores = shape!["batch", 4, "sequence", "total"];
    assert_eq!(scores.broadcast(&shape![1, "total"]), Ok(scores.clone()));
    assert_eq!(shape!["batch", 1].broadcast(&shape![3, 1, 5]), Ok(shape![3, "batch", 5]));
    assert_eq!(Shape::scalar().broadcast(&scores), Ok(scores.clone()));
    assert_eq!(
        scores.broadcast(&shape!["sequence"]),
        Err(OpProblem::Broadcast { left: "total".into(), right: "sequence".into() })
    );
}

#[test]
fn shapes_count_elements_and_axes_from_either_end() {
    let shape = shape!["batch", 2, 3];
    assert_eq!(shape.element_count(), Dim::symbol("batch") * 6);
    assert_eq!(shape.fixed_element_count(), None);
    assert_eq!((shape.dim(-1), shape.dim(0)), (Some(&3.into()), Some(&"batch".into())));
    assert_eq!((shape.dim(3), shape.dim(-4)), (None, None));
    assert_eq!(Shape::from([1 << 40, 1 << 40]).fixed_element_count(), None);
    assert_eq!(shape.clone().with_dim(9, 1), shape);
    assert_eq!(shape.with_dim(-2, "heads"), shape!["batch", "heads", 3]);
}
