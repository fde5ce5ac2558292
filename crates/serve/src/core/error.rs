//! Why a forecast did not come about, whatever protocol asked for it.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tmoe_runner::SeriesError;

use super::name::{ModelName, NameError, Version};

/// The model could not run a batch.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the model failed: {message}; the server's log says more")]
pub struct ModelFailure {
    /// What the provider said.
    pub message: Arc<str>,
}

/// Why a request is not taken in.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// As many requests as the server takes are being worked on.
    #[error("the server works on {limit} requests, and takes no more at once; try again in {} s", after.as_secs())]
    TooManyRequests {
        /// The limit.
        limit: usize,
        /// When there will probably be room.
        after: Duration,
    },
    /// So many points are waiting that this request would wait too long.
    #[error(
        "{waiting} points wait to be forecast, and with the {asked} of this request there would be more than the \
         {limit} that the server takes; try again in {} s", after.as_secs()
    )]
    TooManyPoints {
        /// Points that were admitted.
        waiting: usize,
        /// Points of the request.
        asked: usize,
        /// The limit.
        limit: usize,
        /// When there will probably be room.
        after: Duration,
    },
    /// The server is being stopped.
    #[error("the server is shutting down; send the request to another one")]
    ShuttingDown,
}

/// What is wrong with a request, apart from its form.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum Invalid {
    /// A series, the horizon or the context.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// There is nothing to forecast.
    #[error("there are no series; send at least one")]
    NoSeries,
    /// More series than one request may have.
    #[error("there are {found} series, and a request takes at most {limit}; send several requests")]
    TooManySeries {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The request alone has more points than the server ever takes.
    #[error(
        "the request costs {found} points, and the server takes at most {limit} at once; send several smaller requests"
    )]
    TooManyPoints {
        /// Points of all contexts and horizons, those of calibration included.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer would be longer than the server gives.
    #[error(
        "the answer would have {found} numbers, and the server gives at most {limit}; ask for fewer series, points or quantiles at once"
    )]
    TooManyValues {
        /// Series times horizon times quantiles and forecast.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A quantile that is none.
    #[error("the quantile {found} is not between 0 and 1; ask for levels such as 0.1 or 0.975")]
    Quantile {
        /// The level.
        found: f64,
    },
    /// More quantiles than one request may have.
    #[error("there are {found} quantiles, and a request takes at most {limit}")]
    TooManyQuantiles {
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// Why there is no model for a request.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unknown {
    /// A name that no model can have.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No such model.
    #[error("there is no model `{name}`; there is {}", list(available))]
    Model {
        /// As asked for.
        name: ModelName,
        /// The models that there are.
        available: Vec<ModelName>,
    },
    /// No such version of it.
    #[error("the model `{name}` has no version `{version}`; it has {}", list(available))]
    Version {
        /// The model.
        name: ModelName,
        /// As asked for.
        version: Version,
        /// The versions that there are.
        available: Vec<Version>,
    },
    /// The request names no model, and it is not clear which is meant.
    #[error("the request names no model, and the server has {}; name one", list(available))]
    Unnamed {
        /// The models that there are.
        available: Vec<ModelName>,
    },
}

/// A model that is known and does not serve.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the model `{name}` is not ready: {reason}")]
pub struct NotReady {
    /// Which.
    pub name: ModelName,
    /// Why.
    pub reason: String,
}

/// Why a request has no forecast.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ForecastError {
    /// What is asked for cannot be forecast.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such model.
    #[error(transparent)]
    Unknown(#[from] Unknown),
    /// The model does not serve.
    #[error(transparent)]
    NotReady(#[from] NotReady),
    /// The server has too much to do.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The time that the request had is over.
    #[error("the forecast was not ready after {} ms, the time that the request had; allow more, or ask for less", after.as_millis())]
    Deadline {
        /// How long that was.
        after: Duration,
    },
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelFailure),
}

/// `a, b and c`; "none" of nothing.
fn list<T: std::fmt::Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
