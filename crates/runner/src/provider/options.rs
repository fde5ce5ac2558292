//! What can be set on a provider.

use std::num::NonZeroUsize;
use std::thread;

/// What can be set on a provider. Each provider says which of these it heeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderOptions {
    /// Threads that compute one pass; `None`: one per physical core that this process may use. Heeded by `cpu`;
    /// `tract` computes on the calling thread.
    pub threads: Option<NonZeroUsize>,
    /// Whether idle threads wait for the next operator by spinning: faster, at the price of processor time while
    /// a pass runs. Heeded by `cpu`.
    pub spinning: bool,
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self { threads: None, spinning: true }
    }
}

impl ProviderOptions {
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
