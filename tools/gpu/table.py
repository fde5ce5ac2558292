#!/usr/bin/env python3
"""What the kernels have to reach, computed floors and predictions, and what was measured, in one table.

    python3 table.py        the floors and predictions of an H200's nominal speeds, as Markdown

A floor is what the work takes at the ceilings and nothing else: bytes over the bandwidth of a copy, operations over the rate of a
library's bf16 product, exponentials over the rate of the units that compute them. A prediction adds what is assumed below; the
assumptions are no measurements.
"""

from dataclasses import dataclass

# ---- Assumptions behind the predictions ----------------------------------------------------------------------------------------

# mma.sync, which the kernels use, runs at 0.62 of a Hopper's nominal rate, a library's large product at 0.75 of it, and tiles keep
# the units busy for 0.7 of the time: 0.62 x 0.7 / 0.75 of the library's rate.
PRODUCTS = 0.58
# Of a copy's bandwidth, for kernels that read much once.
STREAMED = 0.8
# Attention's products and exponentials wait for each other, at this share of both rates.
OVERLAP = 0.8
# Seconds from one dependent kernel to the next, its own short work included.
KERNEL = 3e-6
# Seconds that the host needs for a launch, and that ONNX Runtime needs for a node.
LAUNCH, NODE = 2.5e-6, 4e-6

# ---- The 50M shape -------------------------------------------------------------------------------------------------------------

LAYERS, HIDDEN, INTERMEDIATE, HEADS, EXPERTS, TOP_K = 12, 384, 1536, 12, 8, 2
FFN = INTERMEDIATE // TOP_K
BYTES = 2
# Nodes of the graph `plugin`, and launches in each layer: norms 2, products of attention 2, attention 3, router 1, splits 2, experts 5,
# shared expert 3.
NODES, LAUNCHES = 135, 18


@dataclass
class Ceilings:
    """Of one device."""

    name: str
    bandwidth: float  # bytes read and written per second
    peak: float  # bf16 operations per second of a library's product
    exponentials: float  # per second


# 4.8 TB/s; three quarters of 989 TFLOP/s, as assumed above; 132 multiprocessors that compute 16 exponentials a clock at 1.83 GHz.
H200 = Ceilings("H200, nominal", 4.8e12, 0.75 * 989e12, 132 * 16 * 1.83e9)


@dataclass
class Row:
    """One row: the work, the floor and the prediction, each with how it is computed."""

    title: str
    target: str
    floor: float = None
    floor_text: str = ""
    predicted: float = None
    predicted_text: str = ""


def moe_bytes(tokens):
    """All experts' weights, x and y."""
    return (3 * EXPERTS * HIDDEN * FFN + 2 * tokens * HIDDEN) * BYTES


def moe_row(tokens, target, ceilings):
    bytes, flops = moe_bytes(tokens), 6 * tokens * TOP_K * HIDDEN * FFN
    products, read = flops / ceilings.peak, bytes / ceilings.bandwidth
    work = f"{flops / 1e9:.3g} GFLOP" if products > read else f"{bytes / 1e6:.3g} MB"
    work_predicted = max(products / PRODUCTS, read / STREAMED)
    return Row(
        f"SparseMoe, {tokens:,} tokens", target, max(products, read), f"{work} / {'peak' if products > read else 'bandwidth'}",
        work_predicted + 5 * KERNEL,
        (f"{work} / ({PRODUCTS} peak)" if products / PRODUCTS > read / STREAMED else f"{work} / ({STREAMED} bandwidth)")
        + f" + 5 kernels x {KERNEL * 1e6:g} us",
    )


def prefill_attention_row(batch, points, head_dim, target, ceilings):
    pairs = batch * HEADS * points * (points + 1) / 2
    products, exponentials = 4 * pairs * head_dim / ceilings.peak, pairs / ceilings.exponentials
    counted = f"{4 * pairs * head_dim / 1e9:.3g} GFLOP", f"{pairs / 1e6:.3g} M exponentials"
    # Keys and values are rotated into the cache first, which PyTorch is not asked for.
    appended = 4 * batch * HEADS * head_dim * points * BYTES
    return Row(
        f"FlashAttention causal, B={batch}, T={points}, head_dim {head_dim}", target, max(products, exponentials),
        f"the larger of {counted[0]} / peak and {counted[1]} / their rate",
        (products / PRODUCTS + exponentials) / OVERLAP + appended / (STREAMED * ceilings.bandwidth) + 2 * KERNEL,
        f"({counted[0]} / ({PRODUCTS} peak) + {counted[1]} / their rate) / {OVERLAP} + {appended / 1e6:.3g} MB / ({STREAMED} bandwidth) "
        f"+ 2 kernels x {KERNEL * 1e6:g} us",
    )


