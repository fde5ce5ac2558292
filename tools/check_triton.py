"""Checks a model repository that `tmoe-export triton` wrote, with nothing of tmoe but what lies in it.

    python check_triton.py REPOSITORY SELFTEST GOLDEN [LIBRARY]

REPOSITORY has one model for Triton's ONNX Runtime backend; SELFTEST is the package's selftest.safetensors; GOLDEN has tensors `series`
and `generate.{n}`, computed by the original model; LIBRARY is where the operators' library lies here, if the configuration names one.

- config.pbtxt is parsed with tritonclient's own schema and must say of the graph what Triton's backend compares: names, types, dims;
- plain onnxruntime runs the self-test with exactly the configuration's inputs and outputs; results are compared with the expected;
- the warm-up is assembled as Triton does it, from config.pbtxt and the files in `warmup`, and run;
- client.py forecasts, against a server that answers tritonclient over gRPC as Triton would; compared with the original's forecasts;
- the manifests are valid: Kubernetes' by its own schema, KServe's by that of its fields.

Prints one line per check. Exit code 0: all hold, 1: at least one does not, 2: wrong usage.
"""

import importlib.util
import json
import math
import sys
from concurrent import futures
from pathlib import Path

import grpc
import jsonschema
import kubernetes_validate
import numpy as np
import onnxruntime as ort
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from run_plugin import cases, from_ort, read_safetensors, root_mean_square, scales, to_ort

NUMPY = {"TYPE_FP32": np.dtype("<f4"), "TYPE_FP16": np.dtype("<f2"), "TYPE_BF16": np.dtype("<u2"), "TYPE_INT64": np.dtype("<i8")}
ONNX = {"TYPE_FP32": "tensor(float)", "TYPE_FP16": "tensor(float16)", "TYPE_BF16": "tensor(bfloat16)", "TYPE_INT64": "tensor(int64)"}
# Of a cache of half precision and of weights in 8 bits; as in run_plugin.py, of the root mean square.
TOLERANCE = {"TYPE_FP32": 1e-4, "TYPE_FP16": 1e-2, "TYPE_BF16": 5e-2}
METRIC = "nv_inference_pending_request_count"


class Wrong(Exception):
    """What does not hold."""


def require(holds, text):
    if not holds:
        raise Wrong(text)


def data_type(port):
    return model_config_pb2.DataType.Name(port.data_type)


def read_config(repository):
    """The only model of a repository: its folder and its configuration."""
    folders = [folder for folder in repository.iterdir() if folder.is_dir()]
    require(len(folders) == 1, f"Triton takes every folder for a model, found {folders}")
    config = model_config_pb2.ModelConfig()
    text_format.Parse((folders[0] / "config.pbtxt").read_text(), config)
    require(config.name == folders[0].name, f"the model {config.name} lies in {folders[0].name}")
    return folders[0], config


def open_session(folder, config, library):
    """As Triton's backend does: the operators, the version's folder, the graph."""
    options = ort.SessionOptions()
    for path in config.model_operations.op_library_filename:
        require(path.startswith("/"), f"{path} depends on the folder in which the server is started")
        require(path.endswith(f"/{config.name}/1/{Path(path).name}"), f"{path} is not in the version's folder")
        require(library is not None and library == folder / "1" / Path(path).name, f"{library} is not {path}")
        options.register_custom_ops_library(str(library))
    threads = int(config.parameters["intra_op_thread_count"].string_value)
    options.intra_op_num_threads = threads or 1
    return ort.InferenceSession(folder / "1" / config.default_model_filename, options, providers=["CPUExecutionProvider"])


def check_signature(session, config):
    """Triton refuses a model whose configuration and graph differ; every output must be there to be asked for."""
    require(config.backend == "onnxruntime" and config.max_batch_size > 0, "expected a batching ONNX Runtime model")
    for kind, ports, graph in [("input", config.input, session.get_inputs()), ("output", config.output, session.get_outputs())]:
        stated = {port.name: (ONNX[data_type(port)], list(port.dims)) for port in ports}
        require(len(stated) == len(ports), f"an {kind} is stated twice")
        actual = {}
        for port in graph:
            require(isinstance(port.shape[0], str), f"{port.name} has no batch dimension: {port.shape}")
            actual[port.name] = (port.type, [size if isinstance(size, int) else -1 for size in port.shape[1:]])
        require(stated == actual, f"{kind}s differ: {stated} in config.pbtxt, {actual} in the graph")
    batching = config.dynamic_batching
    require(all(0 < size <= config.max_batch_size for size in batching.preferred_batch_size), "a preferred batch is too large")
    require(batching.max_queue_delay_microseconds > 0, "nothing waits for a batch")
    require(not config.HasField("sequence_batching"), "decoding is stateless")
    require(config.version_policy.HasField("latest") and len(config.instance_group) == 1, "expected one group of the latest version")


