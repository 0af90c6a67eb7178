"""Tests the exporters of Keras files with Keras's outputs (fixtures/make_keras_fixture.py)
and with wrong files."""
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from convert import keras_reader  # noqa: E402
from export import facenet, fawkes, vggface  # noqa: E402
from export.keras_file import read_h5  # noqa: E402
from random_weights import random_keras  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
FOUND = json.loads((HERE / "fixtures/keras.json").read_text())
PICTURES = [ROOT / "data/rendered/gallery-000" / name for name in ("00.jpg", "01.jpg")]
NARROW = 16  # of the fixture's VGG-Face
FILES = {
    "facenet": "facenet_weights.h5",
    "vggface": "vgg_face_weights.h5",
    "fawkes-v0.3": "low_extract.h5",
    "fawkes-v1.0": "extractor_0.h5",
}


def write(path, layers, description, arrays=None):
    """As Keras lays out its .h5 files: whole models in model_weights, beside their description;
    weights alone at the top."""
    arrays = arrays or random_keras(layers)
    with h5py.File(path, "w") as file:
        if description is not None:
            file.attrs["model_config"] = json.dumps(description)
        group = file if description is None else file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.encode() for layer, _ in layers]
        for layer, weights in layers:
            part = group.create_group(layer)
            part.attrs["weight_names"] = np.array([name.encode() for name, _ in weights], "S100")
            for name, _ in weights:
                part[name] = arrays[layer, name]


