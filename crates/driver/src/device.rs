//! A device, and memory that is reserved and copied through the driver.
//!
//! ONNX Runtime works in the same context (the device's primary one), and so does TensorRT: addresses mean the same to all. ONNX
//! Runtime's own allocator is not used for what outlives a pass: a captured CUDA graph goes on writing to the addresses that
//! the arena gave its intermediate results, which may since have been given to somebody else.

use std::ffi::{c_int, c_void};
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use crate::driver::{Context, DeviceNumber, Driver};
use crate::error::{CallError, DriverError};

/// The address of memory on a device.
pub type Address = u64;
/// A queue of work on a device: CUDA's `cudaStream_t`.
pub type Stream = *mut c_void;

/// A device that this process works on.
pub struct Device {
    driver: &'static Driver,
    index: usize,
    name: String,
    architecture: u32,
    number: DeviceNumber,
    context: Context,
    stream: Stream,
}

// SAFETY: contexts and streams may be used from any thread, and copies on one stream are made in some order.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("index", &self.index).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Device {
    /// The device of that number.
    ///
    /// # Errors
    ///
    /// There are fewer, or the device does not start.
    pub fn open(driver: &'static Driver, index: usize) -> Result<Arc<Self>, DriverError> {
        let names = driver.devices()?;
        let missing = DriverError::NoSuchDevice { device: index, count: names.len() };
        let Some(name) = names.into_iter().nth(index) else { return Err(missing) };
        let Ok(number) = c_int::try_from(index) else { return Err(missing) };
        let number = driver.device_number(number)?;
        let architecture = driver.architecture(number)?;
        let context = driver.retain_context(number)?;
        // SAFETY: the context was just retained.
        let stream = unsafe { driver.within::<_, CallError>(context, || driver.create_stream()) };
        match stream {
            Ok(stream) => Ok(Arc::new(Self { driver, index, name, architecture, number, context, stream })),
            Err(error) => {
                // SAFETY: retained above, and not used.
                unsafe { driver.release_context(number) };
                Err(error.into())
            }
        }
    }

    /// Its number.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its compute capability, times ten: 86 for 8.6.
    pub fn architecture(&self) -> u32 {
        self.architecture
    }

    /// The stream on which copies are queued, and on which whoever works on the device may queue more.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    pub(crate) fn driver(&self) -> &'static Driver {
        self.driver
    }

    /// Free and total bytes.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn memory(&self) -> Result<(usize, usize), CallError> {
        self.within(|| self.driver.memory())
    }

    /// Runs `work` with the device as the calling thread's current one, as CUDA's runtime calls it.
    ///
    /// # Errors
    ///
    /// What `work` or the driver says.
    pub fn within<T, E: From<CallError>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        // SAFETY: the context is retained until this value is dropped.
        unsafe { self.driver.within(self.context, work) }
    }

    /// Runs `work`, which queues on the device's stream, and waits for what it queued. Within the device, as
    /// [`Device::within`].
    ///
    /// # Errors
    ///
    /// What `work` or the driver says.
    pub fn finish<T, E: From<CallError>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.within(|| {
            let queued = work();
            // Also after an error: what was queued before it must not outlive the memory.
            // SAFETY: the stream exists until this value is dropped.
            let waited = unsafe { self.driver.synchronize(self.stream) };
            let done = queued?;
            waited?;
            Ok(done)
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // After an error of the device there is nothing to destroy any more.
        let _ = self.within(|| {
            // SAFETY: all copies were waited for.
            unsafe { self.driver.destroy_stream(self.stream) };
            Ok::<_, CallError>(())
        });
        // SAFETY: retained by `open`; memory keeps its device alive, so that nothing is left in the context.
        unsafe { self.driver.release_context(self.number) };
    }
}

/// Memory of a device.
#[derive(Debug)]
pub struct DeviceMemory {
    device: Arc<Device>,
    address: Address,
    bytes: usize,
}

impl DeviceMemory {
    /// Reserves memory, whose contents are any.
    ///
    /// # Errors
    ///
    /// There is not as much, or the driver refuses.
    pub fn reserve(device: &Arc<Device>, bytes: usize) -> Result<Self, CallError> {
        let address = device.within(|| device.driver.allocate(bytes.max(1)))?;
        Ok(Self { device: Arc::clone(device), address, bytes })
    }

    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of the byte at `offset`.
    pub fn address(&self, offset: usize) -> Address {
        debug_assert!(offset <= self.bytes, "{offset} of {}", self.bytes);
        self.address + offset as Address
    }