def fits(port, shape, max_batch_size):
    """Whether Triton accepts a tensor of this shape."""
    dims = list(port.dims)
    sizes = list(shape[1:])
    same = len(dims) == len(sizes) and all(dim in (-1, size) for dim, size in zip(dims, sizes))
    return same and 1 <= shape[0] <= max_batch_size


def execute(session, config, feeds):
    """All outputs by name, float32; the inputs are float32 or int64 and are made what the configuration says."""
    binding = session.io_binding()
    values = []
    for port in config.input:
        tensor = feeds[port.name]
        require(fits(port, tensor.shape, config.max_batch_size), f"{port.name} {tensor.shape} does not fit {list(port.dims)}")
        values.append(to_ort(tensor, ONNX[data_type(port)]))
        binding.bind_ortvalue_input(port.name, values[-1])
    for port in config.output:
        binding.bind_output(port.name, "cpu")
    session.run_with_iobinding(binding)
    outputs = {port.name: from_ort(value) for port, value in zip(config.output, binding.get_outputs())}
    for port in config.output:
        require(fits(port, outputs[port.name].shape, config.max_batch_size), f"{port.name} comes as {outputs[port.name].shape}")
    return outputs


def compare(outputs, expected, config, precision):
    """The largest error of outputs, relative to their root mean square."""
    narrowest = max(TOLERANCE[data_type(port)] for port in config.input if port.name.startswith("past_key_values."))
    tolerance = max(narrowest, 3e-1 if precision == "int8" else 0, 1e-3 if precision != "fp32" else 0)
    scale = scales(expected)
    worst = 0.0
    for name, tensor in expected.items():
        require(outputs[name].shape == tensor.shape, f"{name} is {outputs[name].shape}, expected {tensor.shape}")
        if tensor.size:
            error = root_mean_square(outputs[name] - tensor) / max(scale[name], 1e-30)
            require(math.isfinite(error) and error <= tolerance, f"{name} differs by {error:.1e}")
            worst = max(worst, error)
    return worst


def check_selftest(session, config, selftest, precision):
    worst = 0.0
    for inputs, expected in cases(selftest).values():
        worst = max(worst, compare(execute(session, config, inputs), expected, config, precision))
    return f"worst error {worst:.1e}"


