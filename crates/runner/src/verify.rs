//! The self-test of a package: whether a provider computes what the exporter computed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use thiserror::Error;
use tmoe_package::{OpSet, Package, Precision, files};

use crate::error::Error;
use crate::provider::Provider;
use crate::session::Session;
use crate::tensor::{NamedTensors, Tensor};

/// The largest difference that passes, relative to the largest value of the tensor, where everything is computed in float32
/// from the stored weights, as the exporter did.
pub const TOLERANCE: f64 = 1e-4;

/// What passes where the graph rounds activations to half precision (11 bits), for its cache, and for products on GPUs: of the root
/// mean square, see [`Row::error`].
pub const TOLERANCE_FP16: f64 = 1e-2;

/// The same where the graph rounds activations to bfloat16 (8 bits): for its cache, and for products on processors with instructions for it, and on GPUs.
pub const TOLERANCE_BF16: f64 = 5e-2;

/// The same where the graph quantises activations to 8 bits per token.
pub const TOLERANCE_INT8: f64 = 3e-1;

/// The largest difference that passes for a graph on a provider whose products are computed in a precision
/// ([`Session::precision`]).
///
/// Within ONNX Runtime, TensorRT may also round the factors of float32 products to TF32, which has as many bits as half precision:
/// there is no option against that.
pub fn tolerance(provider: Provider, precision: Precision, graph: OpSet) -> f64 {
    match (provider, graph, precision) {
        (Provider::TensorRt | Provider::Engine, _, Precision::Bf16) => TOLERANCE_BF16,
        (Provider::TensorRt, _, _) | (Provider::Engine, _, Precision::Fp16) => TOLERANCE_FP16,
        (_, OpSet::Plugin, Precision::Fp16) => TOLERANCE_FP16,
        (_, OpSet::Plugin, Precision::Bf16) => TOLERANCE_BF16,
        (_, OpSet::Plugin, Precision::Int8) => TOLERANCE_INT8,
        _ => TOLERANCE,
    }
}

/// Why a self-test could not be run. That a provider computes something else is not an error but a [`Report`].
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// A tensor's name is not of the form that self-tests have.
    #[error(
        "{}: the tensor `{tensor}` is neither `<case>.input.<name>` nor `<case>.expected.<name>`; export the \
         package again with this version",
        path.display()
    )]
    Name {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// There is nothing to compare.
    #[error("{} expects nothing; export the package again with this version", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Inputs, and the outputs expected of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// The graph's inputs; what is left out has the defaults of [`Session::run`].
    pub inputs: NamedTensors,
    /// Some of the graph's outputs.
    pub expected: NamedTensors,
}

/// The cases in a package's `selftest.safetensors`, where a tensor is named `<case>.input.<graph input>` or
/// `<case>.expected.<graph output>`.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfTest {
    /// The cases by name.
    pub cases: BTreeMap<String, Case>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What computed it.
    pub provider: Provider,
    /// From which graph.
    pub graph: OpSet,
    /// The case.
    pub case: String,
    /// The output.
    pub tensor: String,
    /// Largest difference relative to the largest expected value; infinite (`null` in JSON) for another shape and
    /// for values that are not numbers.
    ///
    /// Where activations are rounded, a token near the border of two experts may go to the other, and a few values with it
    /// are far off: there, the root mean square of the differences, relative to that of the tensor, or of all
    /// predictions of the case together, since a head of one point says nothing about how large forecasts are.
    pub error: f64,
    /// The largest error that passes.
    pub tolerance: f64,
    /// Whether it passes.
    pub pass: bool,
}

/// What a self-test found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// One per expected tensor.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether everything that was expected came out.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.pass)
    }

    /// The row with the largest error.
    pub fn worst(&self) -> Option<&Row> {
        self.rows.iter().max_by(|left, right| left.error.total_cmp(&right.error))
    }
}

impl SelfTest {
    /// Reads a package's self-test.
    ///
    /// # Errors
    ///
    /// [`Error::TensorFile`] and [`Error::SelfTest`].
    pub fn read(package: &Package) -> Result<Self, Error> {
        let path = package.path(files::SELFTEST);
        let mut cases: BTreeMap<String, Case> = BTreeMap::new();
        for (name, tensor) in Tensor::read_all(&path)? {
            let Some((case, part, port)) = split(&name) else {
                return Err(SelfTestError::Name { path, tensor: name }.into());
            };
            let case = cases.entry(case.to_owned()).or_default();
            let tensors = match part {
                Part::Input => &mut case.inputs,
                Part::Expected => &mut case.expected,
            };
            tensors.insert(port.to_owned(), tensor);
        }
        if cases.values().all(|case| case.expected.is_empty()) {
            return Err(SelfTestError::Empty { path }.into());
        }
        Ok(Self { cases })
    }

    /// What a session computes for every case, by case: to compare providers with each other.
    ///
    /// # Errors
    ///
    /// Those of [`Session::run`].
    pub fn outputs(&self, session: &Session) -> Result<BTreeMap<String, NamedTensors>, Error> {
        self.cases.iter().map(|(name, case)| Ok((name.clone(), session.run(case.inputs.clone())?))).collect()
    }

