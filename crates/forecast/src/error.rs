//! Why a run, or a series of it, has no forecast.

use thiserror::Error;
use tmoe_data::FrequencyError;
use tmoe_data::read::ReadError;

/// Why a run ended early. What was handed out before stays valid.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The file cannot be read on.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The session failed, the horizon does not fit, or the run was cancelled.
    #[error(transparent)]
    Model(#[from] tmoe_runner::Error),
    /// Whoever takes the forecasts failed.
    #[error("{0}")]
    Sink(E),
}

/// Why one series has no forecast, while others have.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SeriesProblem {
    /// Its rows are not in order.
    #[error(transparent)]
    Data(#[from] tmoe_data::SeriesError),
    /// The model cannot forecast it.
    #[error(transparent)]
    Model(#[from] tmoe_runner::SeriesError),
    /// Its time axis cannot be continued.
    #[error(transparent)]
    Axis(#[from] FrequencyError),
}
