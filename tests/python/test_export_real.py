"""Tests with real files from public repositories, if this machine has them: FACEPOISON_REAL_WEIGHTS=FOLDER, or the
folder `weights` next to FACEPOISON_REAL_PHOTOS. They are not part of the project."""
import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
from export import arcface, edgeface, fawkes, mobilefacenet, onnx, runtime  # noqa: E402


def folder():
    given, photos = os.environ.get("FACEPOISON_REAL_WEIGHTS"), os.environ.get("FACEPOISON_REAL_PHOTOS")
    return Path(given) if given else Path(photos).parent / "weights" if photos else None


FOLDER = folder()


@unittest.skipUnless(FOLDER and FOLDER.is_dir(), "FACEPOISON_REAL_WEIGHTS names no folder of real files")
class Real(unittest.TestCase):
    def setUp(self):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = Path(made.name)

    def run_exporter(self, exporter, name, *more):
        if not (FOLDER / name).exists():
            self.skipTest(f"there is no {name} among the real files")
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exporter.main([str(FOLDER / name), "-o", str(self.folder), *more])
        return said.getvalue()

    def refused(self, exporter, name, *more):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            self.run_exporter(exporter, name, *more)
        self.assertEqual(left.exception.code, 4)
        self.assertEqual(list(self.folder.iterdir()), [])
        return said.getvalue()

    def embeddings(self, weights, card):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
            module = torch.jit.load(weights)
        return runtime.embeddings(module, runtime.rendered_faces(json.loads(card.read_text())["input"]))

    def assert_same_as(self, name, ready):
        """Compares with a network that others made from the same file."""
        if not (FOLDER / f"{ready}.pt").exists():
            self.skipTest(f"there is no {ready}.pt among the real files")
        card = self.folder / f"{name}.json"
        found, wanted = self.embeddings(self.folder / f"{name}.pt", card), self.embeddings(FOLDER / f"{ready}.pt", card)
        self.assertGreaterEqual(runtime.least_cosine(found, wanted), runtime.LEAST)

    def test_float_graphs(self):
        for name, more in (("kenneth", ["--channels", "bgr"]), ("foamliu", [])):
            said = self.run_exporter(onnx, f"{name}.onnx", *more)
            self.assertIn("least cosine to onnxruntime on 20 rendered faces 1.0000000", said)

    def test_an_int8_graph(self):
        said = self.run_exporter(onnx, "w600k-mbf-int8.onnx", "--name", "mbf")
        self.assertRegex(said, r"least cosine to onnxruntime on 20 rendered faces 0\.99")
        self.assert_same_as("mbf", "w600k-mbf")

    def test_a_graph_without_its_weights(self):
        self.assertIn("keeps its weights in facenet.onnx.data", self.refused(onnx, "facenet-without-data.onnx"))

    def test_int8_linear_layers(self):
        said = self.run_exporter(edgeface, "edgeface_xs_q.pt", "--name", "edge")
        self.assertIn("int8 linear layers in float32", said)
        self.assert_same_as("edge", "edgeface-xs")

    def test_mobilefacenets(self):
        self.assertIn("112 x 96", self.run_exporter(mobilefacenet, "068.ckpt"))
        self.assertIn("112 x 112", self.run_exporter(mobilefacenet, "mobilefacenet-mxnet-0000.params"))

    def test_files_of_other_programs(self):
        for exporter in (arcface, onnx):
            self.assertIn("is a Keras file (HDF5), not", self.refused(exporter, "xception-gender.hdf5"))
        said = self.refused(fawkes, "xception-gender.hdf5", "--name", "webface")
        self.assertIn("pictures with 1 channels; expected 3", said)


if __name__ == "__main__":
    unittest.main()
