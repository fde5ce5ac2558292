//! The header that is checked in.

use std::env;
use std::fs;
use std::path::Path;

/// When this is set, the header is written and not compared.
const WRITE: &str = "TMOE_WRITE_HEADER";

/// The files with functions of the interface, in the order of the header.
const SOURCES: [&str; 8] =
    ["abi.rs", "failure.rs", "error.rs", "options.rs", "cancel.rs", "forecaster.rs", "stream.rs", "log.rs"];

pub(crate) fn is_what_cbindgen_makes_of_the_sources() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let builder = SOURCES.iter().fold(cbindgen::Builder::new().with_config(config), |builder, source| {
        builder.with_src(folder.join("src").join(source))
    });
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = folder.join("include/tmoe.h");
    if env::var_os(WRITE).is_some() {
        fs::write(&path, made).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(
        found == made,
        "include/tmoe.h is not what cbindgen makes of src; to write it: {WRITE}=1 cargo test -p tmoe-capi --test c_api header::is_what"
    );
}

/// The functions that the header declares are the symbols that the library exports.
#[cfg(target_os = "linux")]
pub(crate) fn is_all_that_is_exported(shared: &crate::shared::Shared) {
    use std::collections::BTreeSet;
    use std::process::Command;

    let library = shared.prefix().join("lib").join(crate::prefix::SONAME);
    let mut nm = Command::new("nm");
    nm.args(["--dynamic", "--defined-only", "--extern-only", "--format=posix"]).arg(library);
    let symbols = crate::shared::succeed(&mut nm).stdout;
    let exported: BTreeSet<&str> = symbols
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        // What crates below need themselves: the operators' library for hosts of ONNX Runtime, and the bridge to TensorRT.
        .filter(|&name| name != "RegisterCustomOps" && !name.contains('$'))
        .collect();
    let header = fs::read_to_string(shared.prefix().join("include/tmoe.h")).unwrap();
    let names = header.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '('));
    let declared: BTreeSet<&str> = names
        .filter_map(|word| word.split_once('('))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("tmoe_"))
        .collect();
    assert!(declared.len() > 30, "{declared:?}");
    assert_eq!(exported, declared);
}
