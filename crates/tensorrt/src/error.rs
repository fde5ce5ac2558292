//! What can go wrong.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::flavour::{Flavour, Version};
use crate::library::LibraryError;
use crate::parser::ParserErrors;
use crate::plan::PlanError;

/// Why something did not work. Messages of TensorRT's are as it logged them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no usable library.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// There is no GPU to run on.
    #[error("TensorRT needs a GPU for this: {0}")]
    Driver(#[from] tmoe_driver::DriverError),
    /// TensorRT refused.
    #[error("TensorRT refused {operation}: {message}")]
    Refused {
        /// What was asked of it.
        operation: &'static str,
        /// What it said.
        message: String,
    },
    /// The flavour does not have what is asked for.
    #[error("{flavour} has no {what}")]
    Unsupported {
        /// The flavour.
        flavour: Flavour,
        /// What was asked for.
        what: String,
    },
    /// The parser refused a model.
    #[error("{}: TensorRT cannot parse this model: {errors}", path.display())]
    Parse {
        /// The model's file.
        path: PathBuf,
        /// What the parser said.
        errors: ParserErrors,
    },
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The progress monitor ended the build.
    #[error("the build was cancelled")]
    Cancelled,
    /// Objects of different builders.
    #[error("the {what} was made by another builder")]
    OtherBuilder {
        /// Which one.
        what: &'static str,
    },
    /// An engine's file that this library cannot take.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// TensorRT refused an engine that another version built.
    #[error(
        "the engine was built by {flavour} {found}, and {flavour} {library} refused it: {message}; build it again"
    )]
    OtherVersion {
        /// The flavour.
        flavour: Flavour,
        /// The version that built the engine.
        found: Version,
        /// The library's version.
        library: Version,
        /// What TensorRT said.
        message: String,
    },
    /// The engine has no such input or output.
    #[error("the engine has no {role} named {name:?}; it has {}", .known.join(", "))]
    UnknownTensor {
        /// Input, or tensor.
        role: &'static str,
        /// What was asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The engine has no such profile.
    #[error("the engine has no optimization profile {profile}: it has {count}")]
    UnknownProfile {
        /// What was asked for.
        profile: usize,
        /// How many there are.
        count: usize,
    },
    /// A shape that the profile does not allow.
    #[error(
        "the input {tensor} cannot have the shape {}: optimization profile {profile} of the engine allows {} to {}",
        Shape(.shape), Shape(.min), Shape(.max)
    )]
    OutsideProfile {
        /// The input.
        tensor: String,
        /// The shape that was asked for.
        shape: Vec<i64>,
        /// The profile that is chosen.
        profile: usize,
        /// The least that it allows.
        min: Vec<i64>,
        /// The most that it allows.
        max: Vec<i64>,
    },
    /// The profile of a builder cannot be used.
    #[error("the optimization profile is not valid at the input {input}: {reason}")]
    Profile {
        /// The input.
        input: String,
        /// Why.
        reason: String,
    },
    /// Work was asked for before all that it needs was set.
    #[error("{what} of {tensor} is not set")]
    NotSet {
        /// The shape, or the address.
        what: &'static str,
        /// The tensor.
        tensor: String,
    },
    /// Too little memory was given.
    #[error("the engine needs {needed} bytes of device memory, given were {given}")]
    TooLittleDeviceMemory {
        /// What it needs.
        needed: u64,
        /// What was given.
        given: u64,
    },
    /// The engine cannot change while something uses it.
    #[error("the engine cannot be refitted while it has another handle, or an execution context")]
    InUse,
    /// The engine's weights cannot be replaced.
    #[error("the engine was not built with weights that can be replaced")]
    NotRefittable,
    /// A text that C++ would read otherwise.
    #[error("{text:?} cannot be given to TensorRT: it holds a zero byte or is longer than 4095 bytes")]
    Text {
        /// The text.
        text: String,
    },
    /// A number that is too large for TensorRT.
    #[error("{what} cannot be {value}")]
    Number {
        /// What it is of.
        what: &'static str,
        /// The number.
        value: u64,
    },
}

/// A shape as TensorRT writes it.
pub(crate) struct Shape<'s>(pub(crate) &'s [i64]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

/// A name that can be given to C++ as it is.
pub(crate) fn checked_text(text: &str) -> Result<&str, Error> {
    match text.contains('\0') || text.len() >= 4096 {
        true => Err(Error::Text { text: text.chars().take(64).collect() }),
        false => Ok(text),
    }
}

/// A number as TensorRT takes it.
pub(crate) fn int32(what: &'static str, value: usize) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| Error::Number { what, value: value as u64 })
}
