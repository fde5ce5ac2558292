//! The one way from a request to a forecast, whatever the dialect: admit, read, decode, forecast, encode, deliver.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, Response};
use serde_json::Value;

use super::app::App;
use super::body;
use super::delivery::{Line, deliver};
use super::failure::{Failure, Kind};
use super::observe::RequestId;
use crate::core::{Answer, Request as Asked};

/// Bodies up to this size are decoded and encoded where they come in; larger ones would keep other requests waiting.
const SMALL: usize = 64 * 1024;
/// Bytes of JSON per number, roughly.
const BYTES_PER_NUMBER: usize = 12;

/// The model that an address names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Target {
    pub(crate) model: Option<String>,
    pub(crate) version: Option<String>,
}

/// How requests and answers are written.
pub(crate) trait Dialect: 'static {
    /// What an answer needs to know of its request.
    type Wish: Send + 'static;

    /// Understands a request.
    fn decode(headers: &HeaderMap, target: Target, body: Bytes) -> Result<(Asked, Self::Wish), Failure>;

    /// Writes an answer.
    fn encode(answer: Answer, wish: Self::Wish, id: &RequestId) -> Result<Response<Body>, Failure>;

    /// Writes a failure.
    fn failure(failure: &Failure, id: &RequestId) -> Value;
}

/// Answers a request.
pub(crate) async fn exchange<D: Dialect>(
    app: &App,
    target: Target,
    request: Request<Body>,
) -> Response<Body> {
    let id = RequestId::of(&request);
    match answer::<D>(app, target, request, id.clone()).await {
        Ok(response) => response,
        Err(failure) => failure.response(&D::failure(&failure, &id)),
    }
}

async fn answer<D: Dialect>(
    app: &App,
    target: Target,
    request: Request<Body>,
    id: RequestId,
) -> Result<Response<Body>, Failure> {
    // Before the body is read: what is refused costs nothing.
    let permit = Arc::new(app.core.admission.enter()?);
    let line = request.extensions().get::<Line>().cloned();
    let (parts, body) = request.into_parts();
    let body = body::read(app.bodies, &parts.headers, body).await?;
    let size = body.len();
    let (asked, wish) = beside(size, move || D::decode(&parts.headers, target, body)).await?;
    let answer = app.core.forecast(&permit, asked).await?;
    let size = answer.values().saturating_mul(BYTES_PER_NUMBER);
    let response = beside(size, move || D::encode(answer, wish, &id)).await?;
    Ok(deliver(response, permit, line.as_ref()))
}

/// Runs a function here, or, if it has much to do, beside the threads that serve connections.
pub(crate) async fn beside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    if bytes <= SMALL {
        return work();
    }
    let result = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|error| Err(Failure::new(Kind::Internal, error)))
}
