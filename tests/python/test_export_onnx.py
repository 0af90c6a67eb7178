"""Tests the exporter of ONNX recognisers with onnxruntime's outputs (fixtures/make_onnx_fixture.py) and with wrong
files."""
import contextlib
import io
import json
import logging
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import onnx as onnx_package
import torch
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from convert import golden  # noqa: E402
from export import onnx, runtime  # noqa: E402
from make_onnx_fixture import CROP, DIMENSION, PICTURES, SIDE, insightface, mxnet  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
EXPECTED = json.loads((HERE / "fixtures/onnx.json").read_text())
INSIGHTFACE, MXNET = insightface().SerializeToString(), mxnet().SerializeToString()


class Runs:
    """Its pickle makes a folder if a reader runs its code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class Faces(CalibrationDataReader):
    """Faces on which onnxruntime measures the limits of values."""

    def __init__(self):
        card = json.loads((ROOT / "configs/extractors/buffalo-l.json").read_text())
        self.faces = runtime.rendered_faces(card["input"])
        self.left = iter(self.faces)

    def get_next(self):
        face = next(self.left, None)
        return None if face is None else {"input.1": face[None]}


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def saved(self, data, name="network.onnx"):
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def export(self, checkpoint, *more):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            onnx.main([str(checkpoint), "-o", str(self.folder / "out"), *more])
        return said.getvalue()

    def card(self, name):
        return json.loads((self.folder / "out" / f"{name}.json").read_text())

    def module(self, name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
            return torch.jit.load(self.folder / "out" / f"{name}.pt")

    def refused(self, data, *more, code=4):
        checkpoint = data if isinstance(data, Path) else self.saved(data, "refused.onnx")
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            self.export(checkpoint, *more)
        self.assertEqual(left.exception.code, code)
        self.assertFalse((self.folder / "out").exists())
        lines = said.getvalue().splitlines()
        self.assertTrue(len(lines) == 1 or code == 2, lines)
        return lines[-1]


class Numbers(WithFolder):
    def compare(self, found, key, least, tolerance):
        found, expected = np.asarray(found, np.float64), np.array(EXPECTED[key])
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        difference = abs(found - expected).max()
        if os.environ.get("FACEPOISON_SHOW"):
            print(f"| {key} | {difference:.2g} of {abs(expected).max():.3g} | {cosine.min():.8f} |", file=sys.stderr)
        self.assertGreaterEqual(cosine.min(), least, f"max difference {difference}")
        self.assertLess(difference, tolerance * abs(expected).max())

    def embedded(self, name, folder):
        command = [BINARY, "embed", folder, "-e", f"out/{name}.json", "-o", "x.npy", "--store", "store"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return np.load(self.folder / "x.npy")

    @unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
    def test_from_the_picture_through_the_binary(self):
        for folder in ("crops", "whole"):
            (self.folder / folder / "somebody").mkdir(parents=True)
        for path in PICTURES:
            shutil.copy(path, self.folder / "whole/somebody")
            Image.open(path).crop(CROP).save(self.folder / "crops/somebody" / f"{path.stem}.png")
        for name in ("buffalo-l", "antelopev2", "plain"):
            self.export(self.saved(INSIGHTFACE), "--name", name)
            self.compare(self.embedded(name, "crops"), "insightface, crops", 0.9999999, 1e-5)
        # OpenCV resizes in whole numbers
        self.compare(self.embedded("plain", "whole"), "insightface, whole", 0.99999, 0.01)
        self.export(self.saved(MXNET), "--name", "inside")
        self.compare(self.embedded("inside", "crops"), "mxnet, crops", 0.9999999, 1e-5)

    def test_any_batch_gradients_and_bf16(self):
        for name, data in (("plain", INSIGHTFACE), ("inside", MXNET)):
            self.export(self.saved(data), "--name", name)
            module, recipe = self.module(name), self.card(name)["input"]
            x = torch.from_numpy(
                np.concatenate([golden.network_input(golden.picture(SIDE, SIDE) // k, recipe) for k in (1, 2, 3)])
            )
            whole = module(x)
            self.assertEqual(tuple(whole.shape), (3, DIMENSION))
            torch.testing.assert_close(torch.cat([module(row[None]) for row in x]), whole, rtol=0, atol=1e-4)
            (gradient,) = torch.autograd.grad(module(x.requires_grad_()).square().sum(), x)
            self.assertTrue(gradient.isfinite().all() and (gradient.abs().amax((1, 2, 3)) > 0).all())
            rough = module.to(torch.bfloat16)(x.detach().bfloat16()).float()
            self.assertGreater(torch.cosine_similarity(rough, whole).min().item(), 0.99)


class Cards(WithFolder):
    def test_a_committed_card_is_completed(self):
        for name in ("buffalo-l", "antelopev2"):
            said = self.export(self.saved(INSIGHTFACE), "--name", name)
            self.assertIn("ONNX, 13 convolutions, 112 x 112", said)
            made, card = self.card(name), json.loads((ROOT / f"configs/extractors/{name}.json").read_text())
            for key in card.keys() - {"file", "source"}:
                self.assertEqual(made[key], card[key])
            self.assertEqual(made["source"]["exported_from"], "network.onnx")
            self.assertEqual(np.load(self.folder / "out" / made["golden"]["file"]).size, DIMENSION)

    def test_a_whole_card_under_the_files_name(self):
        self.export(self.saved(INSIGHTFACE, "mine.onnx"))
        card = self.card("mine")
        self.assertEqual((card["title"], card["released"], card["dimension"]), ("mine", "not known", DIMENSION))
        committed = json.loads((ROOT / "configs/extractors/buffalo-l.json").read_text())
        self.assertEqual(card["input"], committed["input"])

    def test_switches(self):
        more = "--channels bgr --mean 103 116 123 --std 1 --template none --title T --released 2020 --licence L".split()
        self.export(self.saved(INSIGHTFACE), "--name", "other", *more)
        card = self.card("other")
        self.assertEqual([card[key] for key in ("title", "released", "licence")], ["T", "2020", "L"])
        recipe = card["input"]
        self.assertEqual(
            [recipe[key] for key in ("channels", "mean", "std", "template")],
            ["bgr", [103, 116, 123], [1, 1, 1], "none"],
        )

    def test_pixels_scaled_inside(self):
        self.assertIn("scales pixels itself", self.export(self.saved(MXNET), "--name", "inside"))
        recipe = self.card("inside")["input"]
        self.assertEqual([recipe["scale"], recipe["mean"], recipe["std"]], [255, [0, 0, 0], [1, 1, 1]])

    def scaled(self, steps):
        """The network with arithmetic in front: of (operation, constant), or (operation, constant, "first")."""
        model = insightface()
        graph, name = model.graph, "pixels"
        for k, (kind, number, *first) in enumerate(steps):
            made = "input.1" if k + 1 == len(steps) else f"step{k}"
            inputs = [f"number{k}", name] if first else [name, f"number{k}"]
            tensor = onnx_package.numpy_helper.from_array(np.asarray(number, np.float32), f"number{k}")
            graph.node.insert(2 * k, helper.make_node("Constant", [], [f"number{k}"], value=tensor))
            graph.node.insert(2 * k + 1, helper.make_node(kind, inputs, [made]))
            name = made
        graph.input[0].name = "pixels"
        return model.SerializeToString()

    def test_arithmetic_in_front(self):
        """Constants have no axes, or the pictures'."""
        self.export(self.saved(INSIGHTFACE), "--name", "plain")
        pixels = torch.from_numpy(golden.picture(SIDE, SIDE).transpose(2, 0, 1)[None].astype(np.float32))
        wanted = self.module("plain")((pixels - 127.5) / 127.5)
        halves = np.full((1, 3, 1, 1), 0.5)
        for steps, brightest in (
            ([("Sub", 127.5), ("Mul", 1 / 127.5)], 255),
            ([("Div", 127.5), ("Add", -1)], 255),
            ([("Mul", np.full((3, 1, 1), 1 / 127.5)), ("Sub", np.ones((1, 3, 1, 1)))], 255),
            ([("Sub", 127.5, "first"), ("Div", -127.5)], 255),
            ([("Sub", halves), ("Div", halves)], 1),
            ([("Mul", 255), ("Sub", 127.5), ("Div", 127.5)], 1),
        ):
            with self.subTest(steps):
                self.assertIn("scales pixels itself", self.export(self.saved(self.scaled(steps)), "--name", "inside"))
                recipe = self.card("inside")["input"]
                self.assertEqual([recipe["scale"], recipe["mean"], recipe["std"]], [brightest, [0, 0, 0], [1, 1, 1]])
                found = self.module("inside")(pixels / 255 * brightest)
                torch.testing.assert_close(found, wanted, rtol=0, atol=1e-3)

    def test_half_precision(self):
        """Weights in float16, as onnxconverter makes them, between casts."""
        model = insightface()
        graph = model.graph
        for tensor in graph.initializer:
            half = onnx_package.numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(onnx_package.numpy_helper.from_array(half, tensor.name))
        for node in graph.node:
            node.input[:] = ["half" if name == "input.1" else name for name in node.input]
        graph.node.insert(0, helper.make_node("Cast", ["input.1"], ["half"], to=onnx_package.TensorProto.FLOAT16))
        graph.node[-1].output[0] = "end"
        graph.node.append(helper.make_node("Cast", ["end"], ["683"], to=onnx_package.TensorProto.FLOAT))
        self.export(self.saved(INSIGHTFACE), "--name", "plain")
        self.export(self.saved(model.SerializeToString()), "--name", "half")
        pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 2 - 1
        found, wanted = self.module("half")(pixels), self.module("plain")(pixels)
        self.assertEqual(found.dtype, torch.float32)
        self.assertGreater(torch.cosine_similarity(found, wanted).min().item(), 0.9999)

    def test_numbers_that_a_node_holds(self):
        """Not as a tensor, but as an attribute; and arithmetic on constants alone."""
        model = onnx_package.load_from_string(self.scaled([("Sub", 127.5), ("Mul", 1 / 127.5)]))
        nodes = model.graph.node
        nodes[0].CopyFrom(helper.make_node("Constant", [], ["one and a half"], value_float=1.5))
        nodes.insert(1, helper.make_node("Constant", [], ["eighty-five"], value_floats=[85.0]))
        nodes.insert(2, helper.make_node("Mul", ["one and a half", "eighty-five"], ["number0"]))
        self.export(self.saved(INSIGHTFACE), "--name", "plain")
        self.export(self.saved(model.SerializeToString()), "--name", "inside")
        self.assertEqual(self.card("inside")["input"]["std"], [1, 1, 1])
        pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) * 255
        torch.testing.assert_close(
            self.module("inside")(pixels), self.module("plain")((pixels - 127.5) / 127.5), rtol=0, atol=1e-3
        )

    def test_pictures_that_are_not_square(self):
        model = insightface()
        model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 96
        flat = next(tensor for tensor in model.graph.initializer if tensor.name == "fc.weight")
        narrow = onnx_package.numpy_helper.to_array(flat).reshape(DIMENSION, -1, 7, 7)[..., :6].reshape(DIMENSION, -1)
        flat.CopyFrom(onnx_package.numpy_helper.from_array(narrow.copy(), flat.name))
        self.assertIn("112 x 96", self.export(self.saved(model.SerializeToString()), "--name", "narrow"))
        recipe = self.card("narrow")["input"]
        self.assertEqual([recipe.get(key) for key in ("width", "height", "side")], [96, 112, None])
        self.assertEqual(self.module("narrow")(torch.zeros(2, 3, 112, 96)).shape, (2, DIMENSION))
        shutil.rmtree(self.folder / "out")
        self.assertIn("takes pictures of 112 x 96", self.refused(model.SerializeToString(), "--name", "buffalo-l"))

    def test_channels_last(self):
        """As converters from TensorFlow leave it."""
        model = insightface()
        for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim[1:], (SIDE, SIDE, 3)):
            axis.dim_value = size
        model.graph.input[0].name = "pixels"
        model.graph.node.insert(0, helper.make_node("Transpose", ["pixels"], ["input.1"], perm=[0, 3, 1, 2]))
        self.export(self.saved(INSIGHTFACE), "--name", "plain")
        self.export(self.saved(model.SerializeToString()), "--name", "last")
        pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(self.module("last")(pixels), self.module("plain")(pixels))

    def test_int8_as_onnxruntime_makes_it(self):
        self.export(self.saved(INSIGHTFACE), "--name", "plain")
        logging.disable(logging.WARNING)  # its advice
        self.addCleanup(logging.disable, logging.NOTSET)
        quantize_dynamic(self.saved(INSIGHTFACE), self.folder / "dynamic.onnx", weight_type=QuantType.QUInt8)
        for name, form in (("qdq", QuantFormat.QDQ), ("operators", QuantFormat.QOperator)):
            quantize_static(self.saved(INSIGHTFACE), self.folder / f"{name}.onnx", Faces(), quant_format=form)
        pixels = torch.from_numpy(Faces().faces)
        for name in ("dynamic", "qdq", "operators"):
            with self.subTest(name):
                said = self.export(self.folder / f"{name}.onnx")
                self.assertRegex(said, r"least cosine to onnxruntime on 20 rendered faces 0\.9[89]")
                self.assertRegex(self.card(name)["notes"], r"int8 graph's layers compute in float32: .* 0\.9[89]")
                found, wanted = self.module(name)(pixels), self.module("plain")(pixels)
                self.assertGreater(torch.cosine_similarity(found, wanted).min().item(), 0.98)

    def test_weights_in_a_file_beside_it(self):
        model = onnx_package.load_from_string(INSIGHTFACE)
        onnx_package.save(model, self.folder / "two.onnx", save_as_external_data=True, location="two.data")
        self.export(self.folder / "two.onnx")
        (self.folder / "two.data").rename(self.folder / "elsewhere.data")
        shutil.rmtree(self.folder / "out")
        said = self.refused(self.folder / "two.onnx")
        self.assertIn("keeps its weights in two.data, which must be complete and in the same", said)

    def test_what_was_assumed_is_said(self):
        said = self.export(self.saved(INSIGHTFACE), "--name", "mine").splitlines()[-1]
        self.assertIn("was assumed", said)
        self.assertTrue(said.endswith(f"facepoison check {self.folder}/out/mine.json --photos DATASET"))
        self.assertNotIn("assumed", self.export(self.saved(INSIGHTFACE), "--name", "buffalo-l"))

    def test_a_side_that_the_graph_leaves_open(self):
        model = insightface()
        for axis in model.graph.input[0].type.tensor_type.shape.dim[2:]:
            axis.dim_param = "side"
        self.assertIn("takes free x 3 x free x free, expected pictures", self.refused(model.SerializeToString()))
        self.export(self.saved(model.SerializeToString()), "--side", "112", "--name", "open")
        self.assertEqual(self.card("open")["input"]["side"], 112)
        self.export(self.saved(model.SerializeToString()), "--name", "buffalo-l")

    def test_as_a_program(self):
        """The script's own folder must not hide the package onnx."""
        command = [
            sys.executable,
            ROOT / "scripts/export/onnx.py",
            self.saved(INSIGHTFACE),
            "--name",
            "program",
            "-o",
            self.folder / "out",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            sorted(path.name for path in (self.folder / "out").iterdir()), ["golden", "program.json", "program.pt"]
        )


