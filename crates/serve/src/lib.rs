//! Serves Time-MoE packages: many clients, few passes.
//!
//! ```text
//! HTTP/1.1, HTTP/2, gRPC -> http, grpc -> core: admission -> queue -> batches -> model
//! ```
//!
//! - [`core`] is the server without any protocol: models and their versions, batching by a budget of points, limits, metrics.
//!   Models run on threads of their own, never on those that serve connections.
//! - [`Server`] listens and serves: a plain `POST /v1/forecast`, KServe's `POST /v1/timeseries/forecast`, the Open Inference
//!   Protocol v2 over REST and gRPC, health, metrics, and a page for people, all on one port.
//! - [`serve()`] is a whole program: the command `tmoe serve`.
//!
//! What clients send is not trusted: its size, its time and its depth are bounded before it is read, and names that reach a file system
//! are checked.

// What unit tests share with the tests outside calls the crate by its name.
#[cfg(test)]
extern crate self as tmoe_serve;

pub mod core;
mod grpc;
mod http;
pub mod inference;
mod key;
pub mod logging;
pub mod parse;
mod repository;
mod run;
mod server;
mod tls;

pub use http::BodyLimits;
pub use key::ApiKey;
pub use repository::{Repository, RepositoryError, Source, SourceError};
pub use run::serve;
pub use server::{ConnectionLimits, Options, ServeError, Server};
pub use tls::{TlsError, TlsFiles};
