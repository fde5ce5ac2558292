//! `tools/check_onnx.py` on small graphs, right and wrong. The cases need the `onnx` Python package;
//! where `TMOE_ONNX_PYTHON` does not name a Python that has it, they are reported as ignored.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Failed, Trial};

/// Writes `model.onnx` (y = x + w, w external: 4 floats at byte 64) and `weights.bin` into a folder.
/// Arguments: FOLDER LOCATION OFFSET LENGTH OPERATOR DIMENSION
const WRITE_PACKAGE: &str = "
import sys, pathlib
from onnx import TensorProto as T, helper as h, save
folder, location, offset, length, operator, dimension = sys.argv[1:]
w = T(name='w', data_type=T.FLOAT, dims=[int(dimension)], data_location=T.EXTERNAL)
for key, value in dict(location=location, offset=offset, length=length).items():
    w.external_data.add(key=key, value=value)
x, y = (h.make_tensor_value_info(name, T.FLOAT, [2, 4]) for name in 'xy')
graph = h.make_graph([h.make_node(operator, ['x', 'w'], ['y'])], 'g', [x], [y], [w])
save(h.make_model(graph, opset_imports=[h.make_opsetid('', 23)], ir_version=10), folder + '/model.onnx')
pathlib.Path(folder, 'weights.bin').write_bytes(bytes(64 + 16))
";

struct Case {
    name: &'static str,
    /// Location, offset and length of the weight, the operator that uses it, the weight's dimension.
    package: [&'static str; 5],
    code: i32,
    prints: &'static [&'static str],
}

const CASES: [Case; 7] = [
    Case {
        name: "a_correct_package_passes_with_one_line_per_graph",
        package: ["weights.bin", "64", "16", "Add", "4"],
        code: 0,
        prints: &["ok    ", "model.onnx: ai.onnx 23; 1 nodes, 1 external tensors"],
    },
    Case {
        name: "weights_beyond_the_end_of_their_file_fail",
        package: ["weights.bin", "68", "16", "Add", "4"],
        code: 1,
        prints: &["FAIL  ", "tensor w: bytes 68 to 84 are not in ", "(80 bytes)"],
    },
    Case {
        name: "weights_with_fewer_bytes_than_their_shape_needs_fail",
        package: ["weights.bin", "64", "12", "Add", "4"],
        code: 1,
        prints: &["tensor w: shape [4] needs 16 bytes, found 12"],
    },
    Case {
        name: "weights_in_a_file_that_does_not_exist_fail",
        package: ["other.bin", "64", "16", "Add", "4"],
        code: 1,
        prints: &["tensor w: ", "other.bin does not exist"],
    },
    Case {
        name: "weights_outside_the_package_fail",
        package: ["../weights.bin", "64", "16", "Add", "4"],
        code: 1,
        prints: &["tensor w: location '../weights.bin' is not a file beside the graph"],
    },
    Case {
        name: "an_operator_that_does_not_exist_fails",
        package: ["weights.bin", "64", "16", "Addd", "4"],
        code: 1,
        prints: &["FAIL  ", "Addd"],
    },
    Case {
        name: "shapes_that_do_not_fit_together_fail",
        package: ["weights.bin", "0", "12", "Add", "3"],
        code: 1,
        prints: &["FAIL  ", "Incompatible dimensions"],
    },
];

fn check(python: &OsString, path: &Path) -> Result<Output, Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../check_onnx.py");
    Ok(Command::new(python).arg(script).arg(path).output()?)
}

fn expect(output: &Output, code: i32, prints: &[&str]) -> Result<(), Failed> {
    let (printed, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() != Some(code) || !prints.iter().all(|part| printed.contains(part)) {
        return Err(format!(
            "expected code {code} and {prints:?}, found {}:\n{printed}{error}",
            output.status
        )
        .into());
    }
    Ok(())
}

fn run(case: &Case, python: &OsString) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let write =
        Command::new(python).args(["-c", WRITE_PACKAGE]).arg(folder.path()).args(case.package).output()?;
    if !write.status.success() {
        return Err(String::from_utf8_lossy(&write.stderr).into_owned().into());
    }
    expect(&check(python, folder.path())?, case.code, case.prints)
}

fn not_a_graph(python: &OsString) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    expect(&check(python, folder.path())?, 1, &["FAIL  ", "holds no .onnx file"])?;
    let file = folder.path().join("model.onnx");
    expect(&check(python, &file)?, 1, &["FAIL  ", "model.onnx"])?;
    fs::write(&file, "not protobuf")?;
    expect(&check(python, &file)?, 1, &["FAIL  ", "model.onnx"])
}

fn main() {
    let python = env::var_os("TMOE_ONNX_PYTHON").filter(|path| !path.is_empty());
    let trial = |name, test: fn(&OsString, usize) -> Result<(), Failed>, index| {
        let with = python.clone().unwrap_or_default();
        Trial::test(name, move || test(&with, index)).with_ignored_flag(python.is_none())
    };
    let mut trials: Vec<Trial> = CASES
        .iter()
        .enumerate()
        .map(|(index, case)| trial(case.name, |python, index| run(&CASES[index], python), index))
        .collect();
    trials.push(trial("what_is_not_a_graph_fails_and_is_named", |python, _| not_a_graph(python), 0));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
