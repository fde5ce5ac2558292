//! What reads the bytes of clients, by itself: for tests and fuzzing.

use axum::body::Bytes;
use axum::http::HeaderMap;

use crate::core::Request;
use crate::http::plain::Plain;
use crate::http::timeseries::TimeSeries;
use crate::http::{Dialect, Target, inference};

/// The body of `POST /v1/forecast`.
///
/// # Errors
///
/// What the client is told.
pub fn forecast(body: &[u8]) -> Result<Request, String> {
    decoded::<Plain>(body)
}

/// The body of `POST /v1/timeseries/forecast`.
///
/// # Errors
///
/// What the client is told.
pub fn timeseries(body: &[u8]) -> Result<Request, String> {
    decoded::<TimeSeries>(body)
}

/// The body of `POST /v2/models/{model}/infer`, whose JSON ends after `json_length` bytes, or with the body.
///
/// # Errors
///
/// What the client is told.
pub fn infer(body: &[u8], json_length: Option<usize>) -> Result<Request, String> {
    let decoded = inference::decode(body, json_length, Target::default());
    decoded.map(|(request, _)| request).map_err(|failure| failure.message)
}

fn decoded<D: Dialect>(body: &[u8]) -> Result<Request, String> {
    let decoded = D::decode(&HeaderMap::new(), Target::default(), Bytes::copy_from_slice(body));
    decoded.map(|(request, _)| request).map_err(|failure| failure.message)
}
