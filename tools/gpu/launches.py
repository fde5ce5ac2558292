"""How many launches a warm decode step of `tmoe` makes, counted by Nsight Systems."""

import csv
import io
import pathlib
import re
import subprocess
import tempfile

# Forecasts of 64 points are one prefill; of 96, a prefill and a decode. Everything else that `tmoe bench` does is the same.
PREFILL_ONLY, WITH_DECODE = 64, 96
# Counts at two numbers of repeats: their difference is of warm steps only, whose shapes were captured before.
FEW, MANY = 3, 13

KERNELS = re.compile(r"^(cuda|cu)Launch(Cooperative)?Kernel")
GRAPHS = re.compile(r"^(cuda|cu)GraphLaunch")


def counted(summary):
    """Kernel and graph launches in the CSV of `nsys stats --report cuda_api_sum`."""
    lines = summary.splitlines()
    # Notes precede the table.
    start = next((index for index, line in enumerate(lines) if "Num Calls" in line), None)
    if start is None:
        raise ValueError(f"nsys stats printed no column `Num Calls`: {summary[:200]!r}")
    kernels = graphs = 0
    for row in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
        name, calls = row["Name"], int(row["Num Calls"].replace(",", ""))
        kernels += calls if KERNELS.match(name) else 0
        graphs += calls if GRAPHS.match(name) else 0
    return kernels, graphs


def of_one_step(counts):
    """Launches of one warm decode step, from {(horizon, repeats): (kernels, graphs)} of four runs."""

    def difference(index):
        with_decode = counts[WITH_DECODE, MANY][index] - counts[WITH_DECODE, FEW][index]
        without = counts[PREFILL_ONLY, MANY][index] - counts[PREFILL_ONLY, FEW][index]
        return (with_decode - without) / (MANY - FEW)

    return difference(0), difference(1)


def measure(nsys, command, environment):
    """Kernel and graph launches of one warm decode step of `command`, a `tmoe bench` without --horizon and --repeats."""
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        for horizon in (PREFILL_ONLY, WITH_DECODE):
            for repeats in (FEW, MANY):
                trace = pathlib.Path(folder) / f"{horizon}-{repeats}"
                profile = [nsys, "profile", "--trace=cuda", "--sample=none", "--cpuctxsw=none", "-o", trace]
                profile += [*command, "--horizon", horizon, "--repeats", repeats]
                subprocess.run(list(map(str, profile)), env=environment, check=True, stdout=subprocess.DEVNULL)
                stats = [nsys, "stats", "--quiet", "--force-export=true", "--report", "cuda_api_sum", "--format", "csv"]
                stats.append(trace.with_name(trace.name + ".nsys-rep"))
                printed = subprocess.run(list(map(str, stats)), check=True, capture_output=True, text=True).stdout
                counts[horizon, repeats] = counted(printed)
    return of_one_step(counts)
