#!/usr/bin/env python3
"""Tests of run.py and its table on a machine without a GPU: programs, driver and tools are stand-ins that print what a test says.

    python3 tools/gpu/test_run.py
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import launches
import run
import table

# One device of 132 multiprocessors at 1.83 GHz, compute capability 9.0.
DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "Stand-in", size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 13 ? 1830000 : attribute == 16 ? 132 : attribute == 75 ? 9 : 0;
    return 0;
}
"""
MOE = "hidden=384 ffn=768 experts=8 top_k=2"
# A device of 4 TB/s; mma.sync at 500 TFLOP/s, which the table must not take for the peak.
KERNELS = [
    {"name": "device", "shape": "Stand-in", "copy_bytes_per_second": 4e12, "mma_sync_flops_per_second": 500e12},
    # 57,982,058,496 operations in 0.16 ms: 362.4 TFLOP/s.
    {"name": "sparse_moe", "shape": f"tokens=16384 {MOE}", "dtype": "bf16", "median_ms": 0.16, "bytes": 39321600},
    {"name": "sparse_moe", "shape": f"tokens=16384 {MOE}", "dtype": "fp16", "median_ms": 0.01, "bytes": 39321600},
    # 14,155,776 bytes of weights in 6 us: 2.36 TB/s, 59 %; with x and y it were 59.4 %.
    {"name": "sparse_moe", "shape": f"tokens=64 {MOE}", "dtype": "bf16", "median_ms": 0.006, "bytes": 14254080},
    {"name": "flash_attention", "shape": "batch=8 heads=12 head_dim=32 queries=4096 past=0", "dtype": "bf16", "median_ms": 0.5},
    {"name": "flash_attention", "shape": "batch=8 heads=12 head_dim=64 queries=4096 past=0", "dtype": "bf16", "median_ms": 0.9},
    # 6,389,760 bytes, 204,472,320 bytes.
    {"name": "flash_attention", "shape": "batch=1 heads=12 head_dim=32 queries=64 past=4032", "dtype": "bf16", "median_ms": 0.01},
    {"name": "flash_attention", "shape": "batch=32 heads=12 head_dim=32 queries=64 past=4032", "dtype": "bf16", "median_ms": 0.08},
]
PYTORCH = [
    {"name": "matrix_product", "variant": "pytorch", "flops_per_second": 800e12, "median_ms": 1.0},
    {"name": "copy", "variant": "pytorch", "bytes_per_second": 4e12, "median_ms": 1.0},
    {"name": "sparse_moe", "variant": "pytorch_loop", "shape": f"tokens=16384 {MOE}", "dtype": "bf16", "median_ms": 0.5},
    {"name": "sparse_moe", "variant": "pytorch_grouped", "shape": f"tokens=16384 {MOE}", "dtype": "bf16", "median_ms": 0.3},
    {"name": "sparse_moe", "variant": "onnxruntime_moe", "shape": f"tokens=16384 {MOE}", "dtype": "fp16", "median_ms": 0.4},
    {"name": "flash_attention", "variant": "pytorch_flash", "shape": "batch=8 heads=12 head_dim=32 queries=4096 past=0", "dtype": "bf16",
     "median_ms": 0.55},
    {"name": "flash_attention", "variant": "pytorch_flash", "shape": "batch=8 heads=12 head_dim=64 queries=4096 past=0", "dtype": "bf16",
     "median_ms": 0.6},
]
EXPONENTIALS = 132 * 16 * 1.83e9


def by_key(records, exponentials=EXPONENTIALS):
    return {row["key"]: row for row in table.joined(records, exponentials)}


