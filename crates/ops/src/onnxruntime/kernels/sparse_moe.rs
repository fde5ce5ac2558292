//! `SparseMoe` on the CPU.

use super::super::context::{Context, Tensor};
use super::super::error::OperatorError;
use super::super::info::Info;
use super::super::operator::Kernel;
use super::{elements, require_shape, required, rows, shape_error, weights};
use crate::cpu::{SparseMoe, SparseMoeShape};
use crate::schema::{SPARSE_MOE, SparseMoeAttributes};

pub(in crate::onnxruntime) struct SparseMoeKernel {
    moe: SparseMoe,
    experts: usize,
    hidden: usize,
}

pub(super) const X: usize = 0;
pub(super) const ROUTER_LOGITS: usize = 1;
#[cfg(feature = "cuda")]
pub(super) const GATE_UP: usize = 2;
#[cfg(feature = "cuda")]
pub(super) const DOWN: usize = 3;
pub(super) const ADDEND: usize = 6;

impl Kernel for SparseMoeKernel {
    fn create(info: &Info) -> Result<Self, OperatorError> {
        let attributes = info.check()?;
        let (gate_up, gate_up_tensor) = weights(info, &SPARSE_MOE, "gate_up", "gate_up_scale")?;
        let (down, _) = weights(info, &SPARSE_MOE, "down", "down_scale")?;
        let &[experts, hidden, both] = gate_up_tensor.shape() else {
            unreachable!("the schema has checked the axes of gate_up");
        };
        let shape = moe_shape([experts, hidden, both], SparseMoeAttributes::read(&attributes)?);
        Ok(Self { moe: SparseMoe::new(shape, gate_up, down), experts, hidden })
    }

    fn compute(&self, context: &Context<'_>) -> Result<(), OperatorError> {
        let x = required(context, &SPARSE_MOE, X)?;
        let logits = required(context, &SPARSE_MOE, ROUTER_LOGITS)?;
        let (values, scores) = (elements(x, &SPARSE_MOE, X)?, elements(logits, &SPARSE_MOE, ROUTER_LOGITS)?);
        let tokens = tokens(&x, &logits, self.hidden, self.experts)?;
        let addend = addend(context, &x)?.map(|addend| elements(addend, &SPARSE_MOE, ADDEND)).transpose()?;
        let (y, y_len) = context.output::<f32>(0, x.shape())?;
        if y_len == 0 {
            return Ok(());
        }
        let threads = context.threads();
        let mut scratch = context.scratch(self.moe.scratch_len(tokens))?;
        // SAFETY: an output of its own, with as many elements; the kernel writes all before it reads any.
        let y = unsafe { std::slice::from_raw_parts_mut(y, y_len) };
        self.moe.run(values, scores, addend, y, scratch.elements(), &threads);
        Ok(())
    }
}

/// What a node computes whose `gate_up` has the given sizes.
pub(super) fn moe_shape(
    [experts, hidden, both]: [usize; 3],
    attributes: SparseMoeAttributes,
) -> SparseMoeShape {
    let SparseMoeAttributes { top_k, activation, scoring, normalize_top_k } = attributes;
    SparseMoeShape { experts, hidden, ffn: both / 2, top_k, activation, scoring, normalize_top_k }
}

/// What is added to the experts' sum, if anything.
pub(super) fn addend<'a>(context: &Context<'a>, x: &Tensor<'_>) -> Result<Option<Tensor<'a>>, OperatorError> {
    let addend = context.input(ADDEND)?;
    if let Some(addend) = &addend {
        require_shape(addend, x.shape(), "x", &SPARSE_MOE, ADDEND)?;
    }
    Ok(addend)
}

/// The rows of x, which the router's logits have as well.
pub(super) fn tokens(
    x: &Tensor<'_>,
    logits: &Tensor<'_>,
    hidden: usize,
    experts: usize,
) -> Result<usize, OperatorError> {
    let tokens = rows(x, &SPARSE_MOE, X, "hidden", hidden)?;
    match logits.shape() {
        [outer @ .., last] if *last == experts && outer.iter().product::<usize>() == tokens => Ok(tokens),
        _ => {
            let expected = format!("[.., experts] with experts = {experts} and {tokens} rows as x");
            Err(shape_error(&SPARSE_MOE, ROUTER_LOGITS, logits, expected))
        }
    }
}
