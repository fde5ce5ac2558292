//! What the system's loader of shared libraries says.

use std::error::Error;

/// Why a library or a function in it was not found, in the loader's words.
pub fn loader_reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loader_names_the_file() {
        // SAFETY: there is no such library.
        let error = unsafe { libloading::Library::new("libno-such-library.so.1") }.unwrap_err();
        assert!(super::loader_reason(&error).contains("libno-such-library.so.1"), "{error:?}");
    }
}