class Table(unittest.TestCase):
    def test_verdicts_follow_from_the_numbers_of_all_programs(self):
        rows = by_key(KERNELS + PYTORCH)
        verdicts = {key: row["verdict"] for key, row in rows.items()}
        self.assertEqual(verdicts["moe_many"], "reached")
        self.assertEqual(verdicts["moe_few"], "missed: 60 % of bandwidth")
        self.assertEqual(verdicts["prefill_32"], "reached")
        self.assertEqual(verdicts["prefill_64"], "missed: PyTorch")
        self.assertEqual(verdicts["cached_1"], "missed: 60 % of bandwidth")
        self.assertEqual(verdicts["cached_32"], "reached")
        self.assertEqual(rows["moe_many"]["measured"], "160 us (45% of the peak)")
        self.assertEqual(rows["moe_few"]["measured"], "6 us (59% of bandwidth)")
        self.assertEqual(rows["cached_32"]["measured"], "80 us (64% of bandwidth)")
        self.assertEqual(rows["moe_many"]["PyTorch"], "300 us, com.microsoft.MoE 400 us")
        # 57.98 GFLOP at 800 TFLOP/s.
        self.assertEqual(rows["moe_many"]["floor"], "72.5 us")
        self.assertEqual(rows["forecast_1"]["measured"], "not measured")

    def test_a_slower_kernel_misses_each_condition_by_name(self):
        slow = [record | {"median_ms": 0.21} if record.get("dtype") == "bf16" else record for record in KERNELS]
        self.assertEqual(by_key(slow + PYTORCH)["moe_many"]["verdict"], "missed: 45 % of the peak, 1.5 x PyTorch")
        slower = [record | {"median_ms": 0.27} if record.get("dtype") == "bf16" else record for record in KERNELS]
        self.assertIn("1.5 x com.microsoft.MoE", by_key(slower + PYTORCH)["moe_many"]["verdict"])

    def test_the_peak_of_mma_sync_never_stands_for_the_peak(self):
        # Against 500 TFLOP/s the kernel would reach 72 %.
        row = by_key(KERNELS)["moe_many"]
        self.assertEqual(row["verdict"], "not measured")
        self.assertEqual(row["measured"], "160 us")
        self.assertTrue(row["floor"].endswith("(H200, nominal)"), row["floor"])

    def test_what_was_not_measured_has_no_number(self):
        for row in by_key([], None).values():
            self.assertEqual((row["measured"], row["verdict"], row["measured_ms"]), ("not measured", "not measured", None))
            self.assertIn(row["PyTorch"], ("", "not measured"))

    def test_forecasts_and_launches_are_judged_by_their_limits(self):
        shape = "batch={} context=512 horizon=96"
        records = [{"name": "forecast", "shape": shape.format(batch), "dtype": "bf16", "median_ms": ms} for batch, ms in ((1, 1.9), (32, 8.0))]
        launched = {"name": "decode_launches", "shape": "batch=1 context=512 cuda_graph", "graph_launches": 1.0}
        rows = by_key(records + [launched | {"kernel_launches": 0.0}])
        self.assertEqual([rows[key]["verdict"] for key in ("forecast_1", "forecast_32", "launches")], ["reached", "missed: 8 ms", "reached"])
        self.assertEqual(rows["launches"]["measured"], "1 graph, 0 kernel launches")
        self.assertEqual(by_key([launched | {"kernel_launches": 2.0}])["launches"]["verdict"], "missed: one graph launch")

    def test_the_shapes_of_the_table_are_those_of_the_programs(self):
        compared = (HERE / "compare.py").read_text()
        self.assertIn("tokens={tokens} hidden={HIDDEN} ffn={FFN} experts={EXPERTS} top_k={TOP_K}", compared)
        self.assertIn("batch={batch} heads={heads} head_dim={head_dim} queries={queries} past={past}", compared)
        tests = HERE.parents[1] / "plugins/tests"
        self.assertIn("tokens=%lld hidden=%d ffn=%d experts=%d top_k=%d", (tests / "bench_moe.cu").read_text())
        self.assertIn("batch=%lld heads=%d head_dim=%d queries=%lld past=%lld", (tests / "bench_attention.cpp").read_text())

    def test_the_readme_of_the_kernels_shows_the_same_floors_and_predictions(self):
        readme = (HERE.parents[1] / "plugins/README.md").read_text()
        self.assertIn(table.nominal(), readme)


