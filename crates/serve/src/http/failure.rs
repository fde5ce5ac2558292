//! Why a request has no answer, in terms of every protocol: an HTTP status, a gRPC code, and one line for a person.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::core::error::{ForecastError, Refusal};
use crate::core::registry::LoadError;

/// What kind of failure it is; everything else follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The request is not understood, or cannot be forecast.
    Invalid,
    /// The API key is missing or wrong.
    Unauthorized,
    /// The request comes from a page of another origin.
    Forbidden,
    /// No such model, version or address.
    NotFound,
    /// The address is there, and not with this method.
    Method,
    /// The body did not arrive in time.
    SlowBody,
    /// The body is too long.
    TooLarge,
    /// The body is encoded in a way that is not understood.
    Encoding,
    /// There is too much to do.
    Overloaded,
    /// The model or the server failed.
    Internal,
    /// The model or the server does not serve now.
    Unavailable,
    /// The time is over.
    Deadline,
}

impl Kind {
    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Deadline => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// A word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Method => "method_not_allowed",
            Self::SlowBody => "body_timeout",
            Self::TooLarge => "too_large",
            Self::Encoding => "unsupported_encoding",
            Self::Overloaded => "overloaded",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline_exceeded",
        }
    }
}

/// A failure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// What is wrong, what was expected, what to do.
    pub(crate) message: String,
    /// The part of the request that is to blame, where it is one.
    pub(crate) parameter: Option<&'static str>,
    /// When to come back.
    pub(crate) after: Option<Duration>,
}

/// Characters of a message: some of what is wrong, and where.
const BEGINNING: usize = 600;
const END: usize = 200;

/// One line that is not too long for a log or a header, whatever the client sent that is repeated in it.
fn line(text: &str) -> String {
    let (beginning, end) = match (text.char_indices().nth(BEGINNING), text.char_indices().nth_back(END - 1)) {
        (Some((beginning, _)), Some((end, _))) if beginning < end => (beginning, Some(end)),
        _ => (text.len(), None),
    };
    let mut line = String::with_capacity(beginning);
    let mut append = |part: &str| {
        for character in part.chars() {
            match character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                true => line.extend(character.escape_default()),
                false => line.push(character),
            }
        }
    };
    append(text.get(..beginning).unwrap_or_default());
    if let Some(end) = end {
        append(" ... ");
        append(text.get(end..).unwrap_or_default());
    }
    line
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: line(&message.to_string()), parameter: None, after: None }
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::new(Kind::Invalid, message)
    }

    pub(crate) fn about(self, parameter: &'static str) -> Self {
        Self { parameter: Some(parameter), ..self }
    }

    /// A response with this body, and the headers that the status calls for.
    pub(crate) fn response(&self, body: &Value) -> Response<Body> {
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(after) = self.after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (kind, after) = match refusal {
            Refusal::TooManyRequests { after, .. } | Refusal::TooManyPoints { after, .. } => {
                (Kind::Overloaded, Some(after))
            }
            Refusal::ShuttingDown => (Kind::Unavailable, Some(Duration::from_secs(1))),
        };
        Self { after, ..Self::new(kind, refusal) }
    }
}

impl From<ForecastError> for Failure {
    fn from(error: ForecastError) -> Self {
        match error {
            ForecastError::Invalid(invalid) => Self::invalid(invalid),
            ForecastError::Unknown(unknown) => Self::new(Kind::NotFound, unknown).about("model"),
            ForecastError::NotReady(not_ready) => Self::new(Kind::Unavailable, not_ready).about("model"),
            ForecastError::Refused(refusal) => refusal.into(),
            ForecastError::Deadline { .. } => Self::new(Kind::Deadline, error),
            ForecastError::Model(failure) => Self::new(Kind::Internal, failure),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unknown(unknown) => Self::new(Kind::NotFound, unknown).about("model"),
            failed @ LoadError::Failed { .. } => Self::invalid(failed).about("model"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let message = |text: &str| Failure::invalid(text).message;
        assert_eq!(message("`a\nb\u{1b}\u{2028}` ist kein Maß"), "`a\\nb\\u{1b}\\u{2028}` ist kein Maß");
        let most = "ß".repeat(BEGINNING + END);
        assert_eq!(message(&most), most);
        let long = format!("begin{}end", "ß".repeat(100_000));
        let cut = message(&long);
        assert_eq!(cut.chars().count(), BEGINNING + END + " ... ".len());
        assert!(cut.starts_with("beginß") && cut.ends_with("ßend"), "{cut}");
    }
}
