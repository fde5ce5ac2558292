//! Libraries that are not what they should be: none of them harms the process. They are compiled here, from a few lines of C++;
//! without a compiler there is nothing to see, and the crate itself would not have been compiled.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tmoe_tensorrt::{Builder, Error, Flavour, Library, LibraryError, OnnxParser};

/// The C entry points of TensorRT's library.
fn fake(version: u32, builder: &str) -> String {
    format!(
        "#include <stdexcept>\n\
         extern \"C\" {{\n\
         int getInferLibVersion() {{ return {version}; }}\n\
         void *createInferBuilder_INTERNAL(void *, int) {{ {builder} }}\n\
         void *createInferRuntime_INTERNAL(void *, int) {{ return nullptr; }}\n\
         void *createInferRefitter_INTERNAL(void *, void *, int) {{ return nullptr; }}\n\
         void *getPluginRegistry() {{ return nullptr; }}\n\
         }}\n"
    )
}

fn compile(folder: &Path, source: &str) -> PathBuf {
    let (code, library) = (folder.join("fake.cpp"), folder.join("fake.so"));
    fs::write(&code, source).unwrap();
    let mut compiler = Command::new("c++");
    let status = compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status().unwrap();
    assert!(status.success());
    library
}

fn number(flavour: Flavour) -> u32 {
    let version = flavour.header_version();
    10_000 * version.major + 100 * version.minor + version.patch
}

#[test]
fn a_file_that_is_missing_or_no_library_is_not_loadable() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("library.so");
    fs::write(&text, "not a library").unwrap();
    for path in [text, folder.path().join("missing.so"), folder.path().to_owned()] {
        for flavour in Flavour::ALL {
            let error = Library::open(flavour, &path).unwrap_err();
            assert!(matches!(&error, LibraryError::NotLoadable { .. }), "{error}");
            let text = error.to_string();
            assert!(text.contains(&path.display().to_string()) && text.contains(flavour.package()), "{text}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn another_library_is_told_from_tensorrt() {
    for flavour in Flavour::ALL {
        let error = Library::open(flavour, "libc.so.6").unwrap_err();
        assert!(matches!(&error, LibraryError::OtherLibrary { .. }), "{error}");
        assert!(error.to_string().contains("getInferLibVersion"), "{error}");
    }
}

#[test]
fn a_library_of_another_version_is_refused_before_it_is_used() {
    for flavour in Flavour::ALL {
        let version = number(flavour);
        for other in [version - 100, version + 10_000, 0] {
            let folder = tempfile::tempdir().unwrap();
            let path = compile(folder.path(), &fake(other, "__builtin_trap();"));
            let error = Library::open(flavour, &path).unwrap_err();
            assert!(matches!(&error, LibraryError::OtherVersion { .. }), "{error}");
            let series = format!("{}.{}", flavour.header_version().major, flavour.header_version().minor);
            assert!(error.to_string().contains(&format!("pip install '{}=={series}.*'", flavour.package())));
        }
    }
}

#[test]
fn one_flavours_library_is_not_taken_for_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = compile(folder.path(), &fake(number(Flavour::TensorRt), "__builtin_trap();"));
    let error = Library::open(Flavour::TensorRtRtx, &path).unwrap_err();
    assert!(matches!(&error, LibraryError::OtherVersion { found, .. } if found.major == 10), "{error}");
}

#[test]
fn a_library_without_one_of_the_functions_is_named_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = fake(number(Flavour::TensorRt), "return nullptr;").replace("getPluginRegistry", "other");
    let error = Library::open(Flavour::TensorRt, compile(folder.path(), &source)).unwrap_err();
    let missing = "getPluginRegistry";
    assert!(matches!(&error, LibraryError::OtherLibrary { missing: m, .. } if *m == missing), "{error}");
}

#[test]
fn null_pointers_and_exceptions_become_errors() {
    for (flavour, builder, expected) in [
        (Flavour::TensorRt, "return nullptr;", "returned nothing"),
        (Flavour::TensorRtRtx, "return nullptr;", "returned nothing"),
        (Flavour::TensorRt, "throw std::runtime_error(\"out of luck\");", "out of luck"),
        (Flavour::TensorRt, "throw 7;", "an exception of an unknown type"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = compile(folder.path(), &fake(number(flavour), builder));
        let library = Library::open(flavour, &path).unwrap();
        let error = Builder::new(library).unwrap_err();
        assert!(matches!(&error, Error::Refused { .. }) && error.to_string().contains(expected), "{error}");
        // There is no parser beside it, and no registry in it.
        assert!(matches!(library.parser_path(), Err(LibraryError::NotLoadable { .. })));
        let error = library.plugins().unwrap_err();
        assert!(error.to_string().contains("the library has no plugin registry"), "{error}");
        let error = library.load_plugins("no/such/plugins.so".as_ref()).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
    }
}

#[test]
fn a_folder_holds_the_library_under_its_name_and_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = compile(folder.path(), &fake(number(Flavour::TensorRt), "return nullptr;"));
    let name = if cfg!(windows) { "nvinfer_10.dll" } else { "libnvinfer.so.10" };
    fs::rename(path, folder.path().join(name)).unwrap();
    let library = Library::open(Flavour::TensorRt, folder.path()).unwrap();
    assert_eq!(library.path(), folder.path().join(name));
    assert_eq!(library.version(), Flavour::TensorRt.header_version());
    let again = Library::open(Flavour::TensorRt, folder.path().join(name)).unwrap();
    assert_eq!(
        again.path().as_os_str().as_encoded_bytes().as_ptr(),
        library.path().as_os_str().as_encoded_bytes().as_ptr()
    );
}

/// What is made can be sent to other threads; this compiles or it does not.
#[test]
fn handles_can_be_sent_and_shared() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<(Library, Builder, tmoe_tensorrt::BuilderConfig, tmoe_tensorrt::NetworkDefinition)>();
    send::<(OnnxParser<'_>, tmoe_tensorrt::HostMemory, tmoe_tensorrt::Runtime, tmoe_tensorrt::Engine)>();
    send::<(tmoe_tensorrt::ExecutionContext, tmoe_tensorrt::Refitter<'_, '_>, Error)>();
    sync::<(Library, Builder, tmoe_tensorrt::HostMemory, tmoe_tensorrt::Runtime, tmoe_tensorrt::Engine)>();
}
