#!/usr/bin/env python3
"""Measures PyTorch on the shapes of tmoe's benchmarks, and what this machine reaches at all.

    python3 compare.py [--device cuda|cpu] [--tiny] [--repeats N] [--only TEXT]

One JSON object a line on standard output, in the form of bench_moe and bench_attention with a field "variant". Times are medians over
warm runs, between two events of the device; a buffer larger than its L2 cache is overwritten before each, as there.

matrix_product  the largest rate of bf16 products that the library reaches: the ceiling of all others
copy            bytes read and written per second
sparse_moe      a mixture-of-experts layer from router logits on: top-k, gather, experts, weighted scatter; as a loop over the experts
                like the original model's, and as grouped products. Both must give the same numbers, or this fails.
flash_attention scaled_dot_product_attention with its flash backend and no other. 64 queries on a cache attend to all of it: masking
                the last 63 points of 4096 would make the same bytes cross the bus.

Where onnxruntime with CUDA can be imported, com.microsoft.MoE runs sparse_moe too. What is not available is named on standard error, and
as an object with the field "missing".

--tiny takes small shapes, to try this script: its numbers mean nothing. --only runs the parts whose name contains TEXT.
"""

import argparse
import importlib.util
import json
import statistics
import struct
import sys
import time

import torch
import torch.nn.functional as functional
from torch.nn.attention import SDPBackend, sdpa_kernel

HIDDEN, FFN, EXPERTS, TOP_K = 384, 768, 8, 2
# bf16 rounds every product's result, and the two variants round at different places.
AGREEMENT = 2e-2


class Disagreement(Exception):
    """Two variants of the same layer give different numbers."""


def say(**fields):
    print(json.dumps(fields), flush=True)


def missing(name, variant, reason):
    print(f"{name}, {variant}: not available: {reason}", file=sys.stderr)
    say(name=name, variant=variant, missing=reason)


class Clock:
    """Medians of repeated runs, with a cold L2 cache."""

    def __init__(self, device, repeats):
        self.device, self.repeats = device, repeats
        size = 4 * torch.cuda.get_device_properties(0).L2_cache_size if device == "cuda" else 0
        self.evicted = torch.empty(size + (1 << 20), dtype=torch.uint8, device=device)

    def seconds(self, work):
        times = []
        for repeat in range(-3, self.repeats):
            self.evicted.zero_()
            taken = self.one(work)
            # The first ones load code, choose algorithms and raise clocks.
            if repeat >= 0:
                times.append(taken)
        return statistics.median(times)

    def one(self, work):
        if self.device == "cpu":
            begin = time.perf_counter()
            work()
            return time.perf_counter() - begin
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        work()
        stop.record()
        stop.synchronize()
        return 1e-3 * start.elapsed_time(stop)


def matrix_product(clock, size):
    a, b = (torch.randn(size, size, device=clock.device).to(torch.bfloat16) for _ in range(2))
    out = torch.empty_like(a)
    seconds = clock.seconds(lambda: torch.matmul(a, b, out=out))
    flops = 2 * size**3
    say(name="matrix_product", variant="pytorch", shape=f"{size} x {size} x {size}", dtype="bf16", median_ms=1e3 * seconds,
        bytes=6 * size**2, flops=flops, flops_per_second=flops / seconds)


def copy(clock, size):
    source = torch.randint(0, 255, (size,), dtype=torch.uint8, device=clock.device)
    target = torch.empty_like(source)
    seconds = clock.seconds(lambda: target.copy_(source))
    say(name="copy", variant="pytorch", shape=f"{size} bytes", dtype="uint8", median_ms=1e3 * seconds, bytes=2 * size, flops=0,
        bytes_per_second=2 * size / seconds)


def route(logits, dtype):
    weights, experts = torch.topk(functional.softmax(logits, dim=-1, dtype=torch.float32), TOP_K, dim=-1)
    return weights.to(dtype), experts


def loop(x, logits, gate, up, down):
    """The original model's: every expert finds its tokens, and adds what it makes of them."""
    weights, experts = route(logits, x.dtype)
    mask = functional.one_hot(experts, EXPERTS).permute(2, 1, 0)
    y = torch.zeros_like(x)
    for expert in range(EXPERTS):
        slot, token = torch.where(mask[expert])
        inner = x[None, token].reshape(-1, x.shape[1])
        inner = functional.silu(inner @ gate[expert]) * (inner @ up[expert])
        y.index_add_(0, token, (inner @ down[expert]) * weights[token, slot, None])
    return y


