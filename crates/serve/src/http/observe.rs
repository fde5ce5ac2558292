//! Every request has an id, one line in the log, and its place in the counts.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response};
use axum::middleware::Next;

use super::app::SharedApp;
use crate::core::metrics::Metrics;

/// The header with a request's id, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a client.
const LONGEST_ID: usize = 128;

/// A request's id: the client's, or one of the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The id that [`observe`] gave a request.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        request.extensions().get().cloned().unwrap_or_else(Self::new)
    }

    fn from_headers(headers: &HeaderMap) -> Self {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let usable = |id: &&str| !id.is_empty() && id.len() <= LONGEST_ID;
        given.filter(usable).map_or_else(Self::new, |id| Self(id.into()))
    }

    /// Random for the process, counted within.
    fn new() -> Self {
        static PROCESS: LazyLock<u64> = LazyLock::new(rand::random);
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(format!("{:016x}-{}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed)).into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of a request before it has an answer. If it is dropped without one, the client went away.
struct Observed<'a> {
    metrics: &'a Metrics,
    id: RequestId,
    method: Method,
    route: String,
    start: Instant,
    answered: bool,
}

impl Observed<'_> {
    fn answer(&mut self, response: &Response<Body>) {
        self.answered = true;
        let code = code(response);
        let time = self.start.elapsed();
        self.metrics.answered(&self.route, code, time);
        let milliseconds = time.as_secs_f64() * 1e3;
        tracing::info!(
            id = self.id.as_str(), method = %self.method, route = self.route, code, milliseconds, "request"
        );
    }
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.metrics.abandoned.add(1);
            let milliseconds = self.start.elapsed().as_secs_f64() * 1e3;
            tracing::info!(
                id = self.id.as_str(), method = %self.method, route = self.route, milliseconds,
                "the client went away"
            );
        }
    }
}

/// The gRPC code where there is one, else the HTTP status.
fn code(response: &Response<Body>) -> u16 {
    let headers = response.headers();
    let grpc = headers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    let is_grpc =
        headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    // Where gRPC succeeds, its code follows the body.
    grpc.unwrap_or(if is_grpc { 0 } else { response.status().as_u16() })
}

/// The middleware around everything.
pub(crate) async fn observe(
    State(app): State<SharedApp>,
    mut request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let id = RequestId::from_headers(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    request.extensions_mut().insert(id.clone());
    let metrics = &app.core.metrics;
    let mut observed =
        Observed { metrics, id: id.clone(), method, route, start: Instant::now(), answered: false };
    let mut response = next.run(request).await;
    observed.answer(&response);
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
