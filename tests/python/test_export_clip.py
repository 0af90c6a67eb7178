"""Tests CLIP's exporter with the outputs of open_clip and transformers (fixtures/make_clip_fixture.py) and with wrong
files.

The networks are narrow and two layers deep, with B/32's names, picture and patches; B/32's own names and shapes are
compared separately.
"""
import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import unittest
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from convert import golden  # noqa: E402
from export import clip  # noqa: E402
from make_clip_fixture import as_published, pictures  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
EXPECTED = json.loads((HERE / "fixtures/clip.json").read_text())


def all_layers(compact, layers):
    """Shapes by name; the fixture lists the first layer only."""
    shapes = {}
    for name, shape in compact.items():
        for k in range(layers) if ".0." in name else [0]:
            shapes[name.replace(".0.", f".{k}.")] = tuple(shape)
    return shapes


TOWER = as_published(random_tensors(all_layers(EXPECTED["shapes"], 2)))
VISUAL = {f"visual.{name}": tensor for name, tensor in TOWER.items()}
TRANSFORMERS = as_published(random_tensors(all_layers(EXPECTED["transformers_shapes"], 2)))
TEXT = {
    "text_projection": torch.zeros(3, 3),
    "logit_scale": torch.zeros(()),
    "transformer.resblocks.0.ln_1.weight": torch.zeros(3),
}


