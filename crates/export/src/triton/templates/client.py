"""Forecasts with a Time-MoE model on a Triton server; the client carries the cache between requests.

    python client.py [--url localhost:8001] --model NAME --horizon N [--no-cache] [SERIES.txt]

SERIES.txt has one number per line, `nan` for a missing point; without it, a sine wave is forecast. Prints the forecast, one number per
line. Needs `pip install 'tritonclient[grpc]'`.
"""

import argparse

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import triton_to_np_dtype


class Model:
    """A model on a server, as its metadata describes it."""

    def __init__(self, client, name):
        self.client = client
        self.name = name
        metadata = client.get_model_metadata(name)
        self.types = {port.name: port.datatype for port in metadata.inputs}
        self.caches = {port.name: list(port.shape) for port in metadata.inputs if port.name.startswith("past_key_values.")}
        heads = [port.name.removeprefix("predictions.h") for port in metadata.outputs if port.name.startswith("predictions.h")]
        self.heads = sorted(map(int, heads))
        parameters = client.get_model_config(name).config.parameters
        self.max_positions = int(parameters["max_position_embeddings"].string_value)

    def empty_cache(self, batch):
        """The cache before the first pass: [batch, kv_heads, 0, head_dim] each."""
        # The metadata's shape is [-1, kv_heads, -1, head_dim].
        return {name: np.zeros((batch, shape[1], 0, shape[3]), self._numpy(name)) for name, shape in self.caches.items()}

    def _numpy(self, name):
        # For BF16 that of ml_dtypes; before release 26.06 tritonclient took float32 and cut it short.
        return triton_to_np_dtype(self.types[name])

    def run(self, points, mask, cache, head, keep_cache):
        """One pass over `points` [batch, sequence] on a cache: the next `head` points [batch, head], and the new cache."""
        feeds = {"input_ids": points[:, :, None].astype(np.float32), "attention_mask": mask.astype(np.int64), **cache}
        inputs = []
        for name, array in feeds.items():
            tensor = triton.InferInput(name, list(array.shape), self.types[name])
            tensor.set_data_from_numpy(np.ascontiguousarray(array, self._numpy(name)))
            inputs.append(tensor)
        prediction = f"predictions.h{head}"
        presents = {name: name.replace("past_key_values.", "present.") for name in self.caches} if keep_cache else {}
        # What is not asked for is not sent.
        outputs = [triton.InferRequestedOutput(name) for name in (prediction, *presents.values())]
        response = self.client.infer(self.name, inputs, outputs=outputs)
        # With predictions at all positions, those of the last.
        predicted = response.as_numpy(prediction).reshape(len(points), -1, head)[:, -1]
        return predicted, {past: response.as_numpy(present) for past, present in presents.items()}

    def generate(self, points, mask, horizon, use_cache=True):
        """The next `horizon` points [batch, horizon] of normalised series [batch, context], where mask is 1 for real points."""
        wanted = horizon
        parts = []
        cache = self.empty_cache(len(points))
        new = points
        while wanted > 0:
            # The largest head that is not above what is wanted; if none is, the smallest, cut short.
            head = max((head for head in self.heads if head <= wanted), default=self.heads[0])
            more = wanted > head
            predicted, present = self.run(new, mask, cache, head, keep_cache=use_cache and more)
            parts.append(predicted[:, :wanted])
            wanted -= head
            mask = np.concatenate([mask, np.ones((len(points), head), mask.dtype)], axis=1)
            if use_cache:
                new, cache = predicted, present
            else:
                new = np.concatenate([new, predicted], axis=1)
        return np.concatenate(parts, axis=1)

    def forecast(self, series, horizon, normalize=True, use_cache=True):
        """The next `horizon` points of each of several series of one length, [batch, points]; NaN is a missing point."""
        context = self.max_positions - horizon
        if context < 1:
            raise ValueError(f"horizon {horizon} leaves no room for context: the model has {self.max_positions} positions")
        series = np.asarray(series, np.float64)[:, -context:]
        real = ~np.isnan(series)
        mean, deviation = np.zeros((len(series), 1)), np.ones((len(series), 1))
        if normalize:
            mean = np.nanmean(series, axis=1, keepdims=True)
            deviation = np.nanstd(series, axis=1, keepdims=True)
            deviation[deviation == 0] = 1
        points = np.where(real, (series - mean) / deviation, 0).astype(np.float32)
        return self.generate(points, real.astype(np.int64), horizon, use_cache) * deviation + mean


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="localhost:8001")
    parser.add_argument("--model", required=True)
    parser.add_argument("--horizon", type=int, default=96)
    parser.add_argument("--no-cache", action="store_true", help="send the whole series in each pass instead of the cache")
    parser.add_argument("series", nargs="?")
    arguments = parser.parse_args()
    series = np.loadtxt(arguments.series, ndmin=1) if arguments.series else np.sin(np.arange(512) / 10)
    with triton.InferenceServerClient(arguments.url) as client:
        model = Model(client, arguments.model)
        forecast = model.forecast(series[None, :], arguments.horizon, use_cache=not arguments.no_cache)
    print("\n".join(f"{value:.6g}" for value in forecast[0]))


if __name__ == "__main__":
    main()
