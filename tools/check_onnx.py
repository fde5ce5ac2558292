"""Runs the ONNX project's checker on exported graphs, and checks where their weights lie.

    python check_onnx.py PATH...

PATH is a package (every .onnx file in it is checked) or one .onnx file. For each graph:
`onnx.checker.check_model(full_check=True)`, which includes strict shape inference; and every tensor stored
outside the file must lie inside a file of the same folder, with as many bytes as its type and shape need.

Prints one line per graph. Exit code 0: all are correct, 1: at least one is not, 2: wrong usage.
"""

import math
import sys
from pathlib import Path

import onnx
from onnx import AttributeProto, TensorProto

BITS = {
    **dict.fromkeys([TensorProto.DOUBLE, TensorProto.INT64, TensorProto.UINT64], 64),
    **dict.fromkeys([TensorProto.FLOAT, TensorProto.INT32, TensorProto.UINT32], 32),
    **dict.fromkeys([TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT16, TensorProto.UINT16], 16),
    **dict.fromkeys([TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL], 8),
    **dict.fromkeys([TensorProto.INT4, TensorProto.UINT4], 4),
}


class Problem(Exception):
    """What is wrong with a graph, in one line."""


def tensors(graph):
    """Every stored tensor of a graph and of the graphs nested in its nodes."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == AttributeProto.TENSORS:
                yield from attribute.tensors
            elif attribute.type == AttributeProto.GRAPH:
                yield from tensors(attribute.g)
            elif attribute.type == AttributeProto.GRAPHS:
                for nested in attribute.graphs:
                    yield from tensors(nested)


def check_external(tensor, folder):
    """Checks that the bytes of an externally stored tensor exist."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if not location or Path(location).name != location:
        raise Problem(f"tensor {tensor.name}: location {location!r} is not a file beside the graph")
    file = folder / location
    if not file.is_file():
        raise Problem(f"tensor {tensor.name}: {file} does not exist")

    if tensor.data_type not in BITS:
        raise Problem(f"tensor {tensor.name}: unexpected type {TensorProto.DataType.Name(tensor.data_type)}")
    needed = (math.prod(tensor.dims) * BITS[tensor.data_type] + 7) // 8
    offset, size = int(entries.get("offset", 0)), file.stat().st_size
    length = int(entries.get("length", size - offset))
    if length != needed:
        raise Problem(f"tensor {tensor.name}: shape {list(tensor.dims)} needs {needed} bytes, found {length}")
    if offset < 0 or offset + length > size:
        raise Problem(f"tensor {tensor.name}: bytes {offset} to {offset + length} are not in {file} ({size} bytes)")


def check(path):
    """Checks one graph. Returns a summary of it, raises Problem."""
    try:
        model = onnx.load(path, load_external_data=False)
        external = [t for t in tensors(model.graph) if t.data_location == TensorProto.EXTERNAL]
        for tensor in external:
            check_external(tensor, path.parent)
        onnx.checker.check_model(str(path), full_check=True)
    except Problem:
        raise
    except Exception as error:  # protobuf's, the checker's and the shape inference's have no common base
        raise Problem(" ".join(str(error).split()) or type(error).__name__) from error
    opsets = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import)
    return f"{opsets}; {len(model.graph.node)} nodes, {len(external)} external tensors"


def graphs(paths):
    """The .onnx files that `paths` stand for."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob("*.onnx"))
        if not found:
            raise Problem(f"{path} holds no .onnx file")
        yield from found


def main(arguments):
    if not arguments or any(argument.startswith("-") for argument in arguments):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    failed = False
    try:
        paths = list(graphs(map(Path, arguments)))
    except Problem as problem:
        print(f"FAIL  {problem}")
        return 1
    for path in paths:
        try:
            print(f"ok    {path}: {check(path)}")
        except Problem as problem:
            failed = True
            print(f"FAIL  {path}: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
