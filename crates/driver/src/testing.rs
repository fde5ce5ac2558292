//! A stand-in for the driver, made of C source, whose devices lie in host memory.

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::device::Stream;
use crate::driver::Driver;
use crate::error::DriverError;

/// What the stand-in is made of.
pub const SOURCE: &str = include_str!("testing/driver.c");

/// Bytes of each device.
pub const DEVICE_BYTES: usize = 64 << 20;

/// Compiles a driver into a folder: that many devices, of CUDA's `version` (13020 for 13.2), whose `cuInit` returns `init`. `None`
/// where there is no C compiler.
pub fn compile(folder: &Path, devices: u32, version: u32, init: i32) -> Option<PathBuf> {
    let (code, library) = (folder.join("driver.c"), folder.join("libcuda.so.1"));
    std::fs::write(&code, SOURCE).ok()?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-w", "-o"]).arg(&library).arg(&code).args([
        format!("-DDEVICES={devices}"),
        format!("-DVERSION={version}"),
        format!("-DINIT={init}"),
        format!("-DTOTAL={DEVICE_BYTES}UL"),
    ]);
    compiler.status().is_ok_and(|status| status.success()).then_some(library)
}

/// Compiles a driver for CUDA 13.2 and opens it. It stays for the rest of the process.
pub fn driver(devices: u32, init: i32) -> Option<Result<&'static Driver, DriverError>> {
    let folder = tempfile::tempdir().ok()?;
    let library = compile(folder.path(), devices, 13_020, init)?;
    let library: &'static str = String::leak(library.to_str()?.to_owned());
    Some(Driver::open(library).map(|driver| &*Box::leak(Box::new(driver))))
}

/// Blocks, contexts, streams and graphs of a stand-in that were not given back.
pub fn live(driver: &Driver) -> i64 {
    // SAFETY: the function is one of the source.
    let live = unsafe { driver.library().get::<unsafe extern "C" fn() -> i64>(b"fake_live\0") };
    live.map_or(-1, |live| {
        // SAFETY: it reads a number.
        unsafe { live() }
    })
}

/// How often a stand-in's graphs were launched.
pub fn launches(driver: &Driver) -> i64 {
    // SAFETY: the function is one of the source.
    let launches = unsafe { driver.library().get::<unsafe extern "C" fn() -> i64>(b"fake_launches\0") };
    launches.map_or(-1, |launches| {
        // SAFETY: it reads a number.
        unsafe { launches() }
    })
}

/// Queues a function of the host: it runs at once, or with every launch of the graph that is being captured.
///
/// # Safety
///
/// `work` may be called with `data` whenever the graph is launched.
pub unsafe fn queue(
    driver: &Driver,
    stream: Stream,
    work: unsafe extern "C" fn(*mut c_void),
    data: *mut c_void,
) -> i32 {
    type Queue = unsafe extern "C" fn(Stream, unsafe extern "C" fn(*mut c_void), *mut c_void) -> i32;
    // SAFETY: the function is one of the source; what it is given is the caller's.
    unsafe {
        let queue = driver.library().get::<Queue>(b"fake_queue\0");
        queue.map_or(-1, |queue| queue(stream, work, data))
    }
}
