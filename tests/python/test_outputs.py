"""No script replaces its inputs or a file that it did not write."""
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import torch

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "scripts"), str(HERE / "fixtures")]
from export import arcface, base, iresnet, lpips  # noqa: E402
from outputs import WouldReplace, check_outputs  # noqa: E402
from random_weights import random_tensors, shapes_of  # noqa: E402

SMALL = (1, 1, 1, 1)


def contents(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def refused(self, call):
        """What is printed. The exit code is 2, and no file has changed."""
        before = contents(self.folder)
        with (
            self.assertRaises(SystemExit) as left,
            contextlib.redirect_stderr(io.StringIO()) as said,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            call()
        self.assertEqual(left.exception.code, 2, said.getvalue())
        self.assertEqual(contents(self.folder), before)
        self.assertEqual(len(said.getvalue().splitlines()), 1, said.getvalue())
        return said.getvalue()


class Check(WithFolder):
    def test_an_output_is_no_input_by_whatever_path(self):
        read = self.folder / "read.pt"
        read.write_text("weights")
        (self.folder / "soft.pt").symlink_to("read.pt")
        os.link(read, self.folder / "hard.pt")
        (self.folder / "inside").mkdir()
        (self.folder / "beside").symlink_to(self.folder)
        for path in ("read.pt", "soft.pt", "hard.pt", "inside/../read.pt", "beside/read.pt"):
            for output, given in ((self.folder / path, read), (read, self.folder / path)):
                with self.subTest(output=output, given=given), self.assertRaisesRegex(WouldReplace, ", an input"):
                    check_outputs([self.folder / "new.pt", output], [given], is_own=True)

    def test_what_the_script_did_not_write_stays(self):
        (self.folder / "x.pt").write_text("weights")
        (self.folder / "dangling.pt").symlink_to("nowhere")
        for name in ("x.pt", "dangling.pt"):
            with self.assertRaisesRegex(WouldReplace, "not written by this script"):
                check_outputs([self.folder / name])
        check_outputs([self.folder / "x.pt"], is_own=True)
        check_outputs([self.folder / "new.pt"], [self.folder / "x.pt"])


class Exporters(WithFolder):
    """All but LPIPS's end in base.finish()."""

    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(torch.nn.init, "kaiming_uniform_"))  # which takes its time
        self.enterContext(mock.patch.dict(iresnet.DEPTHS, {SMALL: "small"}))

    def checkpoint(self, name, folder="."):
        path = self.folder / folder / name
        path.parent.mkdir(exist_ok=True)
        torch.save(random_tensors(shapes_of(iresnet.IResNet(SMALL))), path)
        return path

    def export(self, checkpoint, *more):
        with contextlib.redirect_stdout(io.StringIO()):
            arcface.main([str(checkpoint), "-o", str(self.folder), *more])

    def test_the_checkpoint_stays_whichever_output_has_its_name(self):
        for name, folder in (("mine.pt", "."), ("mine.json", "."), ("mine.npy", "golden")):
            with self.subTest(name):
                checkpoint = self.checkpoint(name, folder)
                said = self.refused(lambda: self.export(checkpoint, "--name", "mine"))
                self.assertIn(f"{name} would replace {checkpoint}", said)
                checkpoint.unlink()

    def test_somebody_elses_file_of_the_name_stays(self):
        checkpoint = self.checkpoint("backbone.pth")
        for name, text in (("mine.pt", "own"), ("mine.json", '{"source": "own"}'), ("golden/mine.npy", "own")):
            with self.subTest(name):
                (self.folder / name).parent.mkdir(exist_ok=True)
                (self.folder / name).write_text(text)
                said = self.refused(lambda: self.export(checkpoint, "--name", "mine"))
                self.assertIn(f"{name} exists", said)
                (self.folder / name).unlink()

    def test_an_earlier_or_interrupted_export_is_replaced(self):
        checkpoint = self.checkpoint("backbone.pth")
        with mock.patch.object(base, "save_npy", side_effect=KeyboardInterrupt), self.assertRaises(KeyboardInterrupt):
            self.export(checkpoint)
        self.export(checkpoint)
        before = contents(self.folder)
        self.assertIn(str(self.folder / "golden/arcface.npy"), before)
        self.export(checkpoint)
        self.assertEqual(contents(self.folder), before)

    def test_lpips_keeps_both_its_inputs(self):
        for name in ("lpips.pt", "lpips.json"):
            path = self.folder / name
            path.write_text("weights")
            for given in ([str(path)], [str(self.folder / "none.pth"), "--heads", str(path)]):
                said = self.refused(lambda: lpips.main([*given, "-o", str(self.folder)]))
                self.assertIn(", an input", said)
            path.unlink()


class FreshNetworks(WithFolder):
    def make(self):
        command = [sys.executable, ROOT / "scripts/fresh_networks.py", "high-frequency", "-o", self.folder]
        return subprocess.run(command, capture_output=True, text=True)

    def test_its_own_are_replaced_by_the_same_bytes_and_no_others(self):
        self.assertEqual(self.make().returncode, 0)
        before = contents(self.folder)
        self.assertEqual(self.make().returncode, 0)
        self.assertEqual(contents(self.folder), before)
        card = json.loads((self.folder / "high-frequency.json").read_text())
        (self.folder / "high-frequency.json").write_text(json.dumps(card | {"trained_on": {"file": "seen.json"}}))
        before = contents(self.folder)
        refused = self.make()
        self.assertEqual(refused.returncode, 2)
        self.assertIn("was not written by this script", refused.stderr)
        self.assertEqual(contents(self.folder), before)


if __name__ == "__main__":
    unittest.main()
