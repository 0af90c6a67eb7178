"""One exported network of each family, of random weights, goes through `facepoison eval`."""
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

import torch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE), str(HERE / "fixtures")]
import test_export_clip  # noqa: E402
import test_export_iresnet  # noqa: E402
import test_export_keras  # noqa: E402
import test_export_onnx  # noqa: E402
from export import adaface, arcface, clip, facenet, fawkes, lowkey, magface, onnx, vggface  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))


class Eval(unittest.TestCase):
    def export(self, exporter, name, checkpoint):
        with contextlib.redirect_stdout(io.StringIO()):
            exporter.main([str(checkpoint), "--name", name, "-o", str(self.folder)])

    def checkpoint(self, tensors, name="checkpoint.pth"):
        torch.save(tensors, self.folder / name)
        return self.folder / name

    def export_all(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        keras, small = test_export_keras.WithFolder(), test_export_iresnet.WithFolder()
        for part in (keras, small):  # their narrow networks
            part.setUp()
            self.addCleanup(part.doCleanups)
        iresnet = random_tensors(shapes_of(test_export_iresnet.iresnet.IResNet(test_export_iresnet.SMALL)))
        prefixed = {f"features.module.{name}": tensor for name, tensor in iresnet.items()}
        self.export(arcface, "arcface", self.checkpoint(iresnet))
        self.export(magface, "magface", self.checkpoint(prefixed))
        adafaces = random_tensors(shapes_of(test_export_iresnet.IR(test_export_iresnet.SMALL, adaface=True)))
        self.export(adaface, "adaface", self.checkpoint({f"model.{name}": tensor for name, tensor in adafaces.items()}))
        lowkeys = random_tensors(shapes_of(test_export_iresnet.IR(test_export_iresnet.SMALL, adaface=False)))
        self.export(lowkey, "lowkey-ir152-arcface", self.checkpoint(lowkeys, test_export_iresnet.LOWKEY["ir152"]))
        self.export(facenet, "facenet", self.checkpoint(random_tensors(shapes_of(facenet.InceptionResnetV1()))))
        self.export(clip, "clip", self.checkpoint(test_export_clip.VISUAL))
        (self.folder / "network.onnx").write_bytes(test_export_onnx.INSIGHTFACE)
        self.export(onnx, "buffalo-l", self.folder / "network.onnx")
        for key, exporter, name in (
            ("facenet", facenet, "facenet-deepface"),
            ("vggface", vggface, "vggface"),
            ("fawkes-v0.3", fawkes, "webface"),
            ("fawkes-v1.0", fawkes, "celeb1m"),
        ):
            self.export(exporter, name, keras.saved(key))

    @unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
    def test_each_family(self):
        self.export_all()
        cards = sorted(path.stem for path in self.folder.glob("*.json"))
        self.assertEqual(len(cards), 11)
        for person in ("gallery-000", "gallery-001"):
            (self.folder / "photos" / person).mkdir(parents=True)
            for k in range(4):
                shutil.copy(ROOT / f"data/rendered/{person}/{k:02}.jpg", self.folder / "photos" / person)
        config = {"dataset": "photos", "prepare": {"detect": False, "canvas": 112}, "protected": 1, "seed": 0,
                  "attacks": ["none", "noise"], "classifiers": ["nearest"],
                  "extractors": [f"./{name}.json" for name in cards]}  # fmt: skip
        (self.folder / "x.json").write_text(json.dumps(config))
        command = [BINARY, "eval", "--config", "x.json", "--store", "store", "--format", "csv"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [row for row in csv.DictReader(line for line in done.stdout.splitlines() if not line.startswith("#"))]
        self.assertEqual(sorted({row["extractor"] for row in rows}), cards)
        self.assertEqual(len(rows), 2 * len(cards))
        if os.environ.get("FACEPOISON_SHOW"):
            print(done.stdout, file=sys.stderr)

    def test_the_oblivious_sweep_names_every_recogniser_of_the_paper(self):
        text = (ROOT / "configs/experiments/paper/oblivious.json").read_text()
        swept = json.loads("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//")))[
            "extractors"
        ]
        cards = {path.stem: json.loads(path.read_text()) for path in (ROOT / "configs/extractors").glob("*.json")}
        published = [name for name, card in cards.items() if "published" in card and "trained_against" not in card]
        self.assertEqual([name for name in published if name not in swept], [])
        self.assertEqual([name for name in swept if name not in cards and not name.startswith("small-")], [])


if __name__ == "__main__":
    unittest.main()