def grouped(x, logits, gate_up, down, product):
    """The tokens sorted by expert, and one grouped product for each of the two layers; nothing is read on the host."""
    weights, experts = route(logits, x.dtype)
    slots = experts.flatten()
    order = torch.argsort(slots, stable=True)
    # bincount asks the device for its size, and makes the host wait.
    counts = (slots[:, None] == torch.arange(EXPERTS, device=x.device)).sum(0, dtype=torch.int32)
    offsets = torch.cumsum(counts, 0, dtype=torch.int32)
    token = order // TOP_K
    gated, upped = product(x[token], gate_up, offs=offsets).chunk(2, dim=-1)
    rows = product(functional.silu(gated) * upped, down, offs=offsets)
    return torch.zeros_like(x).index_add_(0, token, rows * weights.flatten()[order, None])


def grouped_product():
    """PyTorch's product of groups of rows with a matrix each, whatever this version calls it."""
    return getattr(functional, "grouped_mm", None) or getattr(torch, "_grouped_mm", None)


def sparse_moe(clock, tokens):
    device, dtype = clock.device, torch.bfloat16
    torch.manual_seed(tokens)
    x = torch.randn(tokens, HIDDEN, device=device).to(dtype)
    logits = torch.randn(tokens, EXPERTS, device=device)
    gate, up = (torch.randn(EXPERTS, HIDDEN, FFN, device=device).mul_(HIDDEN**-0.5).to(dtype) for _ in range(2))
    down = torch.randn(EXPERTS, FFN, HIDDEN, device=device).mul_(FFN**-0.5).to(dtype)
    gate_up = torch.cat([gate, up], dim=-1)
    chosen = torch.topk(logits, TOP_K, dim=-1).indices.unique().numel()
    shape = f"tokens={tokens} hidden={HIDDEN} ffn={FFN} experts={EXPERTS} top_k={TOP_K}"
    facts = dict(name="sparse_moe", shape=shape, dtype="bf16", bytes=3 * HIDDEN * FFN * chosen * 2 + 4 * tokens * HIDDEN,
                 flops=6 * tokens * TOP_K * HIDDEN * FFN)

    expected = loop(x, logits, gate, up, down)
    variants = {"pytorch_loop": lambda: loop(x, logits, gate, up, down)}
    if product := grouped_product():
        variants["pytorch_grouped"] = lambda: grouped(x, logits, gate_up, down, product)
    else:
        missing("sparse_moe", "pytorch_grouped", f"PyTorch {torch.__version__} has no grouped_mm")
    for variant, work in variants.items():
        try:
            error = relative_error(work(), expected)
        except (RuntimeError, NotImplementedError) as reason:
            missing("sparse_moe", variant, " ".join(str(reason).split())[:200])
            continue
        if not error <= AGREEMENT:
            raise Disagreement(f"sparse_moe, {shape}: {variant} differs from the loop by {error:.2e}, at most {AGREEMENT} was expected")
        say(variant=variant, median_ms=1e3 * clock.seconds(work), difference=error, **facts)
    onnxruntime_moe(clock, x, logits, gate, up, down, expected, facts)


def relative_error(actual, expected):
    actual, expected = actual.float(), expected.float()
    return ((actual - expected).norm() / expected.norm()).item()


def onnxruntime_moe(clock, x, logits, gate, up, down, expected, facts):
    """com.microsoft.MoE on ONNX Runtime's CUDA provider, with inputs and outputs on the device."""
    name, variant = "sparse_moe", "onnxruntime_moe"
    if clock.device != "cuda":
        return missing(name, variant, "it is compared on CUDA only")
    if not importlib.util.find_spec("onnxruntime"):
        return missing(name, variant, "this Python has no onnxruntime")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return missing(name, variant, f"onnxruntime {onnxruntime.__version__} is a build without CUDA")
    # float16: the operator has no bf16 kernels in every version, and both types take the same time.
    dtype = torch.float16
    x, logits = x.to(dtype), logits.to(dtype)
    # swiglu takes a column of the gate and one of the up projection in turn, and matrices as [experts, out, in].
    gate_up = torch.stack([gate, up], dim=-1).reshape(EXPERTS, HIDDEN, 2 * FFN)
    weights = [matrix.to(dtype).transpose(1, 2).contiguous() for matrix in (gate_up, down)]
    y = torch.empty_like(x)
    torch.cuda.synchronize()
    # Events see what runs on their own stream; to ONNX Runtime, PyTorch's default one, a null pointer, means a stream of its own.
    stream = torch.cuda.Stream()
    try:
        with torch.cuda.stream(stream):
            measure_onnxruntime_moe(clock, stream, x, logits, weights, y, expected, facts)
    except Exception as reason:  # ONNX Runtime's errors have no common class besides this.
        missing(name, variant, f"onnxruntime {onnxruntime.__version__}: {' '.join(str(reason).split())[:200]}")


