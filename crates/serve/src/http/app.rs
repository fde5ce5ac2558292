//! What all handlers share.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::key::ApiKey;
use crate::repository::Repository;

/// What handlers need.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) core: Core,
    pub(crate) bodies: BodyLimits,
    pub(crate) key: Option<ApiKey>,
    pub(crate) repository: Repository,
}

/// Handlers hold it by reference count.
pub(crate) type SharedApp = Arc<App>;

/// What a request's body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Bytes.
    pub bytes: usize,
    /// Time from the request's head to the body's end.
    pub time: Duration,
}
