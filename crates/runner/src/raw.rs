//! Any ONNX file on a provider, package or not.

use std::fmt;
use std::path::Path;

use crate::error::{Error, GraphSource};
use crate::provider::{Backend, GraphContent, Provider, ProviderOptions};
use crate::signature::Signature;
use crate::tensor::NamedTensors;

/// An ONNX model on a provider, without anything being known about it: what benchmarks measure a provider with.
pub struct RawModel {
    provider: Provider,
    backend: Box<dyn Backend>,
}

impl fmt::Debug for RawModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawModel").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl RawModel {
    /// Loads a file, with its external data beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Library`] or [`Error::Provider`].
    pub fn open(
        path: impl AsRef<Path>,
        provider: Provider,
        options: &ProviderOptions,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let source = GraphSource::File(path.to_owned());
        let backend = provider.load(&source, GraphContent::File(path), options)?;
        Ok(Self { provider, backend })
    }

    /// Loads a model that is in memory; its external data, if it has any, lies in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::Library`] or [`Error::Provider`].
    pub fn from_bytes(
        model: &[u8],
        folder: Option<&Path>,
        provider: Provider,
        options: &ProviderOptions,
    ) -> Result<Self, Error> {
        let backend = provider.load(&GraphSource::Memory, GraphContent::Bytes { model, folder }, options)?;
        Ok(Self { provider, backend })
    }

    /// The provider that runs it.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// How many threads compute one pass.
    pub fn threads(&self) -> usize {
        self.backend.threads()
    }

    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        self.backend.signature()
    }

    /// Runs it once: the tensors are its inputs by name.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when an input is unknown, missing, or of another type or shape than the model and the other
    /// inputs ask for; [`Error::Provider`] when the provider fails.
    pub fn run(&self, inputs: NamedTensors) -> Result<NamedTensors, Error> {
        self.backend.signature().check(&inputs)?;
        self.backend.run(inputs)
    }
}
