//! The Open Inference Protocol v2 over REST: JSON, and tensors as bytes behind it (Triton's binary tensor data extension).
//!
//! A body is JSON, or, with the header `Inference-Header-Content-Length`, so many bytes of JSON followed by the bytes of the
//! inputs whose parameter `binary_data_size` says how many they are, in their order. Answers are made the same way, where
//! `binary_data_output` or an output's `binary_data` wishes so.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exchange::{Dialect, Target};
use super::failure::{Failure, Kind};
use super::numbers::Numbers;
use super::object::Object;
use super::observe::RequestId;
use super::plain::{json_response, parsed};
use super::whole::whole;
use crate::core::{Answer, Request};
use crate::inference::request::{Output, Parameters, Wish, request};
use crate::inference::response::{OutputTensor, outputs};
use crate::inference::tensor::{Head, Tensor};

/// The header that says where the JSON ends.
pub(crate) const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// How deep the arrays of a tensor may be nested.
const DEPTH: usize = 8;

/// The dialect.
pub(crate) struct OpenInference;

type Map = BTreeMap<String, Value>;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    id: String,
    #[serde(default)]
    parameters: Map,
    inputs: Vec<Object<AskedInput>>,
    outputs: Option<Vec<Object<AskedOutput>>>,
}

#[derive(Deserialize)]
struct AskedInput {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    #[serde(default)]
    parameters: Map,
    data: Option<Numbers<DEPTH>>,
}

#[derive(Deserialize)]
struct AskedOutput {
    name: String,
    #[serde(default)]
    parameters: Map,
}

/// What is wished for, and which outputs as bytes.
pub(crate) struct Wished {
    wish: Wish,
    /// Unless an output says otherwise.
    binary: bool,
    of_outputs: BTreeMap<&'static str, bool>,
}

#[derive(Serialize)]
struct Answered<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    outputs: Vec<AnsweredOutput<'a>>,
}

#[derive(Serialize)]
struct AnsweredOutput<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a [f32]>,
}

impl Dialect for OpenInference {
    type Wish = Wished;

    fn decode(headers: &HeaderMap, target: Target, body: Bytes) -> Result<(Request, Wished), Failure> {
        let json_length = headers.get(JSON_LENGTH).map(|length| {
            let number = length.to_str().ok().and_then(|text| text.parse::<usize>().ok());
            let message = || format!("the header Inference-Header-Content-Length is {length:?}, expected the length of the JSON in bytes");
            number.ok_or_else(|| Failure::invalid(message()))
        });
        decode(&body, json_length.transpose()?, target)
    }

    fn encode(answer: Answer, wished: Wished, _: &RequestId) -> Result<Response<Body>, Failure> {
        let tensors = outputs(&answer, &wished.wish).map_err(|error| Failure::new(Kind::Internal, error))?;
        encode(&answer, &wished, &tensors)
    }

    fn failure(failure: &Failure, _: &RequestId) -> Value {
        self::failure(failure)
    }
}

/// A failure as the protocol has it.
pub(crate) fn failure(failure: &Failure) -> Value {
    json!({ "error": failure.message })
}

/// Understands the body of an inference request whose JSON ends after `json_length` bytes, or with the body.
pub(crate) fn decode(
    body: &[u8],
    json_length: Option<usize>,
    target: Target,
) -> Result<(Request, Wished), Failure> {
    let json_length = json_length.unwrap_or(body.len());
    let Some((json, mut bytes)) = body.split_at_checked(json_length) else {
        let message = format!(
            "Inference-Header-Content-Length is {json_length}, and the body has {} bytes",
            body.len()
        );
        return Err(Failure::invalid(message));
    };
    let asked: Asked = parsed(json)?;
    let mut inputs = Vec::with_capacity(asked.inputs.len().min(4));
    for Object(input) in asked.inputs {
        let (tensor, rest) = tensor(input, bytes)?;
        inputs.push(tensor);
        bytes = rest;
    }
    if !bytes.is_empty() {
        let message =
            format!("{} bytes follow the last input; binary_data_size says how many each has", bytes.len());
        return Err(Failure::invalid(message));
    }
    let wished = wished(asked.id, &asked.parameters, asked.outputs)?;
    let parameters = heeded(&asked.parameters)?;
    let Target { model, version } = target;
    let asked = request(model, version, inputs, parameters, wished.wish.outputs.as_deref())
        .map_err(Failure::invalid)?;
    Ok((asked, wished))
}

