//! Matrix products.

use std::collections::HashMap;

use super::{at_least, dims, equal, listed};
use crate::builder::{Call, GraphBuilder};
use crate::dim::Dim;
use crate::element::Wide;
use crate::error::OpProblem;
use crate::shape::Shape;
use crate::value::Value;

impl GraphBuilder {
    /// `MatMul`: `[.., m, k]` x `[.., k, n]` -> `[.., m, n]`, leading axes broadcast.
    pub fn matmul<T: Wide>(&mut self, a: Value<T>, b: Value<T>) -> Value<T> {
        let shape = matmul_shape(self.shape(a), self.shape(b));
        self.apply_one(Call::new("MatMul").input(a).input(b), shape)
    }

    /// `Gemm` without scaling: a x b + bias, with a `[m, k]` (or `[k, m]` when `transpose_a`), b `[k, n]` (or `[n, k]` when
    /// `transpose_b`), and a bias that broadcasts to `[m, n]`.
    pub fn gemm<T: Wide>(
        &mut self,
        a: Value<T>,
        b: Value<T>,
        bias: Option<Value<T>>,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Value<T> {
        let shape = self.gemm_shape(a, b, bias, transpose_a, transpose_b);
        let call = Call::new("Gemm")
            .input(a)
            .input(b)
            .optional(bias.map(Value::any))
            .attribute_if(transpose_a, "transA", 1)
            .attribute_if(transpose_b, "transB", 1);
        self.apply_one(call, shape)
    }

    fn gemm_shape<T: Wide>(
        &self,
        a: Value<T>,
        b: Value<T>,
        bias: Option<Value<T>>,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Shape, OpProblem> {
        let ordered = |what, shape, transposed| -> Result<[Dim; 2], OpProblem> {
            let [rows, columns] = dims::<2>(what, shape)?.clone();
            Ok(if transposed { [columns, rows] } else { [rows, columns] })
        };
        let [m, left] = ordered("the first matrix", self.shape(a), transpose_a)?;
        let [right, n] = ordered("the second matrix", self.shape(b), transpose_b)?;
        equal("columns of the first matrix", &left, "rows of the second", &right)?;
        let shape = Shape::from([m, n]);
        if let Some(bias) = bias {
            let together = self.shape(bias).broadcast(&shape)?;
            super::exactly("the product with its bias", &together, &shape)?;
        }
        Ok(shape)
    }

    /// `Einsum`, one letter per axis, without ellipsis: `"bhqd,bhkd->bhqk"`.
    pub fn einsum<T: Wide>(&mut self, equation: &str, inputs: &[Value<T>]) -> Value<T> {
        let shapes: Vec<&Shape> = inputs.iter().map(|&input| self.shape(input)).collect();
        let shape = einsum_shape(equation, &shapes);
        let call = inputs.iter().fold(Call::new("Einsum"), |call, &input| call.input(input));
        self.apply_one(call.attribute("equation", equation), shape)
    }
}

fn matmul_shape(a: &Shape, b: &Shape) -> Result<Shape, OpProblem> {
    at_least("the first matrix", a, 2)?;
    at_least("the second matrix", b, 2)?;
    let (Some((a_batch, [m, left])), Some((b_batch, [right, n]))) =
        (a.split_last_chunk(), b.split_last_chunk())
    else {
        // Both ranks were checked.
        return Ok(Shape::scalar());
    };
    equal("columns of the first matrix", left, "rows of the second", right)?;
    let batch = Shape::from(a_batch).broadcast(&Shape::from(b_batch))?;
    Ok(batch.iter().chain([m, n]).cloned().collect())
}

fn einsum_shape(equation: &str, shapes: &[&Shape]) -> Result<Shape, OpProblem> {
    let malformed = || OpProblem::Argument {
        what: "the equation",
        expected: "letters, commas and one arrow".to_owned(),
        found: equation.to_owned(),
    };
    let (terms, output) = equation.split_once("->").ok_or_else(malformed)?;
    let terms: Vec<&str> = terms.split(',').map(str::trim).collect();
    listed("the equation's left side", terms.len(), shapes.len())?;
    let mut sizes: HashMap<char, &Dim> = HashMap::new();
    for (term, shape) in terms.iter().zip(shapes) {
        listed("a term of the equation", term.chars().count(), shape.rank())?;
        for (letter, dim) in term.chars().zip(shape.iter()) {
            if !letter.is_ascii_alphabetic() {
                return Err(malformed());
            }
            let known = sizes.entry(letter).or_insert(dim);
            equal("an axis", known, "another axis of the same letter", dim)?;
        }
    }
    let output: Vec<char> = output.trim().chars().collect();
    let repeats = |(position, letter)| output.iter().take(position).any(|earlier| earlier == letter);
    if output.iter().enumerate().any(repeats) {
        return Err(malformed());
    }
    output.iter().map(|letter| sizes.get(letter).map(|&dim| dim.clone()).ok_or_else(malformed)).collect()
}