def cached_attention_bytes(batch, queries, points, head_dim):
    """Keys and values of all points, q and y."""
    return 2 * batch * HEADS * head_dim * (points + queries) * BYTES


def cached_attention_row(batch, queries, points, head_dim, target, ceilings):
    bytes = cached_attention_bytes(batch, queries, points, head_dim)
    return Row(
        f"FlashAttention, {queries} queries on a {points} cache, B={batch}", target, bytes / ceilings.bandwidth,
        f"{bytes / 1e6:.3g} MB / bandwidth",
        bytes / (STREAMED * ceilings.bandwidth) + 3 * KERNEL,
        f"{bytes / 1e6:.3g} MB / ({STREAMED} bandwidth) + 3 kernels x {KERNEL * 1e6:g} us",
    )


def parameters(experts):
    """Of the layers, with this many experts in each."""
    attention = 4 * HIDDEN**2
    return LAYERS * (attention + 3 * HIDDEN * (INTERMEDIATE + experts * FFN))


def forecast_row(batch, target, ceilings, cuda_graph):
    """512 points, then 64 of the largest head that give the rest of 96."""
    floor = predicted = 0.0
    for points, past, captured in ((512, 0, False), (64, 512, cuda_graph)):
        tokens = batch * points
        pairs = batch * points * (past + points / 2) * LAYERS
        flops = 2 * tokens * parameters(TOP_K) + 4 * pairs * HIDDEN
        products, read = flops / ceilings.peak, parameters(EXPERTS) * BYTES / ceilings.bandwidth
        floor += max(products, read)
        kernels = LAYERS * LAUNCHES * KERNEL
        work = kernels + max(products / PRODUCTS, read / STREAMED)
        predicted += work if captured else max(work, LAYERS * LAUNCHES * LAUNCH + NODES * NODE)
    graph = "the decode as one graph" if cuda_graph else "no graphs"
    return Row(
        f"forecast B={batch}, T=512, H=96" + (", --cuda-graph" if cuda_graph else ""), target, floor,
        "of both passes: the larger of operations / peak and weights / bandwidth",
        predicted,
        f"of both passes: the larger of GPU (operations / ({PRODUCTS} peak) or weights / ({STREAMED} bandwidth), + "
        f"{LAYERS * LAUNCHES} kernels x {KERNEL * 1e6:g} us) and host ({LAYERS * LAUNCHES} launches x {LAUNCH * 1e6:g} us + {NODES} nodes x "
        f"{NODE * 1e6:g} us); {graph}",
    )


def launches_row():
    return Row("launches per decode step, B=1", "one graph launch", predicted_text="1 graph launch with --cuda-graph")


def rows(ceilings):
    """All rows by their keys, with what each is judged by."""
    return {
        "moe_many": moe_row(16384, ">= 45 % of the bf16 peak; >= 1.5 x faster than PyTorch and com.microsoft.MoE", ceilings),
        "moe_few": moe_row(64, ">= 60 % of bandwidth on the chosen experts' weights", ceilings),
        "prefill_32": prefill_attention_row(8, 4096, 32, "<= PyTorch's flash attention", ceilings),
        "prefill_64": prefill_attention_row(8, 4096, 64, "<= PyTorch's flash attention", ceilings),
        "cached_1": cached_attention_row(1, 64, 4096, 32, ">= 60 % of bandwidth", ceilings),
        "cached_32": cached_attention_row(32, 64, 4096, 32, ">= 60 % of bandwidth", ceilings),
        "forecast_1": forecast_row(1, "< 2 ms", ceilings, False),
        "forecast_1_graph": forecast_row(1, "< 2 ms", ceilings, True),
        "forecast_32": forecast_row(32, "< 8 ms", ceilings, False),
        "forecast_32_graph": forecast_row(32, "< 8 ms", ceilings, True),
        "launches": launches_row(),
    }


# ---- Joining what programs measured ---------------------------------------------------------------------------------------------

