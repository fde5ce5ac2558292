//! What clients ask for, out of the bytes that they send: every dialect by itself, without a server.
//!
//! The server reads requests through the same functions. Here they serve who checks requests before sending them, and fuzzing
//! (`tests/fuzz`).

use axum::body::Bytes;
use axum::http::HeaderMap;
use thiserror::Error;

use crate::core::Request;
use crate::http::failure::Failure;
use crate::http::plain::Plain;
use crate::http::timeseries::TimeSeries;
use crate::http::{Dialect, Target, inference};

/// Why bytes ask for nothing: what the server would tell the client, in one line.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct ParseError {
    message: String,
    /// The part of the request that is to blame, where it is one.
    pub part: Option<&'static str>,
}

impl From<Failure> for ParseError {
    fn from(failure: Failure) -> Self {
        Self { message: failure.message, part: failure.parameter }
    }
}

/// The body of `POST /v1/forecast`.
///
/// # Errors
///
/// [`ParseError`] if it is not the JSON that is expected.
pub fn forecast(body: &[u8]) -> Result<Request, ParseError> {
    decoded::<Plain>(body)
}

/// The body of KServe's `POST /v1/timeseries/forecast`.
///
/// # Errors
///
/// [`ParseError`] if it is not the JSON that is expected, or asks for what the model cannot do.
pub fn timeseries(body: &[u8]) -> Result<Request, ParseError> {
    decoded::<TimeSeries>(body)
}

/// The body of `POST /v2/models/{model}/infer` of the Open Inference Protocol v2, with its binary tensor data extension:
/// `json_length` bytes of JSON, or nothing but JSON if it is `None`, and the bytes of tensors behind it.
///
/// # Errors
///
/// [`ParseError`] if JSON and bytes do not fit together, or tensors not to the model's inputs.
pub fn infer(body: &[u8], json_length: Option<usize>) -> Result<Request, ParseError> {
    let (request, _) = inference::decode(body, json_length, Target::default())?;
    Ok(request)
}

/// The message `ModelInferRequest` of the Open Inference Protocol v2 over gRPC, without gRPC's frame.
///
/// # Errors
///
/// [`ParseError`] if it is no such message, or its tensors do not fit to the model's inputs.
pub fn infer_message(message: &[u8]) -> Result<Request, ParseError> {
    Ok(crate::grpc::infer_request(message)?)
}

fn decoded<D: Dialect>(body: &[u8]) -> Result<Request, ParseError> {
    let (request, _) = D::decode(&HeaderMap::new(), Target::default(), Bytes::copy_from_slice(body))?;
    Ok(request)
}
