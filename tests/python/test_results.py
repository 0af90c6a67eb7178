"""Tests the pages' tables: each comes from the files of one run, and the committed pages agree with their files."""

import json
import re
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import results  # noqa: E402

TABLE = """extractor,released,attack,classifier,people,n,protection,low,high,others_error,others_n,surrogate
old,2015,none,nearest,8,48,0.0625,0.01,0.2,0.1,100,no
old,2015,pgd,nearest,8,48,1,0.51,1,0.1,100,yes
new,2021,none,nearest,8,48,0,0,0.49,0.1,100,no
new,2021,pgd,nearest,8,48,0.5,0.25,0.75,0.1,100,no
new,2021,none,linear,8,48,0,0,0.49,0.1,100,no
new,2021,pgd,linear,8,48,0.25,0.1,0.75,0.1,100,no
"""
RANK = """extractor,attack,first,people,n,share,low,high
new,none,1,8,48,1,0.8,1
new,pgd,1,8,48,0.5,0.2,0.8
new,pgd,2,8,48,0.75,0.4,0.9
"""
MARKER = "<!-- results first rows=extractor,released across=attack classifier=nearest -->\n"


@unittest.skipUnless(results.BINARY.exists(), f"{results.BINARY} is not built")
class Results(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name).resolve()
        (self.root / "docs").mkdir()
        (self.root / "README.md").write_text("no table here\n")
        self.page = self.root / "docs/page.md"
        self.run_folder = self.root / "runs/x"
        self.run_folder.mkdir(parents=True)
        (self.run_folder / "table.csv").write_text(TABLE)
        self.write_run({})
        self.write_config({})

    def write_run(self, changes):
        run = {
            "date": "2026-11-25T10:14:00Z",
            "commit": "abcdef123456",
            "machine": "CPU of ours, 2 threads",
            "notes": [],
        }
        (self.run_folder / "run.json").write_text(json.dumps({**run, **changes}))

    def write_config(self, changes):
        config = {"dataset": f"{self.root}/data/rendered", "precision": "bf16", **changes}
        (self.run_folder / "config.resolved.json").write_text(json.dumps(config))

    def call(self, *arguments):
        with redirect_stderr(StringIO()) as said:
            code = results.main([str(word) for word in arguments], self.root)
        return code, said.getvalue()

    def test_other_tables_of_the_run_and_other_numbers(self):
        (self.run_folder / "rank.csv").write_text(RANK)
        self.write_config({"tables": ["protection", "rank"]})
        self.assertEqual(self.call("add", self.run_folder, "first"), (0, ""))
        self.page.write_text("<!-- results first of=rank across=first attack=pgd -->\n<!-- end -->\n")
        self.assertEqual(self.call("write")[0], 0)
        self.assertIn("| new       | 0.50 [0.20, 0.80] | 0.75 [0.40, 0.90] |", self.page.read_text())
        self.assertIn("share [95 % interval]", self.page.read_text())
        self.page.write_text("<!-- results first value=others_error classifier=nearest -->\n<!-- end -->\n")
        self.assertEqual(self.call("write")[0], 0)
        self.assertIn("| new       | 0.100 | 0.100 |", self.page.read_text())
        (self.root / "docs/results/first/rank.csv").write_text(RANK.replace("0.75", "0.95"))
        self.page.write_text("<!-- results first of=rank across=first attack=pgd -->\n<!-- end -->\n")
        code, said = self.call("write")
        self.assertEqual(code, 1)
        self.assertIn("rank.csv is not the table that was added", said)

    def test_a_study_that_is_the_run_itself_is_refused(self):
        self.assertEqual(self.call("add", self.run_folder, "first"), (0, ""))
        (self.root / "link").symlink_to(self.root / "docs/results/first")
        before = (self.root / "docs/results/first/run.json").read_bytes()
        code, said = self.call("add", self.root / "link", "first")
        self.assertEqual(code, 1)
        self.assertIn(", an input", said)
        self.assertEqual((self.root / "docs/results/first/run.json").read_bytes(), before)
        self.assertEqual(self.call("add", self.run_folder, "..")[0], 1)

    def test_a_table_is_written_between_the_marks_with_what_it_was_made_of(self):
        self.assertEqual(self.call("add", self.run_folder, "first"), (0, ""))
        self.page.write_text(f"before\n\n{MARKER}old text\n<!-- end -->\nafter\n")
        self.assertEqual(self.call("check")[0], 1)
        self.assertEqual(self.call("write")[0], 0)
        text = self.page.read_text()
        self.assertIn(
            "| extractor | released | none              | pgd                 |\n| --------- | -------- | ---", text
        )
        self.assertIn("| old       | 2015     | 0.06 [0.01, 0.20] | 1.00 [0.51, 1.00]\\* |\n", text)
        self.assertIn("| new       | 2021     | 0.00 [0.00, 0.49] | 0.50 [0.25, 0.75]   |\n", text)
        words = " ".join(text.split())
        for fact in (
            "2026-11-25, commit abcdef123456, CPU of ours, 2 threads, bf16",
            "people 8, n 48, others_error 0.100, classifier nearest; protection [95 % interval]; \\* the attack",
            "(results/first)",
        ):
            self.assertIn(fact, words)
        self.assertTrue(
            text.startswith(f"before\n\n{MARKER}") and text.endswith("<!-- end -->\nafter\n") and "old text" not in text
        )
        self.assertEqual(self.call("check"), (0, ""))
        self.page.write_text(text.replace("0.50", "0.60"))
        self.assertEqual(self.call("check"), (1, "results: docs/page.md: differs\n"))

    def test_a_figure_is_drawn_for_light_and_dark_pages_and_checked(self):
        self.write_config({"attacks": [], "extractors": []})
        self.assertEqual(self.call("add", self.run_folder, "first"), (0, ""))
        self.page.write_text("before\n<!-- figure first protection -->\nold\n<!-- end -->\nafter\n")
        self.assertEqual(self.call("check")[0], 1)
        self.assertEqual(self.call("write")[0], 0)
        self.assertEqual(self.call("check"), (0, ""))
        text = self.page.read_text()
        self.assertIn('<img alt="Dots with intervals: misidentified probes, from 0.00 to 1.00;', text)
        for name, ink in (("first-protection.svg", "#1c2024"), ("first-protection-dark.svg", "#e4e7ea")):
            self.assertIn(f'="figures/{name}"', text)
            svg = (self.root / "docs/figures" / name).read_text()
            self.assertIn(f'fill="{ink}"', svg)
            self.assertNotIn("currentColor", svg)
            self.assertIn(">old</text>", svg)
        table = self.root / "docs/results/first/table.csv"
        (self.run_folder / "table.csv").write_text(TABLE.replace("0.51,1", "0.61,1"))
        self.assertEqual(self.call("add", self.run_folder, "first"), (0, ""))
        self.assertIn("0.61", table.read_text())
        self.assertEqual(self.call("check")[0], 1, "the figure is of the former table")
        self.page.write_text("<!-- figure first protection -->\n<!-- results first -->\n<!-- end -->\n")
        self.assertEqual(self.call("write")[0], 1, "a mark without its end does not take the next one's")
        self.page.write_text("<!-- figure first rank -->\n<!-- end -->\n")
        code, said = self.call("write")
        self.assertEqual((code, "has no figure 'rank'; it has protection" in said), (1, True), said)

    def test_other_columns_can_stand_across(self):
        self.call("add", self.run_folder, "first")
        self.page.write_text(
            "<!-- results first rows=extractor,attack across=classifier extractor=new -->\n<!-- end -->\n"
        )
        self.call("write")
        self.assertIn("| new       | pgd    | 0.50 [0.25, 0.75] | 0.25 [0.10, 0.75] |\n", self.page.read_text())

    def test_no_folder_of_this_machine_is_copied(self):
        self.write_config(
            {"dataset": f"{self.root}/data/rendered", "attacks": [{"identity": {"folder": "/home/ann b/cloaks"}}]}
        )
        self.write_run(
            {"notes": ["read /srv/ann/mine.json, L∞ ≤ 34/255", "scripts/export/lpips.py, https://a.org/b/c"]}
        )
        self.call("add", self.run_folder, "first")
        config = json.loads((self.root / "docs/results/first/config.resolved.json").read_text())
        run = json.loads((self.root / "docs/results/first/run.json").read_text())
        self.assertEqual(config["dataset"], "data/rendered")
        self.assertEqual(config["attacks"][0]["identity"]["folder"], "elsewhere/cloaks")
        self.assertEqual(
            run["notes"], ["read elsewhere/mine.json, L∞ ≤ 34/255", "scripts/export/lpips.py, https://a.org/b/c"]
        )
        self.assertEqual((self.root / "docs/results/first/table.csv").read_text(), TABLE)

    def test_nobody_who_exists_is_named(self):
        people = {"0": ["Ann Lee", "Ann", "Bob"]}
        confusion = "attack,most\npgd,Zoë Ray\nnone,\npgd,Bob\n"
        (self.run_folder / "confusion.csv").write_text(confusion)
        for dataset, named in (("/photos/lfw", False), (f"{self.root}/data/rendered", True)):
            self.write_config({"dataset": dataset, "protected": people, "tables": ["protection", "confusion"]})
            self.call("add", self.run_folder, "first")
            folder = self.root / "docs/results/first"
            texts = [(folder / name).read_text() for name in ("config.resolved.json", "confusion.csv")]
            self.assertEqual([bool(re.search("Ann|Lee|Bob|Ray", text)) for text in texts], [named] * 2)
            run = json.loads((folder / "run.json").read_text())
            self.assertEqual(run["tables_sha256"]["confusion"], results.sha256(texts[1]))
            if not named:
                self.assertEqual(json.loads(texts[0])["protected"], {"0": ["person 1", "person 2", "person 3"]})
                self.assertEqual(texts[1], "attack,most\npgd,person 4\nnone,\npgd,person 3\n")

    def test_a_run_that_nobody_can_make_again_is_not_added(self):
        for changes, why in (
            ({"commit": "abcdef123456-dirty"}, "nobody can build again"),
            ({"commit": "unknown"}, "nobody can build again"),
        ):
            self.write_run(changes)
            code, said = self.call("add", self.run_folder, "first")
            self.assertEqual(code, 1)
            self.assertIn(why, said)
        (self.run_folder / "run.json").write_text('{"notes": []}')
        self.assertIn("no date, commit, machine", self.call("add", self.run_folder, "first")[1])
        (self.run_folder / "table.csv").unlink()
        self.assertIn("it lacks table.csv", self.call("add", self.run_folder, "first")[1])
        self.assertFalse((self.root / "docs/results/first").exists())

    def test_rows_of_two_runs_never_share_a_table(self):
        self.call("add", self.run_folder, "first")
        table = self.root / "docs/results/first/table.csv"
        table.write_text(TABLE + "newer,2022,none,nearest,8,48,0,0,0.49,0.1,100,no\n")
        self.page.write_text(f"{MARKER}<!-- end -->\n")
        code, said = self.call("write")
        self.assertEqual(code, 1)
        self.assertIn("not the table that was added with its run.json", said)

    def test_marks_that_say_nothing_clear_are_refused(self):
        self.call("add", self.run_folder, "first")
        for text, why in (
            ("<!-- results second -->\n<!-- end -->\n", "add RUN second"),
            ("<!-- results first -->\n<!-- end -->\n", "two rows for the cell new, none"),
            ("<!-- results first classifier=neraest -->\n<!-- end -->\n", "classifier=neraest"),
            ("<!-- results first across=attak -->\n<!-- end -->\n", "no column attak"),
            ("<!-- results first second -->\n<!-- end -->\n", "'second' is not KEY=VALUE"),
            (f"{MARKER}\ntext\n", "without its <!-- end -->"),
            (f"{MARKER}\n{MARKER}<!-- end -->\n", "without its <!-- end -->"),
        ):
            self.page.write_text(text)
            for command in ("check", "write"):
                code, said = self.call(command)
                self.assertEqual(code, 1, text)
                self.assertIn(why, said)
                self.assertIn("docs/page.md", said)
            self.assertEqual(self.page.read_text(), text)

    def test_a_number_in_a_sentence_is_that_of_its_row(self):
        (self.run_folder / "rank.csv").write_text(RANK)
        self.write_config({"tables": ["protection", "rank"]})
        self.call("add", self.run_folder, "first")
        row = "<!-- of first extractor=old\n attack=none -->"
        self.page.write_text(
            f"0.12{row} and .6{row} are 9 %{row}, 1<!-- of first of=rank extractor=new attack=none -->,"
            " .99<!-- of first extractor=new attack=pgd pick=least value=low --> of 4.\n"
        )
        self.assertEqual(self.call("check"), (1, "results: docs/page.md: differs\n"))
        self.assertEqual(self.call("write")[0], 0)
        text = self.page.read_text()
        self.assertTrue(text.startswith(f"0.06{row} and .1{row} are 6 %{row}, 1<!--"), text)
        self.assertIn(" .10<!-- of first extractor=new attack=pgd pick=least value=low --> of 4.\n", text)
        self.assertEqual(self.call("check"), (0, ""))
        for text, why in (
            ("1<!-- of first extractor=new attack=pgd -->", "2 rows; one is needed"),
            ("1<!-- of first extractor=newer -->", "0 rows; one is needed"),
            ("1<!-- of first extractr=new -->", "no column 'extractr'"),
            ("1<!-- of second -->", "add RUN second"),
        ):
            self.page.write_text(text)
            code, said = self.call("check")
            self.assertEqual((code, why in said), (1, True), said)

    def test_people_of_two_draws_are_said_to_be(self):
        (self.run_folder / "table.csv").write_text(TABLE.replace("new,2021,pgd,nearest,8", "new,2021,pgd,nearest,9"))
        self.call("add", self.run_folder, "first")
        self.page.write_text(f"{MARKER}<!-- end -->\n")
        self.assertEqual(self.call("write")[0], 0)
        self.assertIn("people 8 to 9", self.page.read_text())


@unittest.skipUnless(results.BINARY.exists(), f"{results.BINARY} is not built")
class Pages(unittest.TestCase):
    def test_the_pages_that_ship_agree_with_the_results_that_ship(self):
        with redirect_stderr(StringIO()) as said:
            code = results.main(["check"])
        self.assertEqual((code, said.getvalue()), (0, ""), "scripts/results.py write makes the pages' tables again")

    def test_every_study_that_ships_can_be_read(self):
        for run in sorted(results.results(ROOT).glob("*/run.json")):
            results.read_study(ROOT, run.parent.name)


if __name__ == "__main__":
    unittest.main()
