"""Every command on every page is one that works: its options are known and the files that it names are there; an
experiment's runs with --dry-run, and what takes seconds runs whole, on a small data set and a small run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import commands as help_page  # noqa: E402

BINARY = Path(os.environ.get("FACEPOISON_BINARY", ROOT / "build/release/facepoison")).resolve()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^ +(?:(-\w),)?(--[\w-]+)", re.MULTILINE)
# A reader's own names on the pages, and what stands for them here.
DATA_SETS = "DATASET PHOTOS my-photos my-dataset rendered-dataset GALLERY PROBES A B TRAIN VAL".split()
CONFIGS = "X.json mine.json my.json experiment.json my-experiment.json facescrub.json FILE".split()
CARDS = {"CARD": "small-arcface", "dlib": "small-arcface"}
WHOLE = "list table compare report store identify embed detect check".split()  # a few seconds each


def commands(page):
    """The commands in a page's blocks, each as its words, without comments and assignments in front."""
    for block in BLOCK.findall(page.read_text()):
        line = ""
        for part in block.replace("\\\n", " ").splitlines():
            line += part + " "
            if line.count("'") % 2:
                continue  # a string goes on
            # The braces of Bash stand for their first word.
            words = shlex.split(re.sub(r"\{([\w.-]+),[\w.,-]*\}", r"\1", line), comments=True)
            line = ""
            while words:
                end = next((at for at, word in enumerate(words) if word in ("&&", "&", "|")), len(words))
                command, words = words[:end], words[end + 1 :]
                while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                    command.pop(0)
                if command:
                    yield tuple(command)


@unittest.skipUnless(BINARY.exists(), f"{BINARY} is not built")
class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tried = set()
        cls.folder = Path(tempfile.mkdtemp())
        for name in ("bench", "configs", "data", "docs", "models", "scripts"):
            (cls.folder / name).symlink_to(ROOT / name)
        cls.run_program("prepare", "data/rendered", "--people", "gallery-0[01]*", "--people", "gallery-02[0-3]",
                        "--photos-per-person", "4", "--no-detect", "--canvas", "112", "-o", "small")  # fmt: skip
        for name in DATA_SETS:
            (cls.folder / name).symlink_to("small")
        pgd = {"preset": "pgd", "surrogates": ["small-surrogate"], "steps": 1}
        config = {"dataset": "small", "protected": "all", "attacks": ["none", "noise", pgd]}
        config |= {"extractors": ["small-arcface"]}
        for name in CONFIGS:
            (cls.folder / name).write_text(json.dumps(config))
        (cls.folder / "path").mkdir()
        shutil.copy(ROOT / "data/recognisers/small-arcface.json", cls.folder / "path/mine.json")
        shutil.copy(ROOT / "data/recognisers/small-arcface.pt", cls.folder / "path")
        cls.run_program("eval", "--config", "X.json", "--run-dir", "RUN")
        for name in ("RUN_A", "RUN_B"):
            (cls.folder / name).symlink_to("RUN")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def run_program(cls, *words):
        environment = os.environ | {"FACEPOISON_HOME": str(ROOT), "FACEPOISON_STORE": str(cls.folder / "store")}
        done = subprocess.run([BINARY, *words], cwd=cls.folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"facepoison {shlex.join(words)}: {done.returncode}: {done.stderr[-500:]}", done)
        return done.stdout

    def test_each_command(self):
        known, seen, wrong = {}, set(), []
        for command, text in help_page.help_texts().items():
            known.setdefault(command.split()[0], set()).update(sum(OPTION.findall(text), ()))
        for page in PAGES:
            for command in commands(page):
                if command in seen:
                    continue
                seen.add(command)
                try:
                    self.check(command, known)
                except AssertionError as error:
                    wrong.append(f"{page.relative_to(ROOT)}: {shlex.join(command)}: {error.args[0]}")
        self.assertGreater(len(seen), 100)
        self.assertEqual(wrong, [], "\n".join(wrong))

    def check(self, words, known):
        for word in words:
            path = word.split("=")[0]
            if re.match(r"(configs|scripts|bench|docs|data/rendered)/", path) and not re.search(r"[*{$]", path):
                self.assertTrue((ROOT / path).exists() or words[words.index(word) - 1] in ("-o", "--output"),
                                f"there is no {path}")  # fmt: skip
        program = words[0]
        self.assertRegex(program, r"^[\w./$-]+$", "not a command")
        if program == "facepoison":
            self.check_program(words[1:], known)
        elif script := next((word for word in words[:2] if word.endswith(".py")), None):
            script = ROOT / script
            self.check_options(words, script.read_text(), script.name)

    def check_options(self, words, text, name):
        for option in (word.split("=")[0] for word in words if re.match(r"--\w", word)):
            self.assertIn(f'"{option}"', text, f"{name} has no option {option}")

    def check_program(self, words, known):
        command, *rest = words
        for word in rest:
            if re.match(r"--?[a-z]", word):
                self.assertIn(word.split("=")[0], known[command], f"{command} has no option {word}")
        if command == "eval":
            self.check_experiment(rest)
        elif command in WHOLE and not {"--delete", "--reference", "--stand-in"} & set(rest):
            self.run_or_miss(command, *self.at_hand(rest))

    def check_experiment(self, words):
        """By --dry-run, which has no use for some of the options."""
        kept = [word for word in words if word not in ("--worker", "--dry-run", "device=cuda", "device=elsewhere")]
        for option in ("--expect-file", "--only", "--start", "--run-dir", "-o", "--format"):
            if option in kept:
                del kept[kept.index(option) : kept.index(option) + 2]
        kept = [word for at, word in enumerate(kept) if word != "--set" or at + 1 < len(kept) and "=" in kept[at + 1]]
        self.run_or_miss("eval", "--dry-run", *kept)

    def run_or_miss(self, *words):
        """Photos, models and rows of another run than this one may be missing here."""
        if words in self.tried:
            return
        self.tried.add(words)
        try:
            self.run_program(*words)
        except AssertionError as error:
            said = error.args[1].stderr
            missing = ("no such folder", "scripts/fetch_models.py", "models/trained/", "has no row with",
                       "config does not list the table", "config's \"combine\"")  # fmt: skip
            if error.args[1].returncode not in (2, 3, 4) or not any(one in said for one in missing):
                raise

    def at_hand(self, words):
        out = []
        for word in words:
            word = CARDS.get(word, word)
            if re.fullmatch(r"runs/[\w-]+/latest|RUN2?", word):
                word = "RUN"
            out.append(re.sub(r"\bdlib\b", "small-arcface", word))
        return out


if __name__ == "__main__":
    unittest.main()
