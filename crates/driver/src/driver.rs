//! NVIDIA's driver, libcuda: found and called at run time, nothing is linked.
//!
//! The functions are those of CUDA's driver API, which every driver since CUDA 4 exports under these names.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::fmt;
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

use crate::device::{Address, Stream};
use crate::error::{CallError, DriverError};

/// The driver's library.
pub const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// What a function of the driver returns: 0, or what went wrong.
pub(crate) type Status = c_int;
/// A device's number within the driver.
pub(crate) type DeviceNumber = c_int;
/// A context: what a process has on a device.
pub(crate) type Context = *mut c_void;
/// Work that was captured, as it is.
pub(crate) type Captured = *mut c_void;
/// Work that was captured, ready to be launched.
pub(crate) type Executable = *mut c_void;

const NO_DEVICE: Status = 100;

macro_rules! functions {
    ($($name:ident: $symbol:literal($($argument:ty),*);)*) => {
        /// The driver's functions.
        struct Functions {
            $($name: unsafe extern "system" fn($($argument),*) -> Status,)*
        }

        impl Functions {
            /// # Safety
            ///
            /// The library is NVIDIA's driver, and outlives the functions.
            unsafe fn find(library: &Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of the driver API.
                unsafe { Ok(Self { $($name: *library.get($symbol)?,)* }) }
            }
        }
    };
}

functions! {
    init: b"cuInit\0"(c_uint);
    driver_version: b"cuDriverGetVersion\0"(*mut c_int);
    device_count: b"cuDeviceGetCount\0"(*mut c_int);
    device: b"cuDeviceGet\0"(*mut DeviceNumber, c_int);
    device_name: b"cuDeviceGetName\0"(*mut c_char, c_int, DeviceNumber);
    device_attribute: b"cuDeviceGetAttribute\0"(*mut c_int, c_int, DeviceNumber);
    retain_context: b"cuDevicePrimaryCtxRetain\0"(*mut Context, DeviceNumber);
    release_context: b"cuDevicePrimaryCtxRelease_v2\0"(DeviceNumber);
    push_context: b"cuCtxPushCurrent_v2\0"(Context);
    pop_context: b"cuCtxPopCurrent_v2\0"(*mut Context);
    create_stream: b"cuStreamCreate\0"(*mut Stream, c_uint);
    destroy_stream: b"cuStreamDestroy_v2\0"(Stream);
    synchronize: b"cuStreamSynchronize\0"(Stream);
    memory_info: b"cuMemGetInfo_v2\0"(*mut usize, *mut usize);
    allocate: b"cuMemAlloc_v2\0"(*mut Address, usize);
    free: b"cuMemFree_v2\0"(Address);
    allocate_host: b"cuMemAllocHost_v2\0"(*mut *mut c_void, usize);
    free_host: b"cuMemFreeHost\0"(*mut c_void);
    upload: b"cuMemcpyHtoDAsync_v2\0"(Address, *const c_void, usize, Stream);
    download: b"cuMemcpyDtoHAsync_v2\0"(*mut c_void, Address, usize, Stream);
    copy: b"cuMemcpyDtoDAsync_v2\0"(Address, Address, usize, Stream);
    begin_capture: b"cuStreamBeginCapture_v2\0"(Stream, c_int);
    end_capture: b"cuStreamEndCapture\0"(Stream, *mut Captured);
    destroy_graph: b"cuGraphDestroy\0"(Captured);
    instantiate: b"cuGraphInstantiateWithFlags\0"(*mut Executable, Captured, c_ulonglong);
    destroy_executable: b"cuGraphExecDestroy\0"(Executable);
    launch: b"cuGraphLaunch\0"(Executable, Stream);
    error_name: b"cuGetErrorName\0"(Status, *mut *const c_char);
    error_text: b"cuGetErrorString\0"(Status, *mut *const c_char);
}

