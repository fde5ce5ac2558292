//! From an answer to tensors.

use tmoe_runner::SeriesError;

use super::request::{Output, Wish};
use crate::core::{Answer, Forecast};

/// A tensor of float32 that goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputTensor {
    /// Which.
    pub output: Output,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values in row-major order.
    pub values: Vec<f32>,
}

/// The outputs that were wished for.
///
/// # Errors
///
/// A tensor has no place for errors of single series: the first one fails the request.
pub fn outputs(answer: &Answer, wish: &Wish) -> Result<Vec<OutputTensor>, SeriesError> {
    let forecasts: Vec<&Forecast> = answer
        .forecasts
        .iter()
        .map(|forecast| forecast.as_ref().map_err(Clone::clone))
        .collect::<Result<_, _>>()?;
    let horizon = forecasts.first().map_or(0, |forecast| forecast.values.len());
    let all = || match answer.levels {
        0 => vec![Output::Forecast],
        _ => vec![Output::Forecast, Output::Quantiles],
    };
    let outputs = wish.outputs.clone().unwrap_or_else(all);
    Ok(outputs.into_iter().map(|output| tensor(output, &forecasts, horizon, answer.levels)).collect())
}

fn tensor(output: Output, forecasts: &[&Forecast], horizon: usize, levels: usize) -> OutputTensor {
    let (shape, values) = match output {
        Output::Forecast => (
            vec![forecasts.len(), horizon],
            forecasts.iter().flat_map(|forecast| &forecast.values).copied().collect(),
        ),
        Output::Quantiles => {
            let mut values = Vec::with_capacity(forecasts.len() * levels * horizon);
            for forecast in forecasts {
                match &forecast.quantiles {
                    Some(quantiles) => values.extend(quantiles.iter().flat_map(|(_, values)| values)),
                    None => values.extend(std::iter::repeat_n(f32::NAN, levels * horizon)),
                }
            }
            (vec![forecasts.len(), levels, horizon], values)
        }
    };
    OutputTensor { output, shape, values }
}
