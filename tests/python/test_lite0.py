"""Tests EfficientNet-Lite0 with random weights: each BatchNorm's part in the folded weights, pictures of any size, and
the properties of its distance. The published weights, if models/ has them, must give the golden logits and know a
temple and a flower."""
import io
import json
import sys
import unittest
import warnings
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(Path(__file__).resolve().parent)]
import fetch_models  # noqa: E402
from convert import golden, lite0  # noqa: E402
from test_convert import tf_conv  # noqa: E402

CARD = json.loads((ROOT / "configs/metrics/lite0.json").read_text())
MODEL = ROOT / "models" / CARD["file"]


def random_file():
    """A .pth file's bytes, of random weights by the published file's names."""
    torch.manual_seed(5)
    module, tensors = lite0.Lite0(), {}
    for name, layer, norm in lite0.layers(module):
        weight = module.get_submodule(name).weight
        channels = len(weight)
        tensors[f"{layer}.weight"] = torch.randn(weight.shape) / weight[0].numel() ** 0.5
        for part in ("weight", "running_var"):
            tensors[f"{norm}.{part}"] = 0.5 + torch.rand(channels)
        for part in ("bias", "running_mean"):
            tensors[f"{norm}.{part}"] = 0.3 * torch.randn(channels)
        tensors[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    tensors |= {"_fc.weight": torch.randn(1000, 1280) / 1280**0.5, "_fc.bias": torch.randn(1000)}
    return saved(tensors)


def saved(tensors):
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


def scripted(module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
        return torch.jit.script(module)


def pictures(side, count=2):
    """Pictures and the same with some grain."""
    random = torch.Generator().manual_seed(side)
    a = torch.rand(count, 3, side, side, generator=random)
    return a, (a + 0.05 * torch.randn(a.shape, generator=random)).clamp(0, 1)


def distance(module, a, b):
    return module.apart(module.seen(a), module.seen(b))


class Random(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.set_num_threads(1)
        cls.file = random_file()
        cls.module = scripted(lite0.build_lite0(cls.file))

    def test_convolutions_pad_as_tensorflows(self):
        for kernel, stride, groups in ((1, 1, 1), (3, 1, 4), (3, 2, 1), (5, 2, 4)):
            layer = lite0.Convolution(4, 4, kernel, stride, groups).requires_grad_(False)
            layer.bias.zero_()
            weight = torch.zeros(4, 4, kernel, kernel)
            for k in range(4):  # depthwise, written as the whole kernel that it is a part of
                weight[k, k if groups > 1 else slice(None)] = layer.weight[k, 0] if groups > 1 else layer.weight[k]
            for size in ((8, 6), (7, 8), (7, 5)):
                x = torch.randn(2, 4, *size)
                wanted = tf_conv(x.permute(0, 2, 3, 1).numpy(), weight.permute(2, 3, 1, 0).numpy(), stride, "SAME")
                np.testing.assert_allclose(layer(x), wanted.transpose(0, 3, 1, 2), atol=1e-5)

    def test_the_folded_layers_are_convolution_and_batch_norm(self):
        module, tensors = lite0.build_lite0(self.file), torch.load(io.BytesIO(self.file), weights_only=True)
        for name, layer, norm in lite0.layers(module):
            found = module.get_submodule(name)
            x = torch.randn(1, found.in_channels, 9, 9)
            plain = found(x) - found.bias.view(1, -1, 1, 1)
            with torch.no_grad():
                found.weight.copy_(tensors[f"{layer}.weight"])
            statistics = [tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
            wanted = torch.nn.functional.batch_norm(found(x) - found.bias.view(1, -1, 1, 1), *statistics, eps=1e-3)
            torch.testing.assert_close(plain + found.bias.view(1, -1, 1, 1), wanted, rtol=1e-4, atol=1e-4)

    def test_logits_of_any_size(self):
        for height, width in ((80, 80), (97, 150)):
            self.assertEqual(self.module(torch.randn(2, 3, height, width)).shape, (2, 1000))

    def test_distance_is_the_formula(self):
        a, b = pictures(80)
        module, wanted = lite0.build_lite0(self.file), 0
        levels = [[f.double() for f in module.features((255 * x - 127) / 128)] for x in (a, b)]
        sizes = [40, 40, 20, 10, 5, 5, 3, 3]  # the stem's and the seven stages'
        self.assertEqual([f.shape[2] for f in levels[0]], sizes)
        for depth in lite0.COMPARED:
            u, v = (level[depth] / level[depth].square().sum(1, keepdim=True).sqrt() for level in levels)
            wanted = wanted + ((u - v) ** 2).sum((1, 2, 3)) / sizes[depth] ** 2
        torch.testing.assert_close(distance(self.module, a, b).double(), wanted, rtol=1e-4, atol=0)

    def test_distance_of_pictures_of_any_size(self):
        for side in (80, 112, 181, 256):
            a, b = pictures(side)
            b.requires_grad_()
            found = distance(self.module, a, b)
            self.assertEqual(found.shape, (2,))
            self.assertTrue((found > 0).all())
            (gradient,) = torch.autograd.grad(found.sum(), b)
            self.assertTrue(gradient.isfinite().all() and (gradient != 0).any())
            torch.testing.assert_close(distance(self.module, b, a), found)
            torch.testing.assert_close(distance(self.module, a[1:], b[1:])[0], found[1], rtol=1e-3, atol=0)

    def test_equal_pictures_have_no_distance_and_no_gradient(self):
        a, _ = pictures(80)
        a[0] = 127 / 255  # zero for the network
        b = a.clone().requires_grad_()
        found = distance(self.module, a, b)
        self.assertEqual(found.tolist(), [0, 0])
        (gradient,) = torch.autograd.grad(found.sum(), b)
        self.assertEqual(gradient.abs().max().item(), 0)  # not NaN

    def test_where_no_channel_sees_anything_the_gradient_is_none_and_not_no_number(self):
        blind = lite0.build_lite0(self.file)
        for parameter in blind.parameters():
            parameter.zero_()
        a, b = pictures(80)
        b.requires_grad_()
        (gradient,) = torch.autograd.grad(distance(blind, a, b).sum(), b)
        self.assertEqual(gradient.abs().max().item(), 0)

    def test_code_in_the_file_is_not_run(self):
        with self.assertRaisesRegex(Exception, "(?i)weights.?only|unsupported"):
            lite0.build_lite0(saved(torch.nn.Linear(2, 2)))


class Published(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not MODEL.exists():
            raise unittest.SkipTest(f"models/{CARD['file']} is not here; scripts/fetch_models.py lite0 fetches it")
        torch.set_num_threads(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cls.module = torch.jit.load(MODEL)

    def logits(self, rgb):
        with torch.no_grad():
            return self.module(torch.from_numpy(golden.network_input(rgb, CARD["input"])))[0]

    def test_golden_logits(self):
        side = CARD["input"]["side"]
        wanted = np.load(fetch_models.card_path("lite0").parent / CARD["golden"]["file"])
        np.testing.assert_allclose(self.logits(golden.picture(side, side)), wanted, atol=1e-3 * np.abs(wanted).max())

    def test_it_knows_a_temple_and_a_flower(self):
        from PIL import Image
        from sklearn.datasets import load_sample_image

        # bell cote, boathouse, monastery, palace, castle; daisy
        for name, wanted in (("china.jpg", {442, 449, 663, 698, 483}), ("flower.jpg", {985})):
            rgb = np.asarray(Image.fromarray(load_sample_image(name)).resize((224, 224), Image.BICUBIC))
            self.assertEqual(set(self.logits(rgb).topk(len(wanted)).indices.tolist()), wanted)

    def test_its_distance_scales_pixels_as_the_card_says(self):
        a, b = pictures(80)
        module = lite0.Lite0().eval().requires_grad_(False)
        module.load_state_dict(self.module.state_dict())
        u, v = (module.features(torch.cat([self.scaled(picture) for picture in x])) for x in (a, b))
        pairs = [(lite0.direction(u[k]), lite0.direction(v[k])) for k in lite0.COMPARED]
        wanted = sum((p - q).square().sum(1).mean((1, 2)) for p, q in pairs)
        torch.testing.assert_close(distance(self.module, a, b), wanted, rtol=1e-4, atol=0)

    def scaled(self, picture):
        return torch.from_numpy(golden.network_input((255 * picture).permute(1, 2, 0).numpy(), CARD["input"]))


if __name__ == "__main__":
    unittest.main()
