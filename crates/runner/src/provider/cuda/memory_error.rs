//! What is said when a device's memory is too small.

use tmoe_driver::{CallError, Device};

use crate::error::{Error, GraphSource};
use crate::provider::Provider;
use crate::provider::onnxruntime::Loaded;

/// What memory was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum Asked {
    /// The cache of a generation.
    Cache { bytes: usize, batch: usize, capacity: usize },
    /// Inputs and outputs of a pass.
    Step { bytes: usize },
    /// None: a copy.
    Copy,
}

impl Asked {
    pub(in crate::provider) fn bytes(self) -> Option<u64> {
        match self {
            Self::Cache { bytes, .. } | Self::Step { bytes } => Some(bytes as u64),
            Self::Copy => None,
        }
    }

    pub(in crate::provider) fn purpose(self) -> String {
        match self {
            Self::Cache { batch, capacity, .. } => {
                format!("the cache of {batch} series of {capacity} points")
            }
            Self::Step { .. } => "the inputs and outputs of a pass".to_owned(),
            Self::Copy => "a copy".to_owned(),
        }
    }
}

/// The error of a call to the driver.
pub(super) fn out_of_memory(loaded: &Loaded, device: &Device, asked: &Asked, error: CallError) -> Error {
    if !error.is_out_of_memory() {
        return loaded.error(error);
    }
    device_memory(loaded.graph(), device, asked.bytes(), asked.purpose())
}

/// The error of a run of ONNX Runtime.
pub(in crate::provider) fn run_error(loaded: &Loaded, device: &Device, message: &str) -> Error {
    if !is_out_of_memory(message) {
        return loaded.error(message);
    }
    device_memory(loaded.graph(), device, requested(message), "the results within a pass".to_owned())
}

/// The error of ONNX Runtime while it loaded a graph.
pub(in crate::provider) fn load_error_of(
    provider: Provider,
    graph: &GraphSource,
    device: &Device,
    message: &str,
) -> Error {
    if !is_out_of_memory(message) {
        return Error::load(provider, graph, message);
    }
    device_memory(graph, device, requested(message), "the weights".to_owned())
}

/// That a device's memory is too small for something.
pub(in crate::provider) fn device_memory(
    graph: &GraphSource,
    device: &Device,
    requested: Option<u64>,
    purpose: String,
) -> Error {
    Error::DeviceMemory {
        graph: graph.clone(),
        device: device.index(),
        purpose,
        requested,
        free_and_total: device.memory().ok().map(|(free, total)| (free as u64, total as u64)),
    }
}

/// How ONNX Runtime's arena and CUDA itself say it.
pub(in crate::provider) fn is_out_of_memory(message: &str) -> bool {
    let said = [
        "Failed to allocate memory for requested buffer",
        "is smaller than requested bytes",
        "out of memory",
    ];
    said.into_iter().any(|said| message.contains(said))
}

/// How many bytes ONNX Runtime's arena was asked for.
fn requested(message: &str) -> Option<u64> {
    let number = |after: &str| {
        let (_, rest) = message.split_once(after)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    number("requested buffer of size ").or_else(|| number("requested bytes of "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_onnx_runtime_asked_for_is_read_from_what_it_says() {
        let arena = "Non-zero status code returned while running MatMul node. Name:'x' Status Message: \
                     bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 4194304";
        assert!(is_out_of_memory(arena));
        assert_eq!(requested(arena), Some(4_194_304));
        let limit = "Available memory of 1024 is smaller than requested bytes of 2048";
        assert!(is_out_of_memory(limit));
        assert_eq!(requested(limit), Some(2048));
        let cuda = "CUDA failure 2: out of memory ; GPU=0";
        assert!(is_out_of_memory(cuda));
        assert_eq!(requested(cuda), None);
        assert!(!is_out_of_memory("CUDA failure 700: an illegal memory access was encountered"));
    }
}
