"""Compares each supported ONNX operator, in a small graph of random numbers, with onnxruntime: for one picture, in a
batch, through TorchScript and with gradients."""
import sys
import unittest
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from convert.onnx_reader import read_model  # noqa: E402

RNG = np.random.default_rng(5)
PICTURE = (3, 8, 6)  # channels, height, width


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def node(kind, inputs, output, **attributes):
    """inputs and output: names with blanks between them; _ is an input that is left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    domain = "com.microsoft" if kind.startswith(("QLinearA", "QLinearG", "QLinearConcat", "QGemm")) else ""
    return helper.make_node(kind, names, output.split(), domain=domain, **attributes)


def model(nodes, opset=18, batch="N", picture=PICTURE, **weights):
    """From x to y."""
    value = helper.make_tensor_value_info
    ends = [value("x", TensorProto.FLOAT, [batch, *picture])], [value("y", TensorProto.FLOAT, None)]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(helper.make_graph(nodes, "g", *ends, tensors), opset_imports=opsets, ir_version=8)


def runtime(made, pictures):
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(made.SerializeToString(), settings, ["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": picture[None]})[0] for picture in pictures])


def ints(*numbers):
    return np.array(numbers, np.int64)


def flat(made="f"):
    """The picture as one row of numbers."""
    return node("Flatten", "x", made)


def chain(*kinds, **attributes):
    """A chain of operators with one input."""
    names = ["x", *[f"h{k}" for k in range(len(kinds) - 1)], "y"]
    return [node(kind, a, b, **attributes) for kind, a, b in zip(kinds, names, names[1:])]


def attention():
    """A transformer's block on the picture's columns: 6 tokens of 24 numbers, in 2 heads."""
    return [
        node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
        node("Shape", "t", "shape"),
        node("Gather", "shape zero", "n"),
        node("Unsqueeze", "n axis0", "n1"),
        node("Concat", "n1 tokens", "to", axis=0),
        node("Reshape", "t to", "tokens3"),
        node("Concat", "n1 onetoken", "toclass", axis=0),
        node("Expand", "class toclass", "classes"),
        node("Concat", "classes tokens3", "all", axis=1),
        node("LayerNormalization", "all scale bias", "norm", axis=-1),
        node("MatMul", "norm qkv", "qkvs"),
        node("Add", "qkvs qkvbias", "biased"),
        node("Concat", "n1 heads", "toheads", axis=0),
        node("Reshape", "biased toheads", "five"),
        node("Transpose", "five", "split", perm=[2, 0, 3, 1, 4]),
        *[node("Gather", f"split k{k}", name, axis=0) for k, name in enumerate("qkv")],
        node("Transpose", "k", "kt", perm=[0, 1, 3, 2]),
        node("MatMul", "q kt", "scores"),
        node("Div", "scores root", "scaled"),
        node("Softmax", "scaled", "weights", axis=-1),
        node("MatMul", "weights v", "mixed"),
        node("Transpose", "mixed", "back", perm=[0, 2, 1, 3]),
        node("Concat", "n1 whole", "towhole", axis=0),
        node("Reshape", "back towhole", "joined"),
        node("Gather", "joined zero", "y", axis=1),
    ]


def attention_weights():
    return {
        "zero": np.array(0, np.int64), "axis0": ints(0), "tokens": ints(6, 24), "class": random(1, 1, 24),
        "onetoken": ints(1, 24), "scale": random(24), "bias": random(24), "qkv": random(24, 72) / 5,
        "qkvbias": random(72), "heads": ints(7, 3, 2, 12), "whole": ints(7, 24), "root": np.float32(12**0.5),
        **{f"k{k}": np.array(k, np.int64) for k in range(3)},
    }  # fmt: skip


WEIGHT = {"w": random(4, 3, 3, 3), "b": random(4)}
CONV = node("Conv", "x w b", "c", kernel_shape=[3, 3])
CASES = {
    "ReLU6": model([CONV, node("Clip", "c low high", "y")], low=np.float32(0), high=np.float32(6), **WEIGHT),
    "Clip of version 6": model([CONV, node("Clip", "c", "y", min=-1.0, max=1.5)], opset=9, **WEIGHT),
    "Clip from below": model([node("Clip", "x low", "y")], low=np.float32(0.5)),
    "Clip from above": model([node("Clip", "x _ high", "y")], high=np.float32(0.5)),
    "Min and Max": model(
        [node("Max", "x low", "m"), node("Min", "m x high", "y")], low=np.float32(-0.3), high=np.float32(0.4)
    ),
    "flatten with dynamic axes": model(
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "n"),
            node("Unsqueeze", "n axis", "n1"),
            node("Concat", "n1 rest", "to", axis=0),
            node("Reshape", "x to", "f"),
            node("Gemm", "f w b", "y", transB=1, alpha=0.5, beta=2.0),
        ],
        zero=np.array(0, np.int64), axis=ints(0), rest=ints(-1), w=random(5, 144), b=random(5),
    ),  # fmt: skip
    "flatten by Slice of the shape": model(
        [
            node("Shape", "x", "s", end=1),
            node("Concat", "s rest", "to", axis=0),
            node("Reshape", "x to", "y"),
        ],
        rest=ints(144),
    ),
    "Reshape for one picture": model([node("Reshape", "x to", "y")], batch=1, to=ints(1, -1)),
    "Reshape that copies the batch": model([node("Reshape", "x to", "y")], to=ints(0, 6, -1)),
    "Reshape that regroups": model(
        [node("Transpose", "x", "t", perm=[2, 0, 1, 3]), node("Reshape", "t to", "y")], batch=1, to=ints(1, 18, 8)
    ),
    "Flatten of a flat tensor": model(
        [flat(), node("Flatten", "f", "g"), node("MatMul", "g w", "y")], w=random(144, 5)
    ),
    "Transpose, MatMul, bias on the last axis": model(
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("MatMul", "t w", "m"), node("Add", "m b", "y")],
        w=random(3, 5), b=random(5),
    ),  # fmt: skip
    "constants on the width": model(
        [node("Mul", "x w", "m"), node("Add", "m w", "a"), node("Sub", "one a", "s"), node("Div", "one s", "y")],
        w=np.abs(random(6)) + 3, one=np.float32(1),
    ),  # fmt: skip
    "constants on the height, as long as the channels": model(
        [node("Mul", "x w", "y")], picture=(3, 3, 3), w=random(3, 1)
    ),
    "ReduceMean by attribute": model([node("ReduceMean", "x", "y", axes=[2, 3], keepdims=0)], opset=13),
    "ReduceMean by input": model([node("ReduceMean", "x axes", "y")], axes=ints(-1)),
    "ReduceSum and ReduceMax": model(
        [node("ReduceMax", "x axes", "m"), node("ReduceSum", "m axes", "y", keepdims=0)], axes=ints(1)
    ),
    "length one": model(
        [
            flat(),
            node("ReduceL2", "f axes", "l", keepdims=1),
            node("Clip", "l low", "c"),
            node("Shape", "f", "s"),
            node("Expand", "c s", "e"),
            node("Div", "f e", "y"),
        ],
        axes=ints(1), low=np.float32(1e-12),
    ),  # fmt: skip
    "LpNormalization": model([flat(), node("LpNormalization", "f", "y", axis=1, p=2)]),
    "MaxPool": model([node("MaxPool", "x", "y", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 0])]),
    "MaxPool with uneven padding": model([node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[0, 0, 1, 1])]),
    "MaxPool that rounds up": model([node("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)]),
    "AveragePool": model(
        [
            node("AveragePool", "x", "m", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            node("AveragePool", "m", "y", kernel_shape=[2, 2], pads=[0, 0, 1, 1], count_include_pad=1),
        ]
    ),
    "pools over the picture": model(
        [node("GlobalAveragePool", "x", "a"), node("GlobalMaxPool", "x", "b"), node("Concat", "a b", "y", axis=1)]
    ),
    "squeeze and excite": model(
        [CONV, node("GlobalAveragePool", "c", "p"), node("Sigmoid", "p", "s"), node("Mul", "s c", "y")], **WEIGHT
    ),
    "Softmax": model([node("Softmax", "x", "y", axis=2)]),
    "Softmax of version 11": model([flat(), node("Softmax", "f", "y")], opset=11),
    "GELU of Erf": model(
        [
            node("Div", "x root", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "a"),
            node("Mul", "x a", "m"),
            node("Mul", "m half", "y"),
        ],
        root=np.float32(2**0.5), one=np.float32(1), half=np.float32(0.5),
    ),  # fmt: skip
    "Gelu": model([node("Gelu", "x", "g"), node("Gelu", "g", "y", approximate="tanh")], opset=20),
    "LayerNormalization": model([node("LayerNormalization", "x w b", "y", epsilon=1e-3)], w=random(6), b=random(6)),
    "LayerNormalization by hand": model(
        [
            node("ReduceMean", "x axes", "m"),
            node("Sub", "x m", "d"),
            node("Pow", "d two", "q"),
            node("ReduceMean", "q axes", "v"),
            node("Add", "v tiny", "a"),
            node("Sqrt", "a", "s"),
            node("Div", "d s", "y"),
        ],
        axes=ints(-1), two=np.float32(2), tiny=np.float32(1e-5),
    ),  # fmt: skip
    "a transformer's block": model(attention(), **attention_weights()),
    "uneven strides, dilations, groups": model(
        [
            node("Conv", "x w", "c", strides=[2, 1], dilations=[1, 2], pads=[1, 0, 0, 2]),
            node("Conv", "c d", "y", group=2, auto_pad="SAME_UPPER", strides=[2, 2]),
        ],
        w=random(4, 3, 3, 2), d=random(6, 2, 3, 3),
    ),  # fmt: skip
    "Pad": model(
        [CONV, node("Pad", "c pads", "p"), node("Pad", "p more one", "y")],
        pads=ints(0, 0, 1, 0, 0, 0, 0, 2), more=ints(0, 1, 0, 0, 0, 0, 0, 1), one=np.float32(1), **WEIGHT,
    ),  # fmt: skip
    "BatchNormalization of numbers": model(
        [flat(), node("BatchNormalization", "f s b m v", "y")],
        s=random(144), b=random(144), m=random(144), v=np.abs(random(144)) + 0.1,
    ),  # fmt: skip
    "Split, Slice, Concat, Squeeze": model(
        [
            node("Split", "x sizes", "a b", axis=1),
            node("Slice", "b starts ends axes steps", "s"),
            node("Slice", "a starts ends axes", "t"),
            node("Squeeze", "t one", "u"),
            node("Unsqueeze", "u one", "v"),
            node("Concat", "s v", "y", axis=1),
        ],
        sizes=ints(1, 2), starts=ints(1, 0), ends=ints(6, 1000), axes=ints(2, -1), steps=ints(1, 1), one=ints(1),
    ),  # fmt: skip
    "every second pixel": model(
        [node("Slice", "x starts ends axes steps", "s"), node("Gather", "s which", "y", axis=1)],
        starts=ints(1, 0), ends=ints(8, 6), axes=ints(2, 3), steps=ints(2, 2), which=ints(2, 0),
    ),  # fmt: skip
    "activations": model(chain("HardSigmoid", "Elu", "Softplus", "Sqrt", "Tanh", "Exp", "Log", "Neg", "Abs")),
    "HardSwish, LeakyRelu, Reciprocal": model(
        [
            node("HardSwish", "x", "h"),
            node("LeakyRelu", "h", "l", alpha=0.3),
            node("Add", "l four", "a"),
            node("Reciprocal", "a", "y"),
        ],
        four=np.float32(4),
    ),  # fmt: skip
    "channels last, as from TensorFlow": model(
        [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w b", "y")], picture=(8, 6, 3), **WEIGHT
    ),
}


def quantised(array, kind=np.int8, axis=None):
    """Numbers in steps, the step and zero."""
    others = tuple(k for k in range(array.ndim) if k != axis)
    step = (np.abs(array).max(axis=None if axis is None else others) / 127).astype(np.float32)
    shape = (-1, *[1] * (array.ndim - 1)) if axis is not None else ()
    zero = 128 if kind == np.uint8 else 0
    return (np.round(array / step.reshape(shape)) + zero).astype(kind), step, np.full(step.shape, zero, kind)


def int8(name, array, kind=np.int8, axis=None):
    return dict(zip((name, f"{name}_scale", f"{name}_zero"), quantised(array, kind, axis)))


def dynamic():
    """Two layers as onnxruntime's quantize_dynamic makes them."""
    return [
        node("DynamicQuantizeLinear", "x", "xq xs xz"),
        node("ConvInteger", "xq w xz w_zero", "ci", pads=[1, 1, 1, 1]),
        node("Cast", "ci", "cf", to=TensorProto.FLOAT),
        node("Mul", "xs w_scale", "cs"),
        node("Mul", "cf cs", "c"),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("DynamicQuantizeLinear", "f", "fq fs fz"),
        node("MatMulInteger", "fq d fz d_zero", "di"),
        node("Cast", "di", "df", to=TensorProto.FLOAT),
        node("Mul", "fs d_scale", "ds"),
        node("Mul", "df ds", "y"),
    ]


