//! From tensors and parameters to what is asked for.

use std::time::Duration;

use thiserror::Error;

use super::tensor::{Tensor, TensorError};
use crate::core::{Input, Request};

/// What a client wants back, and how its request is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// The client's name for the request; empty if it has none.
    pub id: String,
    /// The outputs in the order of the answer; all unless said.
    pub outputs: Option<Vec<Output>>,
}

/// The outputs of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The points.
    Forecast,
    /// The quantiles.
    Quantiles,
}

impl Output {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forecast => "forecast",
            Self::Quantiles => "quantiles",
        }
    }

    /// The output of that name.
    ///
    /// # Errors
    ///
    /// [`AskError::Output`].
    pub fn named(name: &str) -> Result<Self, AskError> {
        let known = [Self::Forecast, Self::Quantiles].into_iter().find(|output| output.name() == name);
        known.ok_or_else(|| AskError::Output { found: name.to_owned() })
    }
}

/// Parameters that the server heeds; it passes over others, as the protocol says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Points to forecast.
    pub horizon: Option<i64>,
    /// The most points that the model sees.
    pub context: Option<i64>,
    /// Microseconds that the answer may take.
    pub timeout: Option<i64>,
}

impl Parameters {
    /// What they are called.
    pub const NAMES: [&str; 3] = ["horizon", "context", "timeout"];

    /// Takes over a parameter that is a whole number.
    pub fn set(&mut self, name: &str, value: i64) {
        match name {
            "horizon" => self.horizon = Some(value),
            "context" => self.context = Some(value),
            "timeout" => self.timeout = Some(value),
            _ => {}
        }
    }
}

/// Why tensors ask for nothing that a model can do.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum AskError {
    /// A tensor by itself.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// An input of another name.
    #[error("the model has no input {found:?}; it has series, horizon, context and quantiles")]
    Input {
        /// As it stands in the request.
        found: String,
    },
    /// An input twice.
    #[error("the input {name:?} is there twice")]
    Twice {
        /// Which.
        name: String,
    },
    /// An output of another name.
    #[error("the model has no output {found:?}; it has forecast and quantiles")]
    Output {
        /// As it stands in the request.
        found: String,
    },
    /// Quantiles are wanted, and no levels given.
    #[error("the output quantiles needs the input quantiles, with levels such as [0.1, 0.9]")]
    NoLevels,
    /// The input that must be there.
    #[error("the input series is missing; send it as FP32 or FP64 of the shape [batch, points]")]
    NoSeries,
    /// The horizon must be there.
    #[error(
        "the horizon is missing; send it as the input horizon, INT64 of the shape [1], or as a parameter"
    )]
    NoHorizon,
    /// An input of another rank or size.
    #[error("the input {name} has the shape {found:?}, expected {expected}")]
    Shape {
        /// Which.
        name: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// What was expected.
        expected: &'static str,
    },
    /// A number that is no count.
    #[error("{name} is {found}, expected a whole number that is not negative")]
    Count {
        /// Which.
        name: &'static str,
        /// Its value.
        found: f64,
    },
}

/// Puts a request together.
///
/// # Errors
///
/// [`AskError`].
pub fn request(
    model: Option<String>,
    version: Option<String>,
    inputs: Vec<Tensor>,
    parameters: Parameters,
    outputs: Option<&[Output]>,
) -> Result<Request, AskError> {
    let [mut series, mut horizon, mut context, mut quantiles] = [None, None, None, None];
    for tensor in inputs {
        let place = match tensor.name.as_str() {
            "series" => &mut series,
            "horizon" => &mut horizon,
            "context" => &mut context,
            "quantiles" => &mut quantiles,
            _ => return Err(AskError::Input { found: tensor.name }),
        };
        if place.is_some() {
            return Err(AskError::Twice { name: tensor.name });
        }
        *place = Some(tensor);
    }
    let quantiles = match quantiles {
        None => Vec::new(),
        Some(Tensor { shape, values, .. }) if shape.len() == 1 => values,
        Some(Tensor { shape, .. }) => {
            return Err(AskError::Shape { name: "quantiles", found: shape, expected: "[levels]" });
        }
    };
    if quantiles.is_empty() && outputs.is_some_and(|outputs| outputs.contains(&Output::Quantiles)) {
        return Err(AskError::NoLevels);
    }
    let horizon = scalar("horizon", horizon, parameters.horizon)?.ok_or(AskError::NoHorizon)?;
    let timeout = parameters.timeout.map(|timeout| count("timeout", timeout as f64)).transpose()?;
    Ok(Request {
        model,
        version,
        series: rows(series.ok_or(AskError::NoSeries)?)?,
        horizon,
        context: scalar("context", context, parameters.context)?,
        quantiles,
        // As in Triton, 0 is no limit.
        timeout: timeout.filter(|&timeout| timeout > 0).map(|timeout| Duration::from_micros(timeout as u64)),
    })
}

