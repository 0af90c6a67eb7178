"""Tests quickstart's changes to its config if recognisers are missing."""
import json
import sys
import unittest
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import without_missing  # noqa: E402

CONFIG = json.loads((ROOT / "configs/experiments/quickstart.json").read_text())
ALL = set(CONFIG["extractors"]) | {"small-surrogate"}  # pgd-small's
LOWKEY = CONFIG["attacks"].index("lowkey-lite0")


class WithoutMissing(unittest.TestCase):
    fetched = True  # lite0

    def changes(self, present):
        lite0 = mock.Mock(exists=lambda: self.fetched)
        with redirect_stderr(StringIO()) as said, mock.patch.object(without_missing, "LITE0", lite0):
            lines = without_missing.settings(CONFIG, present)
        return {key: json.loads(value) for key, _, value in (line.partition("=") for line in lines)}, said.getvalue()

    def test_nothing_changes_when_all_are_there(self):
        self.assertEqual(self.changes(ALL | {"another"}), ({}, ""))

    def test_a_missing_row_leaves_attacks_on_others_alone(self):
        changes, said = self.changes(ALL - {"hse-faceres"})
        self.assertEqual(changes["extractors"], [name for name in CONFIG["extractors"] if name != "hse-faceres"])
        self.assertEqual(changes["attacks"], CONFIG["attacks"])
        self.assertIn("without hse-faceres", said)

    def test_without_lite0_lowkey_has_dssim(self):
        self.fetched = False
        changes, said = self.changes(ALL)
        self.assertEqual(changes["attacks"], [*CONFIG["attacks"][:LOWKEY], "lowkey-dssim"])
        self.assertIn("lite0 was not fetched", said)
        self.assertNotIn("without", said)

    def test_a_missing_surrogate_is_left_out(self):
        changes, _ = self.changes(ALL - {"dlib"})
        self.assertEqual(changes["attacks"][2], {"preset": "pgd", "surrogates": ["faceplugin"]})

    def test_with_no_surrogate_left_the_first_recogniser_stands_in(self):
        changes, _ = self.changes({"mobilefacenet", "hse-faceres"})
        self.assertEqual(changes["attacks"][LOWKEY], {"preset": "lowkey-lite0", "surrogates": ["mobilefacenet"]})
        changes, _ = self.changes({"mobilefacenet", "small-surrogate"})
        self.assertEqual(changes["attacks"][LOWKEY], {"preset": "lowkey-lite0", "surrogates": ["small-surrogate"]})

    def test_an_object_keeps_its_other_keys_and_its_own_surrogates(self):
        mine = {"preset": "pgd", "name": "pgd-16", "steps": 9}
        self.assertEqual(without_missing.with_surrogates(mine, ALL, "x"), mine)
        self.assertEqual(
            without_missing.with_surrogates(mine, ALL - {"dlib"}, "x"), {**mine, "surrogates": ["faceplugin"]}
        )
        own = {**mine, "surrogates": ["mobilefacenet"]}
        self.assertEqual(without_missing.with_surrogates(own, {"mobilefacenet"}, "x"), own)
        self.assertEqual(without_missing.with_surrogates(own, {"dlib"}, "x"), {**mine, "surrogates": ["x"]})

    def test_stand_ins_are_taken_where_none_of_a_presets_own_is_there(self):
        own = {"lowkey-ir152-cosface", "lowkey-resnet152-cosface"}  # of lowkey, on which lowkey-dssim builds
        for present in (own, ALL):
            self.assertEqual(without_missing.with_surrogates("lowkey-dssim", present, "x"), "lowkey-dssim")
        for present, left in (
            (ALL - {"dlib"}, "faceplugin"),
            ({"lowkey-ir152-cosface", "dlib"}, "lowkey-ir152-cosface"),
            (set(), "x"),
        ):
            changed = without_missing.with_surrogates("lowkey-dssim", present, "x")
            self.assertEqual(changed, {"preset": "lowkey-dssim", "surrogates": [left]})

    def test_with_nothing_fetched_the_small_ones_stand_in(self):
        changes, said = self.changes({"robust-small-arcface", "small-arcface", "small-surrogate", "another"})
        self.assertEqual(changes["extractors"], ["robust-small-arcface", "small-arcface", "small-surrogate"])
        self.assertEqual(changes["attacks"][2], {"preset": "pgd", "surrogates": ["small-surrogate"]})
        self.assertIn("stand in", said)

    def test_none_at_all_is_an_end(self):
        with self.assertRaises(SystemExit):
            self.changes(set())


if __name__ == "__main__":
    unittest.main()