def steps(**given):
    """Scales and zeros of values: name=(scale, zero)."""
    made = {}
    for name, (scale, zero) in given.items():
        made |= {f"{name}_scale": np.float32(scale), f"{name}_zero": np.uint8(zero)}
    return made


def static():
    """As quantize_static makes them from operators of whole numbers. The ReLU is in c's limits."""
    return [
        node("QuantizeLinear", "x x_scale x_zero", "xq"),
        node("QLinearConv", "xq x_scale x_zero w w_scale w_zero c_scale c_zero bias", "c", pads=[1, 1, 1, 1]),
        node("QLinearConv", "c c_scale c_zero v v_scale v_zero e_scale e_zero", "e", pads=[1, 1, 1, 1]),
        node("QLinearAdd", "c c_scale c_zero e e_scale e_zero a_scale a_zero", "a"),
        node("MaxPool", "a", "m", kernel_shape=[2, 2]),
        node("QLinearConcat", "k_scale k_zero a a_scale a_zero e e_scale e_zero", "k", axis=1),
        node("QLinearGlobalAveragePool", "k k_scale k_zero g_scale g_zero", "g"),
        node("Flatten", "g", "f"),
        node("QGemm", "f g_scale g_zero d d_scale d_zero _ y_scale y_zero", "q", transB=1),
        node("DequantizeLinear", "q y_scale y_zero", "y"),
    ]