    /// Fills the memory from its beginning.
    ///
    /// # Errors
    ///
    /// What the driver says.
    ///
    /// # Panics
    ///
    /// When `from` is longer than the memory.
    pub fn upload(&mut self, from: &[u8]) -> Result<(), CallError> {
        assert!(from.len() <= self.bytes, "more than there is room for");
        let Device { driver, stream, .. } = *self.device;
        // SAFETY: both hold as many bytes, and the copy is waited for before either can be dropped.
        self.device.finish(|| unsafe { driver.upload(self.address, from.as_ptr(), from.len(), stream) })
    }

    /// Queues a copy of the same bytes of `from` to the memory.
    ///
    /// # Safety
    ///
    /// Both live, and `from` does not change, until the stream was waited for; while a graph is captured, until that was
    /// launched last and waited for.
    ///
    /// # Errors
    ///
    /// What the driver says.
    ///
    /// # Panics
    ///
    /// When the bytes are not within both.
    pub unsafe fn queue_upload(&self, bytes: Range<usize>, from: &PinnedMemory) -> Result<(), CallError> {
        let Device { driver, stream, .. } = *self.device;
        assert!(bytes.end <= self.bytes, "more than there is room for");
        let from = &from.as_slice()[bytes.clone()];
        // SAFETY: both hold these bytes; the rest is the caller's.
        self.device
            .within(|| unsafe { driver.upload(self.address(bytes.start), from.as_ptr(), from.len(), stream) })
    }

    /// Queues a copy of the same bytes of the memory to `to`.
    ///
    /// # Safety
    ///
    /// Both live, and `to` is not looked at, until the stream was waited for; while a graph is captured, as in
    /// [`DeviceMemory::queue_upload`].
    ///
    /// # Errors
    ///
    /// What the driver says.
    ///
    /// # Panics
    ///
    /// When the bytes are not within both.
    pub unsafe fn queue_download(&self, bytes: Range<usize>, to: &mut PinnedMemory) -> Result<(), CallError> {
        let Device { driver, stream, .. } = *self.device;
        assert!(bytes.end <= self.bytes, "more than there is");
        let to = &mut to.as_mut_slice()[bytes.clone()];
        // SAFETY: both hold these bytes; the rest is the caller's.
        self.device.within(|| unsafe {
            driver.download(to.as_mut_ptr(), self.address(bytes.start), to.len(), stream)
        })
    }

    /// Fills `to` from `offset` on.
    ///
    /// # Errors
    ///
    /// What the driver says.
    ///
    /// # Panics
    ///
    /// When there are not as many bytes.
    pub fn download(&self, offset: usize, to: &mut [u8]) -> Result<(), CallError> {
        assert!(offset.checked_add(to.len()).is_some_and(|end| end <= self.bytes), "more than there is");
        let Device { driver, stream, .. } = *self.device;
        // SAFETY: as above.
        self.device
            .finish(|| unsafe { driver.download(to.as_mut_ptr(), self.address(offset), to.len(), stream) })
    }

    /// Copies pieces of `bytes` each from `from`, which is on the same device: pairs of offsets, there and here.
    ///
    /// # Errors
    ///
    /// What the driver says.
    ///
    /// # Panics
    ///
    /// When a piece is not within both.
    pub fn copy_pieces(
        &mut self,
        from: &Self,
        bytes: usize,
        pieces: impl Iterator<Item = (usize, usize)>,
    ) -> Result<(), CallError> {
        let Device { driver, stream, .. } = *self.device;
        self.device.finish(|| {
            for (source, target) in pieces {
                let fits =
                    |memory: &Self, at: usize| at.checked_add(bytes).is_some_and(|end| end <= memory.bytes);
                assert!(fits(from, source) && fits(self, target), "a piece outside the memory");
                // SAFETY: both hold as many bytes, and the copies are waited for.
                unsafe { driver.copy(self.address(target), from.address(source), bytes, stream) }?;
            }
            Ok(())
        })
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // After an error of the device there is nothing to free any more.
        let _ = self.device.within(|| {
            // SAFETY: reserved by `reserve`; copies were waited for, and so was every pass that used it.
            unsafe { self.device.driver.free(self.address) };
            Ok::<_, CallError>(())
        });
    }
}