def check_warm_up(session, folder, config, selftest, precision):
    """Each request of a sample is one series; those of a sample make one batch (`GenerateWarmupData` in Triton's core)."""
    expected = {case: outputs for case, (_, outputs) in cases(selftest).items()}
    ports = {port.name: port for port in config.input}
    used = set()
    for sample in config.model_warmup:
        require(set(sample.inputs) == set(ports), f"{sample.name} has the inputs {sorted(sample.inputs)}")
        feeds = {}
        for name, entry in sample.inputs.items():
            require(entry.data_type == ports[name].data_type, f"{sample.name}: {name} is of another type")
            element = NUMPY[data_type(entry)]
            size = math.prod(entry.dims)
            if entry.WhichOneof("input_data_type") == "zero_data":
                require(size == 0, f"{sample.name}: {name} is made up")
                array = np.zeros(entry.dims, element)
            else:
                path = folder / "warmup" / entry.input_data_file
                used.add(path)
                require(path.stat().st_size == size * element.itemsize, f"{path.name} has {path.stat().st_size} bytes")
                array = np.fromfile(path, element).reshape(entry.dims)
            if element == np.dtype("<u2"):
                array = (array.astype(np.uint32) << 16).view(np.float32)
            feeds[name] = np.repeat(array[None], sample.batch_size, axis=0)
        case = sample.name.split(" ")[0]
        outputs = execute(session, config, feeds)
        row = {name: np.repeat(tensor[:1], sample.batch_size, axis=0) for name, tensor in expected[case].items()}
        compare(outputs, row, config, precision)
    sizes = {sample.batch_size for sample in config.model_warmup}
    require({1, config.max_batch_size} <= sizes, f"the batches {sizes} are warmed up")
    require(used == set((folder / "warmup").iterdir()), "a file of the warm-up is not used")
    return f"{len(config.model_warmup)} samples"


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers as Triton does: shapes and types are those of the configuration, outputs those asked for."""

    def __init__(self, session, config):
        self.session = session
        self.config = config

    def ModelMetadata(self, request, context):
        def metadata(port):
            shape = [-1, *port.dims]
            return service_pb2.ModelMetadataResponse.TensorMetadata(
                name=port.name, datatype=data_type(port).removeprefix("TYPE_"), shape=shape
            )

        return service_pb2.ModelMetadataResponse(
            name=self.config.name, inputs=map(metadata, self.config.input), outputs=map(metadata, self.config.output)
        )

    def ModelConfig(self, request, context):
        return service_pb2.ModelConfigResponse(config=self.config)

    def ModelInfer(self, request, context):
        ports = {port.name: port for port in self.config.input}
        require([tensor.name for tensor in request.inputs] and len(request.inputs) == len(ports), "an input is missing")
        feeds = {}
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
            port = ports[tensor.name]
            require(f"TYPE_{tensor.datatype}" == data_type(port), f"{tensor.name} comes as {tensor.datatype}")
            array = np.frombuffer(raw, NUMPY[data_type(port)]).reshape(tensor.shape)
            if tensor.datatype == "BF16":
                array = (array.astype(np.uint32) << 16).view(np.float32)
            feeds[tensor.name] = array
        outputs = execute(self.session, self.config, feeds)
        response = service_pb2.ModelInferResponse(model_name=self.config.name)
        ports = {port.name: port for port in self.config.output}
        for wanted in request.outputs:
            array = outputs[wanted.name]
            datatype = data_type(ports[wanted.name]).removeprefix("TYPE_")
            response.outputs.add(name=wanted.name, datatype=datatype, shape=array.shape)
            if datatype == "BF16":
                array = (array.view(np.uint32) >> 16).astype(np.uint16)
            elif datatype == "FP16":
                array = array.astype(np.float16)
            response.raw_output_contents.append(array.tobytes())
        return response


def check_client(repository, session, config, golden, precision):
    """The client's forecasts over gRPC against the original's; only packages of float32 compute those."""
    specification = importlib.util.spec_from_file_location("client", repository / "client.py")
    client = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(client)
    limits = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]
    server = grpc.server(futures.ThreadPoolExecutor(1), options=limits)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Server(session, config), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    rounded = precision != "fp32"
    worst = 0.0
    try:
        with client.triton.InferenceServerClient(f"127.0.0.1:{port}") as connection:
            model = client.Model(connection, config.name)
            series = golden["series"]
            horizons = sorted(int(name.removeprefix("generate.")) for name in golden if name.startswith("generate."))
            require(horizons, "the golden has no forecast")
            for horizon in horizons:
                for use_cache in (True, False):
                    forecast = model.forecast(series, horizon, normalize=False, use_cache=use_cache)
                    original = golden[f"generate.{horizon}"]
                    worst = max(worst, float(np.abs(forecast - original).max()))
                    share = root_mean_square(forecast - original) / root_mean_square(original)
                    require(share <= 3e-1, f"forecasts of {horizon} points differ from the original's by {share:.1e} of their size")
            require(rounded or worst <= 1e-4, f"forecasts differ from the original's by {worst:.1e}")
            # Normalisation undoes shift and scale, and padding on the left changes nothing.
            usual = model.forecast(series, horizons[0])
            moved = model.forecast(series * 8 + 64, horizons[0])
            padded = np.concatenate([np.full((len(series), 5), np.nan), series], axis=1)
            tolerance = 5e-2 if rounded else 1e-3
            require(np.allclose((moved - 64) / 8, usual, atol=tolerance), "a forecast does not follow its series' scale")
            require(np.allclose(model.forecast(padded, horizons[0]), usual, atol=tolerance), "padding changes a forecast")
    finally:
        server.stop(None)
    return f"worst difference {worst:.1e}"


QUANTITY = {"type": "string", "pattern": r"^[0-9]+(Mi|Gi)?$"}
PROBE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["httpGet"],
    "properties": {
        "httpGet": {
            "type": "object",
            "additionalProperties": False,
            "required": ["path", "port"],
            "properties": {"path": {"enum": ["/v2/health/ready", "/v2/health/live"]}, "port": {"const": 8080}},
        },
        "periodSeconds": {"type": "integer", "minimum": 1},
        "failureThreshold": {"type": "integer", "minimum": 1},
    },
}


def exactly(required, **optional):
    """An object with these fields and no other."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {**required, **optional},
    }


