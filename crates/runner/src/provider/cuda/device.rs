//! A device, and memory that is reserved and copied through the driver.
//!
//! ONNX Runtime works in the same context (the device's primary one), so that addresses mean the same to both. Its own
//! allocator is not used for what outlives a pass: a captured CUDA graph goes on writing to the addresses that the arena
//! gave its intermediate results, which may since have been given to somebody else.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::driver::{Address, CallError, Context, DeviceNumber, Driver, Stream};
use super::error::CudaError;

/// A device that this process works on.
pub(super) struct Device {
    driver: &'static Driver,
    index: usize,
    number: DeviceNumber,
    context: Context,
    stream: Stream,
}

// SAFETY: contexts and streams may be used from any thread, and copies on one stream are made in some order.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// The device of that number.
    pub(super) fn open(driver: &'static Driver, index: usize) -> Result<Arc<Self>, CudaError> {
        let count = driver.devices()?.len();
        let missing = CudaError::NoSuchDevice { device: index, count };
        let number = match c_int::try_from(index) {
            Ok(number) if index < count => driver.device_number(number)?,
            _ => return Err(missing),
        };
        let context = driver.retain_context(number)?;
        // SAFETY: the context was just retained.
        let stream = unsafe { driver.within(context, || driver.create_stream()) };
        match stream {
            Ok(stream) => Ok(Arc::new(Self { driver, index, number, context, stream })),
            Err(error) => {
                // SAFETY: retained above, and not used.
                unsafe { driver.release_context(number) };
                Err(error.into())
            }
        }
    }

    /// Its number.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Free and total bytes.
    pub(super) fn memory(&self) -> Result<(usize, usize), CallError> {
        self.within(|| self.driver.memory())
    }

    fn within<T>(&self, work: impl FnOnce() -> Result<T, CallError>) -> Result<T, CallError> {
        // SAFETY: the context is retained until this value is dropped.
        unsafe { self.driver.within(self.context, work) }
    }

    /// Runs `work`, which queues copies, and waits for them.
    fn copies(&self, work: impl FnOnce() -> Result<(), CallError>) -> Result<(), CallError> {
        self.within(|| {
            let queued = work();
            // Also after an error: what was queued before it must not outlive the memory.
            // SAFETY: the stream exists until this value is dropped.
            let waited = unsafe { self.driver.synchronize(self.stream) };
            queued.and(waited)
        })
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // After an error of the device there is nothing to destroy any more.
        let _ = self.within(|| {
            // SAFETY: all copies were waited for.
            unsafe { self.driver.destroy_stream(self.stream) };
            Ok(())
        });
        // SAFETY: retained by `open`; memory keeps its device alive, so that nothing is left in the context.
        unsafe { self.driver.release_context(self.number) };
    }
}

/// Memory of a device.
pub(super) struct DeviceMemory {
    device: Arc<Device>,
    address: Address,
    bytes: usize,
}

impl DeviceMemory {
    pub(super) fn reserve(device: &Arc<Device>, bytes: usize) -> Result<Self, CallError> {
        let address = device.within(|| device.driver.allocate(bytes.max(1)))?;
        Ok(Self { device: Arc::clone(device), address, bytes })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of the byte at `offset`.
    pub(super) fn address(&self, offset: usize) -> Address {
        debug_assert!(offset <= self.bytes, "{offset} of {}", self.bytes);
        self.address + offset as Address
    }

    /// Fills the memory from its beginning.
    pub(super) fn upload(&mut self, from: &[u8]) -> Result<(), CallError> {
        assert!(from.len() <= self.bytes, "more than there is room for");
        let Device { driver, stream, .. } = *self.device;
        // SAFETY: both hold as many bytes, and the copy is waited for before either can be dropped.
        self.device.copies(|| unsafe { driver.upload(self.address, from.as_ptr(), from.len(), stream) })
    }

    /// Fills `to` from `offset` on.
    pub(super) fn download(&self, offset: usize, to: &mut [u8]) -> Result<(), CallError> {
        assert!(offset.checked_add(to.len()).is_some_and(|end| end <= self.bytes), "more than there is");
        let Device { driver, stream, .. } = *self.device;
        // SAFETY: as above.
        self.device
            .copies(|| unsafe { driver.download(to.as_mut_ptr(), self.address(offset), to.len(), stream) })
    }

    /// Copies pieces of `bytes` each from `from`, which is on the same device: pairs of offsets, there and here.
    pub(super) fn copy_pieces(
        &mut self,
        from: &Self,
        bytes: usize,
        pieces: impl Iterator<Item = (usize, usize)>,
    ) -> Result<(), CallError> {
        let Device { driver, stream, .. } = *self.device;
        self.device.copies(|| {
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
            Ok(())
        });
    }
}

/// Page-locked memory of the host, which a device copies from and to without a detour. It begins as zeros.
pub(super) struct PinnedMemory {
    device: Arc<Device>,
    pointer: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory is owned, and freed from any thread.
unsafe impl Send for PinnedMemory {}

impl PinnedMemory {
    pub(super) fn reserve(device: &Arc<Device>, bytes: usize) -> Result<Self, CallError> {
        let pointer = device.within(|| device.driver.allocate_host(bytes.max(1)))?;
        let Some(pointer) = NonNull::new(pointer) else {
            let text = "it gave no memory".to_owned();
            return Err(CallError { call: "cuMemAllocHost", status: 0, text });
        };
        // SAFETY: as many bytes were given.
        unsafe { pointer.write_bytes(0, bytes) };
        Ok(Self { device: Arc::clone(device), pointer, bytes })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        // SAFETY: as many bytes are owned, and were written.
        unsafe { slice::from_raw_parts(self.pointer.as_ptr(), self.bytes) }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
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
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, DEVICE_BYTES};
    use super::*;

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
        assert_eq!(Device::open(driver, 1).unwrap().index(), 1);
        for index in [2, usize::MAX] {
            let text = Device::open(driver, index).err().unwrap().to_string();
            assert!(text.ends_with("the driver sees 2, counted from 0"), "{text}");
        }
    }
}