def measure_onnxruntime_moe(clock, stream, x, logits, weights, y, expected, facts):
    import onnxruntime

    provider = ("CUDAExecutionProvider", {"user_compute_stream": str(stream.cuda_stream)})
    session = onnxruntime.InferenceSession(moe_model(), providers=[provider])
    binding = session.io_binding()
    # 10: FLOAT16.
    for label, tensor in zip(["x", "logits", "gate_up", "down"], [x, logits, *weights]):
        binding.bind_input(label, "cuda", 0, 10, list(tensor.shape), tensor.data_ptr())
    binding.bind_output("y", "cuda", 0, 10, list(y.shape), y.data_ptr())
    run_options = onnxruntime.RunOptions()
    run_options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def work():
        session.run_with_iobinding(binding, run_options)

    work()
    torch.cuda.synchronize()
    error = relative_error(y, expected)
    if not error <= AGREEMENT:
        return missing("sparse_moe", "onnxruntime_moe", f"it differs from the loop by {error:.2e}: it would not be the same work")
    say(variant="onnxruntime_moe", median_ms=1e3 * clock.seconds(work), difference=error, **(facts | {"dtype": "fp16"}))


def field(number, value):
    """A field of a protobuf message: an integer, a float, or bytes."""
    kind = 0 if isinstance(value, int) else 5 if isinstance(value, float) else 2
    body = varint(value) if kind == 0 else struct.pack("<f", value) if kind == 5 else varint(len(value)) + value
    return varint(number << 3 | kind) + body


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def moe_model():
    """An ONNX model of nothing but com.microsoft.MoE, all four inputs given at run time. Written by hand: no package `onnx` needed."""

    def attribute(name, value):
        # 1: FLOAT, 2: INT, 3: STRING.
        number, kind = (2, 1) if isinstance(value, float) else (3, 2) if isinstance(value, int) else (4, 3)
        value = value.encode() if isinstance(value, str) else value
        return field(5, field(1, name.encode()) + field(number, value) + field(20, kind))

    def port(name, dims):
        shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim.encode())) for dim in dims)
        # 10: FLOAT16.
        return field(1, name.encode()) + field(2, field(1, field(1, 10) + field(2, shape)))

    node = b"".join(field(1, name) for name in (b"x", b"logits", b"gate_up", b"", b"down")) + field(2, b"y") + field(4, b"MoE")
    settings = dict(k=TOP_K, activation_type="swiglu", swiglu_fusion=1, normalize_routing_weights=0, activation_alpha=1.0, activation_beta=0.0)
    node += b"".join(attribute(*setting) for setting in settings.items()) + field(7, b"com.microsoft")
    inputs = {"x": ["tokens", HIDDEN], "logits": ["tokens", EXPERTS], "gate_up": [EXPERTS, 2 * FFN, HIDDEN], "down": [EXPERTS, HIDDEN, FFN]}
    graph = field(1, node) + field(2, b"moe") + b"".join(field(11, port(*entry)) for entry in inputs.items())
    graph += field(12, port("y", ["tokens", HIDDEN]))
    opsets = field(8, field(1, b"") + field(2, 20)) + field(8, field(1, b"com.microsoft") + field(2, 1))
    return field(1, 10) + field(7, graph) + opsets


def flash_attention(clock, batch, head_dim, queries, past, heads=12):
    total = past + queries
    q = torch.randn(batch, heads, queries, head_dim, device=clock.device).to(torch.bfloat16)
    k, v = (torch.randn(batch, heads, total, head_dim, device=clock.device).to(torch.bfloat16) for _ in range(2))
    causal = past == 0

    def work():
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    pairs = queries * (queries + 1) / 2 if causal else queries * total
    say(name="flash_attention", variant="pytorch_flash",
        shape=f"batch={batch} heads={heads} head_dim={head_dim} queries={queries} past={past}", dtype="bf16",
        median_ms=1e3 * clock.seconds(work), bytes=2 * (q.numel() + k.numel()) * 2, flops=4 * batch * heads * head_dim * pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU that PyTorch can use", file=sys.stderr)
        return 77
    clock = Clock(options.device, max(1, options.repeats))
    name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
    say(name="device", variant="pytorch", shape=name, pytorch=torch.__version__, tiny=options.tiny)
    wide, few, points = (256, 16, 128) if options.tiny else (16384, 64, 4096)
    batches, many = ((1, 2), 2) if options.tiny else ((1, 32), 8)
    parts = [(matrix_product, clock, 256 if options.tiny else 8192), (copy, clock, 1 << 20 if options.tiny else 512 << 20)]
    parts += [(sparse_moe, clock, tokens) for tokens in (wide, few)]
    parts += [(flash_attention, clock, many, head_dim, points, 0) for head_dim in (32, 64)]
    parts += [(flash_attention, clock, batch, head_dim, few, points - few) for head_dim in (32, 64) for batch in batches]
    code = 0
    with torch.inference_mode():
        for part, *arguments in parts:
            if options.only not in part.__name__:
                continue
            try:
                part(*arguments)
            except Disagreement as error:
                print(f"error: {error}", file=sys.stderr)
                code = 1
            except (RuntimeError, NotImplementedError) as reason:
                missing(part.__name__, "pytorch", " ".join(str(reason).split())[:200])
    return code


if __name__ == "__main__":
    sys.exit(main())
