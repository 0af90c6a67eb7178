"""Compares the C++ attacks with the reference: step by step as far as float rounding allows, and their pictures."""
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/reference"))
import compare  # noqa: E402

BOTH = ["small-surrogate", "small-arcface"]
# 150 steps against one are enough of a test
SURROGATES = {"fawkes-v0.3": BOTH, "fawkes-v1.0": BOTH[:1], "lowkey": BOTH}
PENALTY = {"fawkes-v0.3": (1e9, 0.003), "fawkes-v1.0": (1e6, 0.017), "lowkey": (0, 0)}
# Of similarity, after 1, 2 and 10 steps; the reference's own float32 drifts from its float64 by a third of this.
TOLERANCE = {"fawkes-v0.3": (1e-4, 1e-4, 3e-3), "fawkes-v1.0": (1e-3, 1e-3, 0.02), "lowkey": (0.002, 0.002, 0.005)}
ROUNDING = 1e-5  # of DSSIM in float32
# Of DSSIM and similarity of pictures after two steps or epochs, and after more; the reference's own float32 drifts from
# its float64 by a third of this.
WRITTEN = (0.01, 0.02)
FOLLOWED = 3  # of five photos at the least, after ten steps


def same_path(ours, theirs, photo, step, threshold):
    """Whether both were on the same side of v1.0's budget at every earlier step. A DSSIM near a limit decides whether
    the weight of the feature term doubles, halves or starts again, so another processor's last digit separates two
    correct implementations there."""

    def side(dssim):
        return (dssim > 0.9 * threshold) + (dssim >= 1.1 * threshold)

    return all(side(ours.trace[photo, k][1]) == side(theirs.trace[photo, k][1]) for k in range(step))


@unittest.skipUnless(compare.BINARY.exists(), f"{compare.BINARY} is not built")
class Attacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.album = compare.Album()
        cls.addClassCleanup(cls.album.close)

    def follow(self, attack):
        names = SURROGATES[attack]
        ours, theirs = (
            compare.cpp_side(self.album, attack, names),
            compare.reference_side(self.album, attack, [compare.card_of(name, self.album.folder) for name in names]),
        )
        self.assertEqual(len(ours.final), 5)
        penalty, threshold = PENALTY[attack]
        followed = dict.fromkeys(compare.STEPS, 0)
        for (photo, step), (loss, dssim, similarity) in theirs.trace.items():
            if step not in compare.STEPS or (
                attack == "fawkes-v1.0" and not same_path(ours, theirs, photo, step, threshold)
            ):
                continue
            followed[step] += 1
            found = ours.trace[photo, step]
            tolerance = TOLERANCE[attack][compare.STEPS.index(step)]
            with self.subTest(attack=attack, photo=photo, step=step):
                self.assertAlmostEqual(found[2], similarity, delta=tolerance * similarity)
                self.assertAlmostEqual(found[1], dssim, delta=ROUNDING + tolerance * dssim)
                # Over budget, the penalty's slope magnifies DSSIM's error.
                excess, off = max(dssim - threshold, 0), ROUNDING + tolerance * dssim
                self.assertAlmostEqual(
                    found[0], loss, delta=tolerance * abs(loss) + penalty * (2 * excess * off + off * off) + 1e-6
                )
        self.assertGreaterEqual(followed[10], FOLLOWED)
        for which, what in enumerate(("DSSIM", "similarity")):
            with self.subTest(attack=attack, what=what):
                expected = compare.mean_of(theirs.final, which)
                self.assertAlmostEqual(compare.mean_of(ours.final, which), expected, delta=0.05 * expected)

    def reach_the_same(self, attack):
        """Of attacks without a trace: the pictures after a few steps and after many."""
        for length in compare.LENGTHS[attack][1]:
            ours = compare.cpp_written(self.album, attack, BOTH, length)
            cards = [compare.card_of(name, self.album.folder) for name in BOTH]
            theirs = compare.reference_written(self.album, attack, cards, length)
            self.assertEqual(ours.keys(), theirs.keys())
            tolerance = WRITTEN[length > 2]
            for photo, pair in theirs.items():
                for found, expected, what in zip(ours[photo], pair, ("DSSIM", "similarity")):
                    with self.subTest(attack=attack, length=length, photo=photo, what=what):
                        self.assertAlmostEqual(found, expected, delta=ROUNDING + tolerance * expected)

    def test_tip_im(self):
        self.reach_the_same("tip-im")

    def test_opom(self):
        for attack in ("opom-fi-uap", "opom-class-center", "opom-affine", "opom"):
            self.reach_the_same(attack)

    def test_chameleon(self):
        self.reach_the_same("chameleon")

    def test_protego_flat(self):
        self.reach_the_same("protego-flat")

    def test_fawkes_v03(self):
        self.follow("fawkes-v0.3")

    def test_fawkes_v10(self):
        self.follow("fawkes-v1.0")

    def test_lowkey(self):
        self.follow("lowkey")


if __name__ == "__main__":
    unittest.main()
