"""Tests LPIPS's exporter with the real lpips package's distances (fixtures/lpips.json) and with wrong files.
No network.

The published weights are not here: AlexNet's are random, and so are the heads, unless FACEPOISON_LPIPS_HEADS names the
package's own file.
"""
import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import unittest
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import torch

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "scripts"
sys.path[:0] = [str(SCRIPTS), str(HERE / "fixtures")]
from export import lpips  # noqa: E402
from make_lpips_fixture import pictures, random_alexnet, random_heads  # noqa: E402

EXPECTED = json.loads((HERE / "fixtures" / "lpips.json").read_text())
ALEXNET = random_alexnet()
HEADS = os.environ.get("FACEPOISON_LPIPS_HEADS", "")


def load(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls TorchScript deprecated
        return torch.jit.load(path)


class Runs:
    """Its pickle makes a folder if a reader runs its code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class WithFiles(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.alexnet, self.heads = self.saved("alexnet.pth", ALEXNET), self.saved("alex.pth", random_heads())

    def saved(self, name, value, **how):
        torch.save(value, self.folder / name, **how)
        return self.folder / name

    def export(self, alexnet, heads=None):
        """What main() printed."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            lpips.main([str(alexnet), "--heads", str(heads or self.heads), "-o", str(self.folder / "out")])
        return said.getvalue()

    def refused(self, alexnet, heads=None):
        """The line that says why; nothing may have been written."""
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit) as left:
            self.export(alexnet, heads)
        self.assertEqual(left.exception.code, 4)
        self.assertFalse((self.folder / "out").exists())
        self.assertEqual(said.getvalue().count("\n"), 1, said.getvalue())
        return said.getvalue()


class Numbers(WithFiles):
    def compare(self, heads, expected):
        self.export(self.alexnet, heads)
        module = load(self.folder / "out" / "lpips.pt")
        a, b = pictures()
        b.requires_grad_()
        found = module(a, b)
        (gradient,) = torch.autograd.grad(found.sum(), b)
        close = {"rtol": 1e-5, "atol": 0}
        torch.testing.assert_close(found, torch.tensor(expected["distances"]), **close)
        torch.testing.assert_close(gradient.flatten(1).norm(dim=1), torch.tensor(expected["gradient_lengths"]), **close)

    def test_as_the_package_with_random_heads(self):
        self.compare(self.heads, EXPECTED["random_heads"])

    @unittest.skipUnless(
        HEADS, "FACEPOISON_LPIPS_HEADS does not name lpips/weights/v0.1/alex.pth of PyPI's lpips 0.1.4"
    )
    def test_as_the_package_with_its_own_heads(self):
        self.assertEqual(lpips.sha256_of(HEADS), lpips.HEADS_SHA256)
        self.compare(HEADS, EXPECTED["package_heads"])

    def test_any_size_equal_and_black_pictures(self):
        self.export(self.alexnet)
        module = load(self.folder / "out" / "lpips.pt")
        for height, width in ((31, 63), (64, 97)):
            a = torch.rand(3, 3, height, width, generator=torch.Generator().manual_seed(3))
            self.assertEqual(module(a, a).tolist(), [0, 0, 0])
            self.assertTrue((module(a, a.flip(0))[[0, 2]] > 0).all())
        # Where no channel sees anything, the gradient is zero and not NaN.
        with torch.no_grad():
            for parameter in module.convolutions.parameters():
                parameter.zero_()
        a.requires_grad_()
        module(a, a.detach().flip(0)).sum().backward()
        self.assertEqual(a.grad.abs().max().item(), 0)


class Record(WithFiles):
    def test_it_completes_the_card(self):
        said = self.export(self.alexnet)
        record = json.loads((self.folder / "out" / "lpips.json").read_text())
        card = json.loads((SCRIPTS.parent / "configs" / "metrics" / "lpips.json").read_text())
        self.assertEqual(record["file"], card["file"])
        self.assertEqual(record["sha256"], lpips.sha256_of(self.folder / "out" / "lpips.pt"))
        self.assertEqual(record["source"]["alexnet"]["sha256"], lpips.sha256_of(self.alexnet))
        self.assertEqual(
            [(part["published"], part["licence"]) for part in record["source"].values()], 2 * [(False, "not known")]
        )
        self.assertEqual(card["source"]["heads"]["members"], {lpips.MEMBER: lpips.HEADS_SHA256})
        self.assertEqual(said.count("NOT A PUBLISHED FILE"), 2)
        self.assertEqual(sorted(p.name for p in (self.folder / "out").iterdir()), ["lpips.json", "lpips.pt"])

    def test_the_old_file_format(self):
        # The older of torchvision's files is of this kind, without a zip around it.
        self.export(self.saved("old.pth", ALEXNET, _use_new_zipfile_serialization=False))


