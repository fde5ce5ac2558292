//! What can be set on a provider.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread;

use tmoe_package::OpSet;

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
    /// Which of the machine's devices, counted from 0. Heeded by `cuda`.
    pub device: usize,
    /// Bytes of the device that ONNX Runtime may take for weights and the results within a pass; `None`: all there are. The
    /// key/value cache, which grows with the forecast, is not counted. Heeded by `cuda`.
    pub device_memory: Option<NonZeroUsize>,
    /// Whether decode passes are captured as CUDA graphs and replayed when a pass of the same shape comes again, which saves
    /// their launches. Heeded by `cuda`, with the graph `plugin` only: with another graph it is an error.
    ///
    /// Off, and to be switched on with care: while a pass is captured, no other thread of the process may use the device, and
    /// every captured shape holds memory until the session is closed.
    pub cuda_graph: bool,
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
        }
    }
}

impl ProviderOptions {
    /// Whether a provider has the operators of an op set: its own, or those of the library.
    pub fn runs(&self, provider: Provider, op_set: OpSet) -> bool {
        provider.runs(op_set) || provider == Provider::Cuda && self.operators.is_some()
    }

    /// The number of threads to use.
    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or_else(default_threads, NonZeroUsize::get)
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
        assert!(ProviderOptions::default().threads() >= 1);
        let options = ProviderOptions { threads: NonZeroUsize::new(3), ..Default::default() };
        assert_eq!(options.threads(), 3);
    }
}
