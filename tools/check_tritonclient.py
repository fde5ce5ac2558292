"""Asks a running server through NVIDIA's tritonclient, over HTTP and gRPC, and compares with what is expected.

    check_tritonclient.py HOST:PORT MODEL CASE.json

CASE.json has `series`, `horizon` and `expected`, the forecast of the series. Prints what differs and exits with 1.
"""

import json
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

TOLERANCE = 1e-4


def tensor(protocol, name, array, **options):
    types = {np.float32: "FP32", np.float64: "FP64", np.int64: "INT64"}
    made = protocol.InferInput(name, list(array.shape), types[array.dtype.type])
    made.set_data_from_numpy(array, **options)
    return made


def check(condition, message):
    if not condition:
        sys.exit(message)


def close(what, found, expected):
    check(found.shape == expected.shape, f"{what}: the shape is {found.shape}, expected {expected.shape}")
    error = np.abs(found - expected).max() / np.abs(expected).max()
    check(error <= TOLERANCE, f"{what}: the error is {error:.1e}")


def refused(what, ask, expected):
    try:
        ask()
    except InferenceServerException as error:
        check(expected in str(error), f"{what}: {error}")
    else:
        sys.exit(f"{what}: not refused")


def check_protocol(protocol, name, address, model, case):
    client = protocol.InferenceServerClient(address)
    check(client.is_server_live() and client.is_server_ready(), f"{name}: the server is not ready")
    check(client.is_model_ready(model), f"{name}: the model is not ready")
    as_json = {} if protocol is http else {"as_json": True}
    metadata = client.get_model_metadata(model, **as_json)
    check([part["name"] for part in metadata["inputs"]][0] == "series", f"{name}: {metadata}")
    check(client.get_server_metadata(**as_json)["name"] == "tmoe", f"{name}: metadata")

    series = np.array([case["series"]])
    horizon = np.array([case["horizon"]], dtype=np.int64)
    expected = np.array([case["expected"]], dtype=np.float32)
    choices = [{"binary_data": True}, {"binary_data": False}] if protocol is http else [{}]
    for options in choices:
        inputs = [tensor(protocol, "series", series, **options), tensor(protocol, "horizon", horizon, **options)]
        for outputs in (None, [protocol.InferRequestedOutput("forecast", **options)]):
            result = client.infer(model, inputs, outputs=outputs, request_id="mine", timeout=60_000_000)
            close(f"{name} {options}", result.as_numpy("forecast"), expected)
    levels = np.array([0.1, 0.5, 0.9], dtype=np.float32)
    # Short enough for earlier origins in the series.
    short = [inputs[0], tensor(protocol, "horizon", np.array([4], dtype=np.int64))]
    result = client.infer(model, [*short, tensor(protocol, "quantiles", levels)])
    quantiles = result.as_numpy("quantiles")
    close(f"{name}: the median", quantiles[:, 1], result.as_numpy("forecast"))
    check((quantiles[:, 0] <= quantiles[:, 2]).all(), f"{name}: quantiles cross")

    refused(f"{name}: another model", lambda: client.infer("other", inputs), "there is no model `other`")
    refused(f"{name}: no series", lambda: client.infer(model, inputs[1:]), "the input series is missing")
    client.unload_model(model)
    check(not client.is_model_ready(model), f"{name}: ready although unloaded")
    client.load_model(model)
    check(client.is_model_ready(model), f"{name}: not ready although loaded")
    index = client.get_model_repository_index(**as_json)
    models = index if protocol is http else index["models"]
    check(models[0]["state"] == "READY", f"{name}: {index}")
    client.close()


def main():
    address, model, case = sys.argv[1:]
    with open(case) as file:
        case = json.load(file)
    check_protocol(http, "http", address, model, case)
    check_protocol(grpc, "grpc", address, model, case)


if __name__ == "__main__":
    main()
