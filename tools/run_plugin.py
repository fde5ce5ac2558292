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

# As `tmoe verify`: of the largest value of a tensor; int8 quantises activations, bf16 rounds them on some processors, and other
# devices fp16 too, which moves some tokens to another expert: there, of the root mean square.
TOLERANCE = {"fp32": 1e-4, "fp16": 1e-4}
ROUNDED_TOLERANCE = {"bf16": 5e-2, "int8": 3e-1}
ROUNDED_TOLERANCE_BESIDE_CPU = ROUNDED_TOLERANCE | {"fp16": 1e-2}
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


def root_mean_square(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0


def error(output, expected, scale):
    """The largest difference relative to the largest value, or, given a scale, the root mean square in its units."""
    if scale is None:
        return float(np.abs(output - expected).max() / max(np.abs(expected).max(), 1e-30))
    return root_mean_square(output - expected) / max(scale, 1e-30)


def scales(expected):
    """Of each tensor its root mean square, of predictions that of all of them."""
    predictions = [tensor.ravel() for name, tensor in expected.items() if name.startswith("predictions.")]
    all_predictions = root_mean_square(np.concatenate(predictions)) if predictions else 0.0
    return {
        name: all_predictions if name.startswith("predictions.") else root_mean_square(tensor)
        for name, tensor in expected.items()
    }


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
    precision = json.loads((package / "manifest.json").read_text())["precision"]
    rounded = ROUNDED_TOLERANCE if provider == "CPUExecutionProvider" else ROUNDED_TOLERANCE_BESIDE_CPU
    rounds = precision in rounded
    tolerance = rounded[precision] if rounds else TOLERANCE[precision]
    failed = False
    for case, (inputs, expected) in cases(read_safetensors(package / "selftest.safetensors")).items():
        names = list(expected)
        outputs = session.run(names, inputs)
        scale = scales(expected) if rounds else {}
        errors = {
            name: error(output, expected[name], scale.get(name))
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
