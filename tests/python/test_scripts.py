"""Tests what the shell scripts print; one line of shell replaces each package manager, build and run."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Stands for facepoison: says how it was called; `eval` leaves a run folder behind.
FACEPOISON = """#!/bin/bash
echo "facepoison $*" >>calls
case $1 in
  list) echo '{"rows": []}' ;;
  report) echo "sentences on $2" >&2 ;;
  eval) mkdir -p runs/quickstart/latest; echo "the table" ;;
esac
"""


def run(command, folder):
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True)


class Quiet(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def quietly(self, command):
        return run(f"set -euo pipefail; . {ROOT}/scripts/quiet.sh; quietly log {command}; echo went on", self.folder)

    def test_what_goes_well_is_in_the_log_only(self):
        done = self.quietly("bash -c 'seq 100; echo to stderr >&2; printf end'")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "went on\n", ""))
        self.assertEqual(
            self.folder.joinpath("log").read_text(), "".join(f"{i}\n" for i in range(1, 101)) + "to stderr\nend\n"
        )

    def test_what_fails_shows_the_end_of_the_log_and_keeps_its_exit_code(self):
        done = self.quietly("bash -c 'seq 100; exit 7'")
        self.assertEqual((done.returncode, done.stdout), (7, ""))
        self.assertIn("the end of log:", done.stderr)
        self.assertEqual(done.stderr.splitlines()[1:], [str(i) for i in range(71, 101)])


class Quickstart(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        shutil.copytree(ROOT / "scripts", self.root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.sh", "build.sh"):
            self.write(f"scripts/{name}", "#!/bin/bash\n")
        self.write("scripts/fetch_models.py", "print('mtcnn: ok')\n")
        self.write("scripts/without_missing.py", "print('seed=7')\n")
        self.write("build/release/facepoison", FACEPOISON)
        (self.root / ".venv/bin").mkdir(parents=True)
        self.write(".venv/bin/python", '#!/bin/bash\nexec python3 "$@"\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def quickstart(self, options=""):
        return run(f"scripts/quickstart.sh {options}", self.root)

    def calls(self):
        return self.root.joinpath("calls").read_text().splitlines()

    def test_the_table_is_all_of_stdout_and_sentences_and_pictures_follow(self):
        done = self.quickstart()
        self.assertEqual((done.returncode, done.stdout), (0, "the table\n"), done.stderr)
        self.assertIn("sentences on runs/quickstart/latest\n", done.stderr)
        self.assertIn("runs/quickstart/latest/sheet.png\n", done.stderr)
        self.assertTrue(done.stderr.endswith("runs/quickstart/latest/report.html\n"), done.stderr)
        self.assertIn("--pictures", self.calls()[-1])
        self.assertNotIn("mtcnn", done.stderr)
        self.assertEqual(self.root.joinpath("build/models.log").read_text(), "mtcnn: ok\n")

    def test_the_sheet_is_of_what_was_run(self):
        (self.root / "my photos").mkdir()
        self.quickstart("'my photos' --set protected=3 --format csv --store=s --strict")
        _, evaluated, shown, reported = self.calls()
        self.assertNotIn("--pictures", reported, "of people who exist")
        for words in (
            "--set seed=7",
            f"--set dataset={self.root.resolve()}/my photos",
            "--set protected=3",
            "--store=s",
        ):
            self.assertIn(words, evaluated)
            self.assertIn(words, shown)
        self.assertTrue(shown.startswith("facepoison --quiet show "), shown)
        for words in ("--format", "--strict"):
            self.assertIn(words, evaluated)
            self.assertNotIn(words, shown)

    def test_where_the_processor_has_no_bf16_lowkey_is_left_out_and_said(self):
        for flags, words, said in (
            ("avx2 avx512_bf16", "--set precision=bf16", False),
            ("avx2", '--set attacks=["none","noise","pgd","pgd-small"]', True),
        ):
            self.write("cpuinfo", f"flags : {flags}\n")
            self.root.joinpath("calls").unlink(missing_ok=True)
            done = run("CPUINFO=cpuinfo scripts/quickstart.sh", self.root)
            self.assertIn(words, self.calls()[1])
            self.assertIn(words, self.calls()[2], "the sheet is of what was run")
            self.assertEqual("lowkey-lite0, half an hour" in done.stderr, said, done.stderr)

    def test_nothing_follows_a_run_elsewhere_or_none(self):
        for options in ("--dry-run", "--run-dir there"):
            done = self.quickstart(options)
            self.assertEqual((done.returncode, done.stdout), (0, "the table\n"))
            self.assertNotIn("sentences", done.stderr)

    def test_recognisers_that_could_not_be_fetched_are_named(self):
        self.write(
            "scripts/fetch_models.py", "print('dlib:')\nprint('missing: dlib (no network)')\nraise SystemExit(1)\n"
        )
        done = self.quickstart()
        self.assertEqual(done.returncode, 0)
        self.assertIn("missing: dlib (no network)\nquickstart: continuing", done.stderr)
        self.assertNotIn("dlib:\n", done.stderr)


if __name__ == "__main__":
    unittest.main()
