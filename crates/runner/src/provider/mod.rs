//! Providers: what executes a graph.
//!
//! A provider is one module here. To add one: a variant of [`Provider`] (its name, what it is, whether this
//! machine has it) and a type that implements [`Backend`].

pub mod cpu;
mod options;
pub mod tract;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tmoe_package::OpSet;

pub use self::options::ProviderOptions;
use crate::contract::CacheLayout;
use crate::error::{Error, GraphSource};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// What executes a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime on the CPU, from a shared library that is found when it is needed.
    Cpu,
    /// tract, compiled in: slower than ONNX Runtime, and there on every machine.
    Tract,
}

impl Provider {
    /// Every provider, the one that `auto` prefers first.
    pub const ALL: [Self; 2] = [Self::Cpu, Self::Tract];

    /// The name on command lines and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Tract => "tract",
        }
    }

    /// What it is, in a few words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Cpu => "ONNX Runtime on the CPU",
            Self::Tract => "tract on the CPU, one thread, built in",
        }
    }

    /// Whether this machine can run it. For [`Provider::Cpu`] this looks for ONNX Runtime's library and loads it.
    pub fn availability(self) -> Availability {
        match self {
            Self::Cpu => cpu::availability(),
            Self::Tract => tract::availability(),
        }
    }

    /// Whether it has the operators of that set.
    pub const fn runs(self, op_set: OpSet) -> bool {
        match self {
            Self::Cpu => true,
            Self::Tract => !matches!(op_set, OpSet::Plugin),
        }
    }

    /// Loads a graph file.
    pub(crate) fn load(
        self,
        graph: &GraphSource,
        content: GraphContent<'_>,
        options: &ProviderOptions,
    ) -> Result<Box<dyn Backend>, Error> {
        Ok(match self {
            Self::Cpu => Box::new(cpu::CpuBackend::load(graph, content, options)?),
            Self::Tract => Box::new(tract::TractBackend::load(graph, content)?),
        })
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no provider.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("there is no provider `{found}`; choose one of {}", names(*.auto))]
pub struct UnknownProvider {
    /// The text.
    pub found: String,
    /// Whether `auto` would have been accepted.
    pub auto: bool,
}

fn names(auto: bool) -> String {
    let names: Vec<&str> =
        auto.then_some("auto").into_iter().chain(Provider::ALL.map(Provider::name)).collect();
    names.join(", ")
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.name() == text)
            .ok_or_else(|| UnknownProvider { found: text.to_owned(), auto: false })
    }
}

/// Whether this machine can run a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Availability {
    /// It can.
    Ready {
        /// Which version, from where.
        detail: String,
    },
    /// It cannot.
    Missing {
        /// Why, and what to install.
        reason: String,
    },
}

impl Availability {
    /// Whether the provider can be used.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// Which provider is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderChoice {
    /// The fastest that this machine can run.
    #[default]
    Auto,
    /// This one, or an error.
    Only(Provider),
}

/// The provider that a [`ProviderChoice`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The provider.
    pub provider: Provider,
    /// When `auto` passed over a faster provider: why, and what to install.
    pub passed_over: Option<String>,
}

impl ProviderChoice {
    /// Comes to a provider. `auto` is `cpu` where ONNX Runtime is found, otherwise `tract`.
    pub fn select(self) -> Selection {
        self.select_with(Provider::availability)
    }

    fn select_with(self, availability: impl Fn(Provider) -> Availability) -> Selection {
        match self {
            Self::Only(provider) => Selection { provider, passed_over: None },
            Self::Auto => match availability(Provider::Cpu) {
                Availability::Ready { .. } => Selection { provider: Provider::Cpu, passed_over: None },
                Availability::Missing { reason } => {
                    Selection { provider: Provider::Tract, passed_over: Some(reason) }
                }
            },
        }
    }
}

impl From<Provider> for ProviderChoice {
    fn from(provider: Provider) -> Self {
        Self::Only(provider)
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Only(provider) => provider.fmt(f),
        }
    }
}

impl FromStr for ProviderChoice {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text
                .parse()
                .map(Self::Only)
                .map_err(|error: UnknownProvider| UnknownProvider { auto: true, ..error }),
        }
    }
}

/// What a graph is read from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GraphContent<'a> {
    /// A file, with its external data beside it.
    File(&'a std::path::Path),
    /// An ONNX model in memory.
    Bytes {
        model: &'a [u8],
        /// Where its external data lies, if it has any.
        folder: Option<&'a std::path::Path>,
    },
}

/// A graph loaded on a provider.
///
/// Callers have checked the inputs against the signature: all there, of the right types and shapes.
pub trait Backend: Send + Sync {
    /// What the graph takes and gives.
    fn signature(&self) -> &Signature;

    /// How many threads compute one pass.
    fn threads(&self) -> usize;

    /// Runs the graph once, from host tensors to host tensors.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] with what the provider said.
    fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error>;

    /// Begins a generation with an empty cache for `batch` series. `capacity` is how many points the cache will
    /// come to hold, for providers that reserve it.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] if the provider cannot reserve the cache.
    fn generation<'a>(
        &'a self,
        cache: &'a CacheLayout,
        batch: usize,
        capacity: usize,
    ) -> Result<Box<dyn Generation + 'a>, Error>;
}

/// A sequence of passes in which the cache stays in the provider's own form.
pub trait Generation: Send {
    /// Runs one pass. `inputs` are the graph's inputs except the cache, and so are the outputs that are returned.
    /// After an error the cache is what it was before.
    ///
    /// # Errors
    ///
    /// [`Error::Provider`] with what the provider said.
    fn step(&mut self, inputs: NamedTensors) -> Result<NamedTensors, Error>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_is_read_back_from_its_own_name() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse(), Ok(provider));
            assert_eq!(provider.to_string().parse(), Ok(ProviderChoice::Only(provider)));
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.name());
        }
        assert_eq!("auto".parse(), Ok(ProviderChoice::Auto));
        assert_eq!(ProviderChoice::Auto.to_string(), "auto");
    }

    #[test]
    fn an_unknown_provider_is_answered_with_the_names_there_are() {
        let message = "gpu".parse::<ProviderChoice>().unwrap_err().to_string();
        assert_eq!(message, "there is no provider `gpu`; choose one of auto, cpu, tract");
        let message = "auto".parse::<Provider>().unwrap_err().to_string();
        assert_eq!(message, "there is no provider `auto`; choose one of cpu, tract");
    }

    #[test]
    fn auto_is_cpu_where_its_library_is_found() {
        let selection = ProviderChoice::Auto.select_with(|_| Availability::Ready { detail: String::new() });
        assert_eq!(selection, Selection { provider: Provider::Cpu, passed_over: None });
    }

    #[test]
    fn auto_is_tract_elsewhere_and_says_why() {
        let selection =
            ProviderChoice::Auto.select_with(|_| Availability::Missing { reason: "no library".to_owned() });
        assert_eq!(
            selection,
            Selection { provider: Provider::Tract, passed_over: Some("no library".to_owned()) }
        );
    }

    #[test]
    fn a_provider_that_is_asked_for_is_never_replaced() {
        let selection = ProviderChoice::Only(Provider::Cpu)
            .select_with(|_| Availability::Missing { reason: "no library".to_owned() });
        assert_eq!(selection, Selection { provider: Provider::Cpu, passed_over: None });
    }

    #[test]
    fn tract_is_there_on_every_machine() {
        assert!(Provider::Tract.availability().is_ready());
    }
}
