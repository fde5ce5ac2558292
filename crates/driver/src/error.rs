//! Why a GPU cannot be used.

use thiserror::Error;

/// A function of the driver that failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("NVIDIA's driver failed in {call}: {text}")]
pub struct CallError {
    /// The function.
    pub call: &'static str,
    /// Its status.
    pub status: i32,
    /// The status's name and meaning.
    pub text: String,
}

const OUT_OF_MEMORY: i32 = 2;

impl CallError {
    /// Whether the device's memory, or page-locked memory of the host, was too small.
    pub fn is_out_of_memory(&self) -> bool {
        self.status == OUT_OF_MEMORY
    }
}

/// Why there is no driver or no device to use.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DriverError {
    /// The driver cannot be opened.
    #[error(
        "NVIDIA's driver is needed: {library} cannot be loaded: {reason}; install the driver of your GPU"
    )]
    NoDriver {
        /// The driver's library.
        library: &'static str,
        /// What the loader said.
        reason: String,
    },
    /// The driver is there, but does not start, or a device does not.
    #[error("{0}; `nvidia-smi` says what the driver sees")]
    Call(#[from] CallError),
    /// The driver sees no GPU.
    #[error(
        "NVIDIA's driver sees no GPU; `nvidia-smi` and the variable CUDA_VISIBLE_DEVICES say what it may see"
    )]
    NoDevice,
    /// There are fewer devices.
    #[error("there is no CUDA device {device}; the driver sees {count}, counted from 0")]
    NoSuchDevice {
        /// The device that was asked for.
        device: usize,
        /// How many there are.
        count: usize,
    },
}
