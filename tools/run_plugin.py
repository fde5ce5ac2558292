"""Runs a package's `model.plugin.onnx` in plain onnxruntime, with nothing of tmoe but the operator library.

    python run_plugin.py PACKAGE LIBRARY

LIBRARY is libtmoe_ops.so (tmoe_ops.dll, libtmoe_ops.dylib). Every case of the package's self-test is run, and what
comes out is compared with what the exporter computed.

Prints one line per case. Exit code 0: all agree, 1: at least one does not, 2: wrong usage.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

# Of the largest value of a tensor, as `tmoe verify`: int8 quantises activations, bf16 rounds them on some processors.
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-4, "bf16": 5e-2, "int8": 3e-1}


def read_safetensors(path):
    """The tensors of a safetensors file by name."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    types = {"F32": np.float32, "I64": np.int64}
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        array = np.frombuffer(data[begin:end], types[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"])
    return tensors


def cases(tensors):
    """`<case>.input.<name>` and `<case>.expected.<name>` as {case: (inputs, expected)}."""
    found = {}
    for name, tensor in tensors.items():
        case, kind, port = name.split(".", 2)
        found.setdefault(case, ({}, {}))[kind == "expected"][port] = tensor
    return found


def open_session(package, library):
    """The one thing that a host has to do: register the library before it makes the session."""
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(library))
    return ort.InferenceSession(package / "model.plugin.onnx", options, providers=["CPUExecutionProvider"])


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    package, library = map(Path, arguments)
    session = open_session(package, library)
    tolerance = TOLERANCE[json.loads((package / "manifest.json").read_text())["precision"]]
    failed = False
    for case, (inputs, expected) in cases(read_safetensors(package / "selftest.safetensors")).items():
        names = list(expected)
        outputs = session.run(names, inputs)
        errors = {
            name: float(np.abs(output - expected[name]).max() / max(np.abs(expected[name]).max(), 1e-30))
            for name, output in zip(names, outputs)
            if output.size
        }
        worst = max(errors, key=errors.get)
        ok = errors[worst] <= tolerance
        failed |= not ok
        print(f"{'ok  ' if ok else 'FAIL'}  {case}: {len(errors)} tensors, worst {worst} {errors[worst]:.1e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
