//! Whether CUDA's driver and a GPU are there.
//!
//! Without a driver, `createInferRuntime` was seen to log an error and still return a pointer, to no runtime: nothing that
//! needs a GPU is asked of TensorRT before this.

use libloading::{Library, Symbol};

/// The driver's library, as it is installed everywhere.
const LIBRARY: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// `Err` says why there is no GPU to use.
pub(crate) fn check() -> Result<(), String> {
    // SAFETY: loading the driver's library runs its initialisers, as any use of CUDA does. It is only used here.
    let library = unsafe { Library::new(LIBRARY) }
        .map_err(|_| format!("{LIBRARY} was not found: install NVIDIA's driver"))?;
    // SAFETY: these are the documented types of the two functions, in every version of the driver.
    let (initialise, count): (
        Symbol<'_, unsafe extern "C" fn(u32) -> i32>,
        Symbol<'_, unsafe extern "C" fn(*mut i32) -> i32>,
    ) = unsafe {
        let missing = |_| format!("{LIBRARY} is not CUDA's driver");
        (library.get(b"cuInit\0").map_err(missing)?, library.get(b"cuDeviceGetCount\0").map_err(missing)?)
    };
    // SAFETY: may be called at any time and any number of times; 0 is the only flag there is.
    let code = unsafe { initialise(0) };
    if code != 0 {
        return Err(format!("CUDA's driver does not start: cuInit returned {code}"));
    }
    let mut devices = 0;
    // SAFETY: the driver has been initialised, and the pointer is to an integer of ours.
    let code = unsafe { count(&mut devices) };
    // What initialised the driver would be undone by unloading it.
    std::mem::forget(library);
    match (code, devices) {
        (0, 1..) => Ok(()),
        (0, _) => Err("CUDA's driver finds no GPU".to_owned()),
        _ => Err(format!("CUDA's driver cannot count GPUs: cuDeviceGetCount returned {code}")),
    }
}
