"""`cmake --install`: the program runs where the source tree is gone, with the user's own files in XDG's folders."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison")).resolve()
COMPLETE = """
source "$1"
COMP_WORDS=(facepoison {words}); COMP_CWORD={at}
_facepoison
echo "${{COMPREPLY[*]}}"
"""


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp())
        cls.prefix = cls.folder / "prefix"
        install = ["cmake", "--install", BINARY.parent, "--prefix", cls.prefix]
        subprocess.run(install, check=True, capture_output=True, text=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def run_without_source(self, *words):
        """The source tree is hidden by an empty disk, in a mount namespace of this command's own."""
        script = 'mount -t tmpfs none "$1" && shift && cd "$1" && shift && exec "$@"'
        command = ["unshare", "-rm", "sh", "-c", script, "sh", ROOT, self.folder]
        command += [self.prefix / "bin/facepoison", *words]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FACEPOISON")}
        environment |= {"XDG_DATA_HOME": str(self.folder / "data"), "XDG_CACHE_HOME": str(self.folder / "cache")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode and "unshare" in done.stderr:
            self.skipTest(f"nothing can be mounted here: {done.stderr.strip()}")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_an_experiment_runs_without_the_source_tree(self):
        config = self.prefix / "share/facepoison/configs/experiments/smoke.json"
        few = ["protected=1", 'extractors=["small-arcface"]', 'attacks=["none","noise"]']
        few.append('prepare.people=["gallery-00*"]')
        table = self.run_without_source("eval", "--config", config, *(word for one in few for word in ("--set", one)))
        self.assertIn("small-arcface", table)
        self.assertTrue((self.folder / "runs/smoke").is_dir())
        self.assertTrue((self.folder / "cache/facepoison/store").is_dir())
        page = self.run_without_source("report", "runs/smoke/latest", "-o", "report.html")
        self.assertEqual(page, "")
        self.assertIn("<html", (self.folder / "report.html").read_text())

    def test_the_users_own_recogniser_is_listed(self):
        own = self.folder / "data/facepoison/configs/extractors"
        own.mkdir(parents=True)
        card = json.loads((ROOT / "data/recognisers/small-arcface.json").read_text())
        (own / "mine.json").write_text(json.dumps(card | {"title": "mine"}))
        listed = json.loads(self.run_without_source("list", "extractors", "--format", "json"))
        self.assertIn("mine", [row["name"] for row in listed["rows"]])

    def test_the_shell_knows_the_commands(self):
        file = self.prefix / "share/bash-completion/completions/facepoison"
        for words, at, found in (("ev", 1, "eval"), ("eval --dry", 2, "--dry-run"), ("store g", 2, "gc")):
            script = COMPLETE.format(words=words, at=at)
            done = subprocess.run(["bash", "-c", script, "bash", file], capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.split(), [found], done.stderr)
        page = (self.prefix / "share/man/man1/facepoison.1").read_text()
        self.assertIn('.SH "STORE GC"', page)


if __name__ == "__main__":
    unittest.main()
