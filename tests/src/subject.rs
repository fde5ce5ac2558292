//! What is tested: each graph of a package on each provider.

use std::fmt;
use std::path::PathBuf;

use tmoe_package::OpSet;
use tmoe_runner::{Availability, Provider};

use crate::packages::Variant;

/// A graph on a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// What executes it.
    pub provider: Provider,
    /// Which graph.
    pub graph: OpSet,
}

impl Subject {
    /// The subject that is there on every machine, with the graph that is the model's plainest reading.
    pub const REFERENCE: Self = Self { provider: Provider::Tract, graph: OpSet::Standard };

    /// Every graph on every provider that has its operators, or can be given a library with them.
    pub fn all() -> impl Iterator<Item = Self> {
        Provider::ALL
            .into_iter()
            .flat_map(|provider| OpSet::ALL.into_iter().map(move |graph| Self { provider, graph }))
            .filter(|subject| subject.provider.runs(subject.graph) || subject.needs_plugins())
    }

    /// Why this machine cannot run it, in a few words for the names of trials; `None` when it can.
    pub fn missing(self) -> Option<&'static str> {
        match self.provider.availability() {
            Availability::Ready { .. } => None,
            Availability::Missing { .. } => Some(match self.provider {
                Provider::Cuda => "no CUDA",
                Provider::Cpu => "no ONNX Runtime",
                Provider::TensorRt => "no TensorRT in ONNX Runtime",
                Provider::Engine => "no TensorRT and GPU",
                _ => "provider not available",
            }),
        }
        .or((self.needs_plugins() && plugins().is_none()).then_some("TMOE_TRT_PLUGINS is not set"))
    }

    /// Why it takes no package of a variant; `None` when it does.
    pub fn refuses(self, variant: Variant) -> Option<&'static str> {
        (self.on_tensorrt() && variant == Variant::Int8).then_some("TensorRT takes no int8 weights")
    }

    /// Why there are too many models of a kind for it.
    pub fn is_slow_to_open(self) -> Option<&'static str> {
        self.on_tensorrt().then_some("building engines of so many models takes hours")
    }

    /// Whether TensorRT runs it.
    pub fn on_tensorrt(self) -> bool {
        matches!(self.provider, Provider::TensorRt | Provider::Engine)
    }

    /// Whether it needs the library that `TMOE_TRT_PLUGINS` names.
    fn needs_plugins(self) -> bool {
        self.on_tensorrt() && self.graph == OpSet::Plugin
    }

    /// What the providers lack that this machine cannot run, a line each.
    pub fn reasons() -> String {
        let reason = |provider: Provider| match provider.availability() {
            Availability::Ready { .. } => None,
            Availability::Missing { reason } => Some(format!("{provider} is ignored: {reason}\n")),
        };
        Provider::ALL.into_iter().filter_map(reason).collect()
    }

    /// The known exception that a case of a checkpoint is on this subject.
    pub fn exception(self, checkpoint: &str, case: &str) -> Option<&'static Exception> {
        EXCEPTIONS.iter().find(|exception| {
            exception.subject == self && exception.checkpoint == checkpoint && exception.case == case
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.graph)
    }
}

/// The library of plugins for TensorRT, `libtmoe_trt_plugins.so`.
pub(crate) fn plugins() -> Option<PathBuf> {
    std::env::var_os("TMOE_TRT_PLUGINS").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A case that is known to fail. It is run all the same, and when it passes, that is a failure: of this list.
#[derive(Debug)]
pub struct Exception {
    /// Where.
    pub subject: Subject,
    /// Of which checkpoint.
    pub checkpoint: &'static str,
    /// Which case.
    pub case: &'static str,
    /// Why, and until when.
    pub reason: &'static str,
}

/// Every case that is known to fail.
pub const EXCEPTIONS: &[Exception] = &[];
