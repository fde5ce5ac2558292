//! Which interface this is.

use std::ffi::c_char;

/// The version of this interface. It changes when a program that was compiled for it would no longer work; new functions alone
/// do not change it.
pub const ABI_VERSION: u32 = 1;

/// The version of the interface that the library has: it is TMOE_ABI_VERSION when header and library belong together.
#[unsafe(no_mangle)]
pub extern "C" fn tmoe_abi_version() -> u32 {
    ABI_VERSION
}

/// The version of tmoe, as text. It stays valid.
#[unsafe(no_mangle)]
pub extern "C" fn tmoe_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn the_version_is_the_package_s() {
        // SAFETY: static, with a zero at its end.
        let version = unsafe { CStr::from_ptr(tmoe_version()) };
        assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn the_name_for_the_loader_has_the_version_of_the_interface() {
        let build = include_str!("../build.rs");
        assert!(build.contains(&format!("-soname,libtmoe.so.{}\"", tmoe_abi_version())));
    }
}
