#!/usr/bin/env python3
"""Checks and measures tmoe on this machine's GPU, from a folder that `cargo xtask gpu-check`, `gpu-bench` or `gpu-pack` packed.

    python3 run.py check [--onnxruntime LIBRARY] [--etth1 FILE] [--no-sanitizer] [--sanitizer-cases N] [--filter TEXT]
    python3 run.py bench [--onnxruntime LIBRARY] [--output FILE] [--filter TEXT]

check  the kernels' tests, and where compute-sanitizer is found, N cases of each (12 unless said) again under its tools; where ONNX
       Runtime for CUDA is found, `tmoe verify` on CUDA and CPU for every precision, the error of bf16 beside that of fp32 on FILE, a
       CSV such as ETTh1.csv, and where this Python has it, the operator library in onnxruntime
bench  the kernels' benchmarks; PyTorch's, where this Python has it; where ONNX Runtime for CUDA is found, forecasts of the 50M shape
       with random weights; and one table of all. --output writes it as Markdown, and everything that was measured as JSON beside it

LIBRARY is libonnxruntime.so of a build with CUDA. Without it, $ORT_DYLIB_PATH and this Python's onnxruntime-gpu are tried.
compute-sanitizer and nsys are looked for in $CUDA_HOME/bin, on the PATH and in /usr/local/cuda/bin.
--filter runs only what has TEXT in its name.

Exit code: 0 all passed, 1 something failed, 2 wrong usage, 77 no GPU.
"""

import argparse
import ctypes
import datetime
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import launches
import table

HERE = pathlib.Path(__file__).resolve().parent
NO_GPU = 77
# Memory errors of all kernels; races within shared memory; barriers that not all threads reach; reads of what nobody wrote.
SANITIZERS = ["memcheck", "racecheck", "synccheck", "initcheck"]
# What others are built from: where these fail, the rest says little.
FIRST = "primitives_test"
# Batch, context and horizon.
SHAPES = [(1, 512, 96), (32, 512, 96), (1, 3072, 720)]
# Of those, the ones in the table, which are also measured with CUDA graphs.
IN_TABLE = SHAPES[:2]
LAUNCHES = "launches per decode step, counted by nsys"
# Of the mean squared error of float32.
BF16_ERROR = 0.005
# CU_DEVICE_ATTRIBUTE_...
CLOCK_RATE, MULTIPROCESSORS, MAJOR, MINOR = 13, 16, 75, 76
# Exponentials that a multiprocessor starts a clock; CUDA C++ Programming Guide, arithmetic throughput.
EXPONENTIALS_A_CLOCK = 16


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
        device, value = ctypes.c_int(), ctypes.c_int()
        name = ctypes.create_string_buffer(128)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        facts = {}
        for attribute in (CLOCK_RATE, MULTIPROCESSORS, MAJOR, MINOR):
            driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
            facts[attribute] = value.value
        found.append({
            "name": name.value.decode(),
            "capability": f"{facts[MAJOR]}.{facts[MINOR]}",
            "multiprocessors": facts[MULTIPROCESSORS],
            "clock_khz": facts[CLOCK_RATE],
        })
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


def cuda_tool(name):
    """A program of the CUDA toolkit, or None."""
    folders = [pathlib.Path(os.environ["CUDA_HOME"]) / "bin"] if os.environ.get("CUDA_HOME") else []
    folders += [*os.get_exec_path(), "/usr/local/cuda/bin"]
    return shutil.which(name, path=os.pathsep.join(map(str, folders)))


