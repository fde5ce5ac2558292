//! Why a checkpoint could not be had from the hub.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;
use crate::source::HubId;

/// A download that cannot be made or did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No folder to keep downloads in.
    #[error("no folder for downloads is known: set HF_HOME")]
    NoCache,
    /// The endpoint is no web address.
    #[error("the hub's endpoint is {found:?}, expected http://... or https://...: correct HF_ENDPOINT")]
    Endpoint {
        /// The text of the endpoint.
        found: String,
    },
    /// Downloads are forbidden, and the checkpoint is not in the cache.
    #[error(
        "{id} is neither an existing folder nor complete in {}, and HF_HUB_OFFLINE forbids downloads",
        cache.display()
    )]
    Offline {
        /// What was wanted.
        id: Box<HubId>,
        /// The cache that was searched.
        cache: PathBuf,
    },
    /// 401 or 403.
    #[error(
        "{endpoint} answered {status} for {id}: {}",
        if *with_token {
            "the token may not read this repository, expected a token in HF_TOKEN that may"
        } else {
            "the repository does not exist or is not public, set HF_TOKEN to a token that may read it"
        }
    )]
    Denied {
        /// The hub.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What was wanted.
        id: Box<HubId>,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// 404.
    #[error(
        "{id} is not an existing folder, and {endpoint} has no {file} for it: \
         check owner, name and revision"
    )]
    NotFound {
        /// The hub.
        endpoint: String,
        /// What was wanted.
        id: Box<HubId>,
        /// The file that was asked for.
        file: String,
    },
    /// A repository without safetensors.
    #[error(
        "{id} has neither model.safetensors nor model.safetensors.index.json at {endpoint}: \
         only safetensors weights are read"
    )]
    NoWeights {
        /// The hub.
        endpoint: String,
        /// What was wanted.
        id: Box<HubId>,
    },
    /// Another HTTP status.
    #[error("{endpoint} answered {status} for {file} of {id}: try again later")]
    Status {
        /// The hub.
        endpoint: String,
        /// The HTTP status.
        status: u16,
        /// What was wanted.
        id: Box<HubId>,
        /// The file that was asked for.
        file: String,
    },
    /// No connection.
    #[error(
        "{id} is not an existing folder, and {endpoint} cannot be reached: {source}: \
         check the network, or set HF_ENDPOINT to a mirror"
    )]
    Unreachable {
        /// The hub.
        endpoint: String,
        /// What was wanted.
        id: Box<HubId>,
        /// What the HTTP client says.
        source: Box<ureq::Error>,
    },
    /// The transfer broke off, or the cache could not be written.
    #[error("cannot download {file} of {id} into {}: {source}", cache.display())]
    Transfer {
        /// What was wanted.
        id: Box<HubId>,
        /// The file.
        file: String,
        /// The cache.
        cache: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Fewer or more bytes arrived than were announced. They have been deleted.
    #[error("{file} of {id} arrived with {found} bytes, expected {expected}: try again")]
    Incomplete {
        /// What was wanted.
        id: Box<HubId>,
        /// The file.
        file: String,
        /// Bytes announced by the hub.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// Something that answers HTTP but not as a hub does.
    #[error(
        "{endpoint} does not answer as a Hugging Face hub does for {file} of {id}: {reason}: \
         check HF_ENDPOINT"
    )]
    NotAHub {
        /// The hub.
        endpoint: String,
        /// What was wanted.
        id: Box<HubId>,
        /// The file that was asked for.
        file: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The downloaded index of shards cannot be used.
    #[error(transparent)]
    Index(Box<CheckpointError>),
}
