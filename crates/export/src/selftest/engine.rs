//! Running a part of the model with tract.

use std::io::Cursor;
use std::sync::Arc;

use tmoe_onnx::Model;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoArcTensor, IntoRunnable, IntoTValue, TVec, TractResult,
    TypedRunnableModel,
};

use super::Values;
use crate::error::ExportError;

/// A part of the model, ready to run.
pub(super) struct Program {
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    plan: Arc<TypedRunnableModel>,
}

impl Program {
    /// Prepares a model whose weights are inputs.
    pub(super) fn compile(name: &str, model: &Model) -> Result<Self, ExportError> {
        let names = |values: &[tmoe_onnx::proto::ValueInfoProto]| {
            values.iter().map(|value| value.name().to_owned()).collect()
        };
        let bytes = model.encode();
        let plan = (|| -> TractResult<_> {
            // tract names the data-dependent sizes itself, and would take the declared names for other sizes.
            let onnx = tract_onnx::onnx().with_ignore_value_info(true);
            onnx.model_for_read(&mut Cursor::new(bytes))?.into_optimized()?.into_runnable()
        })()
        .map_err(|error| self_test_error(name, format!("{error:#}")))?;
        let graph = model.graph();
        Ok(Self { name: name.to_owned(), inputs: names(&graph.input), outputs: names(&graph.output), plan })
    }

    /// Runs on the inputs found by name in `values` or `weights`, and adds the outputs to `values`.
    pub(super) fn run(&self, values: &mut Values, weights: &Values) -> Result<(), ExportError> {
        let inputs = self
            .inputs
            .iter()
            .map(|name| match values.get(name).or_else(|| weights.get(name)) {
                Some(tensor) => Ok(Arc::clone(tensor).into_tvalue()),
                None => Err(self_test_error(&self.name, format!("no value for the input {name}"))),
            })
            .collect::<Result<TVec<_>, _>>()?;
        let outputs =
            self.plan.run(inputs).map_err(|error| self_test_error(&self.name, format!("{error:#}")))?;
        for (name, value) in self.outputs.iter().zip(outputs) {
            values.insert(name.clone(), value.into_arc_tensor());
        }
        Ok(())
    }
}

/// An error of the self-test in the step of that name.
pub(super) fn self_test_error(step: &str, reason: impl std::fmt::Display) -> ExportError {
    ExportError::SelfTest { step: step.to_owned(), reason: reason.to_string() }
}
