//! A machine whose ONNX Runtime cannot be used. The place to look at is a variable of the process, so this is a test
//! program of its own with one test.

#[expect(dead_code, reason = "these tests use a part of it")]
mod summing_model;

use std::fs;

use tmoe_runner::{CudaError, Error, LibraryError, Provider, ProviderChoice, Session, SessionOptions};

#[test]
fn cpu_is_an_error_and_auto_is_tract_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let package = summing_model::package(folder.path());
    let library = folder.path().join("libonnxruntime.so");
    fs::write(&library, "not a library").unwrap();
    // SAFETY: this is the only test of the program, and no other thread reads or writes the environment.
    unsafe { std::env::set_var("ORT_DYLIB_PATH", &library) };

    let open = |provider: ProviderChoice| {
        Session::open(&package, &SessionOptions { provider, ..SessionOptions::default() })
    };
    let error = open(Provider::Cpu.into()).unwrap_err();
    assert!(matches!(error, Error::Library(LibraryError::NotLoadable { .. })), "{error}");
    assert!(error.to_string().contains("pip install onnxruntime"), "{error}");
    assert!(!Provider::Cpu.availability().is_ready());

    let error = open(Provider::Cuda.into()).unwrap_err();
    assert!(matches!(error, Error::Cuda(CudaError::Library(LibraryError::NotLoadable { .. }))), "{error}");
    assert!(error.to_string().contains("pip install onnxruntime-gpu"), "{error}");

    let session = open(ProviderChoice::Auto).unwrap();
    assert_eq!(session.provider(), Provider::Tract);
    let reason = session.selection().passed_over.as_deref().unwrap();
    assert!(reason.contains(&library.display().to_string()), "{reason}");
}
