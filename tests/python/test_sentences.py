"""The sentences under quickstart's table, on made tables."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from sentences import sentences  # noqa: E402


def row(extractor, attack, protection, low, high, surrogate="no", classifier="nearest"):
    return {
        "extractor": extractor,
        "attack": attack,
        "classifier": classifier,
        "people": "8",
        "n": "48",
        "protection": str(protection),
        "low": str(low),
        "high": str(high),
        "surrogate": surrogate,
    }


def difference(extractor, value, low, high, attack="noise", reading=""):
    says = "above 0" if low > 0 else "below 0" if high < 0 else "the interval includes 0"
    return {
        "reading": reading or says,
        "extractor": extractor,
        "attack": attack,
        "classifier": "nearest",
        "difference": str(value),
        "low": str(low),
        "high": str(high),
    }


TABLE = [
    row("dlib", "none", 0.08, 0.02, 0.3), row("dlib", "noise", 0.1, 0.02, 0.3), row("dlib", "pgd", 1, 0.51, 1, "yes"),
    row("mobile", "none", 0.02, 0, 0.3), row("mobile", "noise", 0.25, 0.04, 0.6), row("mobile", "pgd", 0.9, 0.4, 1),
    row("hse", "none", 0.17, 0.05, 0.4), row("hse", "noise", 0.5, 0.3, 0.7), row("hse", "pgd", 0.6, 0.2, 0.9),
    row("dlib", "none", 0.99, 0.9, 1, classifier="linear"),
]  # fmt: skip


class Sentences(unittest.TestCase):
    def test_clean_photos_worst_and_best(self):
        said = sentences(TABLE, ["pgd"], [])[0]
        self.assertEqual(
            said, "Of clean photos the recognisers know 83 % (hse) to 98 % (mobile): 8 protected people, 48 probes."
        )

    def test_an_attack_against_what_it_saw_and_what_it_never_saw(self):
        self.assertEqual(
            sentences(TABLE, ["pgd"], [])[1],
            "pgd gives 1.00 against dlib, which it optimises against, and of recognisers that it never saw it carries "
            "furthest to mobile (0.90 [0.40, 1.00], clean 0.02), least to hse (0.60 [0.20, 0.90], clean 0.17).",
        )

    def test_each_attack_has_its_part(self):
        both = [*TABLE, row("dlib", "lowkey", 0.7, 0.4, 0.9, "yes"), row("mobile", "lowkey", 0.3, 0.1, 0.6)]
        said = sentences(both, ["pgd", "lowkey"], [])[1]
        self.assertIn(
            "clean 0.17); lowkey gives 0.70 against dlib, which it optimises against, and of recognisers that it never "
            "saw it carries to mobile (0.30 [0.10, 0.60], clean 0.02).",
            said,
        )

    def test_an_attack_whose_surrogates_are_no_rows(self):
        rows = [
            row("a", "none", 0, 0, 0.4),
            row("b", "none", 0, 0, 0.4),
            row("a", "pgd", 0.5, 0.2, 0.8),
            row("b", "pgd", 0.1, 0, 0.4),
        ]
        said = sentences(rows, ["pgd"], [])[1]
        self.assertIn("pgd never saw any of these recognisers; it carries furthest to a", said)

    def test_noise_is_never_said_to_make_no_difference(self):
        said = sentences(TABLE, ["pgd"], [difference("dlib", 0.02, -0.1, 0.14), difference("hse", 0, 0, 0)])[2]
        self.assertEqual(
            said,
            "Noise gives 0.10 (dlib) to 0.50 (hse); of its difference from clean photos the interval includes 0 "
            "against 2 of 2 recognisers; with 8 people an interval is up to 0.70 wide.",
        )

    def test_noise_that_differs_is_named(self):
        other = {**difference("dlib", 0.5, 0.4, 0.6), "classifier": "linear"}
        said = sentences(
            TABLE, ["pgd"], [difference("dlib", 0.02, -0.1, 0.14), difference("hse", 0.33, 0.1, 0.56), other]
        )[2]
        self.assertIn("includes 0 against 1 of 2 recognisers (not hse: 0.33 [0.10, 0.56]); with 8", said)

    def test_a_difference_of_too_few_people_is_none_that_is_told(self):
        few = difference("hse", 1, 1, 1, reading="too few people")
        said = sentences(TABLE, ["pgd"], [difference("dlib", 0.02, -0.1, 0.14), few])[2]
        self.assertIn("includes 0 against 1 of 1 recognisers; with 8", said)

    def test_runs_without_noise_or_clean_photos_or_attacks(self):
        self.assertEqual(len(sentences([row("a", "none", 0, 0, 0.4)], [], [])), 3)
        self.assertEqual(len(sentences([row("a", "noise", 0, 0, 0.4)], [], [])), 3)
        self.assertEqual(len(sentences([row("a", "pgd", 0, 0, 0.4, "yes")], ["pgd"], [])), 3)


if __name__ == "__main__":
    unittest.main()