/// Page-locked memory of the host, which a device copies from and to without a detour. It begins as zeros.
#[derive(Debug)]
pub struct PinnedMemory {
    device: Arc<Device>,
    pointer: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory is owned, and freed from any thread.
unsafe impl Send for PinnedMemory {}

impl PinnedMemory {
    /// Reserves memory.
    ///
    /// # Errors
    ///
    /// There is not as much, or the driver refuses.
    pub fn reserve(device: &Arc<Device>, bytes: usize) -> Result<Self, CallError> {
        let pointer = device.within(|| device.driver.allocate_host(bytes.max(1)))?;
        let Some(pointer) = NonNull::new(pointer) else {
            let text = "it gave no memory".to_owned();
            return Err(CallError { call: "cuMemAllocHost", status: 0, text });
        };
        // SAFETY: as many bytes were given.
        unsafe { pointer.write_bytes(0, bytes) };
        Ok(Self { device: Arc::clone(device), pointer, bytes })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: as many bytes are owned, and were written.
        unsafe { slice::from_raw_parts(self.pointer.as_ptr(), self.bytes) }
    }

    /// The bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.pointer.as_ptr(), self.bytes) }
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // After an error of the device there is nothing to free any more.
        let _ = self.device.within(|| {
            // SAFETY: reserved by `reserve`, and copies were waited for.
            unsafe { self.device.driver.free_host(self.pointer.as_ptr()) };
            Ok::<_, CallError>(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, DEVICE_BYTES};

    #[test]
    fn what_is_uploaded_is_copied_in_pieces_and_downloaded() {
        let Some(driver) = testing::driver(1, 0) else { return };
        let driver = driver.unwrap();
        let device = Device::open(driver, 0).unwrap();
        let mut small = DeviceMemory::reserve(&device, 8).unwrap();
        small.upload(&[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let mut large = DeviceMemory::reserve(&device, 12).unwrap();
        large.upload(&[0; 12]).unwrap();
        large.copy_pieces(&small, 3, [(0, 1), (4, 7)].into_iter()).unwrap();
        let mut host = PinnedMemory::reserve(&device, 11).unwrap();
        large.download(1, host.as_mut_slice()).unwrap();
        assert_eq!(host.as_slice(), [1, 2, 3, 0, 0, 0, 5, 6, 7, 0, 0]);
        drop((small, large, host));
        let (free, total) = device.memory().unwrap();
        assert_eq!((free, total), (DEVICE_BYTES, DEVICE_BYTES));
        drop(device);
        assert_eq!(testing::live(driver), 0);
    }

    #[test]
    fn memory_that_is_not_there_is_an_error_after_which_less_can_be_had() {
        let Some(driver) = testing::driver(1, 0) else { return };
        let device = Device::open(driver.unwrap(), 0).unwrap();
        let error = DeviceMemory::reserve(&device, DEVICE_BYTES + 1).err().unwrap();
        assert!(error.is_out_of_memory(), "{error}");
        assert!(DeviceMemory::reserve(&device, DEVICE_BYTES).is_ok());
    }

    #[test]
    fn no_bytes_can_be_reserved_and_copied() {
        let Some(driver) = testing::driver(1, 0) else { return };
        let device = Device::open(driver.unwrap(), 0).unwrap();
        let mut memory = DeviceMemory::reserve(&device, 0).unwrap();
        memory.upload(&[]).unwrap();
        memory.download(0, &mut []).unwrap();
    }

    #[test]
    fn a_device_that_is_not_there_is_told_with_how_many_there_are() {
        let Some(driver) = testing::driver(2, 0) else { return };
        let driver = driver.unwrap();
        let device = Device::open(driver, 1).unwrap();
        assert_eq!((device.index(), device.name(), device.architecture()), (1, "Fake GPU 1", 86));
        for index in [2, usize::MAX] {
            let text = Device::open(driver, index).err().unwrap().to_string();
            assert!(text.ends_with("the driver sees 2, counted from 0"), "{text}");
        }
    }
}
