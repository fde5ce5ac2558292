#!/usr/bin/env python3
"""Checks and measures tmoe on this machine's GPU, from a folder that `cargo xtask gpu-check` or `gpu-bench` packed.

    python3 run.py check [--onnxruntime LIBRARY] [--no-sanitizer] [--filter TEXT]
    python3 run.py bench [--onnxruntime LIBRARY] [--filter TEXT]

check  the kernels' tests, and where compute-sanitizer is on the PATH, again under it; where ONNX Runtime for CUDA is found,
       `tmoe verify` on CUDA and CPU for every precision, and where this Python has it, the operator library in it
bench  the kernels' benchmarks; where ONNX Runtime for CUDA is found, a model of the 50M shape with random weights

LIBRARY is libonnxruntime.so of a build with CUDA. Without it, $ORT_DYLIB_PATH and this Python's onnxruntime-gpu are tried.
--filter runs only the programs whose name contains TEXT.

Exit code: 0 all passed, 1 something failed, 2 wrong usage, 77 no GPU.
"""

import argparse
import ctypes
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
NO_GPU = 77
# Memory errors of all kernels; races within shared memory; barriers that not all threads reach.
SANITIZERS = ["memcheck", "racecheck", "synccheck"]
# Batch, context and horizon.
SHAPES = [(1, 512, 96), (32, 512, 96), (1, 3072, 720)]


def devices():
    """The GPUs as the driver knows them, or None and why there are none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return None, f"the NVIDIA driver cannot be loaded: {error}"
    status = driver.cuInit(0)
    if status:
        return None, f"the NVIDIA driver refuses to start (cuInit gives {status})"
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return None, "the NVIDIA driver knows no device"
    found = []
    for index in range(count.value):
        device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        name = ctypes.create_string_buffer(128)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        driver.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
        driver.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
        found.append(f"{name.value.decode()}, compute capability {major.value}.{minor.value}")
    return found, None


def onnxruntime_library(given):
    """ONNX Runtime's library of a build with CUDA, or None and why there is none."""
    if given:
        path = pathlib.Path(given)
        return (path, None) if path.is_file() else (None, f"{path} is not a file")
    candidates = [pathlib.Path(os.environ["ORT_DYLIB_PATH"])] if os.environ.get("ORT_DYLIB_PATH") else []
    if spec := importlib.util.find_spec("onnxruntime"):
        candidates += sorted(pathlib.Path(spec.origin).parent.glob("capi/libonnxruntime.so*"))
    for path in candidates:
        if path.with_name("libonnxruntime_providers_cuda.so").is_file():
            return path, None
    return None, "no ONNX Runtime for CUDA was found: pip install onnxruntime-gpu, or give --onnxruntime"


class Report:
    """Runs commands, and keeps how each ended."""

    def __init__(self, filter):
        self.filter = filter
        self.rows = []

    def run(self, title, command, **environment):
        if self.filter not in title:
            return True
        print(f"\n==> {title}\n    $ {' '.join(map(str, command))}", flush=True)
        start = time.monotonic()
        code = subprocess.run(list(map(str, command)), env=os.environ | environment).returncode
        outcome = "passed" if code == 0 else f"FAILED with code {code}"
        self.rows.append((outcome, title, f"{time.monotonic() - start:.1f} s"))
        return code == 0

    def skip(self, title, reason):
        if self.filter in title:
            self.rows.append(("skipped", title, reason))

    def close(self):
        print("\nSummary")
        for outcome, title, note in self.rows:
            print(f"  {outcome:20} {title} ({note})")
        failed = sum(outcome.startswith("FAILED") for outcome, _, _ in self.rows)
        passed = sum(outcome == "passed" for outcome, _, _ in self.rows)
        print(f"{passed} passed, {failed} failed, {len(self.rows) - passed - failed} skipped")
        return 1 if failed or not passed else 0


def programs(folder):
    return sorted(path for path in (HERE / folder).iterdir() if os.access(path, os.X_OK))


def check(options, report):
    sanitizer = None if options.no_sanitizer else shutil.which("compute-sanitizer")
    for program in programs("tests"):
        report.run(program.name, [program])
        for tool in SANITIZERS:
            title = f"{program.name} under {tool}"
            if sanitizer:
                report.run(title, [sanitizer, "--tool", tool, "--error-exitcode", "1", program])
            elif not options.no_sanitizer:
                report.skip(title, "compute-sanitizer is not on the PATH")

    library, missing = onnxruntime_library(options.onnxruntime)
    for package in sorted((HERE / "packages").iterdir()):
        title = f"tmoe verify, {package.name}"
        if library:
            command = [HERE / "tmoe", "verify", package, "--providers", "cuda,cpu"]
            report.run(title, command, ORT_DYLIB_PATH=str(library))
        else:
            report.skip(title, missing)

    for package in sorted((HERE / "packages").iterdir()):
        title = f"libtmoe_ops.so in onnxruntime, {package.name}"
        if all(map(importlib.util.find_spec, ["onnxruntime", "numpy"])):
            script, operators = HERE / "run_plugin.py", HERE / "libtmoe_ops.so"
            report.run(title, [sys.executable, script, package, operators, "CUDAExecutionProvider"])
        else:
            report.skip(title, "this Python has no onnxruntime, or no numpy")


def bench(options, report):
    for program in programs("bench"):
        report.run(program.name, [program])
    library, missing = onnxruntime_library(options.onnxruntime)
    if not library:
        report.skip("tmoe bench", missing)
        return
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = pathlib.Path(folder) / "checkpoint"
        exporter = HERE / "tmoe-export"
        subprocess.run([exporter, "init", "--preset", "50m", "--seed", "1", "--output", checkpoint], check=True)
        for precision in ["fp32", "fp16", "bf16"]:
            package = pathlib.Path(folder) / precision
            command = [exporter, "onnx", checkpoint, "--precision", precision, "--output", package]
            subprocess.run(command, check=True)
            for graph in ["plugin", "standard"]:
                for batch, context, horizon in SHAPES:
                    command = [HERE / "tmoe", "bench", package, "--provider", "cuda", "--graph", graph]
                    command += ["--batch", batch, "--context", context, "--horizon", horizon]
                    title = f"tmoe bench, {precision} {graph}, {batch} x {context}, {horizon} points"
                    report.run(title, command, ORT_DYLIB_PATH=str(library))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip().replace("\n    ", "\n       "))
    parser.add_argument("what", choices=["check", "bench"])
    parser.add_argument("--onnxruntime")
    parser.add_argument("--no-sanitizer", action="store_true")
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    found, missing = devices()
    if not found:
        print(f"No GPU: {missing}")
        return NO_GPU
    for device in found:
        print(f"GPU: {device}")
    report = Report(options.filter)
    (check if options.what == "check" else bench)(options, report)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
