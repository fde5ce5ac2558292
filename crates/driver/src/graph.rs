//! CUDA graphs: work that was captured once and is launched as a whole.

use std::sync::Arc;

use crate::device::Device;
use crate::driver::Executable;
use crate::error::CallError;

/// Captured work of a device's stream.
pub struct Graph {
    device: Arc<Device>,
    executable: Executable,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("device", &self.device.index()).finish_non_exhaustive()
    }
}

// SAFETY: a graph belongs to no thread.
unsafe impl Send for Graph {}

impl Graph {
    /// Captures what `work` queues on the device's stream, instead of running it. Other threads may use the device meanwhile.
    ///
    /// # Errors
    ///
    /// What `work` says, or the driver: it queued something that cannot be captured.
    pub fn capture<E: From<CallError>>(
        device: &Arc<Device>,
        work: impl FnOnce() -> Result<(), E>,
    ) -> Result<Self, E> {
        let driver = device.driver();
        let executable = device.within(|| {
            // SAFETY: the stream is the device's, and exists as long as that.
            unsafe { driver.begin_capture(device.stream()) }?;
            let queued = work();
            // Also after an error: the stream must not go on capturing.
            // SAFETY: as above.
            let graph = unsafe { driver.end_capture(device.stream()) };
            queued?;
            let graph = graph?;
            // SAFETY: the graph was just captured, and is not used afterwards.
            let executable = unsafe {
                let executable = driver.instantiate(graph);
                driver.destroy_graph(graph);
                executable
            };
            Ok::<_, E>(executable?)
        })?;
        Ok(Self { device: Arc::clone(device), executable })
    }

    /// Queues the work on the device's stream.
    ///
    /// # Safety
    ///
    /// All that was captured, memory on the device and on the host, is still there until the stream was waited for.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub unsafe fn launch(&self) -> Result<(), CallError> {
        let driver = self.device.driver();
        // SAFETY: the graph lives as long as this value, and so does the stream; the rest is the caller's.
        self.device.within(|| unsafe { driver.launch(self.executable, self.device.stream()) })
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // After an error of the device there is nothing to destroy any more.
        let _ = self.device.within(|| {
            // SAFETY: launches were waited for.
            unsafe { self.device.driver().destroy_executable(self.executable) };
            Ok::<_, CallError>(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{DeviceMemory, PinnedMemory};
    use crate::testing;

    #[test]
    fn captured_copies_are_made_when_they_are_launched_and_as_often() {
        let Some(driver) = testing::driver(1, 0) else { return };
        let driver = driver.unwrap();
        let device = Device::open(driver, 0).unwrap();
        let memory = DeviceMemory::reserve(&device, 4).unwrap();
        let (mut from, mut to) =
            (PinnedMemory::reserve(&device, 4).unwrap(), PinnedMemory::reserve(&device, 4).unwrap());
        // SAFETY: all three live until the end of the test.
        let graph = Graph::capture(&device, || unsafe {
            memory.queue_upload(0..4, &from)?;
            memory.queue_download(0..4, &mut to)
        })
        .unwrap();
        assert_eq!(to.as_slice(), [0; 4]);
        for value in [3, 7] {
            from.as_mut_slice().fill(value);
            // SAFETY: as above.
            device.finish(|| unsafe { graph.launch() }).unwrap();
            assert_eq!(to.as_slice(), [value; 4]);
        }
        assert_eq!(testing::launches(driver), 2);
        drop((graph, memory, from, to, device));
        assert_eq!(testing::live(driver), 0);
    }

    #[test]
    fn work_that_fails_is_told_and_ends_the_capture() {
        let Some(driver) = testing::driver(1, 0) else { return };
        let device = Device::open(driver.unwrap(), 0).unwrap();
        let failure = CallError { call: "work", status: 1, text: "failed".to_owned() };
        assert_eq!(Graph::capture(&device, || Err(failure.clone())).unwrap_err(), failure);
        let mut memory = DeviceMemory::reserve(&device, 1).unwrap();
        memory.upload(&[5]).unwrap();
        let mut found = [0];
        memory.download(0, &mut found).unwrap();
        assert_eq!(found, [5], "copies are made again");
    }
}
