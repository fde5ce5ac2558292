//! Compiles the shim once per flavour of TensorRT, against that flavour's headers. Nothing of TensorRT is linked.

#[path = "build/headers.rs"]
mod headers;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use headers::Headers;

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed=build.rs");
    for folder in ["build", "headers", "shim"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error=tmoe-tensorrt cannot be built");
            for line in error.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    // The bridge's own code, and the folder with its header, which both flavours include.
    let mut bridge = cxx_build::bridge("src/bridge.rs");
    bridge.std("c++17").include("shim");
    bridge.compile("tmoe_tensorrt_bridge");

    for (headers, source) in
        [(&headers::TENSORRT, "shim/tensorrt.cpp"), (&headers::TENSORRT_RTX, "shim/tensorrt_rtx.cpp")]
    {
        let folder = headers.find()?;
        let mut shim = cxx_build::bridge("src/bridge.rs");
        shim.std("c++17").include("shim").file(source).flag_if_supported("-fvisibility=hidden");
        // Precision flags are deprecated in favour of strongly typed networks, and a caller's choice all the same.
        shim.flag_if_supported("-Wno-deprecated-declarations").flags(system_include(&folder));
        if !folder.join("cuda_runtime_api.h").is_file() {
            shim.flags(system_include(Path::new("shim/cuda")));
        }
        shim.try_compile(headers.library).map_err(|error| explain(headers, &folder, &error.to_string()))?;
    }
    Ok(())
}

/// The flags for a folder whose headers' warnings, such as of their own deprecated parts, are not ours.
fn system_include(folder: &Path) -> [OsString; 2] {
    let flag = if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("msvc") { "/I" } else { "-isystem" };
    [flag.into(), folder.into()]
}

fn explain(headers: &Headers, folder: &Path, error: &str) -> String {
    format!(
        "the shim does not compile against the headers in {}: {error}\nheaders of {} are expected; {} names their folder",
        folder.display(),
        headers.version,
        headers.variable
    )
}