class Launches(unittest.TestCase):
    SUMMARY = (
        "NOTICE: Existing SQLite export found.\n\n"
        "Time (%),Total Time (ns),Num Calls,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name\n"
        "50.0,100,\"1,200\",1,1,1,1,0,cudaLaunchKernel\n20.0,100,30,1,1,1,1,0,cuLaunchKernelEx\n"
        "10.0,100,7,1,1,1,1,0,cudaGraphLaunch_v10000\n10.0,100,9,1,1,1,1,0,cudaLaunchHostFunc\n"
    )

    def test_calls_are_counted_by_kind(self):
        self.assertEqual(launches.counted(self.SUMMARY), (1230, 7))
        with self.assertRaises(ValueError):
            launches.counted("no report\n")

    def test_only_warm_decode_steps_count(self):
        # 5 launches of capturing and 9 of each prefill; a graph for each decode after the first.
        counts = {(horizon, repeats): (100 + 9 * repeats + 5 * (horizon == 96), repeats * (horizon == 96))
                  for horizon in (64, 96) for repeats in (launches.FEW, launches.MANY)}
        self.assertEqual(launches.of_one_step(counts), (0.0, 1.0))


class Bf16(unittest.TestCase):
    def test_half_a_percent_of_the_error_of_float32_is_the_limit(self):
        for half, holds in ((0.2009, True), (0.1991, True), (0.2011, False), (0.1989, False), (float("nan"), False)):
            self.assertEqual(run.bf16_verdict([{"mse": 0.2}, {"mse": half}])[0], holds, half)


class Folder(unittest.TestCase):
    """run.py in a folder as it is packed, whose programs are scripts."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)
        for name in ("run.py", "table.py", "launches.py"):
            shutil.copy(HERE / name, self.folder)
        for name in ("tests", "bench", "packages/fp32", "packages/bf16", "cuda/bin", "driver"):
            (self.folder / name).mkdir(parents=True)
        for name in ("a_test", "primitives_test"):
            self.script(f"tests/{name}", f'echo "ran {name}" "$@"')

    def script(self, path, body):
        path = self.folder / path
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def driver(self):
        compiler = shutil.which("cc")
        if not compiler:
            self.skipTest("there is no C compiler to build the stand-in for the driver")
        source = self.folder / "driver/cuda.c"
        source.write_text(DRIVER)
        library = self.folder / "driver/libcuda.so.1"
        subprocess.run([compiler, "-w", "-shared", "-fPIC", "-o", library, source], check=True)

    def run_script(self, *arguments, **variables):
        environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(self.folder / "driver"), "CUDA_HOME": str(self.folder / "cuda")}
        command = [sys.executable, "run.py", *arguments]
        return subprocess.run(command, cwd=self.folder, env=environment | variables, capture_output=True, text=True)

    def print_lines(self, path, records):
        self.script(path, "cat <<'END'\n" + "\n".join(map(json.dumps, records)) + "\nEND")

    def test_without_a_gpu_it_says_so_and_ends_with_77(self):
        (self.folder / "driver/libcuda.so.1").write_text("not a library")
        done = self.run_script("check")
        self.assertEqual((done.returncode, done.stdout[:7]), (77, "No GPU:"), done.stdout + done.stderr)

    def test_check_runs_primitives_first_and_a_sample_under_the_toolkits_sanitizer(self):
        self.driver()
        self.script("cuda/bin/compute-sanitizer", 'echo "sanitizer $2" "$(basename "$5")" $6 $7')
        done = self.run_script("check", "--filter", "_test")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        ran = [line for line in done.stdout.splitlines() if line.startswith(("ran ", "sanitizer "))]
        tools = ("memcheck", "racecheck", "synccheck", "initcheck")
        expected = [f"sanitizer {tool} {name} --sample 12" for name in ("primitives_test", "a_test") for tool in tools]
        self.assertEqual(ran, ["ran primitives_test", "ran a_test", *expected])

    def test_a_failed_program_fails_the_check(self):
        self.driver()
        self.script("tests/a_test", "exit 3")
        done = self.run_script("check", "--no-sanitizer", "--filter", "_test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED with code 3   a_test", done.stdout)

    def test_a_test_that_finds_no_gpu_where_the_driver_knows_one_fails_the_check(self):
        self.driver()
        self.script("tests/a_test", "exit 77")
        done = self.run_script("check", "--no-sanitizer", "--filter", "_test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED with code 77  a_test", done.stdout)

    def test_what_was_measured_before_a_failure_is_kept(self):
        self.driver()
        self.script("bench/bench_moe", """echo '{"name": "copy", "bytes_per_second": 1}'; exit 4""")
        done = self.run_script("bench", "--filter", "bench_moe", "--output", "result.md")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        records = json.loads((self.folder / "result.json").read_text())["records"]
        self.assertEqual(records, [{"name": "copy", "bytes_per_second": 1}])

    def test_the_error_of_bf16_is_checked_where_a_csv_is_given(self):
        self.driver()
        (self.folder / "ort.so").write_text("")
        self.script("tmoe", """echo '{"models": [{"mse": 0.2}, {"mse": 0.2011}, {"mse": 0.9}]}'""")
        skipped = self.run_script("check", "--no-sanitizer", "--filter", "bf16 beside")
        self.assertIn("error of bf16 beside fp32 (no CSV was given: --etth1 FILE)", skipped.stdout)
        done = self.run_script("check", "--no-sanitizer", "--etth1", "etth1.csv", "--onnxruntime", "ort.so")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("0.550% apart", done.stdout)

    def test_bench_joins_all_programs_into_one_table(self):
        self.driver()
        self.print_lines("bench/bench_moe", KERNELS)
        (self.folder / "modules/torch").mkdir(parents=True)
        (self.folder / "compare.py").write_text(f"import json\nfor record in {PYTORCH!r}: print(json.dumps(record))\n")
        (self.folder / "ort.so").write_text("")
        self.script("tmoe-export", "exit 0")
        # 1.5 ms with CUDA graphs, 2.5 ms without.
        self.script("tmoe", """case "$*" in *cuda-graph*) t=0.0015;; *) t=0.0025;; esac
