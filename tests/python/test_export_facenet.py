"""The exporter of facenet-pytorch's FaceNet gives what that package gives (fixtures/make_facenet_fixture.py), and
refuses what it should. DeepFace's FaceNet, a Keras file, is in test_export_keras.py."""
import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from export import facenet  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
EXPECTED = np.array(json.loads((HERE / "fixtures/facenet.json").read_text()))
PICTURE = ROOT / "data/rendered/gallery-000/00.jpg"


class Facenet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tensors = random_tensors(shapes_of(facenet.InceptionResnetV1()))

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def saved(self, value, name="checkpoint.pt"):
        torch.save(value, self.folder / name)
        return self.folder / name

    def refused(self, checkpoint):
        said = io.StringIO()
        with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stderr(said):
            facenet.main([str(checkpoint), "--name", "refused", "-o", str(self.folder)])
        self.assertEqual(stopped.exception.code, 4)
        self.assertEqual(len(said.getvalue().splitlines()), 1)
        self.assertFalse((self.folder / "refused.pt").exists() or (self.folder / "refused.json").exists())
        return said.getvalue()

    @unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
    def test_from_the_picture_through_the_binary(self):
        head = {"logits.weight": torch.zeros(8631, 512), "logits.bias": torch.zeros(8631)}
        with contextlib.redirect_stdout(io.StringIO()):
            facenet.main([str(self.saved(self.tensors | head)), "-o", str(self.folder)])
        (self.folder / "crops/somebody").mkdir(parents=True)
        shutil.copy(PICTURE, self.folder / "crops/somebody")
        command = [BINARY, "embed", "crops", "-e", "./facenet.json", "-o", "x.npy", "--store", "store"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        found = np.load(self.folder / "x.npy")[0].astype(np.float64)
        cosine = found @ EXPECTED / np.linalg.norm(found) / np.linalg.norm(EXPECTED)
        if os.environ.get("FACEPOISON_SHOW"):
            print(f"| facenet | {abs(found - EXPECTED).max():.2g} | {cosine:.8f} |", file=sys.stderr)
        self.assertGreaterEqual(cosine, 0.99999, f"max difference {abs(found - EXPECTED).max()}")
        checked = subprocess.run(
            [BINARY, "check", self.folder / "facenet.json", "--format", "csv"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertEqual(next(csv.DictReader(io.StringIO(checked)))["golden"], "ok")

    def test_refusals(self):
        self.assertIn(
            "is not facenet-pytorch's Inception-ResNet v1", self.refused(self.saved({"conv1.weight": torch.zeros(3)}))
        )
        missing = {name: tensor for name, tensor in self.tensors.items() if name != "repeat_2.3.conv2d.bias"}
        self.assertIn("1 missing (repeat_2.3.conv2d.bias)", self.refused(self.saved(missing)))
        page, half = self.folder / "page.pt", self.folder / "half.pt"
        page.write_text("<html>Sign in</html>")
        half.write_bytes(self.saved({"conv1.weight": torch.zeros(1000)}).read_bytes()[:1500])
        self.assertIn("HTML page", self.refused(page))
        self.assertIn("truncated", self.refused(half))
        self.assertIn("no such file", self.refused(self.folder / "none.pt"))

    def test_where_nothing_can_be_written(self):
        checkpoint, said = self.saved(self.tensors), io.StringIO()
        for code, more in ((7, ["-o", str(checkpoint / "inside")]), (2, ["--name", "../elsewhere"])):
            with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stderr(said):
                facenet.main([str(checkpoint), *more])
            self.assertEqual(stopped.exception.code, code)
        self.assertIn(f"cannot write to {checkpoint}/inside: Not a directory", said.getvalue())
        self.assertIn("'../elsewhere' is not a name", said.getvalue())


if __name__ == "__main__":
    unittest.main()