MOE = f"hidden={HIDDEN} ffn={FFN} experts={EXPERTS} top_k={TOP_K}"
SHAPES = {
    "moe_many": ("sparse_moe", f"tokens=16384 {MOE}"),
    "moe_few": ("sparse_moe", f"tokens=64 {MOE}"),
    "prefill_32": ("flash_attention", "batch=8 heads=12 head_dim=32 queries=4096 past=0"),
    "prefill_64": ("flash_attention", "batch=8 heads=12 head_dim=64 queries=4096 past=0"),
    "cached_1": ("flash_attention", "batch=1 heads=12 head_dim=32 queries=64 past=4032"),
    "cached_32": ("flash_attention", "batch=32 heads=12 head_dim=32 queries=64 past=4032"),
    "forecast_1": ("forecast", "batch=1 context=512 horizon=96"),
    "forecast_1_graph": ("forecast", "batch=1 context=512 horizon=96 cuda_graph"),
    "forecast_32": ("forecast", "batch=32 context=512 horizon=96"),
    "forecast_32_graph": ("forecast", "batch=32 context=512 horizon=96 cuda_graph"),
    "launches": ("decode_launches", "batch=1 context=512 cuda_graph"),
}
NOT_MEASURED = "not measured"


class Records:
    """The JSON lines of all programs."""

    def __init__(self, records):
        self.records = records

    def field(self, name, field, shape=None, variant=None, dtype=None):
        """The field of the first record that fits, or None."""
        for record in self.records:
            fits = record.get("name") == name and field in record and record.get("variant") == variant
            if fits and (shape is None or record.get("shape") == shape) and (dtype is None or record.get("dtype") == dtype):
                return record[field]
        return None

    def milliseconds(self, key, variant=None):
        name, shape = SHAPES[key]
        # com.microsoft.MoE is measured in float16.
        return self.field(name, "median_ms", shape, variant, None if variant == "onnxruntime_moe" else "bf16")

    def ceilings(self, exponentials):
        """Those that this run measured; None for what it did not. The peak is PyTorch's: that of mma.sync is lower."""
        bandwidth = self.field("copy", "bytes_per_second", variant="pytorch") or self.field("device", "copy_bytes_per_second")
        return bandwidth, self.field("matrix_product", "flops_per_second", variant="pytorch"), exponentials


def compare(measured, limit, strict=False):
    """Whether `measured` is at most, or less than, `limit`; None where one of them is missing."""
    if measured is None or limit is None:
        return None
    return measured < limit if strict else measured <= limit


def judge(conditions):
    """A verdict from {what: True, False or None for not measured}."""
    missed = [what for what, holds in conditions.items() if holds is False]
    unknown = [what for what, holds in conditions.items() if holds is None]
    if missed:
        return "missed: " + ", ".join(missed) + (f" ({', '.join(unknown)}: {NOT_MEASURED})" if unknown else "")
    if unknown:
        return NOT_MEASURED if len(unknown) == len(conditions) else f"open, {', '.join(unknown)}: {NOT_MEASURED}"
    return "reached"


def conditions(key, records, bandwidth, peak):
    """What a row's verdict rests on."""
    ours = records.milliseconds(key) if key != "launches" else None
    if key == "moe_many":
        flops = 6 * 16384 * TOP_K * HIDDEN * FFN
        torch, other = pytorch(key, records), records.milliseconds(key, "onnxruntime_moe")
        return {
            "45 % of the peak": compare(ours, peak and 1e3 * flops / (0.45 * peak)),
            "1.5 x PyTorch": compare(ours, torch and torch / 1.5),
            "1.5 x com.microsoft.MoE": compare(ours, other and other / 1.5),
        }
    if key == "moe_few":
        # The chosen experts' weights alone, as the target says: their bytes without x and y.
        name, shape = SHAPES[key]
        total = records.field(name, "bytes", shape, dtype="bf16")
        weights = total and total - 2 * 64 * HIDDEN * BYTES
        return {"60 % of bandwidth": compare(ours, bandwidth and weights and 1e3 * weights / (0.6 * bandwidth))}
    if key.startswith("prefill"):
        return {"PyTorch": compare(ours, pytorch(key, records))}
    if key.startswith("cached"):
        bytes = cached_attention_bytes(int(key.split("_")[1]), 64, 4096, 32)
        return {"60 % of bandwidth": compare(ours, bandwidth and 1e3 * bytes / (0.6 * bandwidth))}
    if key == "launches":
        kernels, graphs = (records.field(*SHAPES[key][:1], field, SHAPES[key][1]) for field in ("kernel_launches", "graph_launches"))
        return {"one graph launch": None if graphs is None else (kernels, graphs) == (0, 1)}
    limit = 8 if "_32" in key else 2
    return {f"{limit} ms": compare(ours, limit, strict=True)}


