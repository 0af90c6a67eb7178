"""`compare` from the command line: its paired interval and sign-flip test against SciPy's, and its exit codes."""

import csv
import io
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
PROBES = 12


def write_run(folder, cells, extractor="dlib"):
    """Writes a run folder. `cells`: for each attack, each protected person's number of wrong probes."""
    folder.mkdir()
    with (
        open(folder / "trials.csv", "w", newline="") as trials_file,
        open(folder / "others.csv", "w", newline="") as others_file,
    ):
        trials, others = csv.writer(trials_file), csv.writer(others_file)
        trials.writerow(["extractor", "attack", "classifier", "protected", "id", "correct"])
        others.writerow(["extractor", "attack", "classifier", "protected", "n", "errors"])
        for attack, errors in cells.items():
            for person, wrong in enumerate(errors):
                at = [extractor, attack, "nearest", f"p{person:02}"]
                trials.writerows([*at, f"p{person:02}/{i}", int(i >= wrong)] for i in range(PROBES))
                others.writerow([*at, 10, 1])
    (folder / "budget.csv").write_text("attack,status,linf,dssim,dssim_seen,psnr\n")
    (folder / "run.json").write_text(json.dumps({"notes": []}))
    (folder / "config.resolved.json").write_text(
        json.dumps(
            {
                "manifest_sha256": "0",
                "extractors": [{"name": extractor, "released": "2017"}],
                "attacks": [{"name": attack, "attacked": []} for attack in cells],
            }
        )
    )


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Compare(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def run_binary(self, *arguments):
        return subprocess.run([BINARY, "compare", *arguments], cwd=self.folder, capture_output=True, text=True)

    def test_the_interval_and_the_sign_flip_test_are_scipys(self):
        random = np.random.default_rng(3)
        a = {f"attack-{people}": random.integers(0, PROBES + 1, people) for people in (3, 8, 12)}
        b = {attack: np.clip(errors + random.integers(-5, 2, len(errors)), 0, PROBES) for attack, errors in a.items()}
        write_run(self.folder / "a", a)
        write_run(self.folder / "b", b)
        done = self.run_binary("a", "b", "--format", "csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual([row["attack"] for row in rows], list(a))
        for row in rows:
            x, y = a[row["attack"]] / PROBES, b[row["attack"]] / PROBES
            with self.subTest(attack=row["attack"]):
                low, high = np.clip(stats.ttest_rel(x, y).confidence_interval(0.95), -1, 1)
                self.assertEqual(int(row["people"]), len(x))
                for name, expected in {
                    "a": x.mean(), "b": y.mean(), "difference": (x - y).mean(), "low": low, "high": high
                }.items():  # fmt: skip
                    self.assertAlmostEqual(float(row[name]), expected, places=9, msg=name)
                # Whole numbers of probes, so that sums in another order do not differ by rounding.
                exact = stats.permutation_test(
                    (a[row["attack"]] - b[row["attack"]],),
                    lambda values, axis: np.abs(values.sum(axis)),
                    permutation_type="samples",
                    n_resamples=np.inf,
                    alternative="greater",
                    vectorized=True,
                )
                self.assertAlmostEqual(float(row["p"]), exact.pvalue, places=9)
                verdict = "A higher" if low > 0 else "B higher" if high < 0 else "includes 0"
                few = len(x) < 6 or (verdict != "includes 0" and np.count_nonzero(x - y) < 6)
                self.assertEqual(row["verdict"], "too few people" if few else verdict)

    def test_exit_codes(self):
        write_run(self.folder / "a", {"pgd": [1, 2, 3]})
        write_run(self.folder / "b", {"noise": [1, 2, 3]})
        for code, arguments in (
            (0, ["a", "a"]),
            (0, ["a", "--to", "paper"]),
            (2, ["a"]),
            (2, ["a", "--to", "press"]),
            (2, ["a", "b", "--to", "paper"]),
            (2, ["a", "a", "-o", "a/trials.csv"]),
            (3, ["a", "b"]),
            (3, ["a", "nowhere"]),
            (3, ["nowhere", "--to", "paper"]),
        ):
            done = self.run_binary(*arguments)
            self.assertEqual(done.returncode, code, f"{arguments}: {done.stderr}")
            if code == 3:
                self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_beside_the_paper(self):
        write_run(self.folder / "a", {"lowkey": [11, 12, 10, 12]}, extractor="webface")
        done = self.run_binary("a", "--to", "paper", "--format", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        table = json.loads(done.stdout)
        rows = table["rows"]
        ours = [row for row in rows if row["ours"] is not None]
        self.assertEqual({row["extractor"] for row in ours}, {"webface"})
        self.assertEqual(ours[0]["published"], 0.94)
        self.assertEqual(ours[0]["verdict"], "within our interval")
        self.assertEqual(rows[: len(ours)], ours, "those with a counterpart come first")
        self.assertEqual({row["verdict"] for row in rows[len(ours) :]}, {"no counterpart in this run"})


class Figures(unittest.TestCase):
    """data/paper.json gives each figure's source and certainty, and names only things that exist."""

    def test_each_has_source_tag_and_a_fraction(self):
        published = json.loads((ROOT / "data/paper.json").read_text())
        presets = {path.stem for path in (ROOT / "configs/attacks").glob("*.json")}
        for figure in published["figures"]:
            self.assertIn(figure["source"], published["sources"])
            self.assertTrue(set(figure["tag"].split("+")) <= set("VDSIR"), figure)
            self.assertTrue(0 <= figure["value"] <= 1, figure)
            attacks = figure.get("attack", [])
            for attack in [attacks] if isinstance(attacks, str) else attacks:
                self.assertTrue(attack in presets or attack.startswith("half "), figure)


if __name__ == "__main__":
    unittest.main()
