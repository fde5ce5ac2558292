//! Whether CUDA's driver and a GPU are there.
//!
//! Without a driver, `createInferRuntime` was seen to log an error and still return a pointer, to no runtime: nothing that
//! needs a GPU is asked of TensorRT before this.

use libloading::{Library, Symbol};

/// The driver's library, as it is installed everywhere.
const LIBRARY: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

type Initialise = unsafe extern "C" fn(u32) -> i32;
type Count = unsafe extern "C" fn(*mut i32) -> i32;
type Attribute = unsafe extern "C" fn(*mut i32, i32, i32) -> i32;

/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR`.
const MAJOR: i32 = 75;
/// `CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR`.
const MINOR: i32 = 76;

/// `Err` says why there is no GPU to use.
pub(crate) fn check() -> Result<(), String> {
    compute_capability().map(|_| ())
}

/// The compute capability of the first GPU, major and minor; `Err` says why there is none to use.
pub(crate) fn compute_capability() -> Result<(u32, u32), String> {
    // SAFETY: loading the driver's library runs its initialisers, as any use of CUDA does. It is only used here.
    let library = unsafe { Library::new(LIBRARY) }
        .map_err(|_| format!("{LIBRARY} was not found: install NVIDIA's driver"))?;
    let missing = |_| format!("{LIBRARY} is not CUDA's driver");
    // SAFETY: these are the documented types of the functions, in every version of the driver.
    let (initialise, count, attribute): (Symbol<'_, Initialise>, Symbol<'_, Count>, Symbol<'_, Attribute>) = unsafe {
        (
            library.get(b"cuInit\0").map_err(missing)?,
            library.get(b"cuDeviceGetCount\0").map_err(missing)?,
            library.get(b"cuDeviceGetAttribute\0").map_err(missing)?,
        )
    };
    // SAFETY: may be called at any time and any number of times; 0 is the only flag there is.
    let code = unsafe { initialise(0) };
    if code != 0 {
        return Err(format!("CUDA's driver does not start: cuInit returned {code}"));
    }
    let mut devices = 0;
    // SAFETY: the driver has been initialised, and the pointer is to an integer of ours.
    let code = unsafe { count(&raw mut devices) };
    match (code, devices) {
        (0, 1..) => {}
        (0, _) => return Err("CUDA's driver finds no GPU".to_owned()),
        _ => return Err(format!("CUDA's driver cannot count GPUs: cuDeviceGetCount returned {code}")),
    }
    let part = |which| {
        let mut value = 0;
        // SAFETY: as above; devices are numbered from 0, and 0 is one.
        match unsafe { attribute(&raw mut value, which, 0) } {
            0 => u32::try_from(value).map_err(|_| format!("CUDA's driver gives compute capability {value}")),
            code => Err(format!(
                "CUDA's driver gives no compute capability: cuDeviceGetAttribute returned {code}"
            )),
        }
    };
    let capability = (part(MAJOR)?, part(MINOR)?);
    // What initialised the driver would be undone by unloading it.
    std::mem::forget(library);
    Ok(capability)
}
