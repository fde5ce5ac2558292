//! Everything that can go wrong in a call, and its code.

use std::str::Utf8Error;

use thiserror::Error;
use tmoe_package::UnknownOpSet;
use tmoe_runner::provider::UnknownProvider;
use tmoe_runner::{PackageError, SeriesError, UnknownNormalization};

/// What became of a call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// The names of C.
#[allow(non_camel_case_types)]
pub enum Code {
    /// It did what it is there for.
    TMOE_OK = 0,
    /// A pointer is NULL, or not aligned for what it points to.
    TMOE_ERROR_POINTER = 1,
    /// A text is not UTF-8.
    TMOE_ERROR_UTF8 = 2,
    /// An option has a value that it cannot have.
    TMOE_ERROR_OPTION = 3,
    /// A buffer has another length than the call needs.
    TMOE_ERROR_LENGTH = 4,
    /// The package is not there, damaged, or has not the graph.
    TMOE_ERROR_PACKAGE = 5,
    /// The provider cannot be used, or failed.
    TMOE_ERROR_PROVIDER = 6,
    /// The horizon is none, or longer than the model can forecast.
    TMOE_ERROR_HORIZON = 7,
    /// A series cannot be forecast.
    TMOE_ERROR_SERIES = 8,
    /// The stream holds all that it, or the model, can hold: restart it.
    TMOE_ERROR_STREAM_FULL = 9,
    /// The call was cancelled through its token.
    TMOE_ERROR_CANCELLED = 10,
    /// The call is not possible now: a stream on a forecaster that normalises, or a log callback where there is another.
    TMOE_ERROR_STATE = 11,
    /// A fault of the library itself.
    TMOE_ERROR_INTERNAL = 12,
}

/// Why a call failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("`{0}` is NULL")]
    Null(&'static str),
    #[error("`{0}` is not aligned for what it points to")]
    Misaligned(&'static str),
    #[error("`{name}` is not UTF-8: {source}")]
    Utf8 { name: &'static str, source: Utf8Error },
    #[error(transparent)]
    Provider(#[from] UnknownProvider),
    #[error(transparent)]
    Graph(#[from] UnknownOpSet),
    #[error(transparent)]
    Normalization(#[from] UnknownNormalization),
    #[error("there is no log level {0}; choose one of TMOE_LOG_ERROR (1) to TMOE_LOG_TRACE (5)")]
    LogLevel(i32),
    #[error("`{name}` has room for {found} numbers, expected {expected}")]
    Length { name: &'static str, expected: usize, found: usize },
    #[error("`{name}` has {length} elements, more than any memory holds")]
    TooLong { name: &'static str, length: usize },
    #[error(transparent)]
    Runner(#[from] tmoe_runner::Error),
    #[error(
        "a stream needs a forecaster with the normalisation none: that of the window changes with every point, and with it all \
         that was computed; scale the points yourself, by numbers that stay"
    )]
    StreamNormalizes,
    #[error("an earlier call on the stream ended in a fault of the library; open another stream")]
    StreamBroken,
    #[error("this process has a global subscriber of tracing already, which gets the events")]
    LogTaken,
    #[error("the log callback cannot be changed by the log callback")]
    LogInCallback,
    #[error("a fault of the library: {0}; please report it")]
    Panic(String),
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        Self::Runner(error.into())
    }
}

impl From<SeriesError> for Failure {
    fn from(error: SeriesError) -> Self {
        Self::Runner(error.into())
    }
}

impl Failure {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Null(_) | Self::Misaligned(_) => Code::TMOE_ERROR_POINTER,
            Self::Utf8 { .. } => Code::TMOE_ERROR_UTF8,
            Self::Provider(_) | Self::Graph(_) | Self::Normalization(_) | Self::LogLevel(_) => {
                Code::TMOE_ERROR_OPTION
            }
            Self::Length { .. } | Self::TooLong { .. } => Code::TMOE_ERROR_LENGTH,
            Self::Runner(error) => code_of(error),
            Self::StreamNormalizes | Self::LogTaken | Self::LogInCallback => Code::TMOE_ERROR_STATE,
            Self::StreamBroken | Self::Panic(_) => Code::TMOE_ERROR_INTERNAL,
        }
    }
}

fn code_of(error: &tmoe_runner::Error) -> Code {
    use tmoe_runner::Error;
    match error {
        Error::Package(_) | Error::Graph { .. } | Error::SelfTest(_) | Error::TensorFile(_) => {
            Code::TMOE_ERROR_PACKAGE
        }
        Error::Series(SeriesError::HorizonZero | SeriesError::HorizonTooLong { .. }) => {
            Code::TMOE_ERROR_HORIZON
        }
        Error::Series(SeriesError::StreamFull { .. }) => Code::TMOE_ERROR_STREAM_FULL,
        Error::Series(SeriesError::ContextZero) => Code::TMOE_ERROR_OPTION,
        Error::Series(_) => Code::TMOE_ERROR_SERIES,
        Error::Cancelled => Code::TMOE_ERROR_CANCELLED,
        Error::Library(_)
        | Error::Cuda(_)
        | Error::TensorRt(_)
        | Error::Engine(_)
        | Error::Input(_)
        | Error::OpSet { .. }
        | Error::CudaGraph { .. }
        | Error::Profile { .. }
        | Error::DeviceMemory { .. }
        | Error::Provider { .. } => Code::TMOE_ERROR_PROVIDER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_can_react_to_has_a_code_of_its_own() {
        let code = |error: SeriesError| Failure::from(error).code();
        assert_eq!(code(SeriesError::HorizonZero), Code::TMOE_ERROR_HORIZON);
        let full = SeriesError::StreamFull { points: 1, more: 1, most: 1 };
        assert_eq!(code(full), Code::TMOE_ERROR_STREAM_FULL);
        assert_eq!(code(SeriesError::ContextZero), Code::TMOE_ERROR_OPTION);
        assert_eq!(Failure::Runner(tmoe_runner::Error::Cancelled).code(), Code::TMOE_ERROR_CANCELLED);
        let missing = PackageError::NotFound("nowhere".into());
        assert_eq!(Failure::from(missing).code(), Code::TMOE_ERROR_PACKAGE);
    }
}