/// The parameters that the server knows.
fn heeded(given: &Map) -> Result<Parameters, Failure> {
    let mut parameters = Parameters::default();
    for name in Parameters::NAMES {
        let Some(value) = given.get(name) else { continue };
        let number = value.as_i64().or_else(|| value.as_f64().and_then(whole));
        let message = || format!("the parameter {name} is {value}, expected a whole number");
        parameters.set(name, number.ok_or_else(|| Failure::invalid(message()))?);
    }
    Ok(parameters)
}

/// A tensor from its data or from the next of the bytes; and the bytes that are left.
fn tensor(input: AskedInput, bytes: &[u8]) -> Result<(Tensor, &[u8]), Failure> {
    let AskedInput { name, shape, datatype, parameters, data } = input;
    let size = match parameters.get("binary_data_size") {
        None => None,
        Some(size) => {
            let message = || {
                Failure::invalid(format!(
                    "binary_data_size of the input {name:?} is {size}, expected a number of bytes"
                ))
            };
            Some(size.as_u64().and_then(|size| usize::try_from(size).ok()).ok_or_else(message)?)
        }
    };
    let left = bytes.len();
    let problem = match (data, size) {
        (Some(data), None) => {
            let tensor = Head { name, datatype, shape }.with_values(data.values).map_err(Failure::invalid)?;
            return Ok((tensor, bytes));
        }
        (None, Some(size)) => match bytes.split_at_checked(size) {
            Some((own, rest)) => {
                let tensor = Head { name, datatype, shape }.with_bytes(own).map_err(Failure::invalid)?;
                return Ok((tensor, rest));
            }
            None => format!("should have {size} bytes, and {left} are left in the body"),
        },
        (Some(_), Some(_)) => "has both data and binary_data_size; send one of them".to_owned(),
        (None, None) => "has neither data nor binary_data_size; send one of them".to_owned(),
    };
    Err(Failure::invalid(format!("the input {name:?} {problem}")))
}

fn wished(id: String, parameters: &Map, asked: Option<Vec<Object<AskedOutput>>>) -> Result<Wished, Failure> {
    let flag = |parameters: &Map, name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(&Value::Bool(flag)) => Ok(Some(flag)),
        Some(other) => {
            Err(Failure::invalid(format!("the parameter {name} is {other}, expected true or false")))
        }
    };
    let binary = flag(parameters, "binary_data_output")?.unwrap_or(false);
    let mut of_outputs = BTreeMap::new();
    let mut wanted = Vec::new();
    // An empty list is as none, as in Triton.
    for Object(asked) in asked.iter().flatten() {
        let output = Output::named(&asked.name).map_err(Failure::invalid)?;
        if let Some(binary) = flag(&asked.parameters, "binary_data")? {
            of_outputs.insert(output.name(), binary);
        }
        if !wanted.contains(&output) {
            wanted.push(output);
        }
    }
    let outputs = (!wanted.is_empty()).then_some(wanted);
    Ok(Wished { wish: Wish { id, outputs }, binary, of_outputs })
}