    /// Runs every case on a session and compares.
    ///
    /// # Errors
    ///
    /// Those of [`Session::run`].
    pub fn check(&self, session: &Session) -> Result<Report, Error> {
        let mut rows = Vec::new();
        let tolerance = tolerance(session.provider(), session.precision(), session.graph());
        let rounds = tolerance > TOLERANCE;
        for (name, case) in &self.cases {
            let outputs = session.run(case.inputs.clone())?;
            let of_predictions = case.expected.iter().filter(|(tensor, _)| is_prediction(tensor));
            let predictions = root_mean_square(of_predictions.flat_map(|(_, tensor)| floats(tensor)));
            rows.extend(case.expected.iter().map(|(tensor, expected)| {
                let error = match outputs.get(tensor) {
                    None => f64::INFINITY,
                    Some(found) if !rounds => relative_error(expected, found),
                    Some(found) if is_prediction(tensor) => rounded_error(expected, found, predictions),
                    Some(found) => rounded_error(expected, found, root_mean_square(floats(expected))),
                };
                Row {
                    provider: session.provider(),
                    graph: session.graph(),
                    case: name.clone(),
                    tensor: tensor.clone(),
                    error,
                    tolerance,
                    pass: error <= tolerance,
                }
            }));
        }
        Ok(Report { rows })
    }
}

#[derive(Clone, Copy)]
enum Part {
    Input,
    Expected,
}

/// Names of cases have no dots; names of inputs and outputs do.
fn split(name: &str) -> Option<(&str, Part, &str)> {
    let (case, rest) = name.split_once('.')?;
    let (part, port) = rest.split_once('.')?;
    match part {
        "input" => Some((case, Part::Input, port)),
        "expected" => Some((case, Part::Expected, port)),
        _ => None,
    }
}

/// The largest difference of two tensors relative to the largest absolute value expected; absolute where all that is
/// expected is zero. Floats of any width compare. Infinite for integers and floats, for another shape, and when either has a value
/// that is not finite.
pub fn relative_error(expected: &Tensor, found: &Tensor) -> f64 {
    if !compare(expected, found) {
        return f64::INFINITY;
    }
    largest_relative(floats(expected).zip(floats(found)))
}

/// Whether two tensors have a difference: the same shape, and both floats or both integers.
fn compare(expected: &Tensor, found: &Tensor) -> bool {
    let is_float = |tensor: &Tensor| tensor.element_type().is_float();
    is_float(expected) == is_float(found) && expected.shape() == found.shape()
}

/// Whether an output is a head's.
fn is_prediction(output: &str) -> bool {
    output.starts_with("predictions.")
}

/// The root mean square of the differences of two tensors, in units of `scale`, or absolute where that is zero. Infinite as in
/// [`relative_error`], and when either has a value that is not finite.
fn rounded_error(expected: &Tensor, found: &Tensor, scale: f64) -> f64 {
    if !compare(expected, found) {
        return f64::INFINITY;
    }
    let differences = floats(expected).zip(floats(found)).map(|(expected, found)| expected - found);
    let error = root_mean_square(differences);
    let relative = if scale > 0.0 { error / scale } else { error };
    if relative.is_finite() { relative } else { f64::INFINITY }
}

fn floats(tensor: &Tensor) -> Box<dyn Iterator<Item = f64> + '_> {
    match tensor {
        Tensor::F32(values) => Box::new(values.iter().map(|&value| f64::from(value))),
        Tensor::F16(values) => Box::new(values.iter().map(|&value| f64::from(value))),
        Tensor::BF16(values) => Box::new(values.iter().map(|&value| f64::from(value))),
        Tensor::I64(values) => Box::new(values.iter().map(|&value| value as f64)),
    }
}

/// Of nothing: zero.
fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value * value, count + 1));
    if count == 0 { 0.0 } else { (sum / f64::from(count)).sqrt() }
}