class Refusals(WithFolder):
    def test_broken_files(self):
        self.assertIn("HTML page", self.refused(b" <html>Sign in</html>"))
        self.assertIn("no such file", self.refused(self.folder / "none.onnx"))
        self.assertIn("is empty", self.refused(b""))
        self.assertIn("git-lfs pointer, not the network itself", self.refused(b"version https://git-lfs.github.com/"))
        for data in (b"garbage", INSIGHTFACE[:100], INSIGHTFACE[: len(INSIGHTFACE) // 2], INSIGHTFACE[:-40]):
            self.assertIn("is not an ONNX file, or is truncated", self.refused(data))

    def test_other_checkpoints(self):
        trap = self.folder / "it ran"
        said = "is a PyTorch checkpoint, not an ONNX file"
        self.assertIn(said, self.refused(pickle.dumps(Runs(str(trap)), protocol=2)))
        self.assertIn("not an ONNX file", self.refused(pickle.dumps(Runs(str(trap)))))
        self.assertFalse(trap.exists())
        torch.save({"a": torch.zeros(3)}, self.folder / "network.pth")
        self.assertIn(said, self.refused(self.folder / "network.pth"))

    def changed(self, change):
        model = onnx_package.load_from_string(INSIGHTFACE)
        change(model.graph)
        return model.SerializeToString()

    def test_networks_that_are_no_recogniser(self):
        def unknown(graph):
            graph.node[4].op_type = "Celu"

        def two_outputs(graph):
            graph.output.append(helper.make_tensor_value_info(graph.node[3].output[0], 1, None))

        def a_map(graph):
            graph.output[0].name = graph.node[5].output[0]

        def a_missing_weight(graph):
            del graph.initializer[0]

        def another_axis(graph):
            graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4

        self.assertIn("cannot read: ONNX operation Celu", self.refused(self.changed(unknown)))
        self.assertIn("1 inputs and 2 outputs", self.refused(self.changed(two_outputs)))
        self.assertRegex(self.refused(self.changed(a_map)), "for two pictures it gives 2 x 8 x .* numbers")
        self.assertRegex(
            self.refused(self.changed(a_missing_weight)),
            "is not a readable network: KeyError: 'stem.weight'|2 inputs",
        )
        self.assertIn("takes free x 4 x 112 x 112, expected pictures", self.refused(self.changed(another_axis)))

    def test_a_network_that_was_not_read_rightly(self):
        read = onnx.onnx_reader.read_model

        def wrongly(model, rounding=False):
            module, quantised = read(model, rounding)
            with torch.no_grad():
                next(module.parameters())[0] *= -1
            return module, quantised

        with mock.patch.object(onnx.onnx_reader, "read_model", wrongly):
            said = self.refused(INSIGHTFACE)
        self.assertRegex(said, r"read wrongly: on 20 rendered faces the least cosine .* is 0\.\d+, expected 0\.999")

    def test_a_card_may_leave_the_scaling_to_the_graph(self):
        """As SFace's does."""
        graph = onnx_package.load_from_string(MXNET).graph
        ends = onnx.scaled_pixels(graph, graph.input[0])
        raw = {"scale": 255.0, "mean": [0.0] * 3, "std": [1.0] * 3}
        self.assertTrue(onnx.feeds_pixels(raw, ends))
        for change in ({"scale": 1.0}, {"mean": [127.5] * 3}, {"std": [128.0] * 3}):
            self.assertFalse(onnx.feeds_pixels(raw | change, ends))

    def test_what_contradicts_a_committed_card(self):
        said = self.refused(MXNET, "--name", "buffalo-l")
        self.assertIn("scales its pixels itself, which is not what the card buffalo-l.json says", said)
        self.assertIn("gives 512 numbers a face", self.refused(INSIGHTFACE, "--name", "mobilefacenet"))
        self.assertIn("takes pictures of 112", self.refused(INSIGHTFACE, "--name", "dlib"))
        self.assertIn(
            "--mean would contradict it", self.refused(INSIGHTFACE, "--name", "buffalo-l", "--mean", "0", code=2)
        )
        self.assertIn("one number or three", self.refused(INSIGHTFACE, "--name", "x", "--mean", "0", "1", code=2))


if __name__ == "__main__":
    unittest.main()
