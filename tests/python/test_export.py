"""The exporters give what other people's code gives (fixtures/make_export_fixture.py), and refuse what they should."""
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
import warnings
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from export import arcface, clip, facenet, iresnet, magface  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
EXPECTED = json.loads((HERE / "fixtures/export.json").read_text())
PICTURE = ROOT / "data/rendered/gallery-000/00.jpg"
SMALL_CLIP = dict(width=128, depth=2, patch=32, grid=7, dimension=512, quick=True)


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
        torch.jit.script(module).save(str(path))


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def saved(self, value, name="checkpoint.pth"):
        torch.save(value, self.folder / name)
        return self.folder / name

    def export(self, exporter, checkpoint, name, *more):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exporter.main([str(checkpoint), "--name", name, "-o", str(self.folder), *more])
        return said.getvalue()

    def refused(self, exporter, checkpoint, *more):
        said = io.StringIO()
        with self.assertRaises(SystemExit) as stopped, contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            exporter.main([str(checkpoint), "--name", "refused", "-o", str(self.folder), *more])
        self.assertEqual(stopped.exception.code, 4)
        self.assertEqual(len(said.getvalue().splitlines()), 1)
        self.assertFalse((self.folder / "refused.pt").exists() or (self.folder / "refused.json").exists())
        return said.getvalue()


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Fidelity(WithFolder):
    """From a picture file through the exporter, the card and the binary."""

    def embedding(self, name):
        (self.folder / "crops/somebody").mkdir(parents=True, exist_ok=True)
        shutil.copy(PICTURE, self.folder / "crops/somebody")
        command = [BINARY, "embed", "crops", "-e", f"./{name}.json", "-o", f"{name}.npy", "--store", "store"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return np.load(self.folder / f"{name}.npy")[0].astype(np.float64)

    def assert_same(self, name, expected):
        found, expected = self.embedding(name), np.array(EXPECTED[expected])
        cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
        self.assertGreaterEqual(cosine, 0.99999, f"{name}: max difference {abs(found - expected).max()}")
        if os.environ.get("FACEPOISON_SHOW"):
            print(f"| {name} | {abs(found - expected).max():.2g} | {cosine:.8f} |", file=sys.stderr)
        checked = subprocess.run([BINARY, "check", self.folder / f"{name}.json", "--format", "csv"], capture_output=True, text=True, check=True).stdout
        self.assertEqual(next(csv.DictReader(io.StringIO(checked)))["golden"], "ok")

    def test_magface_of_both_wrappings(self):
        inside = random_tensors(shapes_of(iresnet.IResNet((2, 2, 2, 2))))
        for prefix in ("features.module.", "module.features."):
            head = {prefix.replace("features.", "") + "fc.weight": torch.zeros(512, 5)}
            checkpoint = self.saved({"epoch": 25, "arch": "iresnet18", "state_dict": {prefix + name: tensor for name, tensor in inside.items()} | head})
            self.assertIn("iResNet-18", self.export(magface, checkpoint, "magface-facecure"))
        self.assert_same("magface-facecure", "magface-facecure")

    def test_facenet(self):
        tensors = random_tensors(shapes_of(facenet.InceptionResnetV1()))
        logits = {"logits.weight": torch.zeros(8631, 512), "logits.bias": torch.zeros(8631)}
        self.export(facenet, self.saved(tensors | logits), "facenet")
        self.assert_same("facenet", "facenet")

    def test_clip_of_a_state_dict_and_of_an_archive(self):
        tensors = random_tensors(shapes_of(clip.ImageTower(**SMALL_CLIP)))
        checkpoint = self.saved({f"visual.{name}": tensor for name, tensor in tensors.items()} | {"text_projection": torch.zeros(3, 3), "logit_scale": torch.zeros(())})
        for name in ("clip", "clip-facecure"):
            self.export(clip, checkpoint, name)
            self.assert_same(name, name)
        # As OpenAI's: a TorchScript archive with the tower as `visual`.
        tower = clip.ImageTower(**SMALL_CLIP)
        tower.load_state_dict(tensors)

        class Whole(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.visual, self.text_projection = tower, torch.nn.Parameter(torch.zeros(3, 3))

            def forward(self, x):
                return self.visual(x)

        script(Whole().eval(), self.folder / "ViT.pt")
        self.export(clip, self.folder / "ViT.pt", "clip")
        self.assert_same("clip", "clip")

    def test_clip_of_transformers(self):
        shapes = {name: tuple(shape) for name, shape in EXPECTED["transformers_shapes"].items()}
        self.export(clip, self.saved(random_tensors(shapes)), "clip")
        self.assert_same("clip", "clip-transformers")


class Layouts(unittest.TestCase):
    def test_iresnets_have_the_published_number_of_tensors_and_weights(self):
        for blocks, depth in iresnet.DEPTHS.items():
            if str(depth) not in EXPECTED["iresnet_sizes"]:
                continue
            with torch.device("meta"):
                shapes = shapes_of(iresnet.IResNet(blocks))
            weights = sum(int(np.prod(shape)) for name, shape in shapes.items() if not name.endswith("num_batches_tracked"))
            self.assertEqual([len(shapes), weights], EXPECTED["iresnet_sizes"][str(depth)], f"iResNet-{depth}")
            self.assertEqual(iresnet.blocks_of(shapes), blocks)

    def test_openais_vit_b_32(self):
        with torch.device("meta"):
            shapes = shapes_of(clip.ImageTower(768, 12, 32, 7, 512, True))
        self.assertEqual(sum(int(np.prod(shape)) for shape in shapes.values()), 87849216)


class Refusals(WithFolder):
    def test_wrong_families(self):
        tower = self.saved(random_tensors(shapes_of(clip.ImageTower(**SMALL_CLIP))))
        self.assertIn("no iResNet of InsightFace's: its stages have (0, 0, 0, 0) blocks", self.refused(arcface, tower))
        self.assertIn("no checkpoint of MagFace's", self.refused(magface, tower))
        self.assertIn("is not facenet-pytorch's Inception-ResNet v1", self.refused(facenet, tower))
        self.assertIn("no CLIP with a ViT: there is no conv1.weight", self.refused(clip, self.saved({"a": torch.zeros(1)}, "other.pth")))

    def test_a_missing_layer_is_named(self):
        tensors = random_tensors(shapes_of(clip.ImageTower(**SMALL_CLIP)))
        del tensors["transformer.resblocks.1.mlp.c_fc.weight"]
        self.assertIn("1 missing (transformer.resblocks.1.mlp.c_fc.weight)", self.refused(clip, self.saved(tensors)))

    def test_broken_files(self):
        page, half = self.folder / "page.pt", self.folder / "half.pt"
        page.write_text("<html>Sign in</html>")
        half.write_bytes(self.saved({"conv1.weight": torch.zeros(1000)}).read_bytes()[:1500])
        for exporter in (arcface, magface, facenet, clip):
            self.assertIn("HTML page", self.refused(exporter, page))
            self.assertIn("truncated", self.refused(exporter, half))
            self.assertIn("no such file", self.refused(exporter, self.folder / "none.pt"))

    def test_an_archives_code_is_not_run(self):
        class Loud(torch.nn.Module):
            def forward(self, x):
                torch.save(x, "it-ran")
                return x

        script(Loud(), self.folder / "loud.pt")
        self.assertIn("no CLIP with a ViT", self.refused(clip, self.folder / "loud.pt"))


if __name__ == "__main__":
    unittest.main()
