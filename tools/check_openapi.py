"""Runs schemathesis on a running server, with the description that it serves.

    check_openapi.py HOST:PORT MODEL SPARE [EXAMPLES]

MODEL serves all the time; SPARE is a model of the repository, which the run loads and unloads. Every operation is tried with what
its description allows and with what it does not, the same in every run, and every answer must be as described. EXAMPLES is how
many random requests an operation gets, beyond its examples and the edges of its schema. Prints what schemathesis found and exits
with its code.
"""

import http.client
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURATION = """\
seed = 1
color = false
max-failures = 10
warnings.display = []

[generation]
deterministic = true
max-examples = {examples}
database = "none"

[phases]
stateful.enabled = false

# What an unloaded model and a request that gives too little time are answered; where they may be, the description says.
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503", "504"]

# Tensors must fit their shapes, which a schema cannot say.
[[operations]]
include-path-regex = "/infer$"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "503", "504"]

# The other model is needed.
[[operations]]
include-path-regex = "/unload$"
parameters = {{ "path.model" = "{spare}" }}
"""

# Its command line, wherever pip puts programs.
PROGRAM = "from schemathesis.cli import schemathesis; schemathesis()"

# Time stamps that are some, of which a schema has no full account.
TIMES = ["2026-03-14T08:00:00Z", "2026-03-14T08:00:00.5-05:30", "2026-03-14T08:00:00", "2024-02-29", None]


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = json.load(response)
    if response.status != 200:
        sys.exit(f"{path} is answered with {response.status}: {answer}")
    return answer


def described(address, model):
    """The description, with what holds for the models of this server in particular."""
    description = get(address, "/openapi.json")
    horizon = get(address, f"/v2/models/{model}")["properties"]["max_positions"] - 1
    schemas = description["components"]["schemas"]
    schemas["ForecastRequest"]["properties"]["horizon"]["maximum"] = horizon
    of_series = schemas["TimeSeriesRequest"]["properties"]
    of_series["options"]["properties"]["horizon"]["maximum"] = horizon
    of_series["inputs"]["items"]["properties"]["start_timestamp"] = {"enum": TIMES}
    return description


def main():
    address, model, spare, *examples = sys.argv[1:]
    description = described(address, model)
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder, "openapi.json")
        schema.write_text(json.dumps(description))
        configuration = Path(folder, "schemathesis.toml")
        configuration.write_text(CONFIGURATION.format(examples=(examples or [15])[0], spare=spare))
        command = [sys.executable, "-c", PROGRAM, "--config-file", configuration, "run", schema, "--url", f"http://{address}"]
        result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(result.stdout)
    count = sum(map(len, description["paths"].values()))
    if f"Tested: {count}" not in result.stdout:
        sys.exit(f"the run left out some of the {count} operations")
    sys.exit(result.returncode)


if __name__ == "__main__":
    main()
