//! KServe's time-series forecast endpoint, `POST /v1/timeseries/forecast`.
//!
//! One output per input, in their order, each with its own status: an input whose forecast is no number spoils no other. The
//! model forecasts points, not distributions: `mean_forecast` is its point forecast, and quantiles are conformal
//! (`tmoe_backtest::conformal`), computed from how far the model was off earlier in the same series.

mod calendar;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tmoe_runner::SeriesError;

use self::calendar::Frequency;
use super::exchange::{Dialect, Target};
use super::failure::{Failure, Kind};
use super::numbers::Numbers;
use super::object::Object;
use super::observe::RequestId;
use super::plain::{by_level, json_response, parsed, timeout};
use super::whole::Whole;
use crate::core::{Answer, Forecast, Input, Request};

/// The dialect.
pub(crate) struct TimeSeries;

#[derive(Deserialize)]
struct Asked {
    model: String,
    inputs: Vec<Object<AskedSeries>>,
    options: Object<Options>,
}

#[derive(Deserialize)]
struct AskedSeries {
    #[serde(rename = "type")]
    kind: SeriesType,
    name: String,
    /// With a second level, so that multivariate series are refused for what they are.
    series: Numbers<2>,
    frequency: Frequency,
    start_timestamp: Option<String>,
}

/// Of what the endpoint knows, the model forecasts univariate series.
#[derive(Clone, Copy, PartialEq, Deserialize)]
enum SeriesType {
    #[serde(rename = "univariate_time_series")]
    Univariate,
    #[serde(rename = "multivariate_time_series")]
    Multivariate,
}

#[derive(Deserialize)]
struct Options {
    horizon: Whole,
    quantiles: Option<Vec<f64>>,
    context: Option<Whole>,
    timeout_ms: Option<Whole>,
}

/// What an output repeats of its input.
pub(crate) struct Wish {
    name: String,
    frequency: Frequency,
    /// When the forecast begins; empty where the input does not say when it begins.
    start: String,
}

#[derive(Serialize)]
struct Answered<'a> {
    id: &'a str,
    created_at: u64,
    status: &'static str,
    error: Option<Value>,
    model: &'a str,
    outputs: Vec<Output<'a>>,
    usage: Usage,
}

#[derive(Serialize)]
struct Output<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    status: &'static str,
    content: Vec<Content<'a>>,
    error: Option<Value>,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    mean_forecast: &'a [f32],
    frequency: Frequency,
    start_timestamp: &'a str,
    quantiles: Option<BTreeMap<String, &'a [f32]>>,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl Dialect for TimeSeries {
    type Wish = Vec<Wish>;

    fn decode(_: &HeaderMap, _: Target, body: Bytes) -> Result<(Request, Vec<Wish>), Failure> {
        let Asked { model, inputs, options: Object(options) } = parsed(&body)?;
        if inputs.iter().any(|Object(input)| input.kind == SeriesType::Multivariate) {
            let message = "the model forecasts univariate series; send each variable as an input of its own, of the type univariate_time_series";
            return Err(Failure::invalid(message).about("inputs.type"));
        }
        let (mut series, mut wishes) = (Vec::new(), Vec::new());
        for Object(input) in inputs {
            let Numbers { values, levels } = input.series;
            if levels > 1 {
                let message = format!(
                    "the series of the input {:?} has arrays within it; a univariate series is an array of numbers",
                    input.name
                );
                return Err(Failure::invalid(message).about("inputs.series"));
            }
            let start = match &input.start_timestamp {
                None => String::new(),
                Some(text) => calendar::after(text, input.frequency, values.len())
                    .map_err(|error| Failure::invalid(error).about("inputs.start_timestamp"))?,
            };
            wishes.push(Wish { name: input.name.clone(), frequency: input.frequency, start });
            series.push(Input { name: Some(input.name), values });
        }
        let request = Request {
            model: Some(model),
            version: None,
            series,
            horizon: options.horizon.count(),
            context: options.context.map(Whole::count),
            quantiles: options.quantiles.unwrap_or_default(),
            timeout: timeout(options.timeout_ms)?,
        };
        Ok((request, wishes))
    }

    fn encode(answer: Answer, wishes: Vec<Wish>, id: &RequestId) -> Result<Response<Body>, Failure> {
        let failed = answer.forecasts.iter().filter(|forecast| forecast.is_err()).count();
        let status = match failed {
            0 => "completed",
            some if some < wishes.len() => "partial",
            _ => "error",
        };
        let outputs = answer.forecasts.iter().zip(&wishes).enumerate();
        let outputs = outputs.map(|(index, (forecast, wish))| output(index, forecast, wish, id)).collect();
        let (prompt_tokens, completion_tokens) = (answer.usage.context_points, answer.usage.forecast_points);
        json_response(&Answered {
            id: id.as_str(),
            created_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            status,
            error: None,
            model: answer.model.as_str(),
            outputs,
            usage: Usage {
                prompt_tokens,
                completion_tokens,
                total_tokens: prompt_tokens + completion_tokens,
            },
        })
    }

    fn failure(failure: &Failure, _: &RequestId) -> Value {
        json!({ "error": error(failure) })
    }
}

fn output<'a>(
    index: usize,
    forecast: &'a Result<Forecast, SeriesError>,
    wish: &'a Wish,
    id: &RequestId,
) -> Output<'a> {
    let (status, content, error) = match forecast {
        Ok(forecast) => {
            let content = Content {
                kind: "univariate_time_series",
                name: &wish.name,
                mean_forecast: &forecast.values,
                frequency: wish.frequency,
                start_timestamp: &wish.start,
                quantiles: forecast.quantiles.as_ref().map(|quantiles| by_level(quantiles)),
            };
            ("completed", vec![content], None)
        }
        Err(problem) => ("error", Vec::new(), Some(error(&Failure::new(Kind::Internal, problem)))),
    };
    Output { kind: "time_series_forecast", id: format!("{}-{index}", id.as_str()), status, content, error }
}

/// An error as the endpoint's clients read it.
fn error(failure: &Failure) -> Value {
    json!({
        "code": failure.kind.status().as_u16().to_string(),
        "message": failure.message,
        "param": failure.parameter,
        "type": failure.kind.word(),
    })
}