class Report:
    """Runs commands, and keeps how each ended and what it measured."""

    def __init__(self, filter):
        self.filter = filter
        self.rows = []
        self.records = []

    def run(self, title, command, **environment):
        """Runs a check, its output shown."""
        if self.filter in title:
            self._run(title, command, environment)

    def lines(self, title, command, **environment):
        """The command's standard output, which is shown too, or None if it failed or was not wanted."""
        if self.filter not in title:
            return None
        done = self._run(title, command, environment, stdout=subprocess.PIPE)
        return done.stdout if done and done.returncode == 0 else None

    def measure(self, title, command, **environment):
        """Keeps the JSON lines that the command prints, those before a failure too."""
        if self.filter not in title:
            return
        done = self._run(title, command, environment, skipped=NO_GPU, stdout=subprocess.PIPE)
        try:
            self.records += [json.loads(line) for line in (done.stdout if done else "").splitlines() if line.startswith("{")]
        except json.JSONDecodeError as error:
            self.fail(title, f"printed a line that is not JSON: {error}")

    def _run(self, title, command, environment, skipped=None, stdout=None):
        """`skipped` is the code of a program that has nothing to do on this GPU."""
        print(f"\n==> {title}\n    $ {' '.join(map(str, command))}", flush=True)
        start = time.monotonic()
        try:
            done = subprocess.run(list(map(str, command)), env=os.environ | environment, stdout=stdout, text=True)
        except OSError as error:
            self.fail(title, str(error))
            return None
        print(done.stdout or "", end="", flush=True)
        outcome = {0: "passed", skipped: "skipped"}.get(done.returncode, f"FAILED with code {done.returncode}")
        self.rows.append((outcome, title, f"{time.monotonic() - start:.1f} s"))
        return done

    def skip(self, title, reason):
        if self.filter in title:
            self.rows.append(("skipped", title, reason))

    def expect(self, title, holds, note):
        self.rows.append(("passed" if holds else "FAILED", title, note))

    def fail(self, title, note):
        self.expect(title, False, note)

    def close(self):
        print("\nSummary")
        for outcome, title, note in self.rows:
            print(f"  {outcome:20} {title} ({note})")
        failed = sum(outcome.startswith("FAILED") for outcome, _, _ in self.rows)
        passed = sum(outcome == "passed" for outcome, _, _ in self.rows)
        print(f"{passed} passed, {failed} failed, {len(self.rows) - passed - failed} skipped")
        return 1 if failed or not passed else 0


def programs(folder):
    found = [path for path in (HERE / folder).iterdir() if os.access(path, os.X_OK)]
    return sorted(found, key=lambda path: (path.name != FIRST, path.name))


def check(options, report):
    for program in programs("tests"):
        report.run(program.name, [program])
    sanitizer = cuda_tool("compute-sanitizer")
    for program in programs("tests") if not options.no_sanitizer else []:
        for tool in SANITIZERS:
            title = f"{program.name} under {tool}"
            if sanitizer:
                command = [sanitizer, "--tool", tool, "--error-exitcode", "1", program, "--sample", options.sanitizer_cases]
                report.run(title, command)
            else:
                report.skip(title, "compute-sanitizer is neither in CUDA_HOME/bin nor on the PATH")

    library, missing = onnxruntime_library(options.onnxruntime)
    for package in sorted((HERE / "packages").iterdir()):
        title = f"tmoe verify, {package.name}"
        if library:
            command = [HERE / "tmoe", "verify", package, "--providers", "cuda,cpu"]
            report.run(title, command, ORT_DYLIB_PATH=str(library))
        else:
            report.skip(title, missing)
    check_bf16_error(options, report, library, missing)

    for package in sorted((HERE / "packages").iterdir()):
        title = f"libtmoe_ops.so in onnxruntime, {package.name}"
        if all(map(importlib.util.find_spec, ["onnxruntime", "numpy"])):
            script, operators = HERE / "run_plugin.py", HERE / "libtmoe_ops.so"
            report.run(title, [sys.executable, script, package, operators, "CUDAExecutionProvider"])
        else:
            report.skip(title, "this Python has no onnxruntime, or no numpy")


def check_bf16_error(options, report, library, missing):
    """Whether bf16 forecasts a series that is known as well as fp32 does."""
    title = "error of bf16 beside fp32"
    if not options.etth1 or not library:
        report.skip(title, missing if options.etth1 else "no CSV was given: --etth1 FILE")
        return
    packages = [HERE / "packages" / precision for precision in ("fp32", "bf16")]
    command = [HERE / "tmoe", "evaluate", *packages, "--input", options.etth1, "--provider", "cuda", "--graph", "plugin", "--json",
               "--scale", "series", "--no-intervals"]
    printed = report.lines(f"tmoe evaluate, {options.etth1}", command, ORT_DYLIB_PATH=str(library))
    if printed is not None:
        report.expect(title, *bf16_verdict(json.loads(printed)["models"]))


def bf16_verdict(models):
    """Whether the second model's mean squared error is close to the first one's, and both."""
    full, half = (model["mse"] for model in models[:2])
    apart = abs(half - full) / full
    return apart <= BF16_ERROR, f"MSE {half:.6f} beside {full:.6f}: {apart:.3%} apart, at most {BF16_ERROR:.1%} is allowed"


def bench(options, report, found):
    for program in programs("bench"):
        report.measure(program.name, [program, "--json"])
    if importlib.util.find_spec("torch"):
        report.measure("compare.py", [sys.executable, HERE / "compare.py"])
    else:
        report.skip("compare.py", "this Python has no PyTorch")
    library, missing = onnxruntime_library(options.onnxruntime)
    if library:
        with tempfile.TemporaryDirectory() as folder:
            bench_forecasts(report, library, pathlib.Path(folder))
    else:
        report.skip("tmoe bench", missing)

    device = found[0]
    exponentials = device["multiprocessors"] * EXPONENTIALS_A_CLOCK * device["clock_khz"] * 1e3 or None
    rows = table.joined(report.records, exponentials)
    facts = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "device": device,
        "command": " ".join(sys.argv),
    }
    text = f"{device['name']}, {facts['date']}, `{facts['command']}`\n\n{table.markdown(rows)}\n"
    print(f"\n{text}")
    if options.output:
        output = pathlib.Path(options.output)
        output.write_text(text)
        output.with_suffix(".json").write_text(json.dumps(facts | {"table": rows, "records": report.records}, indent=1) + "\n")


