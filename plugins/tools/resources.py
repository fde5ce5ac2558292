#!/usr/bin/env python3
"""What every kernel takes of every architecture: registers, static shared memory, stack and spills, as ptxas reports them.

    plugins/tools/resources.py [--nvcc NVCC] [--architectures 75,80,...] [--jobs N] [FILE.cu ...]

Compiles the kernels (all of plugins/kernels unless files are named) and exits with 1 if a kernel spills more than SPILL_LIMIT
or keeps more than STACK_LIMIT in local memory.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

ARCHITECTURES = ["75", "80", "86", "89", "90a", "120"]

# Bytes per thread, stores and loads together.
SPILL_LIMIT = 0
# Bytes per thread: arrays that are not in registers.
STACK_LIMIT = 0

KERNELS = pathlib.Path(__file__).resolve().parent.parent / "kernels"


@dataclass
class Usage:
    registers: int = 0
    shared: int = 0
    stack: int = 0
    spills: int = 0

    def within_limits(self):
        return self.spills <= SPILL_LIMIT and self.stack <= STACK_LIMIT

    def __str__(self):
        text = f"{self.registers}"
        if self.shared:
            text += f" {self.shared}B"
        if self.spills:
            text += f" spill {self.spills}"
        if self.stack:
            text += f" stack {self.stack}"
        return text


def parse(log):
    """Usage by mangled name of each entry function in the output of `ptxas -v`."""
    usages = {}
    entry = described = None
    for line in log.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            entry = match[1]
            usages[entry] = Usage()
        elif match := re.search(r"Function properties for (\S+)", line):
            described = match[1]
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            # Functions that were not inlined count for the entry that is being compiled.
            usage = usages.get(described) or usages.get(entry)
            if usage:
                usage.stack += int(match[1])
                usage.spills += int(match[2]) + int(match[3])
        elif (match := re.search(r"Used (\d+) registers", line)) and entry:
            usages[entry].registers = int(match[1])
            if shared := re.search(r"(\d+) bytes smem", line):
                usages[entry].shared = int(shared[1])
    return usages


def compile_one(nvcc, source, architecture):
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, "-O3", "-std=c++17", "-cubin", f"-arch=sm_{architecture}", "-Xptxas", "-v", "-I", str(KERNELS),
                   str(source), "-o", os.path.join(folder, "out.cubin")]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{source.name} for sm_{architecture}:\n{done.stderr}")
    return source, architecture, parse(done.stdout + done.stderr)


def demangle(names):
    """Readable names, without the return type, the parameters and the file's own namespace."""
    program = shutil.which("c++filt")
    if not program or not names:
        return {name: name for name in names}
    output = subprocess.run([program], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    readable = {}
    for name, text in zip(names, output.splitlines()):
        text = re.sub(r"_GLOBAL__N__\w+::|\(anonymous namespace\)::|\btmoe::", "", text)
        text = re.sub(r"\((int|bool|unsigned int|unsigned)\)", "", text)
        depth, end = 0, len(text)
        for i, character in enumerate(text):
            depth += {"<": 1, ">": -1}.get(character, 0)
            if character == "(" and depth == 0:
                end = i
                break
        readable[name] = text[:end].removeprefix("void ")
    return readable


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--nvcc", default=os.environ.get("CUDACXX") or "nvcc")
    arguments.add_argument("--architectures", default=",".join(ARCHITECTURES))
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("files", nargs="*", type=pathlib.Path)
    options = arguments.parse_args()
    if not shutil.which(options.nvcc):
        sys.exit(f"{options.nvcc} was not found; give the path of nvcc with --nvcc or CUDACXX")

    architectures = options.architectures.split(",")
    sources = options.files or sorted(KERNELS.glob("*.cu"))
    table = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        tasks = [pool.submit(compile_one, options.nvcc, source, architecture)
                 for source in sources for architecture in architectures]
        for task in tasks:
            source, architecture, usages = task.result()
            for name, usage in usages.items():
                # The namespace of a file has a hash in it that depends on the architecture.
                table.setdefault((source.name, re.sub(r"\d+_GLOBAL__N__[0-9a-f]+_\d+_\w+?_cu_[0-9a-f]+_\d+", "", name)), {
                    "name": name})[architecture] = usage

    readable = demangle([row["name"] for row in table.values()])
    titles = ["kernel"] + [f"sm_{architecture}" for architecture in architectures]
    rows, bad = [], []
    for (source, _), row in sorted(table.items(), key=lambda item: (item[0][0], readable[item[1]["name"]])):
        title = f"{source}: {readable[row['name']]}"
        rows.append([title] + [str(row.get(architecture, "-")) for architecture in architectures])
        bad += [f"{title}, sm_{architecture}: {row[architecture]}" for architecture in architectures
                if architecture in row and not row[architecture].within_limits()]
    widths = [max(len(row[i]) for row in [titles] + rows) for i in range(len(titles))]
    print("registers, static shared memory, and where there are any spills and stack in bytes per thread\n")
    for row in [titles] + rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    if bad:
        sys.exit(f"\nabove the limits ({SPILL_LIMIT} bytes of spills, {STACK_LIMIT} of stack):\n" + "\n".join(bad))


if __name__ == "__main__":
    main()
