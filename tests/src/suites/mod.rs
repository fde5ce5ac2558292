//! The suites: lists of cases, each data.

mod cache;
mod continuation;
mod forecast;
mod generation;
mod loss;
mod padding;
mod predictions;
mod quantised;

use ndarray::{Array2, Array3, Axis};
use tmoe_package::OpSet;
use tmoe_runner::{Control, Forecaster, NamedTensors, Provider, generate};

use crate::compare::{Expected, Tolerance};
use crate::golden::Golden;
use crate::packages::{Packages, Variant};
use crate::subject::Subject;

/// What a float32 implementation should agree to (`golden/README.md`).
pub const FLOAT32: Tolerance = Tolerance::Relative(1e-5);

/// What passes where factors of float32 products may be rounded to TF32, which has 11 bits: within ONNX Runtime, TensorRT cannot be
/// told not to. Tokens near the border of two experts may go to the other.
pub const TF32: Tolerance = Tolerance::Norm(1e-2);

/// A list of cases for every golden checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// What the report calls it.
    pub name: &'static str,
    /// Its cases for a checkpoint; none where the checkpoint has no such goldens.
    pub cases: fn(&Golden) -> Vec<Case>,
}

/// Every suite.
pub const SUITES: [Suite; 10] = [
    Suite { name: "predictions", cases: predictions::cases },
    Suite { name: "cache", cases: cache::cases },
    Suite { name: "continuation", cases: continuation::cases },
    Suite { name: "padding", cases: padding::cases },
    Suite { name: "generation", cases: generation::cases },
    Suite { name: "loss", cases: loss::cases },
    Suite { name: "forecast", cases: forecast::cases },
    Suite { name: "fp16", cases: quantised::fp16 },
    Suite { name: "bf16", cases: quantised::bf16 },
    Suite { name: "int8", cases: quantised::int8 },
];

/// One comparison.
#[derive(Clone, Debug)]
pub struct Case {
    /// Which package.
    pub variant: Variant,
    /// What is compared, in the names of the goldens.
    pub name: String,
    /// What is done.
    pub task: Task,
    /// What should come out.
    pub reference: Reference,
    /// How close it has to be.
    pub tolerance: Tolerance,
    /// How close in the graph `plugin`, where that rounds activations or its cache.
    pub rounded_tolerance: Option<Tolerance>,
}

/// What is done with a session.
#[derive(Clone, Debug)]
pub enum Task {
    /// One pass; one output is looked at.
    Output {
        /// The graph's inputs; those that are left out have defaults.
        inputs: NamedTensors,
        /// The output.
        output: String,
    },
    /// The model's own multi-horizon generation.
    Generate {
        /// `[batch, points]`, normalised.
        series: Array2<f32>,
        /// Points to generate.
        horizon: usize,
    },
    /// A forecast of one series, normalised by its window.
    Forecast {
        /// The series in its own scale.
        series: Vec<f64>,
        /// Points to forecast.
        horizon: usize,
    },
}

/// Where the expected values come from.
#[derive(Clone, Debug)]
pub enum Reference {
    /// They are known.
    Values(Expected),
    /// They are what the reference subject computes from the package of another variant.
    Package(Variant),
}

impl Case {
    /// One output of one pass against known values, to float32 accuracy.
    fn of_output(
        variant: Variant,
        name: impl Into<String>,
        inputs: NamedTensors,
        output: impl Into<String>,
        expected: Expected,
    ) -> Self {
        Self {
            variant,
            name: name.into(),
            task: Task::Output { inputs, output: output.into() },
            reference: Reference::Values(expected),
            tolerance: FLOAT32,
            rounded_tolerance: None,
        }
    }

    /// How close it has to be on a subject.
    pub fn tolerance_on(&self, subject: Subject) -> Tolerance {
        match self.rounded_tolerance {
            // There the products of every graph are computed in the weights' type; elsewhere the graph `plugin` rounds.
            Some(rounded) if subject.on_tensorrt() || subject.graph == OpSet::Plugin => rounded,
            _ if subject.provider == Provider::TensorRt => TF32,
            _ => self.tolerance,
        }
    }

    /// Its name within a checkpoint: `predictions.h8`, `last/predictions.h8`.
    pub fn path(&self) -> String {
        match self.variant {
            Variant::Full => self.name.clone(),
            variant => format!("{}/{}", variant.name(), self.name),
        }
    }

