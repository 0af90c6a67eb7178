"""Tests the measures of bench/published.py on drawn pictures (periods, the stretch of grey levels, the box that a tool
changed) and the counts of bench/surrogates.py."""
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import lowkey_weight  # noqa: E402
import published  # noqa: E402
import surrogates  # noqa: E402


def waves(side, period, size=10):
    """Grey with stripes across it."""
    stripes = size * np.sin(2 * np.pi * np.arange(side) / period)
    return np.broadcast_to((128 + stripes)[None, :, None], (side, side, 3))


class Published(unittest.TestCase):
    def test_periods(self):
        flat = np.full((112, 112, 3), 128.0)
        for period, wanted in ((28, (1, 0)), (8, (0, 0)), (3.5, (0, 1))):
            difference = waves(112, period) - flat + 3  # three grey levels everywhere have no period
            np.testing.assert_allclose(published.periods(difference), wanted, atol=1e-6)

    def test_measures(self):
        flat = np.full((24, 24, 3), 128, np.uint8)
        lower = flat.copy()
        lower[0, 0] = 118  # smaller: unsigned grey levels would wrap
        largest, psnr, dssim, _, _ = published.measures(flat, lower)
        self.assertEqual(largest, 10)
        self.assertAlmostEqual(psnr, 10 * np.log10(255**2 * 24 * 24 / 100), places=6)
        self.assertGreater(dssim, 0)
        self.assertEqual(published.measures(flat, waves(24, 8))[:1], [10])

    def test_stretch(self):
        np.testing.assert_allclose(published.stretched(np.uint8([[[28, 138, 248]]])), [[[0, 127.5, 255]]])

    def test_only_fawkes_v10s_files_are_held_against_the_stretched_photo(self):
        clean = waves(24, 8, 60).astype(np.uint8)
        picture = published.stretched(clean).astype(np.uint8)
        largest = {
            (tool, what): published.Row(tool, 1, what, clean, picture).values()[0]
            for tool in ("fawkes-v1.0", "lowkey") for what in ("published", f"{tool}-high")
        }  # fmt: skip
        self.assertLess(largest.pop(("fawkes-v1.0", "published")), 1)
        self.assertGreater(min(largest.values()), 30)

    def test_a_file_in_the_photos_frame_is_cut_to_what_was_changed(self):
        clean = np.zeros((40, 60, 3), np.uint8)
        clean[:] = np.arange(60)[None, :, None]
        picture = clean.copy()
        picture[10:20, 30:55] += 100
        squashed = published.squashed(clean, 112)
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            Image.fromarray(clean).save(folder / "photo.png")
            Image.fromarray(picture).save(folder / "frame.png")
            Image.fromarray(squashed).save(folder / "crop.png")
            tools = {"tool": (112, {1: "frame.png"}), "other": (112, {1: "crop.png", 2: "is not there.png"})}
            with unittest.mock.patch.multiple(published, PICTURES=tools, CLEAN={1: "photo.png", 2: "photo.png"}):
                ((_, cut, changed),) = published.pairs_of("tool", folder)
                ((number, whole, crop),) = published.pairs_of("other", folder)
        self.assertGreaterEqual(cut.min(), 30)
        self.assertTrue((changed.astype(int) - cut == 100).all())
        self.assertEqual(number, 1)
        np.testing.assert_array_equal(whole, crop)

    def test_off_is_a_ratio(self):
        wanted = [33, 30.0, 0.07, 0.2, 0.3]
        self.assertEqual(lowkey_weight.off(wanted, wanted), 0)
        further = [33, 30.0 - 20 * np.log10(2), 0.14, 0.1, 0.6]  # everything twice or half
        self.assertAlmostEqual(lowkey_weight.off(further, wanted), np.log(2), places=9)

    def test_protection_is_of_one_person_at_a_time(self):
        people, test = np.array(list("aabbcc")), np.array([False, True] * 3)
        clean = np.array([[0, 0], [0, 1], [9, 0], [9, 1], [5, 9], [5, 8.0]])
        self.assertEqual(surrogates.protection(people, test, clean, clean, ["a", "b", "c"]), 0)
        moved = clean.copy()
        moved[0], moved[2] = (99, 0), (-2, 0)  # a flees; b, perturbed too, would catch a's probe if it counted at once
        self.assertEqual(surrogates.protection(people, test, clean, moved, ["a"]), 1)
        self.assertEqual(surrogates.protection(people, test, clean, moved, ["a", "c"]), 0.5)
        self.assertEqual(surrogates.protection(people, test, clean, np.where(test[:, None], 99, clean), ["a"]), 0)

    def test_cosine_is_the_mean_over_photos(self):
        clean, perturbed = np.array([[2.0, 0], [0, 1]]), np.array([[5.0, 0], [3, 0]])
        self.assertEqual(surrogates.cosine(clean, perturbed), 0.5)


if __name__ == "__main__":
    unittest.main()