fn encode(answer: &Answer, wished: &Wished, tensors: &[OutputTensor]) -> Result<Response<Body>, Failure> {
    let is_binary =
        |tensor: &OutputTensor| *wished.of_outputs.get(tensor.output.name()).unwrap_or(&wished.binary);
    let described = tensors.iter().map(|tensor| {
        let binary = is_binary(tensor);
        AnsweredOutput {
            name: tensor.output.name(),
            datatype: "FP32",
            shape: &tensor.shape,
            parameters: binary.then(|| json!({ "binary_data_size": tensor.values.len() * size_of::<f32>() })),
            data: (!binary).then_some(&tensor.values),
        }
    });
    let answered = Answered {
        model_name: answer.model.as_str(),
        model_version: answer.version.as_str(),
        id: &wished.wish.id,
        outputs: described.collect(),
    };
    if !tensors.iter().any(is_binary) {
        return json_response(&answered);
    }
    let mut body = serde_json::to_vec(&answered).map_err(|error| Failure::new(Kind::Internal, error))?;
    let json_length = body.len();
    for tensor in tensors.iter().filter(|tensor| is_binary(tensor)) {
        body.extend(tensor.values.iter().flat_map(|value| value.to_le_bytes()));
    }
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(JSON_LENGTH, HeaderValue::from(json_length));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(json: &str, bytes: &[u8]) -> Result<Request, String> {
        let body = [json.as_bytes(), bytes].concat();
        let decoded = decode(&body, Some(json.len()), Target::default());
        decoded.map(|(request, _)| request).map_err(|failure| failure.message)
    }

    const BINARY: &str = r#"{"inputs": [
        {"name": "series", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        {"name": "horizon", "shape": [1], "datatype": "INT64", "data": [3]},
        {"name": "quantiles", "shape": [1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    ]}"#;

    #[test]
    fn inputs_come_as_json_and_as_bytes_behind_it() {
        let bytes = [&1.5_f32.to_le_bytes()[..], &f32::NAN.to_le_bytes(), &0.9_f64.to_le_bytes()].concat();
        let request = ask(BINARY, &bytes).unwrap();
        assert_eq!(request.series[0].values[0], 1.5);
        assert!(request.series[0].values[1].is_nan());
        assert_eq!((request.horizon, request.quantiles.as_slice()), (3, &[0.9][..]));
    }

    #[test]
    fn bytes_that_are_too_few_or_too_many_are_refused() {
        let message = ask(BINARY, &[0; 15]).unwrap_err();
        assert_eq!(message, "the input \"quantiles\" should have 8 bytes, and 7 are left in the body");
        let message = ask(BINARY, &[0; 17]).unwrap_err();
        assert!(message.starts_with("1 bytes follow the last input"), "{message}");
        let other_size = BINARY.replacen("\"binary_data_size\": 8", "\"binary_data_size\": 7", 1);
        let message = ask(&other_size, &[0; 15]).unwrap_err();
        assert!(message.contains("has 7 bytes, and its shape [1, 2] of FP32 says 8"), "{message}");
        for size in ["-1", "\"8\"", "1e30", "null"] {
            let odd = BINARY.replacen("\"binary_data_size\": 8", &format!("\"binary_data_size\": {size}"), 1);
            assert!(ask(&odd, &[0; 16]).unwrap_err().contains("expected a number of bytes"), "{size}");
        }
        let failure = decode(b"{}", Some(3), Target::default()).err().unwrap();
        assert!(failure.message.contains("Inference-Header-Content-Length is 3"), "{failure:?}");
    }

    #[test]
    fn an_input_has_either_data_or_bytes() {
        for (part, expected) in
            [("", "neither"), (r#", "data": [1], "parameters": {"binary_data_size": 0}"#, "both")]
        {
            let json =
                format!(r#"{{"inputs": [{{"name": "series", "shape": [1, 1], "datatype": "FP32"{part}}}]}}"#);
            assert!(ask(&json, &[]).unwrap_err().contains(expected));
        }
    }

    #[test]
    fn outputs_are_wished_for_by_name() {
        let json = |outputs: &str| {
            format!(
                r#"{{"parameters": {{"horizon": 2, "binary_data_output": true}}, "outputs": {outputs}, "inputs": [
                {{"name": "series", "shape": [1, 1], "datatype": "FP32", "data": [[1]]}}]}}"#
            )
        };
        let wished = |outputs: &str| {
            decode(json(outputs).as_bytes(), None, Target::default()).map(|(_, wished)| wished)
        };
        let forecast = wished(r#"[{"name": "forecast", "parameters": {"binary_data": false}}]"#).unwrap();
        assert_eq!(forecast.wish.outputs, Some(vec![Output::Forecast]));
        assert_eq!((forecast.binary, forecast.of_outputs.get("forecast")), (true, Some(&false)));
        assert_eq!(wished("[]").unwrap().wish.outputs, None);
        assert!(wished(r#"[{"name": "other"}]"#).is_err());
        assert!(wished(r#"[{"name": "quantiles"}]"#).is_err());
    }

    proptest! {
        #[test]
        fn no_body_makes_the_decoder_panic(
            body in proptest::collection::vec(any::<u8>(), 0..200), length in proptest::option::of(0_usize..220),
        ) {
            let _ = decode(&body, length, Target::default());
        }

        #[test]
        fn no_binary_part_makes_the_decoder_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..40), rows in -2_i64..4, points in -2_i64..4, size in 0_usize..40,
        ) {
            let json = format!(
                r#"{{"parameters": {{"horizon": 1}}, "inputs": [{{"name": "series", "shape": [{rows}, {points}], "datatype": "FP32", "parameters": {{"binary_data_size": {size}}}}}]}}"#
            );
            if let Ok(request) = ask(&json, &bytes) {
                prop_assert_eq!(request.series.len() as i64, rows);
                prop_assert_eq!(bytes.len(), size);
                prop_assert!(request.series.iter().all(|series| series.values.len() as i64 == points));
            }
        }
    }
}