RESOURCES = exactly({"cpu": QUANTITY, "memory": QUANTITY}, **{"nvidia.com/gpu": QUANTITY})
# The fields of KServe's CRD v1beta1 that the manifest uses, with the types that the CRD gives them.
KSERVE = exactly(
    {
        "apiVersion": {"const": "serving.kserve.io/v1beta1"},
        "kind": {"const": "InferenceService"},
        "metadata": exactly(
            {"name": {"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}},
            annotations={"type": "object", "additionalProperties": {"type": "string"}},
        ),
        "spec": exactly(
            {
                "predictor": exactly(
                    {
                        "model": exactly(
                            {
                                "modelFormat": exactly({"name": {"const": "triton"}}),
                                "protocolVersion": {"const": "v2"},
                                "storageUri": {"type": "string", "pattern": "^[a-z0-9]+://."},
                                "resources": exactly({"requests": RESOURCES, "limits": RESOURCES}),
                            },
                            runtime={"const": "kserve-tritonserver"},
                            runtimeVersion={"type": "string"},
                            env={"type": "array", "items": exactly({"name": {"type": "string"}, "value": {"type": "string"}})},
                            startupProbe=PROBE,
                            readinessProbe=PROBE,
                            livenessProbe=PROBE,
                        ),
                    },
                    minReplicas={"type": "integer"},
                    maxReplicas={"type": "integer"},
                    autoScaling=exactly(
                        {
                            "metrics": {
                                "type": "array",
                                "minItems": 1,
                                "items": exactly(
                                    {
                                        "type": {"const": "External"},
                                        "external": exactly(
                                            {
                                                "metric": exactly(
                                                    {
                                                        "backend": {"const": "prometheus"},
                                                        "serverAddress": {"type": "string"},
                                                        "query": {"type": "string", "pattern": METRIC},
                                                    }
                                                ),
                                                "target": exactly(
                                                    {"type": {"const": "AverageValue"}, "averageValue": QUANTITY}
                                                ),
                                            }
                                        ),
                                    }
                                ),
                            }
                        }
                    ),
                )
            }
        ),
    }
)


def check_manifests(repository, config):
    objects = {entry["kind"]: entry for entry in yaml.safe_load_all((repository / "kubernetes.yaml").read_text())}
    require(set(objects) == {"Deployment", "Service", "HorizontalPodAutoscaler"}, f"found {sorted(objects)}")
    for entry in objects.values():
        kubernetes_validate.validate(entry, kubernetes_validate.latest_version(), strict=True)
    deployment, service, scaler = objects["Deployment"], objects["Service"], objects["HorizontalPodAutoscaler"]
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        require(selector.items() <= labels, f"{selector} does not select the pods")
    (container,) = pod["spec"]["containers"]
    named = {port["name"] for port in container["ports"]}
    require({port["targetPort"] for port in service["spec"]["ports"]} == named, "the service leads to ports that are not there")
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    wanted = {"startup": "/v2/health/ready", "readiness": "/v2/health/ready", "liveness": "/v2/health/live"}
    require(paths == wanted, f"probes look at {paths}")
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    require(mounts["models"]["readOnly"], "the models can be written")
    path = mounts["models"]["mountPath"]
    require(f"--model-repository={path}" in container["args"], "the server looks elsewhere for its models")
    for library in config.model_operations.op_library_filename:
        require(library.startswith(f"{path}/{config.name}/1/"), f"{library} is not below {path}")
    (metric,) = scaler["spec"]["metrics"]
    require(metric["pods"]["metric"]["name"] == METRIC, f"scales on {metric}")
    require(metric["pods"]["metric"]["selector"]["matchLabels"] == {"model": config.name}, "scales on another model's queue")
    target = scaler["spec"]["scaleTargetRef"]
    same = (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    require(same and target["apiVersion"] == deployment["apiVersion"], f"scales {target}")
    kserve = repository / "kserve.yaml"
    if not kserve.exists():
        return "without KServe"
    service = yaml.safe_load(kserve.read_text())
    jsonschema.validate(service, KSERVE)
    return "with KServe"


def main(arguments):
    if len(arguments) not in (3, 4):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    repository, selftest, golden = map(Path, arguments[:3])
    library = Path(arguments[3]) if len(arguments) == 4 else None
    selftest, golden = read_safetensors(selftest), read_safetensors(golden)
    folder, config = read_config(repository)
    session = open_session(folder, config, library)
    precision = json.loads((repository / "repository.json").read_text())["precision"]
    failed = False
    for name, check in [
        ("config.pbtxt says what the graph is", lambda: check_signature(session, config)),
        ("plain onnxruntime computes the self-test", lambda: check_selftest(session, config, selftest, precision)),
        ("the warm-up runs", lambda: check_warm_up(session, folder, config, selftest, precision)),
        ("client.py forecasts", lambda: check_client(repository, session, config, golden, precision)),
        ("manifests are valid", lambda: check_manifests(repository, config)),
    ]:
        try:
            detail = check()
            print(f"ok    {name}{': ' + detail if detail else ''}")
        except Exception as error:  # Whatever is wrong, the other checks are run too.
            failed = True
            print(f"FAIL  {name}: {type(error).__name__}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
