//! Who may ask: the API key, and no page of another origin.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, Request, Response, Uri};
use axum::middleware::Next;

use super::app::SharedApp;
use super::failure::{Failure, Kind};
use super::observe::RequestId;
use super::plain;

/// Another header for the key, for clients that cannot set `Authorization`.
const KEY_HEADER: &str = "x-api-key";

/// Lets through who shows the key, or everyone if there is none.
pub(crate) async fn key(State(app): State<SharedApp>, request: Request<Body>, next: Next) -> Response<Body> {
    let Some(key) = &app.key else { return next.run(request).await };
    let shown = shown(request.headers());
    if shown.is_some_and(|shown| key.matches(shown)) {
        return next.run(request).await;
    }
    let message = match shown {
        None => "the server wants an API key; send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
        Some(_) => "the API key is wrong",
    };
    refuse(&request, &Failure::new(Kind::Unauthorized, message))
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get(KEY_HEADER) {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().as_bytes())
}

/// Refuses what a browser sends for a page of another origin: such a page could otherwise use a server that only listens on
/// loopback. Programs send no `Origin`.
pub(crate) async fn origin(request: Request<Body>, next: Next) -> Response<Body> {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    let foreign = headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let authority = origin.as_ref().and_then(Uri::authority).map(|authority| authority.as_str());
        authority.is_none() || authority != host
    });
    if foreign {
        let message = "the request comes from a page of another origin; call the server from its own page, or from a program";
        return refuse(&request, &Failure::new(Kind::Forbidden, message));
    }
    next.run(request).await
}

fn refuse(request: &Request<Body>, failure: &Failure) -> Response<Body> {
    if crate::grpc::is_grpc(request.headers()) {
        return crate::grpc::status(failure).into_http();
    }
    failure.response(&plain::failure(failure, &RequestId::of(request)))
}
