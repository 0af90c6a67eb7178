"""dlib's face recognition ResNet with the weights from face-api.js.

The package has only weights and no graph, so the network is defined here.
"""
import json

from .builder import Builder
from .tfjs_reader import read_weights

BLOCKS = ["32_1", "32_2", "32_3", "64_down", "64_1", "64_2", "64_3", "128_down", "128_1", "128_2",
          "256_down", "256_1", "256_2", "256_down_out"]  # fmt: skip


def build_dlib(manifest, data):
    weights = read_weights(json.loads(manifest)[0]["weights"], data)
    b = Builder((3, 150, 150), "hwc")

    x = b.relu(conv(b, b.input, weights, "conv32_down", 2, "valid"))
    x = b.max_pool(x, 3, 2)
    for block in BLOCKS:
        x = residual(b, x, weights, f"conv{block}")
    return b.module(b.linear(b.mean(x), weights["fc"].T))


def conv(b, x, weights, name, stride, padding):
    filters = weights[f"{name}/conv/filters"].transpose(3, 2, 0, 1)  # from HWIO
    x = b.conv(x, filters, weights[f"{name}/conv/bias"], stride, padding)
    return b.add(b.mul(x, weights[f"{name}/scale/weights"]), weights[f"{name}/scale/biases"])


def residual(b, x, weights, name):
    down = "down" in name
    y = b.relu(conv(b, x, weights, f"{name}/conv1", 2 if down else 1, "valid" if down else "same"))
    y = b.tensor(conv(b, y, weights, f"{name}/conv2", 1, "same"))
    x = b.tensor(b.avg_pool(x, 2) if down else x)
    # Halving rounds down differently in the two branches, and the shortcut has fewer channels:
    # zeros fill up what is missing.
    if x.shape[1:] != y.shape[1:]:
        y = b.padded(y, (0, x.shape[1] - y.shape[1], 0, x.shape[2] - y.shape[2]))
    if x.shape[0] != y.shape[0]:
        x = b.append_channels(x, y.shape[0] - x.shape[0])
    return b.relu(b.add(x, y))