def changed(description, name, **config):
    """The description with other settings of one layer."""
    copy = json.loads(json.dumps(description))
    (layer,) = [layer for layer in copy["config"]["layers"] if layer["config"]["name"] == name]
    layer["config"] |= config
    return copy


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        narrow = tuple(tuple(width // NARROW for width in stage) for stage in vggface.STAGES)
        patch = mock.patch.object(vggface, "STAGES", narrow)
        patch.start()
        self.addCleanup(patch.stop)

    def saved(self, key, name=None, layers=None, description=None):
        path = self.folder / (name or FILES[key])
        write(path, layers or FOUND["layouts"][key], description or FOUND["descriptions"].get(key))
        return path

    def export(self, exporter, checkpoint, *more):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exporter.main([str(checkpoint), "-o", str(self.folder / "out"), *more])
        return said.getvalue()

    def refused(self, exporter, checkpoint, *more):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            self.export(exporter, checkpoint, *more)
        self.assertEqual(left.exception.code, 4)
        self.assertEqual(len(said.getvalue().splitlines()), 1)
        self.assertFalse((self.folder / "out").exists())
        return said.getvalue()


class Fidelity(WithFolder):
    def assert_same(self, card, key, step=1):
        """From the pictures' files through the card and the binary."""
        if not BINARY.exists():
            self.skipTest(f"{BINARY} is not built")
        (self.folder / "crops/somebody").mkdir(parents=True, exist_ok=True)
        for picture in PICTURES:
            shutil.copy(picture, self.folder / "crops/somebody")
        command = [BINARY, "embed", "crops", "-e", f"out/{card}.json", "-o", "x.npy", "--store", "store"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        found, expected = (
            np.load(self.folder / "x.npy")[:, ::step].astype(np.float64),
            np.array(FOUND["embeddings"][key]),
        )
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        if os.environ.get("FACEPOISON_SHOW"):
            print(
                f"| {card} | {abs(found - expected).max():.2g} of {abs(expected).max():.3g} | {cosine.min():.8f} |",
                file=sys.stderr,
            )
        self.assertGreaterEqual(cosine.min(), 0.99999)
        self.assertLess(abs(found - expected).max(), 0.01 * abs(expected).max())

    def test_deepfaces_facenet(self):
        self.assertIn("Inception-ResNet v1 from Keras", self.export(facenet, self.saved("facenet")))
        self.assert_same("facenet-deepface", "facenet")

    def test_deepfaces_vggface(self):
        checkpoint = self.saved("vggface")
        self.export(vggface, checkpoint)
        self.assert_same("vggface", "vggface", 32)
        self.export(vggface, checkpoint, "--name", "vggface-2622", "--dimension", "2622")
        self.assert_same("vggface-2622", "vggface-2622", 32)

    def test_densenets_of_two_kerases(self):
        for key, card in (("fawkes-v0.3", "webface"), ("fawkes-v1.0", "celeb1m")):
            self.export(fawkes, self.saved(key))
            self.assert_same(card, key)
        length = np.linalg.norm(np.load(self.folder / "x.npy"), axis=1)
        np.testing.assert_allclose(length, 1, rtol=1e-6)

    def test_any_batch_gradients_and_bf16(self):
        self.export(fawkes, self.saved("fawkes-v0.3"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
            module = torch.jit.load(self.folder / "out/webface.pt")
        x = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 255 - 110
        whole = module(x)
        torch.testing.assert_close(torch.cat([module(row[None]) for row in x]), whole, rtol=1e-4, atol=1e-4)
        (gradient,) = torch.autograd.grad(module(x.requires_grad_()).square().sum(), x)
        self.assertTrue(gradient.isfinite().all() and (gradient.abs().amax((1, 2, 3)) > 0).all())
        rough = module.to(torch.bfloat16)(x.detach().bfloat16()).float()
        self.assertGreater(torch.cosine_similarity(rough, whole).min().item(), 0.99)


class Descriptions(WithFolder):
    """Parts of a description that the DenseNets do not have."""

    def sequential(self):
        """A dense layer on a flattened picture, in a model inside a model, its names cut into two attributes."""
        inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [
            {"class_name": "Flatten", "config": {"name": "flat"}},
            {"class_name": "Dense",
             "config": {"name": "dense", "use_bias": False, "activation": "linear"}}]}}  # fmt: skip
        first = {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 2, 3, 3]}}
        return {
            "class_name": "Sequential",
            "config": [first, inner, {"class_name": "ReLU", "config": {"name": "relu"}}],
        }

    def test_a_model_in_a_model(self):
        path, kernel = self.folder / "nested.h5", np.arange(18 * 4, dtype=np.float32).reshape(18, 4) - 30
        write(
            path,
            [["in", []], ["inner", [["inner/dense/kernel:0", [18, 4]]]]],
            self.sequential(),
            {("inner", "inner/dense/kernel:0"): kernel},
        )
        with h5py.File(path, "a") as file:
            group = file["model_weights"]
            names = list(group.attrs["layer_names"])
            del group.attrs["layer_names"]
            group.attrs["layer_names0"], group.attrs["layer_names1"] = names[:1], names[1:]
        description, weights = fawkes.read_h5(path)
        picture = np.random.RandomState(0).standard_normal((1, 2, 3, 3)).astype(np.float32)
        found = keras_reader.read_keras(description, weights)(
            torch.from_numpy(picture.transpose(0, 3, 1, 2).copy())
        ).detach()
        np.testing.assert_allclose(found.numpy()[0], np.maximum(picture.ravel() @ kernel, 0), rtol=1e-5)

    def test_the_layers_of_face_recognisers(self):
        """Beside what Keras gave (fixtures/make_keras_layers_fixture.py)."""
        fixture = json.loads((HERE / "fixtures/keras_layers.json").read_text())
        write(self.folder / "layers.hdf5", fixture["layers"], fixture["description"])
        with h5py.File(self.folder / "layers.hdf5", "a") as file:
            file.attrs["keras_version"] = fixture["keras_version"]
        module = keras_reader.read_keras(*read_h5(self.folder / "layers.hdf5"))
        faces = np.stack([np.asarray(Image.open(path).resize((32, 32)), np.float32) for path in PICTURES])
        x = torch.from_numpy(faces.transpose(0, 3, 1, 2).copy()).requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
            found = torch.jit.script(module)(x)
        np.testing.assert_allclose(found.detach(), fixture["embeddings"], rtol=0, atol=3e-6)
        (gradient,) = torch.autograd.grad(found.sum(), x)
        self.assertTrue(gradient.isfinite().all())

    def test_two_layers_of_one_name_in_two_models(self):
        described = self.sequential()
        inner = described["config"][1]
        described["config"].append(inner | {"config": inner["config"] | {"name": "b"}})
        rows = [["inner", [["inner/dense/kernel:0", [18, 4]]]], ["b", [["b/dense/kernel:0", [4, 4]]]]]
        write(self.folder / "low_extract.h5", rows, described)
        self.assertIn("two layers called dense", self.refused(fawkes, self.folder / "low_extract.h5"))

    def test_the_output_of_a_named_layer(self):
        described = changed(FOUND["descriptions"]["fawkes-v0.3"], "relu", activation="softmax")
        checkpoint = self.saved("fawkes-v0.3", description=described)
        self.assertIn(
            "the activation softmax of relu: a classifier's head; --layer names the layer before it",
            self.refused(fawkes, checkpoint),
        )
        self.assertIn(
            "it gives 2 x 76 x 7 x 7 numbers", self.refused(fawkes, self.saved("fawkes-v0.3"), "--layer", "bn")
        )
        self.assertIn(
            "the output nowhere: no layer has that name",
            self.refused(fawkes, self.saved("fawkes-v0.3"), "--layer", "nowhere"),
        )


class Refusals(WithFolder):
    def test_broken_files(self):
        page, half, torchs = self.folder / "page.h5", self.folder / "half.h5", self.folder / "torch.h5"
        page.write_text("<html>Sign in</html>")
        half.write_bytes(self.saved("fawkes-v0.3").read_bytes()[:20000])
        torch.save({"a": torch.zeros(3)}, torchs)
        for exporter, more in ((facenet, []), (vggface, []), (fawkes, ["--name", "webface"])):
            self.assertIn("HTML page", self.refused(exporter, page, *more))
            self.assertIn("is not a Keras .h5 file, or is truncated", self.refused(exporter, half, *more))
            if exporter is not facenet:  # facenet also reads PyTorch's
                said = "is a PyTorch checkpoint, not a Keras file (HDF5): the exporter of its network reads it"
                self.assertIn(said, self.refused(exporter, torchs, *more))
            self.assertIn("no such file", self.refused(exporter, self.folder / "none.h5", *more))

    def test_wrong_families(self):
        densenet = self.saved("fawkes-v0.3")
        self.assertRegex(self.refused(facenet, densenet), r"is not DeepFace's FaceNet: \d+ missing .*; \d+ unexpected")
        self.assertIn("is not DeepFace's VGG-Face", self.refused(vggface, densenet))
        self.assertIn(
            "without the network's description", self.refused(fawkes, self.saved("facenet", "low_extract.h5"))
        )

    def test_what_is_missing_is_named(self):
        cut = [row for row in FOUND["layouts"]["facenet"] if row[0] != "Bottleneck"]
        self.assertIn("1 missing (Bottleneck/kernel)", self.refused(facenet, self.saved("facenet", layers=cut)))
        cut = [row for row in FOUND["layouts"]["vggface"] if row[0] != "conv2d_15"]
        self.assertIn("layer 16, kernel", self.refused(vggface, self.saved("vggface", layers=cut)))
        cut = [row for row in FOUND["layouts"]["fawkes-v0.3"] if row[0] != "conv1/conv"]
        self.assertIn(
            "the weights conv1/conv/kernel are missing", self.refused(fawkes, self.saved("fawkes-v0.3", layers=cut))
        )

    def test_code_is_not_run(self):
        described = json.loads(json.dumps(FOUND["descriptions"]["fawkes-v0.3"]))
        (layer,) = [layer for layer in described["config"]["layers"] if layer["config"]["name"] == "relu"]
        layer["class_name"], layer["config"] = "Lambda", {"name": "relu", "function": ["4wEAAA=="]}
        self.assertIn(
            "the Lambda layer relu, which holds code",
            self.refused(fawkes, self.saved("fawkes-v0.3", description=described)),
        )

    def test_which_of_fawkess(self):
        self.assertIn("which Fawkes file is it?", self.refused(fawkes, self.saved("fawkes-v0.3", "mine.h5")))
        self.assertIn(
            "takes pictures of 224 x 224; Fawkes's celeb1m takes 112 x 112",
            self.refused(fawkes, self.saved("fawkes-v0.3", "extractor_0.h5")),
        )


if __name__ == "__main__":
    unittest.main()
