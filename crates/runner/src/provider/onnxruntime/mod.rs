//! What the providers on ONNX Runtime have in common.
//!
//! ```text
//! library      its shared library, found and checked: places says where, python asks Python
//! provider_library  the file beside it that holds an execution provider
//! session      a graph loaded by it
//! assignment   which of the session's execution providers runs which node
//! tensors      host tensors in and out
//! growing      generations whose cache every pass makes anew
//! in_place     generations whose cache is reserved once
//! ```

mod assignment;
mod growing;
mod in_place;
mod library;
mod places;
mod provider_library;
mod session;
mod status;
mod tensors;

pub(crate) use self::assignment::{RECORD_ASSIGNMENT, assigned_to};
pub(crate) use self::growing::GrowingGeneration;
pub(crate) use self::in_place::{InPlaceGeneration, Place};
pub use self::library::LibraryError;
pub(crate) use self::library::{Library, find};
pub(crate) use self::places::ENVIRONMENT_VARIABLE;
pub(crate) use self::provider_library::NoProvider;
pub(crate) use self::session::{Loaded, Setup};
pub(crate) use self::status::check;
pub(crate) use self::tensors::{from_host, results};
