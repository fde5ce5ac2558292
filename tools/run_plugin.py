"""Runs a package's `model.plugin.onnx` in plain onnxruntime, with nothing of tmoe but the operator library.

    python run_plugin.py PACKAGE LIBRARY [PROVIDER]

LIBRARY is libtmoe_ops.so (tmoe_ops.dll, libtmoe_ops.dylib), PROVIDER an execution provider of onnxruntime, by default
CPUExecutionProvider. Every case of the package's self-test is run, and what comes out is compared with what the exporter
computed.

Prints one line per case. Exit code 0: all agree, 1: at least one does not, 2: wrong usage.
"""

import ctypes
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

# As `tmoe verify`: of the largest value of a tensor; int8 quantises activations, fp16 and bf16 round the cache, and activations on some
# devices, which moves some tokens to another expert: there, of the root mean square.
TOLERANCE = {"fp32": 1e-4}
ROUNDED_TOLERANCE = {"fp16": 1e-2, "bf16": 5e-2, "int8": 3e-1}
# TensorProto.DataType of the ONNX specification: numpy has no such type.
BFLOAT16 = 16
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


def to_ort(tensor, graph_type):
    """A tensor in the type of a graph's input: the cache of bf16 and fp16 packages is narrower than the self-test's float32."""
    if graph_type == "tensor(bfloat16)":
        # The upper half of a float32, to nearest, ties to even.
        bits = np.ascontiguousarray(tensor, np.float32).view(np.uint32)
        halves = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(halves, BFLOAT16)
    return ort.OrtValue.ortvalue_from_numpy(tensor.astype(np.float16) if graph_type == "tensor(float16)" else tensor)


def from_ort(value):
    """A tensor in the memory of the CPU as float32."""
    if value.element_type() != BFLOAT16:
        return value.numpy().astype(np.float32)
    halves = np.empty(value.shape(), np.uint16)
    if halves.size:
        ctypes.memmove(halves.ctypes.data, value.data_ptr(), halves.nbytes)
    return (halves.astype(np.uint32) << 16).view(np.float32)


def run(session, names, inputs):
    """The outputs of those names."""
    binding = session.io_binding()
    feeds = {port.name: to_ort(inputs[port.name], port.type) for port in session.get_inputs()}
    for name, value in feeds.items():
        binding.bind_ortvalue_input(name, value)
    for name in names:
        binding.bind_output(name, "cpu")
    session.run_with_iobinding(binding)
    return [from_ort(value) for value in binding.get_outputs()]


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    package, library = map(Path, arguments[:2])
    provider = arguments[2] if len(arguments) == 3 else "CPUExecutionProvider"
    session = open_session(package, library, provider)
    precision = json.loads((package / "manifest.json").read_text())["precision"]
    rounds = precision in ROUNDED_TOLERANCE
    tolerance = ROUNDED_TOLERANCE[precision] if rounds else TOLERANCE[precision]
    failed = False
    for case, (inputs, expected) in cases(read_safetensors(package / "selftest.safetensors")).items():
        names = list(expected)
        outputs = run(session, names, inputs)
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
