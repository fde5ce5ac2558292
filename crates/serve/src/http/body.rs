//! Bodies in: never longer than allowed, never later.

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::app::BodyLimits;
use super::failure::{Failure, Kind};

/// Reads a request's body.
pub(crate) async fn read(limits: BodyLimits, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let BodyLimits { bytes: limit, time } = limits;
    let too_large = || {
        let message = format!(
            "the body is longer than {limit} bytes, the most that the server takes; send several requests"
        );
        Failure::new(Kind::TooLarge, message)
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let message = format!("the body has the encoding {encoding:?}; send it as it is");
        return Err(Failure::new(Kind::Encoding, message));
    }
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(time, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failure::invalid(format!("the body broke off: {error}"))),
        Err(_) => {
            let message = format!("the body did not arrive within {} s", time.as_secs_f64());
            Err(Failure::new(Kind::SlowBody, message))
        }
    }
}
