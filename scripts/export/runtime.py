"""Compares a network that was read from an ONNX file with onnxruntime's run of the file, on rendered faces."""
import numpy as np
import onnx
import onnxruntime
import torch
from convert import golden
from export.base import ROOT, fail, sentence
from PIL import Image

FACES = 20
LEAST = 0.999999  # the cosine of each face's two embeddings
LEAST_HALF = 0.9999  # for a graph in half precision; the module computes in float32
# For a graph that quantises its values: with the graph's rounding, where a number between two steps may go either way,
# and without rounding. (The one real file that was tried has .9974 and .9928.)
LEAST_ROUNDED, LEAST_QUANTISED = 0.99, 0.98


def rendered_faces(recipe):
    """One photo of each of the first people in data/rendered, preprocessed by a card: 20×3×H×W."""
    people = sorted((ROOT / "data/rendered").glob("gallery-*"))[:FACES]
    pictures = [Image.open(person / "00.jpg").convert("RGB").resize(golden.size(recipe)) for person in people]
    return np.concatenate([golden.network_input(np.asarray(picture), recipe) for picture in pictures])


def runtimes_embeddings(model, faces, last, path):
    """onnxruntime's embeddings, one face at a time. last: whether the channels are the last axis."""
    try:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        faces = faces.transpose(0, 2, 3, 1) if last else faces
        faces = np.ascontiguousarray(faces, np.float16 if "float16" in source.type else np.float32)
        return np.stack([session.run(None, {source.name: face[None]})[0].astype(np.float64).ravel() for face in faces])
    except Exception as error:
        fail(f"onnxruntime, with which each export is compared, cannot run {path}: {sentence(str(error))}")


def embeddings(module, faces):
    """One face at a time, since a graph that rounds may do so for a batch as a whole."""
    with torch.no_grad():
        return np.stack([module(torch.from_numpy(face[None]))[0].double().numpy() for face in faces])


def least_cosine(found, expected):
    product = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(1) / product).min())


def check(module, rounding, model, recipe, last, path):
    """The least cosine of the module's embeddings and onnxruntime's. Ends the program if it is too low. rounding:
    the module with the graph's own rounding if the graph quantises, else None."""
    faces = rendered_faces(recipe)
    expected = runtimes_embeddings(model, faces, last, path)
    if rounding:
        enough(least_cosine(embeddings(rounding, faces), expected), LEAST_ROUNDED, "with its rounding", path)
    cosine = least_cosine(embeddings(module, faces), expected)
    return enough(cosine, LEAST_QUANTISED if rounding else LEAST_HALF if in_half(model) else LEAST, "", path)


def in_half(model):
    return any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)


def enough(cosine, least, how, path):
    if not cosine >= least:  # NaN is not either
        how = f" {how}" if how else ""
        fail(
            f"{path} was read wrongly{how}: on {FACES} rendered faces the least cosine to onnxruntime's embedding "
            f"is {cosine:.7f}, expected {least} or more; nothing was written"
        )
    return cosine
