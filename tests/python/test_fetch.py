"""Tests of what guards the downloads: hashes, the golden picture, the comparison with it. No network."""
import hashlib
import io
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import fetch_models
from convert import golden, npm


class Packages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = Path(folder.name)

    def source(self, packed, members):
        return {"package": "@a/b", "version": "1.0.0", "integrity": npm.integrity(packed), "members": members}

    def fetch(self, source, packed):
        def pretend(spec, folder):
            path = Path(folder) / "package.tgz"
            path.write_bytes(packed)
            return path

        with mock.patch.object(npm, "npm_pack", pretend), mock.patch("builtins.print"):
            return npm.members(source, self.cache)

    def tarball(self, data):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            entry = tarfile.TarInfo("package/model.bin")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()

    def test_right_hashes_pass_and_the_cache_is_used(self):
        packed = self.tarball(b"weights")
        source = self.source(packed, {"model.bin": hashlib.sha256(b"weights").hexdigest()})
        self.assertEqual(self.fetch(source, packed), {"model.bin": b"weights"})
        self.assertEqual(self.fetch(source, b"not asked for again"), {"model.bin": b"weights"})

    def test_html_page_is_named(self):
        source = self.source(b"other", {})
        with self.assertRaisesRegex(RuntimeError, "HTML page"):
            self.fetch(source, b"\n<!DOCTYPE html><html>Please log in</html>")
        self.assertEqual(list(self.cache.iterdir()), [])  # nothing is left behind

    def test_wrong_hashes_are_refused(self):
        packed = self.tarball(b"weights")
        with self.assertRaisesRegex(RuntimeError, "wrong sha512"):
            self.fetch(self.source(packed + b"x", {}), packed)
        with self.assertRaisesRegex(RuntimeError, "model.bin: wrong sha256"):
            self.fetch(self.source(packed, {"model.bin": "0" * 64}), packed)


class Golden(unittest.TestCase):
    def test_first_values(self):
        # Worked out by hand from the formula: for x = y = 0 and c = 0 it is
        # (tri(0) + tri(1000) + tri(0)) / 3 with 1000 mod 256 = 232 and tri(232) = 511 - 464 = 47.
        picture = golden.picture(3, 2)
        self.assertEqual(picture.shape, (2, 3, 3))
        self.assertEqual(picture[0, 0].tolist(), [47 // 3, (47 + 80) // 3, (47 + 160) // 3])
        # x = 1, y = 0, c = 0: tri(3) = 6, tri(998) = tri(230) = 51, tri(0) = 0.
        self.assertEqual(picture[0, 1, 0], 57 // 3)
        # x = 2, y = 1, c = 2: tri(15) = 30, tri(1002) = tri(234) = 43, tri(2 // 9 + 80) = 160.
        self.assertEqual(picture[1, 2, 2], 233 // 3)

    def test_channel_order_and_scaling(self):
        recipe = {"channels": "bgr", "scale": 255.0, "mean": [1.0, 2.0, 3.0], "std": [1.0, 2.0, 4.0]}
        x = golden.network_input(np.uint8([[[10, 20, 30]]]), recipe)
        np.testing.assert_allclose(x.ravel(), [30 - 1, (20 - 2) / 2, (10 - 3) / 4], rtol=1e-6)

    def test_a_wrong_network_is_refused(self):
        card = {"golden": {"file": "g.npy"}, "input": {"side": 4}}
        right = np.arange(1, 101, dtype=np.float32)
        for wrong in (-right, right + np.eye(100, dtype=np.float32)[3], right * np.nan):
            with mock.patch.object(np, "load", return_value=right), mock.patch("builtins.print"), mock.patch.object(
                golden, "golden_output", return_value=wrong
            ), self.assertRaisesRegex(RuntimeError, "differs from the golden one"):
                fetch_models.check_against_golden(None, "dlib", card)


if __name__ == "__main__":
    unittest.main()
