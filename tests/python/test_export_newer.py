"""Tests the exporters of EdgeFace, DINOv2, GhostFaceNet and MobileFaceNet with outputs of the authors' code, timm or
plain sums for random weights, and with wrong files."""
import contextlib
import io
import json
import struct
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from export import arcface, dinov2, edgeface, ghostfacenet, mobilefacenet, onnx  # noqa: E402
from random_weights import random_keras, random_tensors, shapes_of  # noqa: E402

PICTURES = [ROOT / "data/rendered/gallery-000" / name for name in ("00.jpg", "01.jpg")]


def fixture(name):
    return json.loads((HERE / f"fixtures/{name}.json").read_text())


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def saved(self, tensors, name="checkpoint.pt"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch calls its quantised tensors deprecated
            torch.save(tensors, self.folder / name)
        return self.folder / name

    def export(self, exporter, checkpoint, *more):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exporter.main([str(checkpoint), "-o", str(self.folder / "out"), *more])
        return said.getvalue()

    def refused(self, exporter, checkpoint, *more):
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            self.export(exporter, checkpoint, *more)
        self.assertEqual((left.exception.code, (self.folder / "out").exists()), (4, False))
        self.assertEqual(len(said.getvalue().splitlines()), 1)
        return said.getvalue()

    def module(self, name):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer PyTorch calls TorchScript old
            return torch.jit.load(self.folder / f"out/{name}.pt")

    def card(self, name):
        return json.loads((self.folder / f"out/{name}.json").read_text())

    def check(self, name, side, expected):
        """The numbers, a free batch, gradients and bf16. PIL resizes the pictures; they are scaled as the card says."""
        recipe = self.card(name)["input"]
        rows = [np.asarray(Image.open(path).resize((side, side)), np.float64) / 255 for path in PICTURES]
        scaled = (np.stack(rows) * recipe["scale"] - recipe["mean"]) / recipe["std"]
        x = torch.from_numpy(scaled.transpose(0, 3, 1, 2).astype(np.float32)).requires_grad_()
        module = self.module(name)
        found = module(x)
        np.testing.assert_allclose(found.detach(), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
        torch.testing.assert_close(module(x[1:]), found[1:], rtol=0, atol=1e-4)
        (gradient,) = torch.autograd.grad(found.square().sum(), x)
        self.assertTrue(gradient.isfinite().all() and (gradient.abs().amax((1, 2, 3)) > 0).all())
        rough = module.to(torch.bfloat16)(x.detach().bfloat16()).float()
        self.assertGreater(torch.cosine_similarity(rough, found).min().item(), 0.99)


class EdgeFace(WithFolder):
    def test_whole_and_low_rank_layers(self):
        for key, said in (("whole", "EdgeNeXt XS, "), ("low rank", "EdgeNeXt XS, low-rank linear layers, ")):
            with self.subTest(key):
                made = fixture("edgeface")[key]
                self.assertIn(said, self.export(edgeface, self.saved(random_tensors(made["shapes"]))))
                self.check("edgeface-xs", 112, made["embeddings"])

    def test_int8_linear_layers(self):
        """PyTorch saves quantised layers as a pair of weight and bias, and the output's scale separately."""
        made = fixture("edgeface")["whole"]
        tensors, packed, plain = random_tensors(made["shapes"]), {}, {}
        for name, tensor in tensors.items():
            layer = name.removesuffix("weight")
            if name.endswith("weight") and tensor.dim() == 2:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    steps = torch.quantize_per_tensor(tensor, tensor.abs().max().item() / 127, 0, torch.qint8)
                packed[f"{layer}scale"], packed[f"{layer}zero_point"] = torch.tensor(1.0), torch.tensor(0)
                packed[f"{layer}_packed_params.dtype"] = torch.qint8
                packed[f"{layer}_packed_params._packed_params"] = (steps, tensors[f"{layer}bias"])
                plain[name] = steps.dequantize()
            elif f"{name.removesuffix('bias')}_packed_params.dtype" not in packed:
                packed[name] = plain[name] = tensor
            else:
                plain[name] = tensor
        said = self.export(edgeface, self.saved(packed))
        self.assertIn("int8 linear layers in float32", said)
        self.assertIn("int8 linear layers in float32", self.card("edgeface-xs")["source"]["network"])
        self.export(edgeface, self.saved(plain, "plain.pt"), "--name", "plain")
        x = torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(self.module("edgeface-xs")(x), self.module("plain")(x), rtol=0, atol=0)

    def test_another_network(self):
        other = {"stem.0.weight": torch.zeros(32, 3, 4, 4)}
        said = self.refused(edgeface, self.saved(other))
        self.assertIn("is not EdgeFace's EdgeNeXt: it lacks a block in one of 4", said)
        self.assertIn("it lacks stem.0.weight", self.refused(edgeface, self.saved({"a": torch.zeros(1)})))
        tensors = random_tensors(fixture("edgeface")["whole"]["shapes"])
        del tensors["model.head.fc.bias"]
        self.assertIn("1 missing (head.fc.bias)", self.refused(edgeface, self.saved(tensors)))


class DinoV2(WithFolder):
    def test_the_class_token(self):
        made = fixture("dinov2")
        tensors = random_tensors(made["shapes"])
        tensors["pos_embed"] *= made["places"]
        self.assertIn("ViT-S/14, 2 layers", self.export(dinov2, self.saved(tensors)))
        self.assertEqual(self.card("dinov2-s")["dimension"], 384)
        self.check("dinov2-s", 224, made["embeddings"])

    def test_another_network(self):
        tensors = random_tensors(fixture("dinov2")["shapes"])
        registers = tensors | {"register_tokens": torch.zeros(1, 4, 384)}
        self.assertIn("is not a DINOv2 without registers", self.refused(dinov2, self.saved(registers)))
        del tensors["blocks.1.ls2.gamma"]
        self.assertIn("1 missing (blocks.1.ls2.gamma)", self.refused(dinov2, self.saved(tensors)))
        self.assertIn("is not a DINOv2: it lacks", self.refused(dinov2, self.saved({"a": torch.zeros(1)})))


class GhostFaceNet(WithFolder):
    def test_by_its_own_description(self):
        made = fixture("keras_layers")
        with h5py.File(self.folder / "Ghost.h5", "w") as file:
            file.attrs["model_config"] = json.dumps(made["description"])
            file.attrs["keras_version"] = made["keras_version"]
            group, arrays = file.create_group("model_weights"), random_keras(made["layers"])
            group.attrs["layer_names"] = [layer for layer, _ in made["layers"]]
            for layer, weights in made["layers"]:
                group.create_group(layer).attrs["weight_names"] = [name for name, _ in weights]
                for name, _ in weights:
                    group[layer][name] = arrays[layer, name]
        self.export(ghostfacenet, self.folder / "Ghost.h5", "--name", "ghost-small")
        recipe = self.card("ghost-small")["input"]
        found = [recipe[key] for key in ("side", "channels", "mean", "std")]
        self.assertEqual(found, [32, "rgb", [127.5] * 3, [128] * 3])


def mxnet_file(arrays):
    """As MXNet 1.x writes a dict of arrays."""
    data = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        data += struct.pack("<IiI", 0xF993FAC9, 0, array.ndim) + struct.pack(f"<{array.ndim}q", *array.shape)
        data += struct.pack("<iii", 1, 0, 0) + array.astype("<f4").tobytes()
    data += struct.pack("<Q", len(arrays))
    for name in arrays:
        data += struct.pack("<Q", len(name)) + name.encode()
    return data


class MobileFaceNet(WithFolder):
    def tensors(self, kernel=(7, 6)):
        return random_tensors(shapes_of(mobilefacenet.MobileFaceNet(kernel, 128)))

    def test_pictures_that_are_not_square(self):
        checkpoint = {"epoch": 3, "net_state_dict": self.tensors()}
        said = self.export(mobilefacenet, self.saved(checkpoint, "068.ckpt"))
        self.assertIn("MobileFaceNet, 112 x 96", said)
        self.assertTrue(said.rstrip().endswith("mobilefacenet-068.json --photos DATASET"))
        recipe = self.card("mobilefacenet-068")["input"]
        self.assertEqual([recipe.get(key) for key in ("width", "height", "side")], [96, 112, None])
        x = torch.rand(2, 3, 112, 96, generator=torch.Generator().manual_seed(1)).requires_grad_()
        module = mobilefacenet.MobileFaceNet((7, 6), 128).eval()
        module.load_state_dict(self.tensors())
        found = self.module("mobilefacenet-068")(x)
        torch.testing.assert_close(found, module(x))
        self.assertTrue(torch.autograd.grad(found.sum(), x)[0].isfinite().all())

    def mxnet(self):
        """The same weights in MXNet's layout: the last layer is dense, with a bias and a norm without a factor."""
        arrays, tensors = {}, self.tensors((7, 7))
        parts = [("conv1", "conv_1"), ("dw_conv1", "conv_2_dw"), ("conv2", "conv_6sep"), ("linear7", "conv_6dw7_7")]
        rows = [(ours, theirs, ("conv", "bn", "prelu")) for ours, theirs in parts]
        for k, block in enumerate(mobilefacenet.BLOCKS):
            for first, part in ((0, "sep"), (3, "dw"), (6, "proj")):
                rows.append((f"blocks.{k}.conv", f"{block}_conv_{part}", [first, first + 1, first + 2]))
        for ours, theirs, (conv, norm, slope) in rows:
            arrays[f"arg:{theirs}_conv2d_weight"] = tensors[f"{ours}.{conv}.weight"]
            arrays[f"arg:{theirs}_batchnorm_gamma"] = tensors[f"{ours}.{norm}.weight"]
            arrays[f"arg:{theirs}_batchnorm_beta"] = tensors[f"{ours}.{norm}.bias"]
            arrays[f"aux:{theirs}_batchnorm_moving_mean"] = tensors[f"{ours}.{norm}.running_mean"]
            arrays[f"aux:{theirs}_batchnorm_moving_var"] = tensors[f"{ours}.{norm}.running_var"]
            if f"{ours}.{slope}.weight" in tensors and theirs[-4:] != "proj":
                arrays[f"arg:{theirs}_relu_gamma"] = tensors[f"{ours}.{slope}.weight"]
        arrays["arg:fc1_weight"] = tensors["linear1.conv.weight"].squeeze()
        arrays["arg:pre_fc1_bias"], arrays["arg:fc1_gamma"] = torch.linspace(-1, 1, 128), torch.full((128,), 7.0)
        arrays["arg:fc1_beta"] = tensors["linear1.bn.bias"]
        arrays["aux:fc1_moving_mean"] = tensors["linear1.bn.running_mean"]
        arrays["aux:fc1_moving_var"] = tensors["linear1.bn.running_var"]
        return {name: tensor.numpy() for name, tensor in arrays.items()}

    def test_mxnets(self):
        arrays = self.mxnet()
        (self.folder / "model-0000.params").write_bytes(mxnet_file(arrays))
        self.assertIn("112 x 112", self.export(mobilefacenet, self.folder / "model-0000.params", "--name", "mx"))
        module = mobilefacenet.MobileFaceNet((7, 7), 128).eval()
        module.load_state_dict(self.tensors((7, 7)))
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eps = 1e-3
        x = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            found, wanted = self.module("mx")(x), module.linear1.conv(
                module.linear7(module.conv2(module.blocks(module.dw_conv1(module.conv1(x)))))
            ).flatten(1)
        norm = {name: torch.from_numpy(arrays[name]) for name in arrays if "fc1" in name}
        wanted = wanted + norm["arg:pre_fc1_bias"] - norm["aux:fc1_moving_mean"]
        wanted = wanted / (norm["aux:fc1_moving_var"] + 2e-5).sqrt() + norm["arg:fc1_beta"]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)

    def test_other_networks_and_half_files(self):
        data = mxnet_file(self.mxnet())
        (self.folder / "half.params").write_bytes(data[: len(data) // 2])
        said = self.refused(mobilefacenet, self.folder / "half.params")
        self.assertIn("is a truncated or unsupported .params file of MXNet: it ends after", said)
        (self.folder / "other.params").write_bytes(mxnet_file({"arg:conv0_weight": np.zeros((8, 3, 3, 3))}))
        said = self.refused(mobilefacenet, self.folder / "other.params")
        self.assertIn("is not InsightFace's MobileFaceNet: it has no conv_6dw7_7 or fc1", said)
        said = self.refused(mobilefacenet, self.saved({"layer1.0.weight": torch.zeros(1)}))
        self.assertIn("is not Xiaoccer's MobileFaceNet: it has no dw_conv1", said)
        tensors = self.tensors()
        del tensors["blocks.3.conv.6.weight"]
        self.assertIn("1 missing (blocks.3.conv.6.weight)", self.refused(mobilefacenet, self.saved(tensors)))


class OtherPrograms(WithFolder):
    def test_their_files_are_named_for_what_they_are(self):
        for start, exporter, said in (
            (b"\x89HDF\r\n\x1a\n", arcface, "a Keras file (HDF5), not a PyTorch checkpoint: facenet.py, fawkes.py"),
            (mxnet_file({}), arcface, "a .params file of MXNet, not a PyTorch checkpoint: mobilefacenet.py"),
            (b"\x08\x07\x12\x07pytorch", edgeface, "an ONNX file, not a PyTorch checkpoint: onnx.py reads"),
            (b"\x1c\0\0\0TFL3", onnx, "a TFLite file, not an ONNX file"),
            (b"\x89HDF\r\n\x1a\n", onnx, "a Keras file (HDF5), not an ONNX file"),
            (mxnet_file({}), ghostfacenet, "a .params file of MXNet, not a Keras file (HDF5)"),
            (b"\x80\x02}q\0.", ghostfacenet, "a PyTorch checkpoint, not a Keras file (HDF5)"),
        ):
            with self.subTest(said):
                (self.folder / "file").write_bytes(start)
                self.assertIn(f"file is {said}", self.refused(exporter, self.folder / "file"))


if __name__ == "__main__":
    unittest.main()
