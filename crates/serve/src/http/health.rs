//! Health and metrics.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::app::SharedApp;
use super::failure::{Failure, Kind};
use super::plain::json_response;

/// The process answers.
pub(crate) async fn live() -> Response<Body> {
    written(&json!({ "live": true }))
}

/// All models serve, each after it passed its self-test on its provider, and the server is not being stopped.
pub(crate) async fn ready(State(app): State<SharedApp>) -> Response<Body> {
    let ready = app.core.is_ready();
    let mut response = written(&json!({ "ready": ready }));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

/// What Prometheus reads.
pub(crate) async fn metrics(State(app): State<SharedApp>) -> Response<Body> {
    let mut response = Response::new(Body::from(app.core.metrics.text()));
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// A response of JSON that can always be written.
pub(super) fn written(value: &serde_json::Value) -> Response<Body> {
    json_response(value).unwrap_or_else(|failure| {
        Failure::new(Kind::Internal, &failure.message).response(&serde_json::Value::Null)
    })
}
