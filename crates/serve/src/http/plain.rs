//! `POST /v1/forecast`: series in, forecasts out, in as little JSON as possible.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use std::collections::BTreeMap;
use std::time::Duration;

use super::exchange::{Dialect, Target};
use super::failure::Failure;
use super::numbers::Numbers;
use super::object::Object;
use super::observe::RequestId;
use super::whole::Whole;
use crate::core::{Answer, Input, Request};

/// The dialect.
pub(crate) struct Plain;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    model: Option<String>,
    version: Option<String>,
    series: Vec<Series>,
    horizon: Whole,
    context: Option<Whole>,
    #[serde(default)]
    quantiles: Vec<f64>,
    timeout_ms: Option<Whole>,
}

/// A series is its values, or its values with a name.
#[derive(Debug)]
struct Series {
    id: Option<String>,
    values: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: Option<String>,
    values: Numbers<1>,
}

impl<'de> Deserialize<'de> for Series {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> serde::de::Visitor<'de> for Either {
            type Value = Series;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of numbers, or an object with `values` and perhaps `id`")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, elements: A) -> Result<Series, A::Error> {
                let values = serde::de::value::SeqAccessDeserializer::new(elements);
                Ok(Series { id: None, values: Numbers::<1>::deserialize(values)?.values })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, entries: A) -> Result<Series, A::Error> {
                let named = Named::deserialize(serde::de::value::MapAccessDeserializer::new(entries))?;
                Ok(Series { id: named.id, values: named.values.values })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Serialize)]
struct Answered<'a> {
    model: &'a str,
    version: &'a str,
    forecasts: Vec<Forecasted<'a>>,
    usage: Used,
    request_id: &'a str,
}

#[derive(Serialize)]
struct Forecasted<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantiles: Option<BTreeMap<String, &'a [f32]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Used {
    context_points: usize,
    forecast_points: usize,
}

impl Dialect for Plain {
    /// The ids of the series.
    type Wish = Vec<Option<String>>;

    fn decode(_: &HeaderMap, _: Target, body: Bytes) -> Result<(Request, Self::Wish), Failure> {
        let body: Asked = parsed(&body)?;
        let ids = body.series.iter().map(|series| series.id.clone()).collect();
        let series = body.series.into_iter().map(|series| Input { name: series.id, values: series.values });
        let request = Request {
            model: body.model,
            version: body.version,
            series: series.collect(),
            horizon: body.horizon.count(),
            context: body.context.map(Whole::count),
            quantiles: body.quantiles,
            timeout: timeout(body.timeout_ms)?,
        };
        Ok((request, ids))
    }

    fn encode(answer: Answer, ids: Self::Wish, id: &RequestId) -> Result<Response<Body>, Failure> {
        let forecasts = answer.forecasts.iter().zip(&ids).map(|(forecast, id)| match forecast {
            Ok(forecast) => Forecasted {
                id: id.as_deref(),
                values: Some(&forecast.values),
                quantiles: forecast.quantiles.as_ref().map(|quantiles| by_level(quantiles)),
                context: Some(forecast.context),
                error: None,
            },
            Err(error) => Forecasted {
                id: id.as_deref(),
                values: None,
                quantiles: None,
                context: None,
                error: Some(error.to_string()),
            },
        });
        let answered = Answered {
            model: answer.model.as_str(),
            version: answer.version.as_str(),
            forecasts: forecasts.collect(),
            usage: Used {
                context_points: answer.usage.context_points,
                forecast_points: answer.usage.forecast_points,
            },
            request_id: id.as_str(),
        };
        json_response(&answered)
    }

    fn failure(failure: &Failure, id: &RequestId) -> Value {
        self::failure(failure, id)
    }
}

/// A failure as this dialect, and whatever has none of its own, writes it.
pub(crate) fn failure(failure: &Failure, id: &RequestId) -> Value {
    json!({
        "error": {
            "code": failure.kind.word(),
            "message": failure.message,
            "parameter": failure.parameter,
            "request_id": id.as_str(),
        }
    })
}

/// Quantiles by their level as text, as JSON has them.
pub(crate) fn by_level(quantiles: &[(f64, Vec<f32>)]) -> BTreeMap<String, &[f32]> {
    quantiles.iter().map(|(level, values)| (level.to_string(), values.as_slice())).collect()
}

/// The time that a request has.
pub(crate) fn timeout(milliseconds: Option<Whole>) -> Result<Option<Duration>, Failure> {
    match milliseconds.map(Whole::get) {
        Some(0) => {
            let message = "timeout_ms is 0, and no answer is that fast; allow more, or leave it out";
            Err(Failure::invalid(message).about("timeout_ms"))
        }
        milliseconds => Ok(milliseconds.map(Duration::from_millis)),
    }
}

/// Reads an object of JSON; the failure says where it is wrong.
pub(crate) fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body)
        .map(|Object(value)| value)
        .map_err(|error| Failure::invalid(format!("the body is not the JSON that is expected: {error}")))
}

/// A response of JSON.
pub(crate) fn json_response(value: &impl Serialize) -> Result<Response<Body>, Failure> {
    let text =
        serde_json::to_vec(value).map_err(|error| Failure::new(super::failure::Kind::Internal, error))?;
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
