//! Parity suites: data run once per provider.
//!
//! A suite ([`suites`]) is a list of cases: inputs, what to do with them, and what the original PyTorch model (the
//! [`golden`] checkpoints) makes of them. `tests/suites.rs` runs every case on every [`subject`]: a graph on a provider.
//! To add a provider, add it to [`tmoe_runner::Provider`]; to add a case, add a row to a suite.
//!
//! | test | holds |
//! |---|---|
//! | `tests/suites.rs` | every graph on every provider computes what the original does |
//! | `tests/random_parity.rs` | providers and graphs agree on models whose shapes are drawn at random |
//! | `tests/cache_growth.rs` | whatever room a cache is given, passes compute the same |
//! | `tests/operators.rs` | what single nodes of the domain `tmoe` refuse, and what they give at the edges |
//! | `tests/python_host.rs` | plain onnxruntime runs the plugin graph with the operator library |
//! | `tests/graphs.rs` | exported graphs have the structure that the package promises |
//!
//! What a machine cannot run is reported as ignored, by name and with the reason.

pub mod browser;
pub mod compare;
mod engines;
pub mod golden;
pub mod packages;
pub mod python;
pub mod report;
pub mod subject;
pub mod suites;