    /// Runs it on a subject, and returns its error in the terms of its tolerance.
    ///
    /// # Errors
    ///
    /// What the export or the provider says, or what cannot be compared.
    pub fn run(&self, packages: &Packages, golden: &Golden, subject: Subject) -> Result<f64, String> {
        let session = packages.session(golden, self.variant, subject)?;
        let found = self.task.run(&session)?;
        let expected = match &self.reference {
            Reference::Values(expected) => expected.clone(),
            Reference::Package(variant) => {
                let session = packages.session(golden, *variant, Subject::REFERENCE)?;
                Expected::float(self.task.run(&session)?)
            }
        };
        expected.error(found.view(), self.tolerance_on(subject))
    }
}

impl Task {
    fn run(&self, session: &std::sync::Arc<tmoe_runner::Session>) -> Result<ndarray::ArrayD<f32>, String> {
        match self {
            Self::Output { inputs, output } => {
                let mut outputs = session.run(inputs.clone()).map_err(|error| error.to_string())?;
                let floats = outputs.remove(output).and_then(|tensor| Some(tensor.to_f32()?.into_owned()));
                floats.ok_or_else(|| format!("there is no output `{output}` of floats"))
            }
            Self::Generate { series, horizon } => {
                let input = series.view().insert_axis(Axis(2));
                let mask = Array2::ones(series.raw_dim());
                generate(session, input, mask.view(), *horizon, &Control::new())
                    .map(ndarray::Array::into_dyn)
                    .map_err(|error| error.to_string())
            }
            Self::Forecast { series, horizon } => {
                let mut forecasts = Forecaster::new(std::sync::Arc::clone(session))
                    .forecast([series], *horizon)
                    .map_err(|error| error.to_string())?;
                let forecast = forecasts.pop().ok_or("there is no forecast")?;
                Ok(ndarray::Array1::from(forecast.values).insert_axis(Axis(0)).into_dyn())
            }
        }
    }
}

/// The inputs of a pass over `series` `[batch, points]` as a package of the variant needs them: where there are losses,
/// they have targets, which the predictions do not depend on.
fn points(variant: Variant, series: &Array2<f32>) -> NamedTensors {
    let mut inputs =
        NamedTensors::from([("input_ids".to_owned(), series.clone().insert_axis(Axis(2)).into())]);
    if variant.options().with_loss {
        inputs.insert("labels".to_owned(), Array2::<f32>::zeros(series.raw_dim()).into());
        inputs.insert("loss_masks".to_owned(), Array2::<f32>::zeros((series.nrows(), 0)).into());
    }
    inputs
}

/// A case per head, from predictions at every position `[batch, positions, horizon]`: for the graph that predicts
/// everywhere, and, at the last position, for the graph that predicts only there.
///
/// With a `mask` `[batch, positions]` only real positions are compared; the last one is always real.
fn head_cases(
    prefix: &str,
    predictions: Vec<(usize, Array3<f64>)>,
    mask: Option<&Array2<i64>>,
    inputs: impl Fn(Variant) -> NamedTensors,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for (horizon, values) in predictions {
        let output = format!("predictions.h{horizon}");
        let name = format!("{prefix}{output}");
        let last = values.index_axis(Axis(1), values.dim().1 - 1).to_owned();
        let mut everywhere = Expected::new(values.into_dyn());
        if let Some(mask) = mask {
            everywhere = everywhere.where_real(mask.clone());
        }
        let last = Expected::new(last.into_dyn());
        cases.push(Case::of_output(Variant::Full, &name, inputs(Variant::Full), &output, everywhere));
        cases.push(Case::of_output(Variant::Last, &name, inputs(Variant::Last), &output, last));
    }
    cases
}

/// The names of a model's cache tensors after `past_key_values.` and `present.`: `0.key`, `0.value`, `1.key`, …
fn cache_parts(golden: &Golden) -> impl Iterator<Item = String> {
    (0..golden.config().layers()).flat_map(|layer| ["key", "value"].map(|part| format!("{layer}.{part}")))
}

/// A trial's name: `cpu/standard/moe/predictions.h8`.
pub fn trial_name(subject: Subject, golden: &Golden, case: &Case) -> String {
    format!("{subject}/{}/{}", golden.name(), case.path())
}
