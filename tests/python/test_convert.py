"""Tests of the converters. No network, no packages: tiny networks made here, checked against sums
written out in NumPy.  Run with:  .venv/bin/python -m unittest discover tests/python
"""
import json
import sys
import tempfile
import unittest
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from convert import torchscript
from convert.builder import Builder
from convert.onnx_reader import read_onnx
from convert.tfjs_reader import read_tfjs, read_weights

RNG = np.random.default_rng(7)
SAME, VALID = "U0FNRQ==", "VkFMSUQ="  # base64, as the files have it


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def run(module, x):
    """Through TorchScript, as the models are used."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.jit.script(module)(torch.from_numpy(x)).numpy()


def tf_conv(x, weight, stride, padding):
    """What TensorFlow's convolution is: x N×H×W×C, weight H×W×I×O, written out."""
    n, h, w, _ = x.shape
    k = weight.shape[0]
    if padding == "SAME":
        out = -(-h // stride), -(-w // stride)
        total = [max((o - 1) * stride + k - size, 0) for o, size in zip(out, (h, w))]
        x = np.pad(x, [(0, 0), *[(t // 2, t - t // 2) for t in total], (0, 0)])
    else:
        out = (h - k) // stride + 1, (w - k) // stride + 1
    result = np.zeros((n, *out, weight.shape[3]))
    for i in range(out[0]):
        for j in range(out[1]):
            patch = x[:, i * stride : i * stride + k, j * stride : j * stride + k]
            result[:, i, j] = np.einsum("nhwc,hwco->no", patch, weight)
    return result


def tfjs(size, nodes, weights):
    """A TensorFlow.js file pair of float32 and int32 weights."""
    dims = [{"size": str(s)} for s in (-1, *size)]
    source = {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": dims}}}}
    entries = [{"name": n, "shape": list(w.shape), "dtype": str(w.dtype)} for n, w in weights.items()]
    model = {"modelTopology": {"node": [source, *nodes]}, "weightsManifest": [{"weights": entries}]}
    return json.dumps(model), b"".join(w.tobytes() for w in weights.values())


def node(op, name, *inputs, **attributes):
    return {"op": op, "name": name, "input": list(inputs), "attr": attributes}


def conv_node(op, name, x, weight, stride, padding):
    strides = {"list": {"i": ["1", str(stride), str(stride), "1"]}}
    return node(op, name, x, weight, strides=strides, padding={"s": padding})


class TensorFlow(unittest.TestCase):
    def check_conv(self, size, kernel, stride, padding):
        x, weight = random(2, *size, 3), random(kernel, kernel, 3, 5)
        files = tfjs((*size, 3), [conv_node("Conv2D", "y", "x", "w", stride, padding)], {"w": weight})
        expected = tf_conv(x, weight, stride, "SAME" if padding == SAME else "VALID")
        found = run(read_tfjs(*files, "y"), x.transpose(0, 3, 1, 2).copy())
        np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-4)

    def test_same_padding_is_asymmetric_with_stride_two(self):
        self.check_conv((8, 6), 3, 2, SAME)  # even sizes: one row and column of zeros, at the end
        self.check_conv((7, 8), 3, 2, SAME)  # both kinds in one picture
        self.check_conv((7, 5), 4, 1, SAME)  # an even kernel, asymmetric with stride one too

    def test_other_paddings(self):
        self.check_conv((7, 9), 3, 1, SAME)
        self.check_conv((9, 6), 3, 2, VALID)

    def test_depthwise(self):
        x, weight = random(1, 6, 6, 4), random(3, 3, 4, 2)
        files = tfjs((6, 6, 4), [conv_node("DepthwiseConv2dNative", "y", "x", "w", 1, SAME)], {"w": weight})
        # Channel by channel, the outputs of one input channel beside each other.
        parts = [tf_conv(x[..., c : c + 1], weight[:, :, c : c + 1], 1, "SAME") for c in range(4)]
        expected = np.concatenate(parts, -1).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(run(read_tfjs(*files, "y"), x.transpose(0, 3, 1, 2).copy()), expected, atol=1e-4)

    def test_flattening_before_a_dense_layer_is_in_nhwc_order(self):
        x, weight = random(3, 4, 2, 5), random(4 * 2 * 5, 7)
        no = {"b": False}
        nodes = [node("Reshape", "f", "x", "s"), node("MatMul", "y", "f", "w", transpose_a=no, transpose_b=no)]
        files = tfjs((4, 2, 5), nodes, {"w": weight, "s": np.int32([-1, 40])})
        found = run(read_tfjs(*files, "y"), x.transpose(0, 3, 1, 2).copy())
        np.testing.assert_allclose(found, x.reshape(3, -1) @ weight, atol=1e-4)

    def test_flattening_of_transposed_pictures(self):
        x, weight = random(2, 5, 4, 3), random(7, 3 * 4 * 5)  # N×C×H×W
        builder = Builder((5, 4, 3), "whc")
        found = run(builder.module(builder.linear(builder.input, weight)), x)
        np.testing.assert_allclose(found, x.transpose(0, 3, 2, 1).reshape(2, -1) @ weight.T, atol=1e-4)

    def test_padding_before_a_convolution_adds_to_its_own(self):
        x, weight = random(1, 5, 5, 2), random(3, 3, 2, 2)
        nodes = [node("Pad", "p", "x", "a"), conv_node("Conv2D", "y", "p", "w", 2, VALID)]
        files = tfjs((5, 5, 2), nodes, {"a": np.int32([[0, 0], [1, 0], [2, 1], [0, 0]]), "w": weight})
        expected = tf_conv(np.pad(x, [(0, 0), (1, 0), (2, 1), (0, 0)]), weight, 2, "VALID")
        found = run(read_tfjs(*files, "y"), x.transpose(0, 3, 1, 2).copy())
        np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-4)

    def test_weights_of_several_kinds_in_one_file(self):
        entries = [
            {
                "name": "q",
                "shape": [2],
                "dtype": "float32",
                "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1},
            },
            {"name": "h", "shape": [1], "dtype": "float32", "quantization": {"dtype": "float16"}},
            {"name": "f", "shape": [1, 1], "dtype": "float32"},
        ]
        data = bytes([0, 4]) + np.float16(1.5).tobytes() + np.float32(0.1).tobytes()
        weights = read_weights(entries, data)
        self.assertEqual([weights["q"].tolist(), weights["h"].tolist()], [[-1, 1], [1.5]])
        self.assertEqual(weights["f"], np.float32([[0.1]]))
        with self.assertRaises(ValueError):
            read_weights(entries, data + b"x")


class Activations(unittest.TestCase):
    def build(self, spell):
        """TorchScript's result of the activation on 3×2×2, and the operations that it used."""
        builder = Builder((3, 2, 2), "hwc")
        module = builder.module(spell(builder, builder.input))
        x = random(4, 3, 2, 2)
        calls = [n.target for n in module.graph.nodes if n.op == "call_function"]
        return x, run(module, x), calls

    def test_every_spelling_of_prelu_is_one_operation(self):
        slope = np.float32([0.25, -0.5, 1.5])
        zero = np.float32(0)
        spellings = {
            "negated": lambda b, x: b.add(b.relu(x), b.mul(slope, b.neg(b.relu(b.neg(x))))),
            "absolute": lambda b, x: b.add(b.relu(x), b.mul(slope / 2, b.sub(x, b.abs(x)))),
            "minimum": lambda b, x: b.add(b.maximum(np.asarray(zero), x), b.mul(slope, b.minimum(np.asarray(zero), x))),
            "named": lambda b, x: b.prelu(x, slope[:, None, None]),
        }
        for name, spell in spellings.items():
            with self.subTest(name):
                x, found, calls = self.build(spell)
                np.testing.assert_allclose(found, np.where(x > 0, x, x * slope[:, None, None]), atol=1e-6)
                self.assertEqual(len(calls), 1)

    def test_relu6(self):
        six, zero = np.asarray(np.float32(6)), np.asarray(np.float32(0))
        x, found, calls = self.build(
            lambda b, x: b.maximum(b.minimum(b.relu(b.mul(np.float32([9, 9, 9]), x)), six), zero)
        )
        np.testing.assert_allclose(found, np.clip(9 * x, 0, 6), atol=1e-5)


class Onnx(unittest.TestCase):
    def network(self):
        """Convolution with stride two, BatchNorm, PReLU, a residual, flatten, dense."""
        w = {"w": random(4, 3, 3, 3), "b": random(4), "s": random(4), "t": random(4), "m": random(4)}
        w |= {"v": np.abs(random(4)) + 0.1, "p": random(4, 1, 1), "d": random(6, 4 * 16), "e": random(6)}
        nodes = [
            helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2], kernel_shape=[3, 3]),
            helper.make_node("BatchNormalization", ["c", "s", "t", "m", "v"], ["n"], epsilon=1e-3),
            helper.make_node("PRelu", ["n", "p"], ["r"]),
            helper.make_node("Add", ["r", "n"], ["a"]),
            helper.make_node("Flatten", ["a"], ["f"]),
            helper.make_node("Gemm", ["f", "d", "e"], ["y"], transB=1),
        ]
        value = helper.make_tensor_value_info
        ends = [value("x", TensorProto.FLOAT, [1, 3, 8, 8])], [value("y", TensorProto.FLOAT, [1, 6])]
        tensors = [numpy_helper.from_array(array, name) for name, array in w.items()]
        return helper.make_model(helper.make_graph(nodes, "g", *ends, tensors)), w

    def expected(self, model, x):
        """onnx's own slow interpreter."""
        from onnx.reference import ReferenceEvaluator

        return np.concatenate([ReferenceEvaluator(model).run(None, {"x": row[None]})[0] for row in x])

    def test_network_and_free_batch(self):
        model, _ = self.network()
        module = read_onnx(model.SerializeToString())
        x = random(3, 3, 8, 8)
        three = run(module, x)
        np.testing.assert_allclose(three, self.expected(model, x), atol=1e-4)
        # Numbers of hundreds, whose last float32 digit is 3e-5: another batch may round otherwise.
        np.testing.assert_allclose(run(module, x[1:2]), three[1:2], atol=1e-4)

    def test_batch_norm_is_folded_and_weights_can_be_trained(self):
        model, _ = self.network()
        module = read_onnx(model.SerializeToString())
        self.assertEqual(sum(p.numel() for p in module.parameters()), 4 * 27 + 4 + 4 + 6 * 64 + 6)
        self.assertTrue(all(p.requires_grad and p.dtype == torch.float32 for p in module.parameters()))

    def test_weights_that_only_slow_the_processor_down_become_zero(self):
        builder = Builder((2, 1, 1))
        weight = np.float32([[1e-30, 0.5]])
        module = builder.module(builder.linear(builder.input, weight))
        self.assertEqual(next(module.parameters()).tolist(), [[0, 0.5]])

    def test_unknown_operation_is_named(self):
        model, _ = self.network()
        model.graph.node[2].op_type = "Celu"
        with self.assertRaisesRegex(NotImplementedError, "Celu"):
            read_onnx(model.SerializeToString())



class Saving(unittest.TestCase):
    def test_the_network_alone_decides_the_bytes(self):
        """Neither the file's name nor the sources' folder changes the bytes, the network or its version."""
        x = torch.from_numpy(random(2, 3))
        for last in (torch.nn.ReLU(), torch.nn.GELU()):  # whose archives are of an older and of a newer version
            with self.subTest(last), tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
                scripted = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(3, 3), last))
                plain, one, two = (Path(folder) / name for name in ("plain.pt", "one.pt", "other.pt"))
                torch.jit.save(scripted, plain)
                for path in (one, two):
                    torchscript.save(scripted, path)
                self.assertEqual(one.read_bytes(), two.read_bytes())
                self.assertTrue(torch.equal(torch.jit.load(one)(x), scripted(x)))
                there, here = records(plain), records(one)
                self.assertEqual(here.keys(), {name for name in there if not name.endswith(".debug_pkl")})
                for name in here.keys() - {".data/serialization_id"}:
                    self.assertEqual(here[name], there[name], name)


def records(path):
    """Without the folder that all of them lie in."""
    with zipfile.ZipFile(path) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


if __name__ == "__main__":
    unittest.main()