/// A matrix as series.
fn rows(series: Tensor) -> Result<Vec<Input>, AskError> {
    let &[batch, points] = series.shape.as_slice() else {
        return Err(AskError::Shape { name: "series", found: series.shape, expected: "[batch, points]" });
    };
    // Empty rows say no more than their number, of which there may be any.
    if batch == 0 || points == 0 {
        return Err(AskError::Shape {
            name: "series",
            found: series.shape,
            expected: "at least one series of at least one point",
        });
    }
    let rows = series.values.chunks_exact(points);
    Ok(rows.map(|values| Input { name: None, values: values.to_vec() }).collect())
}

fn scalar(
    name: &'static str,
    tensor: Option<Tensor>,
    parameter: Option<i64>,
) -> Result<Option<usize>, AskError> {
    let value = match tensor {
        None => parameter.map(|value| value as f64),
        Some(tensor) => match tensor.values.as_slice() {
            &[value] => Some(value),
            _ => return Err(AskError::Shape { name, found: tensor.shape, expected: "[1]" }),
        },
    };
    value.map(|value| count(name, value)).transpose()
}

fn count(name: &'static str, value: f64) -> Result<usize, AskError> {
    // Up to here every whole number is a float.
    let is_count = value >= 0.0 && value <= 2.0_f64.powi(53) && value.fract() == 0.0;
    if is_count { Ok(value as usize) } else { Err(AskError::Count { name, found: value }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::datatype::Datatype;

    fn tensor(name: &str, shape: &[usize], values: &[f64]) -> Tensor {
        Tensor {
            name: name.to_owned(),
            datatype: Datatype::Fp64,
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    fn asked(inputs: Vec<Tensor>, parameters: Parameters) -> Result<Request, AskError> {
        request(None, None, inputs, parameters, None)
    }

    #[test]
    fn a_matrix_is_a_series_per_row() {
        let inputs = vec![
            tensor("horizon", &[1], &[7.0]),
            tensor("series", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            tensor("quantiles", &[2], &[0.1, 0.9]),
        ];
        let request = asked(inputs, Parameters { timeout: Some(1500), ..Parameters::default() }).unwrap();
        let rows: Vec<&[f64]> = request.series.iter().map(|input| input.values.as_slice()).collect();
        assert_eq!(rows, [&[1.0, 2.0, 3.0][..], &[4.0, 5.0, 6.0]]);
        assert_eq!((request.horizon, request.quantiles.as_slice()), (7, &[0.1, 0.9][..]));
        assert_eq!(request.timeout, Some(Duration::from_micros(1500)));
    }

    #[test]
    fn horizon_and_context_may_be_parameters() {
        let parameters = Parameters { horizon: Some(5), context: Some(9), timeout: Some(0) };
        let request = asked(vec![tensor("series", &[1, 1], &[1.0])], parameters).unwrap();
        assert_eq!((request.horizon, request.context, request.timeout), (5, Some(9), None));
    }

    #[test]
    fn what_the_model_cannot_do_is_refused_by_name() {
        let series = || tensor("series", &[1, 2], &[1.0, 2.0]);
        let horizon = || tensor("horizon", &[1], &[3.0]);
        let refused = |inputs: Vec<Tensor>| asked(inputs, Parameters::default()).unwrap_err();
        assert_eq!(refused(vec![horizon()]), AskError::NoSeries);
        assert_eq!(refused(vec![series()]), AskError::NoHorizon);
        assert!(matches!(refused(vec![series(), series()]), AskError::Twice { .. }));
        assert!(matches!(refused(vec![tensor("x", &[1], &[1.0])]), AskError::Input { .. }));
        let flat = tensor("series", &[2], &[1.0, 2.0]);
        assert!(matches!(refused(vec![flat, horizon()]), AskError::Shape { name: "series", .. }));
        let hollow = tensor("series", &[usize::MAX, 0], &[]);
        assert!(matches!(refused(vec![hollow, horizon()]), AskError::Shape { name: "series", .. }));
        for value in [-1.0, 0.5, f64::NAN, f64::INFINITY, 1e300] {
            let error = refused(vec![series(), tensor("horizon", &[1], &[value])]);
            assert!(matches!(error, AskError::Count { name: "horizon", .. }), "{error}");
        }
        let wanted =
            request(None, None, vec![series(), horizon()], Parameters::default(), Some(&[Output::Quantiles]));
        assert_eq!(wanted, Err(AskError::NoLevels));
        assert!(Output::named("other").is_err());
    }
}
