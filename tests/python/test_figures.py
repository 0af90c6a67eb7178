"""Tests a run's figures for papers: every format, both themes, and the errors."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Figures(unittest.TestCase):
    def draw(self, run, *options):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        command = [sys.executable, ROOT / "scripts/figures.py", run, "-o", folder.name, *options]
        done = subprocess.run(command, capture_output=True, text=True)
        return done, sorted(Path(folder.name).iterdir())

    def test_each_format_and_theme(self):
        for options, begin, ink in (
            (["--format", "pdf"], b"%PDF", b""),
            (["--format", "png"], b"\x89PNG", b""),
            ([], b"<svg", b"#1c2024"),
            (["--theme", "dark"], b"<svg", b"#e4e7ea"),
        ):
            done, files = self.draw(ROOT / "docs/results/leak-lfw", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual({path.stem for path in files}, {"protection", "protection-clean_photos"})
            for path in files:
                self.assertTrue(path.read_bytes().startswith(begin), path)
                self.assertIn(ink, path.read_bytes())

    def test_a_folder_without_a_run_is_an_error(self):
        done, files = self.draw(ROOT / "docs")
        self.assertEqual((done.returncode, files), (1, []))
        self.assertIn("holds no finished run", done.stderr)


if __name__ == "__main__":
    unittest.main()
