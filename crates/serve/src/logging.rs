//! The log, on standard error.

use std::io::IsTerminal as _;
use std::str::FromStr;

use thiserror::Error;
use tracing::level_filters::LevelFilter;

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The text names no format.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no log format `{0}`; choose text or json")]
pub struct UnknownLogFormat(String);

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, UnknownLogFormat> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat(text.to_owned())),
        }
    }
}

/// Writes the log of this process from now on: what is at least as important as `level`. Does nothing if there is a log already.
pub fn start(format: LogFormat, level: LevelFilter) {
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(colours);
    let _ = match format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init(),
    };
}
