//! Memory of TensorRT's on the host.

use std::fmt;
use std::ops::Deref;

use cxx::UniquePtr;

use crate::bridge::ffi;

/// Bytes that TensorRT made: an engine, or a timing cache.
///
/// ```no_run
/// # fn f(memory: tmoe_tensorrt::HostMemory) -> std::io::Result<()> {
/// println!("{} bytes", memory.len()); // It is a slice.
/// std::fs::write("timing.cache", &memory)?;
/// # Ok(()) }
/// ```
pub struct HostMemory(pub(crate) UniquePtr<ffi::HostMemory>);

// SAFETY: the bytes do not change, and TensorRT frees them on any thread.
unsafe impl Send for HostMemory {}
// SAFETY: as above; only reading is possible.
unsafe impl Sync for HostMemory {}

impl Deref for HostMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for HostMemory {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for HostMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostMemory({} bytes)", self.len())
    }
}