def pytorch(key, records):
    """The best of PyTorch's variants, in milliseconds, or None."""
    found = [records.milliseconds(key, variant) for variant in ("pytorch_loop", "pytorch_grouped", "pytorch_flash")]
    return min((one for one in found if one is not None), default=None)


def share(key, ours, records, bandwidth, peak):
    """How much of a ceiling the measured time is."""
    if key == "moe_many" and peak:
        return f" ({6 * 16384 * TOP_K * HIDDEN * FFN / (ours * 1e-3) / peak:.0%} of the peak)"
    name, shape = SHAPES[key]
    bytes = records.field(name, "bytes", shape, dtype="bf16") if key == "moe_few" else None
    if key == "moe_few" and bytes:
        bytes -= 2 * 64 * HIDDEN * BYTES
    if key.startswith("cached"):
        bytes = cached_attention_bytes(int(key.split("_")[1]), 64, 4096, 32)
    return f" ({bytes / (ours * 1e-3) / bandwidth:.0%} of bandwidth)" if bytes and bandwidth else ""


def milliseconds_text(seconds):
    if seconds is None:
        return NOT_MEASURED
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def joined(records, exponentials):
    """The rows of the table as dictionaries, from the JSON lines of all programs. Ceilings that were not measured leave floors out."""
    records = Records(records)
    bandwidth, peak, exponentials = records.ceilings(exponentials)
    known = bandwidth and peak and exponentials
    table = rows(Ceilings("measured", bandwidth, peak, exponentials) if known else H200)
    result = []
    for key, row in table.items():
        ours, theirs = records.milliseconds(key) if key != "launches" else None, pytorch(key, records)
        measured = NOT_MEASURED if ours is None else milliseconds_text(ours * 1e-3) + share(key, ours, records, bandwidth, peak)
        if key == "launches":
            name, shape = SHAPES[key]
            counts = [records.field(name, field, shape) for field in ("graph_launches", "kernel_launches")]
            if None not in counts:
                measured = f"{counts[0]:g} graph, {counts[1]:g} kernel launches"
        other = records.milliseconds(key, "onnxruntime_moe") if key.startswith("moe") else None
        compared = [] if theirs is None else [milliseconds_text(theirs * 1e-3)]
        compared += [] if other is None else [f"com.microsoft.MoE {milliseconds_text(other * 1e-3)}"]
        comparable = key.startswith(("moe", "prefill", "cached"))
        result.append({
            "key": key, "row": row.title, "to reach": row.target, "floor": floor_text(row, known),
            "predicted": floor_text(row, known, True), "measured": measured,
            "PyTorch": ", ".join(compared) or (NOT_MEASURED if comparable else ""),
            "verdict": judge(conditions(key, records, bandwidth, peak)), "measured_ms": ours, "pytorch_ms": theirs,
        })
    return result


def floor_text(row, known, predicted=False):
    seconds, text = (row.predicted, row.predicted_text) if predicted else (row.floor, row.floor_text)
    if seconds is None:
        return text
    # Without this machine's ceilings the number is of another one's nominal speeds, and says so.
    return milliseconds_text(seconds) + ("" if known else f" ({H200.name})")


COLUMNS = ["row", "to reach", "floor", "predicted", "measured", "PyTorch", "verdict"]


def markdown(table):
    """Rows of `joined` as a Markdown table."""
    lines = [COLUMNS, ["---"] * len(COLUMNS)] + [[row[column] for column in COLUMNS] for row in table]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def nominal():
    """The rows' floors and predictions on a nominal H200 as a Markdown table, with their formulas."""
    lines = ["| | to reach | floor | predicted | measured |", "|---|---|---|---|---|"]
    for row in rows(H200).values():
        floor = f"{milliseconds_text(row.floor)} = {row.floor_text}" if row.floor else ""
        predicted = f"{milliseconds_text(row.predicted)} = {row.predicted_text}" if row.predicted else row.predicted_text
        lines.append(f"| {row.title} | {row.target} | {floor} | {predicted} | {NOT_MEASURED} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(nominal())