fn largest_relative(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut difference, mut magnitude) = (0.0_f64, 0.0_f64);
    for (expected, found) in pairs {
        if !(expected.is_finite() && found.is_finite()) {
            return f64::INFINITY;
        }
        difference = difference.max((expected - found).abs());
        magnitude = magnitude.max(expected.abs());
    }
    if magnitude > 0.0 { difference / magnitude } else { difference }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4, arr1, arr2};

    use super::*;
    use crate::testing::{self, counting_session};

    fn error(expected: &[f32], found: &[f32]) -> f64 {
        relative_error(&arr1(expected).into(), &arr1(found).into())
    }

    #[test]
    fn errors_are_relative_to_the_largest_value_expected() {
        assert_eq!(error(&[-8.0, 1.0], &[-8.0, 3.0]), 0.25);
        assert_eq!(error(&[0.0, 0.0], &[0.5, 0.0]), 0.5);
        assert_eq!(error(&[], &[]), 0.0);
    }

    #[test]
    fn what_is_not_a_number_or_of_another_shape_or_type_is_infinitely_wrong() {
        assert_eq!(error(&[1.0], &[f32::NAN]), f64::INFINITY);
        assert_eq!(error(&[f32::NAN], &[f32::NAN]), f64::INFINITY);
        assert_eq!(error(&[1.0], &[1.0, 1.0]), f64::INFINITY);
        let (float, int) = (Tensor::from(arr1(&[1.0_f32])), Tensor::from(arr1(&[1_i64])));
        assert_eq!(relative_error(&float, &int), f64::INFINITY);
        assert_eq!(relative_error(&int, &int), 0.0);
    }

    #[test]
    fn floats_of_different_widths_compare() {
        let expected = Tensor::from(arr1(&[1.0_f32, -2.0]));
        let found = Tensor::from(arr1(&[1.0, -1.5].map(half::bf16::from_f32)));
        assert_eq!(relative_error(&expected, &found), 0.25);
        assert_eq!(rounded_error(&expected, &found, 0.5), 0.5_f64.sqrt());
        let found = Tensor::from(arr1(&[1.0, -2.0].map(half::f16::from_f32)));
        assert_eq!(relative_error(&expected, &found), 0.0);
    }

    #[test]
    fn where_activations_are_rounded_errors_are_root_mean_squares() {
        let error = |expected: &[f32], found: &[f32], scale| {
            rounded_error(&arr1(expected).into(), &arr1(found).into(), scale)
        };
        assert_eq!(error(&[3.0, 5.0], &[3.0, 1.0], 2.0), 2.0_f64.sqrt());
        assert_eq!(error(&[0.0], &[0.5], 0.0), 0.5);
        assert_eq!(error(&[], &[], 0.0), 0.0);
        assert_eq!(error(&[1.0], &[f32::NAN], 1.0), f64::INFINITY);
        assert_eq!(error(&[1.0], &[1.0, 1.0], 1.0), f64::INFINITY);
        assert_eq!(rounded_error(&arr1(&[1.0_f32]).into(), &arr1(&[1_i64]).into(), 1.0), f64::INFINITY);
    }

    fn package_with(tensors: &[(&str, Tensor)]) -> (tempfile::TempDir, Package) {
        let folder = tempfile::tempdir().unwrap();
        let package = testing::package(folder.path(), "last");
        let tensors = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        Tensor::write_all(package.path(files::SELFTEST), &tensors).unwrap();
        (folder, package)
    }

    #[test]
    fn every_expected_tensor_becomes_a_row() {
        let input = Array3::from_elem((1, 2, 1), 10.0_f32);
        let (_folder, package) = package_with(&[
            ("prefill.input.input_ids", input.clone().into()),
            ("prefill.expected.predictions.h1", arr2(&[[11.0_f32]]).into()),
            ("decode.input.input_ids", input.into()),
            ("decode.input.past_key_values.0.key", Array4::<f32>::zeros((1, 1, 0, 4)).into()),
            ("decode.expected.predictions.h1", arr2(&[[10.0_f32]]).into()),
            ("decode.expected.no_such_output", arr2(&[[10.0_f32]]).into()),
        ]);
        let (session, _) = counting_session();
        let selftest = SelfTest::read(&package).unwrap();
        let report = selftest.check(&session).unwrap();
        let rows: Vec<(&str, &str, f64, bool)> = report
            .rows
            .iter()
            .map(|row| (row.case.as_str(), row.tensor.as_str(), row.error, row.pass))
            .collect();
        assert_eq!(
            rows,
            [
                ("decode", "no_such_output", f64::INFINITY, false),
                ("decode", "predictions.h1", 0.1, false),
                ("prefill", "predictions.h1", 0.0, true),
            ]
        );
        assert!(!report.passed());
        assert_eq!(report.worst().unwrap().tensor, "no_such_output");
        assert_eq!(serde_json::to_value(&report).unwrap()["rows"][0]["error"], serde_json::Value::Null);
        let outputs = selftest.outputs(&session).unwrap();
        assert_eq!(outputs["prefill"]["predictions.h1"], arr2(&[[11.0_f32]]).into());
    }

    #[test]
    fn tensors_with_other_names_and_self_tests_without_expectations_are_errors() {
        let one = Tensor::from(arr1(&[1.0_f32]));
        for name in ["input_ids", "prefill.input_ids", "prefill.output.predictions.h1"] {
            let (_folder, package) = package_with(&[(name, one.clone())]);
            let error = SelfTest::read(&package).unwrap_err();
            assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        }
        let (_folder, package) = package_with(&[("prefill.input.input_ids", one)]);
        let error = SelfTest::read(&package).unwrap_err();
        assert!(matches!(error, Error::SelfTest(SelfTestError::Empty { .. })), "{error}");
    }

    #[test]
    fn a_package_without_a_self_test_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let package = testing::package(folder.path(), "last");
        let error = SelfTest::read(&package).unwrap_err();
        assert!(error.to_string().contains(files::SELFTEST), "{error}");
    }
}