class Refusals(WithFiles):
    def test_html_page(self):
        page = self.folder / "page.pth"
        page.write_text("\n <!DOCTYPE html><html>Please log in</html>")
        self.assertIn("HTML page", self.refused(page))
        self.assertIn("HTML page", self.refused(self.alexnet, page))

    def test_no_such_file(self):
        self.assertIn("no such file", self.refused(self.folder / "none.pth"))

    def test_truncated(self):
        half = self.folder / "half.pth"
        for whole in (self.alexnet, self.saved("old.pth", ALEXNET, _use_new_zipfile_serialization=False)):
            data = whole.read_bytes()
            for size in (0, 100, len(data) // 2, len(data) - 1):
                half.write_bytes(data[:size])
                self.assertIn("truncated" if size else "is empty", self.refused(half))

    def test_a_name_that_promises_another_file(self):
        self.assertIn("altered or incomplete", self.refused(self.saved("alexnet-owt-7be5be79.pth", ALEXNET)))

    def test_wrong_family(self):
        alexnet = dict(ALEXNET)
        vgg = {f"features.{k}.weight": torch.zeros(8, 3, 3, 3) for k in (0, 2, 5, 7, 10)}
        said = self.refused(self.saved("vgg.pth", vgg))
        self.assertRegex(
            said, r"14 missing \(features.0.bias.*3 unexpected \(features.2.weight, .*2 of another shape \(features.0"
        )
        del alexnet["features.10.bias"]
        self.assertIn("1 missing (features.10.bias)", self.refused(self.saved("part.pth", alexnet)))
        self.assertIn("is not torchvision's AlexNet", self.refused(self.heads))
        self.assertIn("is not LPIPS's heads", self.refused(self.alexnet, self.alexnet))

    def test_no_state_dict(self):
        for value in ([torch.zeros(1)], {"state_dict": {"epoch": 3}}, {}):
            self.assertIn("not a state dict", self.refused(self.saved("other.pth", value)))
        self.assertIn(
            "is not torchvision's AlexNet", self.refused(self.saved("wrapped.pth", {"state_dict": random_heads()}))
        )

    def test_code_is_not_run(self):
        trap = self.folder / "it ran"
        value = {"features.0.weight": Runs(str(trap))}
        bare, newer = self.folder / "bare.pth", self.folder / "newer.pth"
        bare.write_bytes(pickle.dumps(value, protocol=2))
        newer.write_bytes(pickle.dumps(value, protocol=4))  # which PyTorch's reader does not even follow
        for path in (
            self.saved("zip.pth", value),
            self.saved("old.pth", value, _use_new_zipfile_serialization=False),
            bare,
        ):
            self.assertRegex(self.refused(path), "weights and code; the code was not run: .*mkdir")
        self.assertIn("not a PyTorch checkpoint", self.refused(newer))
        self.assertIn("is a whole network, pickled", self.refused(self.saved("module.pth", torch.nn.Linear(2, 2))))
        self.assertFalse(trap.exists())
        pickle.loads(bare.read_bytes())
        self.assertTrue(trap.exists())  # the trap works

    def test_as_a_program(self):
        page = self.folder / "page.pth"
        page.write_text("<html>")
        done = subprocess.run([sys.executable, SCRIPTS / "export" / "lpips.py", page], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertEqual(done.stderr, f"lpips.py: {page} is an HTML page, not a checkpoint: the download went wrong\n")


class Heads(WithFiles):
    def fetch(self, returncode, wheel):
        def pretend(command, **_):
            folder = Path(command[command.index("--dest") + 1])
            if wheel is not None:
                with zipfile.ZipFile(folder / "lpips-0.1.4-py3-none-any.whl", "w") as archive:
                    archive.writestr(lpips.MEMBER, wheel)
            return subprocess.CompletedProcess(command, returncode, "", "WARNING: this\nERROR: No route\n")

        said = io.StringIO()
        with (
            mock.patch.object(subprocess, "run", pretend),
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            with contextlib.suppress(SystemExit):
                return lpips.fetch_heads(self.folder)
        return said.getvalue()

    def test_out_of_the_wheel(self):
        with mock.patch.object(lpips, "HEADS_SHA256", lpips.sha256_of(self.heads)):
            self.assertEqual(self.fetch(0, self.heads.read_bytes()).read_bytes(), self.heads.read_bytes())

    def test_other_heads_are_refused(self):
        self.assertIn("expected df73285e", self.fetch(0, b"other"))

    def test_no_network(self):
        self.assertRegex(self.fetch(1, None), "ERROR: No route; --heads takes")


if __name__ == "__main__":
    unittest.main()