class Tree(torch.nn.Module):
    """Parameters of given names."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            place = self
            for part in path:
                if part not in dict(place.named_children()):
                    place.add_module(part, Tree({}))
                place = getattr(place, part)
            place.register_parameter(last, torch.nn.Parameter(tensor, requires_grad=False))

    def forward(self, x):
        return x + sum(p.float().sum() for p in self.parameters())


class Runs:
    """Its pickle makes a folder if a reader runs its code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def resized(picture, how):
    """The card's resizing, by Pillow."""
    if how == "squash":
        return picture.resize((224, 224), Image.BICUBIC)
    scale = 224 / min(picture.size)
    picture = picture.resize([int(side * scale) for side in picture.size], Image.BICUBIC)
    left, top = [round((side - 224) / 2) for side in picture.size]
    return picture.crop((left, top, left + 224, top + 224))


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def saved(self, value, name="checkpoint.pt"):
        torch.save(value, self.folder / name)
        return self.folder / name

    def archive(self, tensors, name="ViT-B-32.pt"):
        """A TorchScript archive, traced, as OpenAI's."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
            torch.jit.trace(Tree(tensors).eval(), torch.zeros(1)).save(str(self.folder / name))
        return self.folder / name

    def export(self, checkpoint, name="clip", *more):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            clip.main([str(checkpoint), "--name", name, "-o", str(self.folder / "out"), *more])
        return said.getvalue()

    def exported(self, *given):
        self.export(*given)
        name = given[1] if len(given) > 1 else "clip"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.jit.load(self.folder / "out" / f"{name}.pt"), json.loads(
                (self.folder / "out" / f"{name}.json").read_text()
            )

    def refused(self, checkpoint):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            self.export(checkpoint)
        self.assertEqual(left.exception.code, 4)
        self.assertEqual(said.getvalue().count("\n"), 1, said.getvalue())
        self.assertFalse((self.folder / "out").exists())
        return said.getvalue()


class Numbers(WithFolder):
    def compare(self, found, key, tolerance, least=0.99999):
        expected = np.array(EXPECTED[key])
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        difference = abs(found - expected).max()
        if os.environ.get("FACEPOISON_SHOW"):
            print(f"| {self._testMethodName} | {key} | {difference:.2g} | {cosine.min():.8f} |", file=sys.stderr)
        self.assertGreaterEqual(cosine.min(), least, f"max difference {difference}")
        self.assertLess(difference, tolerance)

    def compare_module(self, key, *given):
        """Of pictures that Pillow resized, as both third parties do it: the network alone."""
        module, card = self.exported(*given)
        recipe = card["input"]
        inputs = [
            golden.network_input(np.asarray(resized(picture, recipe["resize"])), recipe) for picture in pictures()
        ]
        with torch.no_grad():
            self.compare(module(torch.from_numpy(np.concatenate(inputs))).numpy().astype(np.float64), key, 1e-4)

    def test_open_clip_and_openais_archive(self):
        for checkpoint in (self.saved(VISUAL | TEXT), self.archive(VISUAL | TEXT)):
            for name in ("clip", "clip-facecure"):
                self.compare_module(name, checkpoint, name)

    def test_wrappings(self):
        parallel = {f"module.{name}": tensor for name, tensor in (VISUAL | TEXT).items()}
        self.compare_module("clip", self.saved({"epoch": 3, "state_dict": parallel}))
        self.compare_module("clip", self.saved(TOWER))

    def test_exact_gelu(self):
        self.compare_module("exact", self.saved(VISUAL), "clip", "--gelu", "exact")

    def test_transformers(self):
        whole = {"text_model.embeddings.token_embedding.weight": torch.zeros(3, 3)}
        whole["vision_model.embeddings.position_ids"] = torch.zeros(1, 50).long()
        self.compare_module("transformers", self.saved(TRANSFORMERS | whole))

    @unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
    def test_from_the_picture_through_the_binary(self):
        crops = self.folder / "crops" / "somebody"
        crops.mkdir(parents=True)
        for k, picture in enumerate(pictures()):
            picture.save(crops / f"{k}.png")
        for name in ("clip", "clip-facecure"):
            self.export(self.saved(VISUAL), name)
            command = [BINARY, "embed", "crops", "-e", f"out/{name}.json", "-o", "x.npy", "--store", "store"]
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
            # Pillow rounds between its two passes too
            self.compare(np.load(self.folder / "x.npy").astype(np.float64), name, 0.02)

    def test_any_batch_gradients_and_bf16(self):
        module, _ = self.exported(self.saved(VISUAL))
        self.assertEqual({p.dtype for p in module.parameters()}, {torch.float32})
        x = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(5))
        whole = module(x)
        torch.testing.assert_close(torch.cat([module(row[None]) for row in x]), whole, rtol=0, atol=1e-5)
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(module(x).square().sum(), x)
        self.assertTrue(gradient.isfinite().all() and (gradient.abs().amax((1, 2, 3)) > 0).all())
        rough = module.to(torch.bfloat16)(x.detach().bfloat16()).float()
        self.assertGreater(torch.cosine_similarity(rough, whole).min().item(), 0.999)


class Record(WithFolder):
    def test_it_completes_the_card(self):
        said = self.export(self.saved(VISUAL), "clip-facecure")
        self.assertIn("ViT/32, 2 layers of 128, quick GELU", said)
        self.assertIn("is not the file that OpenAI published\ntook OpenAI's quick GELU", said)
        self.assertNotIn("took", self.export(self.saved(VISUAL), "clip", "--gelu", "quick"))
        made = json.loads((self.folder / "out/clip-facecure.json").read_text())
        card = json.loads((ROOT / "configs/extractors/clip-facecure.json").read_text())
        for key in card.keys() - {"file", "source"}:
            self.assertEqual(made[key], card[key])
        self.assertEqual(made["sha256"], clip.sha256_of(self.folder / "out/clip-facecure.pt"))
        self.assertEqual(made["source"]["exported_sha256"], clip.sha256_of(self.folder / "checkpoint.pt"))
        self.assertEqual(np.load(self.folder / "out" / made["golden"]["file"]).size, 512)

    def test_cards_differ_in_the_resizing_only(self):
        one, other = [
            json.loads((ROOT / f"configs/extractors/{name}.json").read_text()) for name in ("clip", "clip-facecure")
        ]
        self.assertEqual(one["input"] | {"resize": "squash"}, other["input"])
        self.assertEqual(one["published"]["sha256"], clip.PUBLISHED)
        self.assertEqual(other["published"]["exporter"], "clip {clip} --name clip-facecure")

    def test_names_and_shapes_of_b32(self):
        with torch.device("meta"):
            shapes = shapes_of(clip.ImageTower(768, 12, 32, 7, 512, True))
            self.assertEqual(shapes, all_layers(EXPECTED["b32_shapes"], 12))
            self.assertEqual(sum(int(np.prod(shape)) for shape in shapes.values()), EXPECTED["b32_parameters"])
            theirs = {
                name: torch.empty(shape) for name, shape in all_layers(EXPECTED["b32_transformers_shapes"], 12).items()
            }
            self.assertEqual(
                {name: tuple(tensor.shape) for name, tensor in clip.from_transformers(theirs).items()}, shapes
            )


class Refusals(WithFolder):
    def test_wrong_families(self):
        self.assertIn(
            "no conv1.weight, no positional_embedding, no proj",
            self.refused(self.saved({"bn1.weight": torch.zeros(3)})),
        )
        resnet = {
            "visual.conv1.weight": torch.zeros(64, 3, 3, 3),
            "visual.attnpool.positional_embedding": torch.zeros(50, 2048),
        }
        self.assertIn("no positional_embedding, no proj", self.refused(self.archive(resnet)))
        larger = VISUAL | {"visual.positional_embedding": torch.zeros(145, 128)}
        self.assertIn(
            "pictures of 384; the cards need heads of 64 and pictures of 224", self.refused(self.saved(larger))
        )
        self.assertIn("gives 8 numbers a face", self.refused(self.saved(VISUAL | {"visual.proj": torch.zeros(128, 8)})))

    def test_missing_and_unexpected(self):
        def without(tensors, gone):
            return self.saved({name: tensor for name, tensor in tensors.items() if name != gone})

        self.assertIn("there is no proj", self.refused(without(VISUAL, "visual.proj")))
        self.assertIn("there is no proj", self.refused(without(TRANSFORMERS, "visual_projection.weight")))
        layer = "transformer.resblocks.1.mlp.c_fc.weight"
        self.assertIn(f"1 missing ({layer})", self.refused(without(VISUAL, f"visual.{layer}")))
        self.assertRegex(
            self.refused(without(TRANSFORMERS, "vision_model.encoder.layers.1.self_attn.k_proj.bias")),
            r"1 missing \(transformer.resblocks.1.attn.in_proj_bias\); 2 unexpected",
        )
        self.assertIn(
            "1 unexpected (head.weight)", self.refused(self.saved(VISUAL | {"visual.head.weight": torch.zeros(1)}))
        )
        adapted = TRANSFORMERS | {"vision_model.adapter.weight": torch.zeros(1)}
        self.assertIn("1 unexpected (adapter.weight)", self.refused(self.saved(adapted)))
        shorter = VISUAL | {"visual.ln_post.bias": torch.zeros(3)}
        self.assertIn("of another shape (ln_post.bias (3,) for (128,))", self.refused(self.saved(shorter)))

    def test_broken_files(self):
        page, half = self.folder / "page.pt", self.folder / "half.pt"
        page.write_text("<!DOCTYPE html>")
        self.assertIn("HTML page", self.refused(page))
        self.assertIn("no such file", self.refused(self.folder / "none.pt"))
        for whole in (self.saved(VISUAL), self.archive(VISUAL)):
            half.write_bytes(whole.read_bytes()[:200000])
            self.assertIn("truncated", self.refused(half))

    def test_code_is_not_run(self):
        trap = self.folder / "it ran"
        self.assertIn("holds weights and code", self.refused(self.saved({"visual.proj": Runs(str(trap))})))
        archive = self.folder / "archive.pt"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("a/code/__torch__.py", f"import os\nos.mkdir({str(trap)!r})\n")
            file.writestr("a/data.pkl", pickle.dumps(Runs(str(trap)), protocol=2))
        self.assertIn("is not a CLIP with a ViT", self.refused(archive))
        self.assertFalse(trap.exists())

    def test_a_damaged_archive(self):
        archive = self.folder / "archive.pt"
        for data in (b"", b"garbage", pickle.dumps(3)):
            with zipfile.ZipFile(archive, "w") as file:
                file.writestr("a/code/__torch__.py", "")
                file.writestr("a/data.pkl", data)
            self.assertIn("TorchScript archive that cannot be read", self.refused(archive))


if __name__ == "__main__":
    unittest.main()