echo "{\\"forecast\\": {\\"median\\": $t}, \\"prefill\\": {\\"seconds\\": {\\"median\\": 1}}, \\"decode\\": {\\"seconds\\": {\\"median\\": 1}}}" """)
        done = self.run_script("bench", "--onnxruntime", "ort.so", "--output", "result.md", PYTHONPATH=str(self.folder / "modules"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        text = (self.folder / "result.md").read_text()
        self.assertIn("| row | to reach | floor | predicted | measured | PyTorch | verdict |", text)
        for row, measured, verdict in (
            ("SparseMoe, 16,384 tokens", "160 us (45% of the peak)", "reached"),
            ("forecast B=1, T=512, H=96", "2.5 ms", "missed: 2 ms"),
            ("forecast B=1, T=512, H=96, --cuda-graph", "1.5 ms", "reached"),
            ("forecast B=32, T=512, H=96", "2.5 ms", "reached"),
            ("launches per decode step, B=1", "not measured", "not measured"),
        ):
            cells = next(line.split(" | ") for line in text.splitlines() if line.startswith(f"| {row} |"))
            self.assertEqual((cells[4], cells[6].rstrip(" |")), (measured, verdict), cells)
        written = json.loads((self.folder / "result.json").read_text())
        self.assertEqual(written["device"]["name"], "Stand-in")
        self.assertEqual(written["command"], "run.py bench --onnxruntime ort.so --output result.md")
        self.assertTrue(written["date"].startswith("20"), written["date"])
        self.assertEqual(len([record for record in written["records"] if record["name"] == "sparse_moe"]), 6)


if __name__ == "__main__":
    unittest.main()