def bench_forecasts(report, library, folder):
    """A model of the 50M shape with random weights, in every precision; bf16 as the table wants it first."""
    titles = [LAUNCHES, *(forecast_title(*case) for case in forecast_cases())]
    if not any(report.filter in title for title in titles):
        return
    checkpoint = folder / "checkpoint"
    exporter = HERE / "tmoe-export"
    subprocess.run([exporter, "init", "--preset", "50m", "--seed", "1", "--output", checkpoint], check=True)
    packages = {}
    for case in forecast_cases():
        precision, graph, cuda_graph, batch, context, horizon = case
        if precision not in packages:
            packages[precision] = folder / precision
            subprocess.run([exporter, "onnx", checkpoint, "--precision", precision, "--output", folder / precision], check=True)
        command = bench_command(packages[precision], graph, cuda_graph, batch, context)
        printed = report.lines(forecast_title(*case), [*command, "--horizon", horizon, "--json"], ORT_DYLIB_PATH=str(library))
        if printed is not None:
            report.records.append(forecast_record(case, json.loads(printed)))
    bench_launches(report, library, packages["bf16"])


def forecast_cases():
    """Precision, graph, whether with CUDA graphs, batch, context, horizon."""
    cases = [("bf16", "plugin", graph, *shape) for shape in IN_TABLE for graph in (False, True)]
    for precision in ("bf16", "fp16", "fp32"):
        cases += [(precision, graph, False, *shape) for graph in ("plugin", "standard") for shape in SHAPES]
    return list(dict.fromkeys(cases))


def forecast_title(precision, graph, cuda_graph, batch, context, horizon):
    return f"tmoe bench, {precision} {graph}{' --cuda-graph' * cuda_graph}, {batch} x {context}, {horizon} points"


def bench_command(package, graph, cuda_graph, batch, context):
    command = [HERE / "tmoe", "bench", package, "--provider", "cuda", "--graph", graph, "--batch", batch, "--context", context]
    return command + ["--cuda-graph"] * cuda_graph


def forecast_record(case, measured):
    precision, graph, cuda_graph, batch, context, horizon = case
    return {
        # The table is about the graph `plugin`.
        "name": "forecast" if graph == "plugin" else f"forecast_{graph}",
        "shape": f"batch={batch} context={context} horizon={horizon}" + " cuda_graph" * cuda_graph,
        "dtype": precision,
        "median_ms": 1e3 * measured["forecast"]["median"],
        "prefill_ms": 1e3 * measured["prefill"]["seconds"]["median"],
        "decode_ms": 1e3 * measured["decode"]["seconds"]["median"],
    }


def bench_launches(report, library, package):
    if report.filter not in LAUNCHES:
        return
    nsys = cuda_tool("nsys")
    if not nsys:
        report.skip(LAUNCHES, "not measured: nsys is neither in CUDA_HOME/bin nor on the PATH")
        return
    command = bench_command(package, "plugin", True, 1, 512)
    try:
        kernels, graphs = launches.measure(nsys, command, os.environ | {"ORT_DYLIB_PATH": str(library)})
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        report.fail(LAUNCHES, str(error))
        return
    report.expect(LAUNCHES, True, f"{kernels:g} kernel and {graphs:g} graph launches")
    shape = "batch=1 context=512 cuda_graph"
    report.records.append({"name": "decode_launches", "shape": shape, "kernel_launches": kernels, "graph_launches": graphs})


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip().replace("\n    ", "\n       "))
    parser.add_argument("what", choices=["check", "bench"])
    parser.add_argument("--onnxruntime")
    parser.add_argument("--etth1")
    parser.add_argument("--no-sanitizer", action="store_true")
    parser.add_argument("--sanitizer-cases", type=int, default=12)
    parser.add_argument("--output")
    parser.add_argument("--filter", default="")
    options = parser.parse_args()
    found, missing = devices()
    if not found:
        print(f"No GPU: {missing}")
        return NO_GPU
    for device in found:
        print(f"GPU: {device['name']}, compute capability {device['capability']}")
    report = Report(options.filter)
    if options.what == "check":
        check(options, report)
    else:
        bench(options, report, found)
    return report.close()


if __name__ == "__main__":
    sys.exit(main())
