"""Tests where a command prints: a closed pipe ends it like any other program."""

import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Output(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.table = Path(temporary.name) / "table.csv"
        rows = "".join(f"old,2015,attack-{i},0.5,0.25,0.75\n" for i in range(20000))  # more than a pipe holds
        self.table.write_text("extractor,released,attack,protection,low,high\n" + rows)

    def test_a_reader_that_went_away_ends_it_quietly(self):
        running = subprocess.Popen(
            [BINARY, "table", self.table, "--format", "csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.assertEqual(running.stdout.read(9), b"extractor")
        running.stdout.close()
        self.assertEqual((running.stderr.read(), running.wait()), (b"", -signal.SIGPIPE))
        running.stderr.close()

    def test_a_full_device_is_named(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, "table", self.table, "--format", "csv"], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 7)
        self.assertIn(b"cannot write to stdout: No space left on device", done.stderr)


if __name__ == "__main__":
    unittest.main()
