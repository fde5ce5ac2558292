//! The ONNX project's own checker, through `tools/check_onnx.py`.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};

/// The Python interpreter with the packages of `tools/requirements.txt`; `cargo xtask test` sets it.
const PYTHON: &str = "TMOE_ONNX_PYTHON";

/// One per checkpoint, over all of its packages.
pub(crate) fn trials(packages: &Arc<Packages>, goldens: &[Arc<Golden>]) -> Vec<Trial> {
    let python = env::var_os(PYTHON).filter(|python| !python.is_empty());
    let trial = |golden: &Arc<Golden>| {
        let name = format!("{}: the ONNX checker accepts every graph", golden.name());
        let Some(python) = python.clone() else {
            let name = format!("{name} [{PYTHON} is not set]");
            return Trial::test(name, || Err(format!("{PYTHON} is not set").into())).with_ignored_flag(true);
        };
        let (packages, golden) = (Arc::clone(packages), Arc::clone(golden));
        Trial::test(name, move || {
            let mut command = Command::new(&python);
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/check_onnx.py"));
            for variant in Variant::ALL {
                command.arg(packages.package(&golden, variant)?.folder());
            }
            let output = command.output().map_err(|error| format!("{}: {error}", python.display()))?;
            if output.status.success() {
                return Ok(());
            }
            let text = [output.stdout, output.stderr].concat();
            Err(Failed::from(String::from_utf8_lossy(&text)))
        })
    };
    goldens.iter().map(trial).collect()
}