def static_weights():
    made = int8("w", random(4, 3, 3, 3), axis=0) | int8("v", random(4, 4, 3, 3)) | int8("d", random(5, 8), np.uint8)
    made |= steps(x=(0.03, 128), c=(0.06, 0), e=(0.3, 120), a=(0.3, 100), k=(0.3, 110), g=(0.1, 128), y=(0.2, 130))
    return made | {"bias": RNG.integers(-300, 300, 4).astype(np.int32)}


QDQ = [
    node("QuantizeLinear", "x x_scale x_zero", "xq"),
    node("DequantizeLinear", "xq x_scale x_zero", "xd"),
    node("DequantizeLinear", "w w_scale w_zero", "wd", axis=0),
    node("Conv", "xd wd", "c"),
    node("QuantizeLinear", "c c_scale c_zero", "cq"),
    node("DequantizeLinear", "cq c_scale c_zero", "y"),
]
QUANTISED = {
    "dynamic": model(dynamic(), opset=11, **int8("w", random(4, 3, 3, 3), np.uint8), **int8("d", random(192, 5))),
    "static": model(static(), opset=13, **static_weights()),
    "quantised and back": model(
        QDQ, opset=13, **int8("w", random(4, 3, 3, 3), axis=0), **steps(x=(0.03, 128), c=(0.1, 0))
    ),
    "weights that are quantised in the graph": model(
        [
            node("QuantizeLinear", "w w_scale w_zero", "wq", axis=0),
            node("DequantizeLinear", "wq w_scale w_zero", "wd", axis=0),
            node("Conv", "x wd", "c"),
            node("QuantizeLinear", "c c_scale c_zero", "cq"),
            node("DequantizeLinear", "cq c_scale c_zero", "y"),
        ],
        opset=13, w=random(4, 3, 3, 3), w_scale=np.full(4, 0.03, np.float32), w_zero=np.zeros(4, np.int8),
        **steps(c=(0.1, 128)),
    ),
    "QLinearMatMul": model(
        [
            node("Flatten", "x", "f"),
            node("QuantizeLinear", "f x_scale x_zero", "q"),
            node("QLinearMatMul", "q x_scale x_zero w w_scale w_zero y_scale y_zero", "m"),
            node("DequantizeLinear", "m y_scale y_zero", "y"),
        ],
        opset=13, **int8("w", random(144, 5)), **steps(x=(0.03, 128), y=(0.4, 128)),
    ),
}  # fmt: skip


