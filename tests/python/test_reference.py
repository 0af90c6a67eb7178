"""Tests the reference attacks: their parts against TensorFlow's and Keras's own numbers,
and each attack's properties."""
import csv
import json
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests/reference"
sys.path.insert(0, str(REFERENCE))
import attacks  # noqa: E402
import run as reference_run  # noqa: E402
import streams  # noqa: E402

SIDE = 24


def fixture(name):
    return torch.from_numpy(np.load(REFERENCE / "fixtures" / name))


def tiny_network(seed, side=SIDE):
    torch.manual_seed(seed)
    left = (side - 5) // 2 + 1  # rows and columns after the convolution
    layers = [
        torch.nn.Conv2d(3, 8, 5, stride=2),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Linear(8 * left * left, 16),
    ]
    return torch.nn.Sequential(*layers).requires_grad_(False)


def random_photo(seed):
    """Smooth, with some grain, and 8 bits deep as a photo is."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.nn.functional.interpolate(
        torch.rand(1, 3, 4, 4, generator=random), size=(SIDE, SIDE), mode="bicubic"
    )
    grain = 0.04 * torch.randn(1, 3, SIDE, SIDE, generator=random)
    return ((coarse + grain).clamp(0, 1) * 255).floor() / 255


class Parts(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)

    def test_dssim_is_tensorflows(self):
        for pair, value in zip(fixture("dssim-pairs.npy"), fixture("dssim.npy")):
            a, b = pair[:, None]
            self.assertAlmostEqual(attacks.dssim(a, b).item(), value.item(), delta=1e-5)
            self.assertAlmostEqual(attacks.dssim(a.double(), b.double()).item(), value.item(), delta=2e-6)

    def test_dssim_gradient_is_tensorflows(self):
        for pair, gradient in zip(fixture("dssim-pairs.npy"), fixture("dssim-gradient.npy")):
            a, b = pair[:1].clone().requires_grad_(), pair[1:]
            found = torch.autograd.grad(attacks.dssim(a, b), a)[0]
            torch.testing.assert_close(found[0], gradient, rtol=1e-4, atol=1e-6)

    def test_adadelta_is_keras_and_tensorflows(self):
        for name, epsilon, rates in (("keras", 1e-7, [15.0] * 5), ("tf1", 1e-8, [10 * 0.8**i for i in range(5)])):
            optimiser, parameter = attacks.Adadelta(epsilon), fixture("adadelta-start.npy")
            for gradient, rate, wanted in zip(
                fixture("adadelta-gradients.npy"), rates, fixture(f"adadelta-{name}.npy")
            ):
                parameter = optimiser.step(parameter, gradient, rate)
                torch.testing.assert_close(parameter, wanted, rtol=1e-6, atol=1e-9)

    def test_tanh_variables_give_the_pixels_back(self):
        greys = torch.arange(256) / 255
        torch.testing.assert_close(attacks.from_tanh(attacks.to_tanh(greys)), greys, rtol=0, atol=2e-7)

    def test_weight_is_a_sawtooth_under_budget_and_halves_over_it(self):
        def weights(distances):
            weight, seen = attacks.Weight(), []
            for distance in distances:
                weight.react(distance, 1.0)
                seen.append(weight.value)
            return seen

        self.assertEqual(weights([0.5] * 10), [2, 4, 8, 16, 32, 64, 128, 256, 1, 2])
        self.assertEqual(weights([2.0] * 3), [1, 0.5, 0.25])  # it starts on the side below
        self.assertEqual(weights([0.5, 2.0, 2.0, 0.5, 0.5]), [2, 1, 0.5, 1, 2])
        self.assertEqual(weights([0.5, 1.0, 2.0, 1.0, 0.5]), [2, 1, 0.5, 1, 2])  # near the budget there is no side

    def test_blur_leaves_a_flat_picture_and_mirrors_the_border(self):
        torch.testing.assert_close(attacks.blur(torch.full((1, 3, 9, 8), 0.3)), torch.full((1, 3, 9, 8), 0.3))
        corner = torch.zeros(1, 3, 9, 8)
        corner[..., 0, 0] = 1
        weights = attacks.gaussian(7, 3.0, corner)[0, 0]
        torch.testing.assert_close(attacks.blur(corner)[0, 0, :4, :4], weights[3:, 3:])


class Attacks(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        self.networks = [tiny_network(1), tiny_network(2)]
        self.photo, self.target = random_photo(3), random_photo(4)

    def check(self, result, rows):
        self.assertEqual([row.iteration for row in result.trace], list(range(rows)))
        self.assertTrue(np.isfinite([list(row) for row in result.trace]).all())
        self.assertGreaterEqual(result.pixels.min().item(), 0)
        self.assertLessEqual(result.pixels.max().item(), 1)
        self.assertLess((result.pixels - self.photo).abs().max().item(), 0.5)  # it is still that photo, not a black one

    def test_fawkes_v03_comes_nearer_to_its_goal(self):
        result = attacks.fawkes_v03(self.photo, self.target, self.networks, threshold=0.01, steps=30, rate=10.0)
        self.check(result, 31)
        self.assertEqual(result.status, "ok")
        best = min(row.similarity for row in result.trace[1:])
        self.assertLess(best, 0.98 * result.trace[0].similarity)
        self.assertAlmostEqual(result.similarity(result.pixels).item(), best, delta=1e-4)

    def test_fawkes_v03_slows_down_at_each_third(self):
        def path(steps, decay):
            return attacks.fawkes_v03(self.photo, self.target, self.networks, steps=steps, rate=5.0, decay=decay).trace

        slowed, plain = path(9, 0.5), path(9, 1.0)
        self.assertEqual(slowed[:5], plain[:5])  # the step after iteration 3 is still taken at the full rate
        self.assertNotEqual(slowed[5], plain[5])
        self.assertEqual(path(2, 0.5), path(2, 1.0))

    def test_fawkes_v10_moves_away_within_its_budgets(self):
        threshold = 0.017
        result = attacks.fawkes_v10(self.photo, self.networks, threshold=threshold, steps=40, rate=15.0)
        self.check(result, 40)
        self.assertEqual(result.status, "ok")
        self.assertLessEqual((result.pixels - self.photo).abs().max().item(), 15 / 255 + 1e-6)
        self.assertLessEqual(attacks.dssim(result.pixels, self.photo).item(), 1.1 * threshold + 1e-5)
        self.assertGreater(result.similarity(result.pixels).item(), 100 * result.trace[0].similarity)
        best = max(row.similarity for row in result.trace if row.dssim <= 1.1 * threshold)
        self.assertAlmostEqual(result.similarity(result.pixels).item(), best, delta=1e-4)

    def test_fawkes_v10_starts_where_it_is_told(self):
        noise = 1e-4 * (2 * torch.rand(self.photo.shape, generator=torch.Generator().manual_seed(5)) - 1)
        constant = attacks.fawkes_v10(self.photo, self.networks, steps=1)
        same = attacks.fawkes_v10(self.photo, self.networks, steps=1, start=torch.full_like(self.photo, 1e-4))
        other = attacks.fawkes_v10(self.photo, self.networks, steps=1, start=noise)
        self.assertEqual(constant.trace, same.trace)
        self.assertNotEqual(constant.trace, other.trace)

    def test_fawkes_v10_without_a_feasible_picture_keeps_the_photo(self):
        grain = 0.5 * torch.randn(self.photo.shape, generator=torch.Generator().manual_seed(6))
        result = attacks.fawkes_v10(
            self.photo, self.networks, threshold=1e-4, steps=3, rate=15.0, clip=255.0, start=grain
        )
        self.assertEqual(result.status, "infeasible")
        self.assertTrue(torch.equal(result.pixels, self.photo))

    def test_fawkes_v10_rescues_its_last_iterate(self):
        result = attacks.fawkes_v10(self.photo, self.networks, threshold=1e-6, steps=2, rate=0.1)
        self.assertEqual(result.status, "last-iterate")
        self.check(result, 2)
        self.assertGreater(result.trace[-1].dssim, 1.1e-6)
        self.assertAlmostEqual(attacks.dssim(result.pixels, self.photo).item(), result.trace[-1].dssim, delta=1e-5)

    def test_lowkey_moves_away_in_steps_of_one_size(self):
        noise = 0.005 * (2 * torch.rand(self.photo.shape, generator=torch.Generator().manual_seed(7)) - 1)
        result = attacks.lowkey(self.photo, self.networks, noise, steps=20)
        self.check(result, 21)
        self.assertEqual(result.status, "ok")
        self.assertGreater(result.trace[-1].similarity, 10 * result.trace[0].similarity)
        self.assertLessEqual((result.pixels - self.photo).abs().max().item(), 0.005 + 20 * 0.0025 + 1e-6)
        one = attacks.lowkey(self.photo, self.networks, noise, steps=1).pixels - self.photo - noise
        inside = (self.photo > 0.02) & (self.photo < 0.98)  # where the clamp at the end does nothing
        torch.testing.assert_close(one[inside].abs(), torch.full_like(one[inside], 0.0025), rtol=0, atol=1e-6)

    def test_lowkey_weighs_its_distance(self):
        noise = torch.full_like(self.photo, 0.001)

        def nowhere(a, b):
            return (a - b).abs().mean()

        free = attacks.lowkey(self.photo, self.networks, noise, steps=10, similarity_weight=0.0).trace[-1]
        held = attacks.lowkey(self.photo, self.networks, noise, steps=10, similarity_weight=0.5).trace[-1]
        tied = attacks.lowkey(
            self.photo, self.networks, noise, steps=10, similarity_weight=1e6, distance=nowhere
        ).pixels
        self.assertLess(held.dssim, free.dssim)
        self.assertAlmostEqual(held.loss, 0.5 * held.dssim - held.similarity, places=6)
        self.assertLess((tied - self.photo).abs().max().item(), 0.004)

    def test_lowkey_holds_the_blurred_view_against_the_plain_photo(self):
        network = self.networks[0]
        start = attacks.lowkey(self.photo, [network], torch.zeros_like(self.photo), steps=0).trace[0].similarity
        plain, blurred = (attacks.flip_feature(network, view) for view in (self.photo, attacks.blur(self.photo)))
        self.assertAlmostEqual(start, ((plain - blurred) ** 2).sum().item() / 512 / 2, places=7)

    def test_lowkey_weighs_networks_of_all_dimensions_alike(self):
        def doubled(pixels):  # the same direction in twice as many numbers
            return self.networks[0](pixels).repeat(1, 2)

        noise = torch.full_like(self.photo, 0.001)
        narrow, wide = (
            attacks.lowkey(self.photo, [network], noise, steps=3).trace[-1].similarity
            for network in (self.networks[0], doubled)
        )
        self.assertGreater(narrow, 0)
        self.assertAlmostEqual(wide / narrow, 1, delta=1e-3)


    def targets_and_networks(self):
        """In double precision, where float32 would hide which of two pictures is better."""
        networks = [tiny_network(seed).double() for seed in (1, 2)]
        return [random_photo(seed).double() for seed in (4, 5, 6)], networks

    def test_tip_im_comes_nearer_to_its_best_target(self):
        photo, (targets, networks) = self.photo.double(), self.targets_and_networks()
        stream = streams.Stream(0, "view")
        for views in ([None] * 20, [attacks.random_view(stream) for _ in range(20)]):
            result = attacks.tip_im(photo, targets, networks, views)
            self.assertLessEqual((result.pixels - photo).abs().max().item(), 12 / 255 + 1e-9)
            self.assertGreater(result.similarity(result.pixels).item(), result.similarity(photo).item() + 0.05)

    def test_tip_im_keeps_the_target_that_is_reached_best(self):
        photo, (targets, networks) = self.photo.double(), self.targets_and_networks()
        together = attacks.tip_im(photo, targets, networks, [None])
        alone = [attacks.tip_im(photo, [target], networks, [None]).pixels for target in targets]
        best = max(alone, key=lambda pixels: together.similarity(pixels).item())
        self.assertTrue(torch.equal(together.pixels, best))

    def test_a_view_without_change_is_the_picture(self):
        identity = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
        torch.testing.assert_close(attacks.viewed(self.photo, identity), self.photo, rtol=0, atol=1e-5)


class Masks(unittest.TestCase):
    def setUp(self):
        torch.set_num_threads(1)
        self.networks = [tiny_network(seed).double() for seed in (1, 2)]
        self.photos = torch.cat([random_photo(seed) for seed in range(10, 15)]).double()
        self.start = (2 * torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(8)) - 1).double()

    def similarity(self, mask):
        pictures = attacks.with_mask(self.photos, mask)
        pairs = zip(self.photos[:, None], pictures[:, None])
        return sum(attacks.mask_similarity(photo, self.networks)(picture).item() for photo, picture in pairs)

    def check(self, mask, epsilon, start):
        self.assertEqual(mask.shape, (3, SIDE, SIDE))
        self.assertLessEqual(mask.abs().max().item(), epsilon + 1e-9)
        self.assertGreater(self.similarity(mask), 3 * self.similarity(start))

    def test_opom_moves_away_within_its_bound(self):
        start = self.start * 8 / 255
        masks = [attacks.opom(self.photos, self.networks, start, hull=hull)
                 for hull in ("fi-uap", "class-center", "affine", "convex")]  # fmt: skip
        for mask in masks:
            self.check(mask, 8 / 255, start)
        for a, b in zip(masks, masks[1:]):
            self.assertFalse(torch.equal(a, b))

    def test_chameleon_moves_away_within_its_bound(self):
        start = self.start * 0.001
        mask = attacks.chameleon(self.photos, self.networks, start, [list(range(5))] * 10)
        self.check(mask, 0.021, start)

    def test_protego_makes_photos_unlike_each_other(self):
        start = self.start * 2 / 255
        mask = attacks.protego_flat(self.photos, self.networks, start, epochs=20, step=0.002)
        self.check(mask, 16 / 255, start)
        pictures = attacks.with_mask(self.photos, mask)
        for network in self.networks:
            before, after = (attacks.closeness(attacks.unit(network(x))) for x in (self.photos, pictures))
            self.assertLess(after.item(), before.item())

    def test_nearest_points_of_a_triangle(self):
        triangle = torch.tensor([[0.0, 0, 1], [1, 0, 1], [0, 1, 1]]).double()
        for point, inside, beyond in (
            ((0.2, 0.3, 4), (0.2, 0.3), (0.2, 0.3)),
            ((1, 1, 1), (0.5, 0.5), (1, 1)),
            ((-1, -1, 0), (0, 0), (-1, -1)),
        ):
            point = torch.tensor(point).double()
            for found, wanted in (
                (attacks.convex_point(triangle, point), inside),
                (attacks.affine_point(triangle, point)[0], beyond),
            ):
                torch.testing.assert_close(found, torch.tensor([*wanted, 1]).double(), rtol=0, atol=1e-9)

    def test_the_penalty_follows_the_distance(self):
        weight, seen = 1.0, []
        for distance in (0.04, 0.033, 0.03, 0.027, 0.0):
            weight = attacks.penalty_weight(weight, distance, 0.027, 0.033)
            seen.append(weight)
        self.assertEqual(seen, [2, 4, 1, 0.5, 0.25])
        self.assertEqual(attacks.penalty_weight(1 / 256, 0, 0.027, 0.033), 1 / 256)
        self.assertEqual(attacks.penalty_weight(256, 1, 0.027, 0.033), 256)


class Streams(unittest.TestCase):
    def test_the_twister_is_the_standards(self):
        twister = streams.Twister(5489)
        for _ in range(10000):
            value = twister.bits()
        self.assertEqual(value, 9981545732273789042)  # [rand.predef]

    def test_numbers_are_in_range_and_an_order_has_each_once(self):
        stream, items = streams.Stream(1, "test", "ann", "ann/0.jpg"), list(range(20))
        stream.shuffle(items)
        self.assertEqual(sorted(items), list(range(20)))
        self.assertNotEqual(items, list(range(20)))
        self.assertTrue(all(0 <= stream.uniform() < 1 for _ in range(100)))
        self.assertEqual({stream.below(3) for _ in range(100)}, {0, 1, 2})


class CommandLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write_card(self, name, channels, side):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.trace(tiny_network(1, side), torch.zeros(1, 3, side, side)).save(str(self.folder / f"{name}.pt"))
        wanted = {
            "side": side,
            "channels": channels,
            "scale": 255.0,
            "mean": [127.5, 120.0, 110.0],
            "std": [127.5, 100.0, 90.0],
        }
        card = self.folder / f"{name}.json"
        card.write_text(json.dumps({"file": f"./{name}.pt", "input": wanted}))
        return card

    def test_a_card_prepares_the_pixels(self):
        photo = random_photo(3)
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ([127.5, 120.0, 110.0], [127.5, 100.0, 90.0]))
        for channels, turned in (("rgb", photo), ("bgr", photo[:, [2, 1, 0]])):
            network = reference_run.load_network(self.write_card(channels, channels, SIDE))
            torch.testing.assert_close(
                network(photo), tiny_network(1)((255 * turned - mean) / std), rtol=1e-4, atol=1e-5
            )
        self.assertEqual(reference_run.load_network(self.write_card("small", "rgb", 16))(photo).shape, (1, 16))

    def test_it_writes_trace_pixels_and_summary(self):
        for name, seed in (("a", 3), ("b", 4)):
            np.save(self.folder / f"{name}.npy", random_photo(seed)[0].numpy())
        card = self.write_card("card", "rgb", SIDE)
        photos = [f"first={self.folder}/a.npy", f"{self.folder}/b.npy"]
        command = [
            "fawkes-v1.0",
            "--photos",
            *photos,
            "--networks",
            card,
            "--set",
            "steps=2",
            "threshold=0.02",
            "-o",
            self.folder / "out",
        ]
        reference_run.main([str(argument) for argument in command])
        with (
            open(self.folder / "out/trace.csv", newline="") as trace,
            open(self.folder / "out/summary.csv", newline="") as summary,
        ):
            rows, ends = list(csv.DictReader(trace)), list(csv.DictReader(summary))
        self.assertEqual(
            [(row["id"], row["iteration"]) for row in rows], [("first", "0"), ("first", "1"), ("b", "0"), ("b", "1")]
        )
        self.assertEqual([(end["id"], end["status"]) for end in ends], [("first", "ok"), ("b", "ok")])
        pixels = np.load(self.folder / "out/first.npy")
        self.assertEqual((pixels.shape, pixels.dtype), ((3, SIDE, SIDE), np.float32))


if __name__ == "__main__":
    unittest.main()
