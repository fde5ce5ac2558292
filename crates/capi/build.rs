//! Names the shared library as it is installed: programs ask the loader for that name, with the ABI's version in it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if is_linux {
        // The number is ABI_VERSION of src/abi.rs; a test compares them.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libtmoe.so.1");
    }
}
