"""The exporters of ArcFace, MagFace, AdaFace and LowKey's surrogates give what the authors' own code gives
(fixtures/make_iresnet_fixture.py), and refuse what they should.

Checkpoints are of random numbers in the published layout; all but ArcFace's have one block a stage."""
import argparse
import base64
import collections
import contextlib
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types
import unittest
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import safetensors.torch
import torch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from export import adaface, arcface, iresnet, lowkey, magface  # noqa: E402
from export.ir import IR  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
EXPECTED = json.loads((HERE / "fixtures/iresnet.json").read_text())
PICTURES = [ROOT / "data/rendered/gallery-000" / name for name in ("00.jpg", "01.jpg")]
SMALL = (1, 1, 1, 1)
LOWKEY = {"ir152": "Backbone_IR_152_Arcface_Epoch_112.pth", "resnet152": "Backbone_ResNet_152_Arcface_Epoch_65.pth"}


def expected(name):
    """Every fourth number: of the golden picture, of two pictures."""
    rows = np.frombuffer(base64.b64decode(EXPECTED["embeddings"][name]), "<f4").reshape(3, -1).astype(np.float64)
    return rows[0], rows[1:]


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def nothing(make):
    """Tensors of a network's names and shapes that take no memory."""
    with torch.device("meta"):
        shapes = shapes_of(make())
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # skips the slow initialisation; the checkpoint's numbers follow
        self.enterContext(mock.patch.object(torch.nn.init, "kaiming_uniform_"))
        for known in (iresnet.DEPTHS, adaface.DEPTHS):
            self.enterContext(mock.patch.dict(known, {SMALL: "small"}))
        self.enterContext(mock.patch.object(lowkey, "BLOCKS", SMALL))

    def saved(self, value, name="checkpoint.pth"):
        torch.save(value, self.folder / name)
        return self.folder / name

    def export(self, exporter, checkpoint, *more):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exporter.main([str(checkpoint), "-o", str(self.folder), *more])
        return said.getvalue()

    def refused(self, exporter, checkpoint, *more):
        said = io.StringIO()
        with (
            self.assertRaises(SystemExit) as stopped,
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            exporter.main([str(checkpoint), "-o", str(self.folder / "out"), *more])
        self.assertEqual(stopped.exception.code, 4)
        self.assertEqual(len(said.getvalue().splitlines()), 1, said.getvalue())
        self.assertFalse((self.folder / "out").exists())
        return said.getvalue()


class Fidelity(WithFolder):
    def assert_close(self, what, found, wanted, least_cosine, difference):
        found = found[..., ::4].astype(np.float64)
        cosine = (found * wanted).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(wanted, axis=-1)
        apart = abs(found - wanted).max() / abs(wanted).max()
        if os.environ.get("FACEPOISON_SHOW"):
            print(
                f"| {what} | {abs(found - wanted).max():.2g} of {abs(wanted).max():.3g} | {cosine.min():.8f} |",
                file=sys.stderr,
            )
        self.assertGreaterEqual(cosine.min(), least_cosine, what)
        self.assertLessEqual(apart, difference, what)

    def assert_same(self, card, name):
        """The golden picture, which PyTorch gave to the module,
        then from the pictures' files through the card and the binary."""
        golden, pictures = expected(name)
        self.assert_close(
            f"{card}, golden picture", np.load(self.folder / f"golden/{card}.npy"), golden, 0.9999999, 1e-5
        )
        self.assert_scripted(card)
        if not BINARY.exists():
            self.skipTest(f"{BINARY} is not built: from a picture's file on not compared")
        (self.folder / "crops/somebody").mkdir(parents=True, exist_ok=True)
        for photo in PICTURES:
            shutil.copy(photo, self.folder / "crops/somebody")
        command = [BINARY, "embed", "crops", "-e", f"./{card}.json", "-o", f"{card}.npy", "--store", "store"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        # OpenCV resizes in whole numbers and PIL rounds between its two passes too: a grey level here and there.
        self.assert_close(f"{card}, two pictures", np.load(self.folder / f"{card}.npy"), pictures, 0.99999, 0.03)

    def assert_scripted(self, card):
        """Batches are free, and there is a gradient."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
            module = torch.jit.load(self.folder / f"{card}.pt")
        faces = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1)).requires_grad_()
        found = module(faces)
        self.assertEqual(found.shape, (2, 512))
        # a length of one has no gradient
        found.square().sum().backward() if card != "adaface" else found[:, 0].sum().backward()
        self.assertGreater(faces.grad.abs().sum(), 0)

    def test_arcface(self):
        tensors = random_tensors(shapes_of(iresnet.IResNet((2, 2, 2, 2))))
        said = self.export(arcface, self.saved(prefixed("module.", tensors), "backbone.pth"))
        self.assertRegex(
            said,
            r"^backbone.pth: iResNet-18, 24,0\d\d,\d{3} parameters, 512-d; wrote .*arcface.pt, sha256 [0-9a-f]{16}\n$",
        )
        card = json.loads((self.folder / "arcface.json").read_text())
        self.assertEqual(card["source"]["network"], "iResNet-18")
        self.assertEqual(card["source"]["exported_from"], "backbone.pth")
        self.assert_same("arcface", "arcface")

    def test_magface_under_both_cards(self):
        """Wrapped from inside and from outside, as the authors' code accepts both; each with its head."""
        tensors = random_tensors(shapes_of(iresnet.IResNet(SMALL)))
        wrappings = (
            ("magface", "features.module.", "fc.weight"),
            ("magface-facecure", "module.features.", "module.fc.weight"),
        )
        for card, prefix, head in wrappings:
            state = prefixed(prefix, tensors) | {head: torch.zeros(512, 5)}
            whole = {"epoch": 25, "arch": "iresnet100", "state_dict": state, "optimizer": {}}
            said = self.export(magface, self.saved(whole, "magface_epoch_00025.pth"), "--name", card)
            self.assertRegex(
                said, r"^dropped, not part of the network: fc.weight\nmagface_epoch_00025.pth: iResNet-small, "
            )
        for card in ("magface", "magface-facecure"):
            self.assert_same(card, card)

    def test_adaface(self):
        tensors = random_tensors(shapes_of(IR(SMALL, adaface=True)))
        head = {"head.kernel": torch.zeros(512, 5), "head.t": torch.zeros(1)}
        state = collections.OrderedDict(prefixed("model.", tensors) | head)
        checkpoint = self.saved(
            {"epoch": 25, "state_dict": state, "hyper_parameters": {"arch": "ir_101"}}, "adaface.ckpt"
        )
        said = self.export(adaface, checkpoint)
        self.assertRegex(said, r"^dropped, not part of the network: head.kernel, head.t\nadaface.ckpt: IR-small, ")
        self.assert_same("adaface", "adaface")

    def lowkey(self, kind, module):
        self.export(lowkey, self.saved(random_tensors(shapes_of(module)), LOWKEY[kind]))
        self.assert_same(f"lowkey-{kind}-arcface", f"lowkey-{kind}")

    def test_lowkeys_ir(self):
        self.lowkey("ir152", IR(SMALL, adaface=False))

    def test_lowkeys_resnet(self):
        self.lowkey("resnet152", lowkey.ResNet(SMALL))


class Wrappings(WithFolder):
    """A network gives the same file from all layouts of trainers and publishers."""

    def built(self, checkpoint, exporter=arcface):
        """The digest of what would be written."""
        with mock.patch.object(exporter, "finish") as finish:
            self.export(exporter, checkpoint)
        network = hashlib.sha256()
        for name, tensor in finish.call_args[0][0].state_dict().items():
            network.update(f"{name} {tensor.dtype}".encode() + tensor.numpy().tobytes())
        return network.hexdigest()

    def test_one_network_whatever_the_layout(self):
        tensors = random_tensors(shapes_of(iresnet.IResNet(SMALL)))
        floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
        plain = self.built(self.saved(tensors))
        head = {"state_dict_softmax_fc": {"weight": torch.zeros(10, 512)}, "state_optimizer": {}}
        layouts = [
            {"epoch": 20, "global_step": 1000, "state_dict_backbone": tensors, **head},
            {"model": {"state_dict": tensors}, "optimizer": {"state": {}, "param_groups": []}},
            {"model_state_dict": tensors, "optimizer_state_dict": {}},
            {"net": tensors},
            {"state_dict": tensors, "args": argparse.Namespace(out=pathlib.PosixPath("/x")), "lr": np.float64(1)},
            {name: torch.nn.Parameter(tensor) for name, tensor in floats.items()},
            {name: tensor.double() for name, tensor in floats.items()},
            *(
                prefixed(prefix, tensors)
                for prefix in ("backbone.", "_orig_mod.", "module._orig_mod.", "model.module.backbone.")
            ),
            prefixed("backbone.", tensors) | {"head.weight": torch.zeros(5, 512)},
        ]
        for layout in layouts:
            with self.subTest(next(iter(layout))):
                self.assertEqual(self.built(self.saved(layout)), plain)
        torch.save(tensors, self.folder / "old.pth", _use_new_zipfile_serialization=False)
        self.assertEqual(self.built(self.folder / "old.pth"), plain)
        safetensors.torch.save_file(floats, self.folder / "model.safetensors")
        self.assertEqual(self.built(self.folder / "model.safetensors"), plain)

    def test_half_precision_becomes_float32(self):
        tensors = random_tensors(shapes_of(iresnet.IResNet(SMALL)))
        halves = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
        rounded = {name: t.float() if t.is_floating_point() else t for name, t in halves.items()}
        found = self.built(self.saved(halves))
        self.assertEqual(found, self.built(self.saved(rounded)))
        safetensors.torch.save_file(halves, self.folder / "half.safetensors")
        self.assertEqual(found, self.built(self.folder / "half.safetensors"))
        self.built(self.saved({name: t.bfloat16() for name, t in tensors.items() if t.is_floating_point()}))

    def test_the_others_in_wrappings(self):
        magfaces = prefixed("module.features.", random_tensors(shapes_of(iresnet.IResNet(SMALL))))
        for exporter, wrapped in (
            (magface, prefixed("_orig_mod.", magfaces)),
            (adaface, prefixed("net.", random_tensors(shapes_of(IR(SMALL, adaface=True))))),
            (lowkey, prefixed("backbone.", random_tensors(shapes_of(lowkey.ResNet(SMALL))))),
        ):
            self.built(self.saved({"model": wrapped}, LOWKEY["resnet152"]), exporter)

    def test_the_same_bytes_in_every_run_and_from_every_folder(self):
        """For any order of Python's sets and any folder of the project."""
        checkpoint = self.saved(random_tensors(shapes_of(iresnet.IResNet((2, 2, 2, 2)))))
        shutil.copytree(ROOT / "scripts", self.folder / "elsewhere/scripts")
        shutil.copytree(ROOT / "configs", self.folder / "elsewhere/configs")
        found = set()
        for scripts, seed in ((ROOT / "scripts", "1"), (self.folder / "elsewhere/scripts", "2")):
            command = [sys.executable, scripts / "export/arcface.py", checkpoint, "--name", "same"]
            command += ["-o", self.folder / seed]
            subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
            written = (self.folder / seed / "same.pt").read_bytes()
            found.add(hashlib.sha256(written).hexdigest())
            self.assertFalse(str(scripts).encode() in written)
        self.assertEqual(len(found), 1)


class Layouts(unittest.TestCase):
    def check(self, name, make):
        with torch.device("meta"):
            shapes = shapes_of(make())
        weights = sum(int(np.prod(shape)) for key, shape in shapes.items() if not key.endswith("num_batches_tracked"))
        lines = "".join(f"{key} {list(shape)}\n" for key, shape in sorted(shapes.items()))
        self.assertEqual(
            [len(shapes), weights, hashlib.sha256(lines.encode()).hexdigest()], EXPECTED["layouts"][name], name
        )
        return shapes

    def test_names_and_shapes_are_the_authors(self):
        for blocks, depth in iresnet.DEPTHS.items():
            self.assertEqual(
                iresnet.blocks_of(self.check(f"iresnet-{depth}", lambda b=blocks: iresnet.IResNet(b))), blocks
            )
        for blocks, depth in adaface.DEPTHS.items():
            self.check(f"adaface-{depth}", lambda b=blocks: IR(b, adaface=True))
            self.assertEqual(adaface.blocks_of(nothing(lambda b=blocks: IR(b, adaface=True))), blocks)
        self.check("lowkey-ir152", lambda: IR(lowkey.BLOCKS, adaface=False))
        self.check("lowkey-resnet152", lambda: lowkey.ResNet(lowkey.BLOCKS))


class Refusals(WithFolder):
    ALL = (arcface, magface, adaface, lowkey)

    def test_broken_files(self):
        page, half, loud = self.folder / "page.pth", self.folder / "half.pth", self.folder / "loud.pth"
        page.write_text("<html>Sign in</html>")
        half.write_bytes(self.saved({"conv1.weight": torch.zeros(1000)}).read_bytes()[:1500])
        torch.save({"state_dict": {}, "callbacks": {types.SimpleNamespace: 1}}, loud)
        for exporter in self.ALL:
            self.assertIn("HTML page", self.refused(exporter, page))
            self.assertIn("truncated", self.refused(exporter, half))
            self.assertIn("holds weights and code; the code was not run", self.refused(exporter, loud))
            self.assertIn("no such file", self.refused(exporter, self.folder / "none.pth"))

    def test_other_files_are_named(self):
        """Files that users mistake for a checkpoint, or wrong downloads."""

        def written(name, data):
            (self.folder / name).write_bytes(data)
            return self.folder / name

        network = torch.nn.Sequential(torch.nn.Linear(3, 3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
            torch.jit.script(network).save(self.folder / "jit.pt")
        torch.export.save(torch.export.export(network, (torch.zeros(1, 3),)), self.folder / "program.pt2")
        with zipfile.ZipFile(self.folder / "zipped.zip", "w") as archive:
            archive.writestr("backbone.pth", b"x")
        small, pointer = {"weight": torch.zeros(3)}, b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n"
        mixed, deep = small | {"step": 3}, {"weights": small, "epoch": 3}
        for path, said in (
            (written("empty.pth", b""), "is empty"),
            (written("lfs.pth", pointer), "is a git-lfs pointer"),
            (written("error.pth", b'{"error": {"code": 403}}'), "is JSON text, not a checkpoint"),
            (self.folder / "jit.pt", "is a TorchScript file, and its code is not run here"),
            (self.folder / "program.pt2", "is a program of torch.export .*, not a state dict"),
            (self.folder / "zipped.zip", "is a zip of backbone.pth: unpack it"),
            (self.saved(network, "whole.pth"), "is a whole network, pickled with the names of its classes"),
            (self.saved(mixed, "mixed.pth"), "not a state dict: it holds a dict of weight, step; expected tensors"),
            (self.saved(deep, "deep.pth"), "holds a dict of weights, epoch; expected .* under state_dict"),
            (self.saved([1, 2], "list.pth"), "it holds list"),
        ):
            with self.subTest(path.name):
                self.assertRegex(self.refused(arcface, path), said)

    def test_wrong_families(self):
        iresnet18, ir18 = nothing(lambda: iresnet.IResNet(SMALL)), nothing(lambda: IR(SMALL, adaface=True))
        backbone, flat = self.saved(iresnet18), self.saved(ir18, "flat.pth")
        self.assertIn("is not an InsightFace iResNet: its stages have (0, 0, 0, 0) blocks", self.refused(arcface, flat))
        self.assertIn(
            "is not a MagFace checkpoint: there is no layer1 under features",
            self.refused(magface, backbone),
        )
        self.assertIn("is not an AdaFace IR: its stages have (0, 0, 0, 0) blocks", self.refused(adaface, backbone))
        self.assertIn("neither face.evoLVe's IR-152 nor its ResNet-152: ", self.refused(lowkey, backbone))
        self.assertIn("is not face.evoLVe's IR-152: ", self.refused(lowkey, flat))
        evolve = self.saved(nothing(lambda: IR(SMALL, adaface=False)), "evolve.pth")
        self.assertIn("is not an AdaFace IR: 28 missing (body.0.res_layer.2.bias, ", self.refused(adaface, evolve))

    def test_missing_and_unexpected_layers_are_named(self):
        tensors = nothing(lambda: iresnet.IResNet(SMALL))
        del tensors["fc.bias"]
        self.assertIn("1 missing (fc.bias)", self.refused(arcface, self.saved(tensors)))
        self.assertIn("1 missing (fc.bias)", self.refused(magface, self.saved(prefixed("features.module.", tensors))))
        tensors |= {"fc.bias": torch.zeros(512), "layer1.0.se.weight": torch.zeros(3)}
        self.assertIn("1 unexpected (layer1.0.se.weight)", self.refused(arcface, self.saved(tensors)))
        tensors = nothing(lambda: IR(SMALL, adaface=True))
        del tensors["output_layer.3.weight"]
        self.assertIn(
            "1 missing (output_layer.3.weight)", self.refused(adaface, self.saved(prefixed("model.", tensors)))
        )
        tensors["output_layer.3.weight"] = torch.zeros(1).expand(512, 512 * 14 * 14)  # as for pictures of 224 × 224
        said = self.refused(adaface, self.saved(prefixed("model.", tensors)))
        self.assertIn("1 of another shape (output_layer.3.weight (512, 100352) for (512, 25088))", said)
        tensors = nothing(lambda: lowkey.ResNet(SMALL))
        del tensors["fc.weight"]
        self.assertIn("1 missing (fc.weight)", self.refused(lowkey, self.saved(tensors)))

    def test_no_finite_numbers(self):
        tensors = nothing(lambda: lowkey.ResNet(SMALL)) | {"bn_o2.bias": torch.full((512,), float("nan"))}
        self.assertIn("no finite numbers", self.refused(lowkey, self.saved(tensors, LOWKEY["resnet152"])))

    def test_lowkeys_file_for_another_card(self):
        said = "holds IR-152; its name does not say whether"
        path = Path("checkpoint.pth")
        other = "lowkey-resnet152-arcface", "not for the card"
        loss = "lowkey-ir152-cosface", "has another loss in its name"
        for given, (name, why) in ((path, (None, said)), (path, other), (Path(LOWKEY["ir152"]), loss)):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as said:
                lowkey.card_name(given, "ir152", name)
            self.assertIn(why, said.getvalue())
        published = Path("Backbone_ResNet_152_Cosface_Epoch_68.pth")
        self.assertEqual(lowkey.card_name(published, "resnet152", None), "lowkey-resnet152-cosface")
        self.assertEqual(lowkey.card_name(path, "ir152", "mine"), "mine")


class Lightning(WithFolder):
    def test_its_class_is_neither_imported_nor_run(self):
        """Some versions put the class itself into the checkpoint: only this class is accepted,
        and nothing of it is loaded."""
        package, name = "pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint"
        parents = ("pytorch_lightning", "pytorch_lightning.callbacks", package)
        modules = {parent: types.ModuleType(parent) for parent in parents}
        theirs = type(name, (), {"__module__": package})
        setattr(modules[package], name, theirs)
        with mock.patch.dict(sys.modules, modules):
            tensors = prefixed("model.", {"body.0.x": torch.zeros(1)})
            checkpoint = self.saved(
                {"callbacks": {theirs: {"best_model_score": torch.zeros(1)}}, "state_dict": tensors}
            )
        self.assertIn("is not an AdaFace IR: its stages", self.refused(adaface, checkpoint))
        self.assertNotIn("pytorch_lightning", sys.modules)


if __name__ == "__main__":
    unittest.main()