/// The driver, started.
pub struct Driver {
    functions: Functions,
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "kept loaded for the functions"))]
    library: Library,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// The driver of this machine, which stays loaded once it was there.
    ///
    /// # Errors
    ///
    /// There is none, or it does not start.
    pub fn of_this_machine() -> Result<&'static Self, DriverError> {
        static DRIVER_OF_THIS_MACHINE: OnceLock<Driver> = OnceLock::new();
        if let Some(driver) = DRIVER_OF_THIS_MACHINE.get() {
            return Ok(driver);
        }
        let driver = Self::open(DRIVER)?;
        Ok(DRIVER_OF_THIS_MACHINE.get_or_init(|| driver))
    }

    /// Loads a driver, by name or path, and starts it.
    ///
    /// # Errors
    ///
    /// There is none, or it does not start.
    pub fn open(library: &'static str) -> Result<Self, DriverError> {
        let missing = |error: libloading::Error| DriverError::NoDriver {
            library,
            reason: tmoe_libraries::loader_reason(&error),
        };
        // SAFETY: loading a library runs its initialisers; this one is NVIDIA's driver by its name, which the system
        // gives to that alone.
        let loaded = unsafe { Library::new(library) }.map_err(missing)?;
        // SAFETY: as above; the library is kept with the functions.
        let functions = unsafe { Functions::find(&loaded) }.map_err(missing)?;
        let driver = Self { functions, library: loaded };
        // SAFETY: takes no flags, and may be called more than once.
        let status = unsafe { (driver.functions.init)(0) };
        if status == NO_DEVICE {
            return Err(DriverError::NoDevice);
        }
        driver.check("cuInit", status)?;
        Ok(driver)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// The version of CUDA that it supports: major and minor.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn version(&self) -> Result<(u32, u32), DriverError> {
        let mut version = 0;
        // SAFETY: writes a number.
        self.check("cuDriverGetVersion", unsafe { (self.functions.driver_version)(&mut version) })?;
        let version = u32::try_from(version).unwrap_or(0);
        Ok((version / 1000, version % 1000 / 10))
    }

    /// The names of the devices, in the order of their numbers: at least one.
    ///
    /// # Errors
    ///
    /// There is none, or what the driver says.
    pub fn devices(&self) -> Result<Vec<String>, DriverError> {
        let mut count = 0;
        // SAFETY: writes a number.
        self.check("cuDeviceGetCount", unsafe { (self.functions.device_count)(&mut count) })?;
        if count <= 0 {
            return Err(DriverError::NoDevice);
        }
        Ok((0..count)
            .map(|index| self.device_name(self.device_number(index)?))
            .collect::<Result<_, CallError>>()?)
    }

    pub(crate) fn device_number(&self, index: c_int) -> Result<DeviceNumber, CallError> {
        let mut number = 0;
        // SAFETY: writes a number.
        self.check("cuDeviceGet", unsafe { (self.functions.device)(&mut number, index) })?;
        Ok(number)
    }

    fn device_name(&self, device: DeviceNumber) -> Result<String, CallError> {
        let mut name: [c_char; 256] = [0; 256];
        // SAFETY: writes at most 255 characters and a zero.
        let status = unsafe { (self.functions.device_name)(name.as_mut_ptr(), 256, device) };
        self.check("cuDeviceGetName", status)?;
        // SAFETY: the last element is zero, whatever was written before it.
        Ok(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
    }

    /// The compute capability of a device, times ten: 86 for 8.6.
    pub(crate) fn architecture(&self, device: DeviceNumber) -> Result<u32, CallError> {
        const COMPUTE_CAPABILITY_MAJOR: c_int = 75;
        const COMPUTE_CAPABILITY_MINOR: c_int = 76;
        let attribute = |which| {
            let mut value = 0;
            // SAFETY: writes a number.
            let status = unsafe { (self.functions.device_attribute)(&mut value, which, device) };
            self.check("cuDeviceGetAttribute", status)?;
            Ok(u32::try_from(value).unwrap_or(0))
        };
        Ok(attribute(COMPUTE_CAPABILITY_MAJOR)? * 10 + attribute(COMPUTE_CAPABILITY_MINOR)?)
    }

    /// The context that a process shares with CUDA's runtime, and so with ONNX Runtime and TensorRT.
    pub(crate) fn retain_context(&self, device: DeviceNumber) -> Result<Context, CallError> {
        let mut context = ptr::null_mut();
        // SAFETY: writes a pointer.
        let status = unsafe { (self.functions.retain_context)(&mut context, device) };
        self.check("cuDevicePrimaryCtxRetain", status)?;
        Ok(context)
    }

    /// # Safety
    ///
    /// The device's context was retained once more than it was released, and nothing of it is used any more.
    pub(crate) unsafe fn release_context(&self, device: DeviceNumber) {
        // SAFETY: the caller's. An error would leave nothing to do.
        unsafe { (self.functions.release_context)(device) };
    }

    /// Runs `work` with the context as the thread's own.
    ///
    /// # Safety
    ///
    /// The context is retained.
    pub(crate) unsafe fn within<T, E: From<CallError>>(
        &self,
        context: Context,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // SAFETY: the caller's.
        self.check("cuCtxPushCurrent", unsafe { (self.functions.push_context)(context) })?;
        let result = work();
        let mut popped = ptr::null_mut();
        // SAFETY: pops what was pushed.
        let status = unsafe { (self.functions.pop_context)(&mut popped) };
        let result = result?;
        self.check("cuCtxPopCurrent", status)?;
        Ok(result)
    }

    /// A stream that waits for no other. Within a context, as everything below.
    pub(crate) fn create_stream(&self) -> Result<Stream, CallError> {
        const NON_BLOCKING: c_uint = 1;
        let mut stream = ptr::null_mut();
        // SAFETY: writes a pointer.
        let status = unsafe { (self.functions.create_stream)(&mut stream, NON_BLOCKING) };
        self.check("cuStreamCreate", status)?;
        Ok(stream)
    }

    /// # Safety
    ///
    /// The stream is not used any more.
    pub(crate) unsafe fn destroy_stream(&self, stream: Stream) {
        // SAFETY: the caller's. An error would leave nothing to do.
        unsafe { (self.functions.destroy_stream)(stream) };
    }

    /// Waits for a stream's work.
    ///
    /// # Safety
    ///
    /// The stream exists.
    pub(crate) unsafe fn synchronize(&self, stream: Stream) -> Result<(), CallError> {
        // SAFETY: the caller's.
        self.check("cuStreamSynchronize", unsafe { (self.functions.synchronize)(stream) })
    }

    /// Free and total bytes of the device.
    pub(crate) fn memory(&self) -> Result<(usize, usize), CallError> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: writes two numbers.
        let status = unsafe { (self.functions.memory_info)(&mut free, &mut total) };
        self.check("cuMemGetInfo", status)?;
        Ok((free, total))
    }

    /// Memory of the device, at least one byte.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<Address, CallError> {
        let mut address = 0;
        // SAFETY: writes a number.
        let status = unsafe { (self.functions.allocate)(&mut address, bytes) };
        self.check("cuMemAlloc", status)?;
        Ok(address)
    }

    /// # Safety
    ///
    /// The memory is of [`Driver::allocate`] and is not used any more.
    pub(crate) unsafe fn free(&self, address: Address) {
        // SAFETY: the caller's. An error would leave nothing to do.
        unsafe { (self.functions.free)(address) };
    }

    /// Memory of the host that devices read and write by themselves, at least one byte.
    pub(crate) fn allocate_host(&self, bytes: usize) -> Result<*mut u8, CallError> {
        let mut pointer = ptr::null_mut();
        // SAFETY: writes a pointer.
        let status = unsafe { (self.functions.allocate_host)(&mut pointer, bytes) };
        self.check("cuMemAllocHost", status)?;
        Ok(pointer.cast())
    }

    /// # Safety
    ///
    /// The memory is of [`Driver::allocate_host`] and is not used any more.
    pub(crate) unsafe fn free_host(&self, pointer: *mut u8) {
        // SAFETY: the caller's. An error would leave nothing to do.
        unsafe { (self.functions.free_host)(pointer.cast()) };
    }

    /// Copies from the host to the device.
    ///
    /// # Safety
    ///
    /// Both hold as many bytes, until the stream was waited for.
    pub(crate) unsafe fn upload(
        &self,
        to: Address,
        from: *const u8,
        bytes: usize,
        stream: Stream,
    ) -> Result<(), CallError> {
        // SAFETY: the caller's.
        let status = unsafe { (self.functions.upload)(to, from.cast(), bytes, stream) };
        self.check("cuMemcpyHtoDAsync", status)
    }

    /// Copies from the device to the host.
    ///
    /// # Safety
    ///
    /// As for [`Driver::upload`].
    pub(crate) unsafe fn download(
        &self,
        to: *mut u8,
        from: Address,
        bytes: usize,
        stream: Stream,
    ) -> Result<(), CallError> {
        // SAFETY: the caller's.
        let status = unsafe { (self.functions.download)(to.cast(), from, bytes, stream) };
        self.check("cuMemcpyDtoHAsync", status)
    }

    /// Copies within the device.
    ///
    /// # Safety
    ///
    /// As for [`Driver::upload`].
    pub(crate) unsafe fn copy(
        &self,
        to: Address,
        from: Address,
        bytes: usize,
        stream: Stream,
    ) -> Result<(), CallError> {
        // SAFETY: the caller's.
        self.check("cuMemcpyDtoDAsync", unsafe { (self.functions.copy)(to, from, bytes, stream) })
    }

    /// Begins to capture what this thread queues on a stream.
    ///
    /// # Safety
    ///
    /// The stream exists.
    pub(crate) unsafe fn begin_capture(&self, stream: Stream) -> Result<(), CallError> {
        // What other threads do meanwhile is no part of it, and does not disturb it.
        const THREAD_LOCAL: c_int = 1;
        // SAFETY: the caller's.
        let status = unsafe { (self.functions.begin_capture)(stream, THREAD_LOCAL) };
        self.check("cuStreamBeginCapture", status)
    }

    /// Ends it, and gives what was captured.
    ///
    /// # Safety
    ///
    /// The stream exists.
    pub(crate) unsafe fn end_capture(&self, stream: Stream) -> Result<Captured, CallError> {
        let mut graph = ptr::null_mut();
        // SAFETY: the caller's; writes a pointer.
        let status = unsafe { (self.functions.end_capture)(stream, &mut graph) };
        self.check("cuStreamEndCapture", status)?;
        Ok(graph)
    }

    /// # Safety
    ///
    /// The graph is of [`Driver::end_capture`] and is not used any more.
    pub(crate) unsafe fn destroy_graph(&self, graph: Captured) {
        // SAFETY: the caller's. An error would leave nothing to do.
        unsafe { (self.functions.destroy_graph)(graph) };
    }

    /// Makes captured work ready to be launched.
    ///
    /// # Safety
    ///
    /// The graph exists.
    pub(crate) unsafe fn instantiate(&self, graph: Captured) -> Result<Executable, CallError> {
        let mut executable = ptr::null_mut();
        // SAFETY: the caller's; writes a pointer.
        let status = unsafe { (self.functions.instantiate)(&mut executable, graph, 0) };
        self.check("cuGraphInstantiateWithFlags", status)?;
        Ok(executable)
    }

    /// # Safety
    ///
    /// It is of [`Driver::instantiate`] and is not used any more.
    pub(crate) unsafe fn destroy_executable(&self, executable: Executable) {
        // SAFETY: the caller's. An error would leave nothing to do.
        unsafe { (self.functions.destroy_executable)(executable) };
    }

    /// Queues captured work.
    ///
    /// # Safety
    ///
    /// Both exist, and so does the memory that was captured, until the stream was waited for.
    pub(crate) unsafe fn launch(&self, executable: Executable, stream: Stream) -> Result<(), CallError> {
        // SAFETY: the caller's.
        self.check("cuGraphLaunch", unsafe { (self.functions.launch)(executable, stream) })
    }

    fn check(&self, call: &'static str, status: Status) -> Result<(), CallError> {
        if status == 0 {
            return Ok(());
        }
        let say = |function: unsafe extern "system" fn(Status, *mut *const c_char) -> Status| {
            let mut text = ptr::null();
            // SAFETY: writes a pointer to a static string, or null for a status that the driver does not know.
            unsafe {
                function(status, &mut text);
                (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
            }
        };
        let text = match (say(self.functions.error_name), say(self.functions.error_text)) {
            (Some(name), Some(text)) => format!("{name}, {text}"),
            (Some(name), None) => name,
            _ => format!("status {status}"),
        };
        Err(CallError { call, status, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_driver_that_is_not_there_is_named() {
        let error = Driver::open("libno-such-driver.so.1").unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, DriverError::NoDriver { .. }), "{text}");
        assert!(
            text.contains("libno-such-driver.so.1 cannot be loaded") && text.contains("install the driver"),
            "{text}"
        );
    }

    #[test]
    fn a_library_that_is_no_driver_is_refused_with_the_function_that_it_lacks() {
        let library = if cfg!(target_os = "linux") { "libc.so.6" } else { return };
        let text = Driver::open(library).unwrap_err().to_string();
        assert!(text.contains("cuInit"), "{text}");
    }

    #[test]
    fn a_driver_without_a_device_says_so() {
        let Some(driver) = testing::driver(0, 0) else { return };
        assert!(matches!(driver.unwrap_err(), DriverError::NoDevice));
    }

    #[test]
    fn a_driver_that_does_not_start_is_quoted() {
        let Some(driver) = testing::driver(1, 3) else { return };
        let text = driver.unwrap_err().to_string();
        assert!(
            text.starts_with("NVIDIA's driver failed in cuInit: CUDA_ERROR_FAKE, a fake error; "),
            "{text}"
        );
        let Some(driver) = testing::driver(1, 999) else { return };
        let text = driver.unwrap_err().to_string();
        assert!(text.starts_with("NVIDIA's driver failed in cuInit: status 999; "), "{text}");
    }

    #[test]
    fn devices_are_listed_by_name_and_the_version_is_that_of_cuda() {
        let Some(driver) = testing::driver(2, 0) else { return };
        let driver = driver.unwrap();
        assert_eq!(driver.devices().unwrap(), ["Fake GPU 0", "Fake GPU 1"]);
        assert_eq!(driver.version().unwrap(), (13, 2));
    }
}
