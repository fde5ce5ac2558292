"""Runs a package's `model.plugin.onnx` in plain onnxruntime, with nothing of tmoe but the operator library.

    python run_plugin.py PACKAGE LIBRARY [PROVIDER]

LIBRARY is libtmoe_ops.so (tmoe_ops.dll, libtmoe_ops.dylib), PROVIDER an execution provider of onnxruntime, by default
CPUExecutionProvider. Every case of the package's self-test is run, and what comes out is compared with what the exporter
computed.

Prints one line per case. Exit code 0: all agree, 1: at least one does not, 2: wrong usage.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

# Of the largest value of a tensor, as `tmoe verify`: int8 quantises activations, bf16 rounds them on some processors.
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-4, "bf16": 5e-2, "int8": 3e-1}
# Other devices also round activations to fp16.
TOLERANCE_BESIDE_CPU = TOLERANCE | {"fp16": 1e-2}
# CUDA's standard operators round float32 to TF32 unless told otherwise.
OPTIONS = {"CUDAExecutionProvider": {"use_tf32": "0"}}


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


def open_session(package, library, provider):
    """The one thing that a host has to do: register the library before it makes the session."""
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(library))
    providers = [(provider, OPTIONS.get(provider, {}))]
    session = ort.InferenceSession(package / "model.plugin.onnx", options, providers=providers)
    if session.get_providers()[0] != provider:
        sys.exit(f"onnxruntime {ort.__version__} runs on {session.get_providers()}, not on {provider}")
    return session


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    package, library = map(Path, arguments[:2])
    provider = arguments[2] if len(arguments) == 3 else "CPUExecutionProvider"
    session = open_session(package, library, provider)
    tolerances = TOLERANCE if provider == "CPUExecutionProvider" else TOLERANCE_BESIDE_CPU
    tolerance = tolerances[json.loads((package / "manifest.json").read_text())["precision"]]
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
