//! `libtmoe_ops.so` in a host that has nothing else of this project: onnxruntime in Python, through `tools/run_plugin.py`.

use std::env;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};

/// What `cargo xtask test` sets: a Python with the packages of `tools/requirements.txt`, and the library's file.
const NEEDED: [&str; 2] = ["TMOE_ONNX_PYTHON", "TMOE_OPS_LIBRARY"];

fn main() -> ExitCode {
    let packages = Packages::new().unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));
    let packages = Arc::new(packages);
    let trials = Golden::all().into_iter().map(|golden| trial(&packages, golden)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(packages: &Arc<Packages>, golden: Golden) -> Trial {
    let name =
        format!("{}: plain onnxruntime runs the plugin graph with the operator library", golden.name());
    let values = NEEDED.map(|variable| env::var_os(variable).filter(|value| !value.is_empty()));
    let [Some(python), Some(library)] = values else {
        let reason = format!("{} are not set", NEEDED.join(" and "));
        return Trial::test(format!("{name} [{reason}]"), || Err(reason.into())).with_ignored_flag(true);
    };
    let packages = Arc::clone(packages);
    Trial::test(name, move || {
        for variant in [Variant::Full, Variant::Last, Variant::Half, Variant::Bf16, Variant::Int8] {
            let package = packages.package(&golden, variant)?;
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/run_plugin.py");
            let output = Command::new(&python)
                .arg(script)
                .args([package.folder().as_os_str(), library.as_os_str()])
                .output()
                .map_err(|error| format!("{}: {error}", python.display()))?;
            if !output.status.success() {
                let text = [output.stdout, output.stderr].concat();
                return Err(Failed::from(format!("{}: {}", variant.name(), String::from_utf8_lossy(&text))));
            }
        }
        Ok(())
    })
}
