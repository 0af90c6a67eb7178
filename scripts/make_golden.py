#!/usr/bin/env python3
"""Makes the golden outputs of the cards by running the ORIGINAL networks in their own runtimes.

Run once per model; the results are committed. Uses nothing of our conversion. Needs, in addition to
the packages that scripts/fetch_models.py leaves in models/.cache:

    python3 -m venv .venv-golden
    .venv-golden/bin/pip install onnxruntime==1.32.0 ai-edge-litert==2.3.0
    .venv-golden/bin/pip install torch==2.13.0 efficientnet-lite-pytorch==0.1.0  # for lite0
    mkdir -p models/.cache/node && cd models/.cache/node && npm init -y
    npm install --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0

    .venv-golden/bin/python scripts/make_golden.py [NAME ...]
"""
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from convert import golden, packages
from fetch_models import card_path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "models" / ".cache"


def run_tflite(data, nhwc):
    """All outputs by tensor name. The inputs of these files are resized to the picture's shape."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, nhwc.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, nhwc)
    interpreter.invoke()
    return {o["name"]: interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()}


def run_mtcnn(members, inputs):
    """inputs: N×3×H×W by net. The nets take transposed pictures and give transposed outputs."""
    files = {path.rsplit("/", 1)[-1]: data for path, data in members.items()}
    out = {}
    for net, x in inputs.items():
        # Original input: N×W×H×3.
        out |= run_tflite(files[f"{net}.tflite"], np.ascontiguousarray(x.transpose(0, 3, 2, 1)))
    return [
        out["pnet/prob1"].transpose(0, 3, 2, 1)[:, 1],
        out["pnet/conv4-2/BiasAdd"].transpose(0, 3, 2, 1),
        out["rnet/prob1"][:, 1],
        out["rnet/conv5-2/conv5-2"],
        out["onet/prob1"][:, 1],
        out["onet/conv6-2/conv6-2"],
        out["onet/conv6-3/conv6-3"],
    ]


def run_faceplugin(members, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(members["model/fr_feature.onnx"], providers=["CPUExecutionProvider"])
    # The file fixes the batch at one.
    return np.concatenate([session.run(None, {"input": row[None]})[0] for row in x])


def run_mobilefacenet(members, x):
    (data,) = members.values()
    nhwc = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    # The file fixes the batch at two.
    rows = [run_tflite(data, np.repeat(row[None], 2, 0))["embeddings"][:1] for row in nhwc]
    return np.concatenate(rows)


def run_lite0(members, x):
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    (data,) = members.values()
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(io.BytesIO(data), weights_only=True))
    with torch.no_grad():
        return network(torch.from_numpy(x)).numpy()


def run_tfjs(kind, members, nhwc):
    """Runs make_golden.js on the package's files."""
    with tempfile.TemporaryDirectory() as folder:
        for path, data in members.items():
            (Path(folder) / path.rsplit("/", 1)[-1]).write_bytes(data)
        nhwc.astype("<f4").tofile(Path(folder) / "input.f32")
        request = {"kind": kind, "folder": folder, "shape": nhwc.shape, "modules": str(CACHE / "node" / "node_modules")}
        subprocess.run(["node", ROOT / "scripts" / "make_golden.js", json.dumps(request)], check=True)
        return np.fromfile(Path(folder) / "output.f32", "<f4").reshape(len(nhwc), -1)


def run_network(name, members, card, pictures):
    """N×D outputs for N×side×side×3 uint8 pictures."""
    x = np.concatenate([golden.network_input(p, card["input"]) for p in pictures])
    if name == "faceplugin":
        return run_faceplugin(members, x)
    if name == "mobilefacenet":
        return run_mobilefacenet(members, x)
    if name == "lite0":
        return run_lite0(members, x)
    if name == "dlib":  # face-api scales the pixels itself
        return run_tfjs(name, members | npm_script(card), np.asarray(pictures, np.float32))
    return run_tfjs(name, members, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))


def npm_script(card):
    """face-api's own program, from the same package as its weights."""
    import tarfile

    with tarfile.open(packages.archive(card["source"], CACHE)) as archive:
        path = "dist/face-api.node-wasm.js"
        return {path: archive.extractfile(f"package/{path}").read()}


def make(name):
    card = json.loads(card_path(name).read_text())
    members = packages.members(card["source"], CACHE)
    if name == "mtcnn":
        parts = run_mtcnn(members, {net: golden.mtcnn_input(net) for net in golden.MTCNN_SIZES})
    else:
        side = card["input"]["side"]
        parts = [run_network(name, members, card, [golden.picture(side, side)])]
    row = np.concatenate([p.ravel() for p in parts]).astype(np.float32)
    path = card_path(name).parent / card["golden"]["file"]
    path.parent.mkdir(exist_ok=True)
    np.save(path, row)
    print(f"{name}: {row.size} numbers, norm {np.linalg.norm(row):.4f}")


if __name__ == "__main__":
    for model in sys.argv[1:] or ["mtcnn", "faceplugin", "mobilefacenet", "dlib", "hse-faceres", "mobileface", "lite0"]:
        make(model)
