//! What can be set on a provider.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use tmoe_package::{Manifest, OpSet, Profile, Span};

use super::Provider;

/// What can be set on a provider. Each provider says which of these it heeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderOptions {
    /// Threads that compute one pass; `None`: one per physical core that this process may use. Heeded by `cpu`;
    /// `tract` computes on the calling thread, and `cuda` on one unless said, for the few nodes that stay on the processor.
    pub threads: Option<NonZeroUsize>,
    /// Whether idle threads wait for the next operator by spinning: faster, at the price of processor time while
    /// a pass runs. Heeded by `cpu` and `cuda`.
    pub spinning: bool,
    /// A library with the operators of the domain `tmoe`, `libtmoe_ops.so`, in place of those that are built in: one that was built
    /// for GPUs, say. Like every library it can do whatever this process can. Heeded by `cpu` and `cuda`.
    pub operators: Option<PathBuf>,
    /// Which of the machine's devices, counted from 0. Heeded by `cuda`, `tensorrt` and `engine`.
    pub device: usize,
    /// Bytes of the device that ONNX Runtime may take for weights and the results within a pass; `None`: all there are. The
    /// key/value cache, which grows with the forecast, is not counted. Heeded by `cuda`, and by `tensorrt` as the most that layers
    /// may use while they run.
    pub device_memory: Option<NonZeroUsize>,
    /// Whether decode passes are captured as CUDA graphs and replayed when a pass of the same shape comes again, which saves
    /// their launches. Heeded by `engine`, and by `cuda` with the graph `plugin` only: with another graph it is an error.
    ///
    /// Off, and to be switched on with care: while a pass is captured, no other thread of the process may use the device, and
    /// every captured shape holds memory until the session is closed.
    pub cuda_graph: bool,
    /// What only TensorRT heeds.
    pub tensorrt: TensorRtOptions,
}

/// What can be set on the providers that run TensorRT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorRtOptions {
    /// The library of plugins, `libtmoe_trt_plugins.so`, which the graph `plugin` needs. `engine` also finds it beside the
    /// program. Like every library it can do whatever this process can. Heeded by `tensorrt` and `engine`.
    pub plugins: Option<PathBuf>,
    /// Series at a time that engines are built for; `None`: as many as `tmoe-export engine` builds for. Heeded by `tensorrt`:
    /// the engines of `engine` are built already.
    pub batch: Option<Span>,
    /// The same for points of context.
    pub context: Option<Span>,
    /// Which types layers may compute in, besides those of the package's weights: faster, and less exact. Heeded by `tensorrt`.
    pub reduced: Option<Reduced>,
}

/// A type of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduced {
    /// IEEE half precision.
    Fp16,
    /// bfloat16.
    Bf16,
}

impl TensorRtOptions {
    /// The profiles that engines are built with.
    pub(crate) fn profiles(&self, manifest: &Manifest) -> [Profile; 2] {
        let (batch, context) = Profile::usual(manifest);
        Profile::prefill_and_decode(manifest, self.batch.unwrap_or(batch), self.context.unwrap_or(context))
    }
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self {
            threads: None,
            spinning: true,
            operators: None,
            device: 0,
            device_memory: None,
            cuda_graph: false,
            tensorrt: TensorRtOptions::default(),
        }
    }
}

impl ProviderOptions {
    /// Whether a provider has the operators of an op set: its own, or those of the library.
    pub fn runs(&self, provider: Provider, op_set: OpSet) -> bool {
        let library = match provider {
            Provider::Cuda => &self.operators,
            Provider::TensorRt if op_set == OpSet::Plugin => &self.tensorrt.plugins,
            _ => &None,
        };
        provider.runs(op_set) || library.is_some()
    }

    /// Threads that compute one pass on a provider.
    pub(crate) fn threads_on(&self, provider: Provider) -> usize {
        match (provider, self.threads) {
            (Provider::Cpu, None) => default_threads(),
            (Provider::Cpu | Provider::Cuda, Some(threads)) => threads.get(),
            _ => 1,
        }
    }
}

/// Matrix products gain nothing from a second thread on a core, and a container or an affinity mask may allow
/// fewer cores than the machine has.
fn default_threads() -> usize {
    let allowed = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    num_cpus::get_physical().clamp(1, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_is_what_is_asked_for_or_at_least_one() {
        assert!(ProviderOptions::default().threads_on(Provider::Cpu) >= 1);
        let options = ProviderOptions { threads: NonZeroUsize::new(3), ..Default::default() };
        assert_eq!(options.threads_on(Provider::Cpu), 3);
    }
}