def scripted(made, rounding=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
        return torch.jit.script(read_model(made, rounding)[0])


def pictures(made):
    shape = [axis.dim_value for axis in made.graph.input[0].type.tensor_type.shape.dim[1:]]
    return random(3, *shape)


def channels_first(made, x):
    return x.transpose(0, 3, 1, 2).copy() if made.graph.input[0].type.tensor_type.shape.dim[3].dim_value == 3 else x


class Operators(unittest.TestCase):
    def test_each(self):
        for name, made in CASES.items():
            with self.subTest(name):
                x = pictures(made)
                expected = runtime(made, x)
                given = torch.from_numpy(channels_first(made, x) if name.startswith("channels last") else x)
                module = scripted(made)
                found = module(given.requires_grad_())
                self.assertEqual(found.shape, expected.shape)
                np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=2e-5)
                (gradient,) = torch.autograd.grad(found.sum(), given)
                self.assertTrue(gradient.isfinite().all())

    def test_quantised_graphs_in_real_numbers(self):
        for name, made in QUANTISED.items():
            with self.subTest(name):
                x = pictures(made)
                expected = runtime(made, x)
                module, is_quantised = read_model(made)
                self.assertTrue(is_quantised)
                whole = scripted(made)(torch.from_numpy(x)).detach().numpy()
                rounded = np.concatenate(
                    [read_model(made, rounding=True)[0](torch.from_numpy(row[None])).detach() for row in x]
                )
                span = expected.max() - expected.min()
                # a number at the edge of a step may be rounded to either side
                self.assertLess(np.abs(rounded - expected).max(), 0.02 * span)
                self.assertLess(np.abs(whole - expected).max(), 0.05 * span)
                self.assertEqual(len(list(module.parameters())), sum(p.requires_grad for p in module.parameters()))

    def test_weights_in_steps_alone_are_exact(self):
        made = model(
            [node("DequantizeLinear", "w w_scale w_zero", "wd", axis=0), node("Conv", "x wd", "y")],
            opset=13, **int8("w", random(4, 3, 3, 3), axis=0),
        )  # fmt: skip
        x = pictures(made)
        self.assertFalse(read_model(made)[1])
        np.testing.assert_allclose(scripted(made)(torch.from_numpy(x)).detach(), runtime(made, x), rtol=1e-4, atol=2e-5)


