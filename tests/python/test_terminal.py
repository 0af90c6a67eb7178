"""What messages look like on a terminal."""
import os
import pty
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FACEPOISON_BINARY", str(ROOT / "build/release/facepoison"))


def error_on_a_terminal(**environment):
    """The bytes that a command without its project prints on a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run([BINARY, "list", "extractors"], stderr=theirs, stdout=subprocess.DEVNULL,
                   env={"FACEPOISON_HOME": "/nowhere"} | environment)
    os.close(theirs)
    said = os.read(ours, 10000)
    os.close(ours)
    return said


class Terminal(unittest.TestCase):
    def test_colours_can_be_turned_off(self):
        self.assertIn(b"\033[", error_on_a_terminal(TERM="xterm"))
        self.assertNotIn(b"\033", error_on_a_terminal(TERM="xterm", NO_COLOR="1"))
        self.assertNotIn(b"\033", error_on_a_terminal(TERM="dumb"))


if __name__ == "__main__":
    unittest.main()
