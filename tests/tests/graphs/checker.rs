//! The ONNX project's own checker, through `tools/check_onnx.py`.

use std::sync::Arc;

use libtest_mimic::Trial;
use tmoe_tests::golden::Golden;
use tmoe_tests::packages::{Packages, Variant};
use tmoe_tests::python::{PYTHON, run_tool, trial};

/// One per checkpoint, over all of its packages.
pub(crate) fn trials(packages: &Arc<Packages>, goldens: &[Arc<Golden>]) -> Vec<Trial> {
    let trial = |golden: &Arc<Golden>| {
        let name = format!("{}: the ONNX checker accepts every graph", golden.name());
        let (packages, golden) = (Arc::clone(packages), Arc::clone(golden));
        trial(name, [PYTHON], move |[python]| {
            let folder =
                |variant| packages.package(&golden, variant).map(|package| package.folder().to_owned());
            let folders = Variant::ALL.into_iter().map(folder).collect::<Result<Vec<_>, _>>()?;
            run_tool(&python, "check_onnx.py", folders)
        })
    };
    goldens.iter().map(trial).collect()
}