class Refusals(unittest.TestCase):
    def test_what_would_mix_the_pictures_of_a_batch(self):
        for said, made in {
            "Reshape of N x 3 x 8 x 6 to 144, which joins the batch": model([node("Reshape", "x t", "y")], t=ints(144)),
            "a Reshape that mixes the pictures": model(
                [node("Transpose", "x", "p", perm=[1, 0, 2, 3]), node("Shape", "p", "s"), node("Gather", "s one", "n"),
                 node("Unsqueeze", "n zero", "m"), node("Concat", "m rest", "t", axis=0), node("Reshape", "p t", "y")],
                one=np.array(1, np.int64), zero=ints(0), rest=ints(144),
            ),
            "a reduction over all axes": model([node("ReduceMean", "x", "y")]),
            "loses it": model([node("ReduceMean", "x axes", "y", keepdims=0)], axes=ints(0)),
            "Gather from the batch": model([node("Gather", "x i", "y", axis=0)], i=np.array(0, np.int64)),
            "where the batch is not the first axis": model(
                [node("Transpose", "x", "t", perm=[1, 0, 2, 3]), node("MaxPool", "t", "y", kernel_shape=[2, 2])]
            ),
        }.items():  # fmt: skip
            with self.subTest(said), self.assertRaisesRegex(NotImplementedError, said):
                read_model(made)

    def test_what_is_not_read_is_named(self):
        for said, made in {
            "ONNX operation Sin": model([node("Sin", "x", "y")]),
            "Cast to INT64": model([node("Cast", "x", "y", to=TensorProto.INT64)]),
            "Pad in the mode reflect": model([node("Pad", "x p", "y", mode="reflect")], p=ints(0, 0, 1, 1, 0, 0, 1, 1)),
            "with computed weights": model([node("Conv", "x x", "y")]),
        }.items():
            with self.subTest(said), self.assertRaisesRegex(NotImplementedError, said):
                read_model(made)


if __name__ == "__main__":
    unittest.main()
