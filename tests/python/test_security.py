"""What docs/reference/security.md promises: the tests that it names are there, and the program has no network code."""
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison"))
NETWORK = {"socket", "connect", "bind", "listen", "accept", "accept4", "send", "sendto", "sendmsg", "sendmmsg"}
NETWORK |= {"getaddrinfo", "gethostbyname", "gethostbyname_r", "res_query", "SSL_connect", "curl_easy_perform"}
PROCESSES = {"system", "popen", "posix_spawn", "posix_spawnp", "execve", "execv", "execvp", "execl", "execlp", "fork"}


def tests_there():
    """As the page spells them: SUITE.TEST, or MODULE.CLASS.TEST."""
    found = set()
    for path in (ROOT / "tests").rglob("*.cpp"):
        pairs = re.findall(r"^TEST(?:_[FP])?\((\w+), (\w+)\)", path.read_text(), re.M)
        found |= {f"{suite}.{name}" for suite, name in pairs}
    for path in (ROOT / "tests/python").glob("test_*.py"):
        group = ""
        for kind, name in re.findall(r"^ *(class|def) (\w+)", path.read_text(), re.M):
            group = name if kind == "class" else group
            found.add(f"{path.stem}.{group}.{name}")
    return found


class Promises(unittest.TestCase):
    def test_each_test_is_there(self):
        table = (ROOT / "docs/reference/security.md").read_text().split("## Promise and test")[1]
        named = set(re.findall(r"`(\w+(?:\.\w+){1,2})`", table))
        self.assertGreater(len(named), 30)
        self.assertEqual(named - tests_there(), set())


class Network(unittest.TestCase):
    @unittest.skipUnless(BINARY.exists() and shutil.which("nm"), f"{BINARY} is not built, or nm is not here")
    def test_the_program_asks_for_none(self):
        """The program does not start another program for it either: it calls none of these functions."""
        said = subprocess.run(["nm", "-D", "--undefined-only", BINARY], check=True, capture_output=True, text=True)
        called = {line.split()[-1].split("@")[0] for line in said.stdout.splitlines()}
        self.assertIn("open64" if "open64" in called else "open", called)  # so the names are read rightly
        self.assertEqual(called & (NETWORK | PROCESSES), set())


if __name__ == "__main__":
    unittest.main()
