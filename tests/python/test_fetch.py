"""Tests the checks of downloads: hashes, the golden picture, the comparison with it. No network."""
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import fetch_models
from convert import golden, packages


class Packages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = Path(folder.name)

    def source(self, registry, packed, members):
        integrity = packages.REGISTRIES[registry].integrity(packed)
        return {"registry": registry, "package": "@a/b", "version": "1.0.0", "integrity": integrity, "members": members}

    def fetch(self, source, packed):
        def pretend(package, version, folder):
            path = Path(folder) / "package"
            path.write_bytes(packed)
            return path

        with mock.patch.object(packages.registry_of(source), "download", pretend), mock.patch("builtins.print"):
            return packages.members(source, self.cache)

    def packed(self, registry, data):
        """A package that holds model.bin."""
        buffer = io.BytesIO()
        if registry == "pypi":
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr("model.bin", data)
            return buffer.getvalue()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            entry = tarfile.TarInfo("package/model.bin")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()

    def test_right_hashes_pass_and_the_cache_is_used(self):
        for registry, file in (("npm", "a-b-1.0.0.tgz"), ("pypi", "a-b-1.0.0.whl")):
            with self.subTest(registry):
                packed = self.packed(registry, b"weights")
                source = self.source(registry, packed, {"model.bin": hashlib.sha256(b"weights").hexdigest()})
                self.assertEqual(self.fetch(source, packed), {"model.bin": b"weights"})
                self.assertTrue((self.cache / file).exists())
                self.assertEqual(self.fetch(source, b"not asked for again"), {"model.bin": b"weights"})

    def test_a_source_that_names_no_registry_is_npms(self):
        packed = self.packed("npm", b"weights")
        source = self.source("npm", packed, {"model.bin": hashlib.sha256(b"weights").hexdigest()})
        del source["registry"]
        self.assertEqual(self.fetch(source, packed), {"model.bin": b"weights"})

    def test_html_page_is_named(self):
        for registry in packages.REGISTRIES:
            source = self.source(registry, b"other", {})
            with self.subTest(registry), self.assertRaisesRegex(RuntimeError, "HTML page"):
                self.fetch(source, b"\n<!DOCTYPE html><html>Please log in</html>")
        self.assertEqual(list(self.cache.iterdir()), [])  # nothing is left behind

    def test_wrong_hashes_are_refused(self):
        for registry, kind in (("npm", "sha512-"), ("pypi", "sha256:")):
            packed = self.packed(registry, b"weights")
            with self.subTest(registry):
                with self.assertRaisesRegex(RuntimeError, f"wrong hash, got {kind}"):
                    self.fetch(self.source(registry, packed + b"x", {}), packed)
                with self.assertRaisesRegex(RuntimeError, "model.bin: wrong sha256"):
                    self.fetch(self.source(registry, packed, {"model.bin": "0" * 64}), packed)

    def test_hashes_are_spelt_as_the_registries_do(self):
        # of nothing, by sha512sum (and base64) and sha256sum
        of_npm, of_pypi = (packages.REGISTRIES[name].integrity(b"") for name in ("npm", "pypi"))
        self.assertTrue(of_npm.startswith("sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/"), of_npm)
        self.assertTrue(
            of_pypi.startswith("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), of_pypi
        )

    def test_no_network(self):
        failed = subprocess.CompletedProcess([], 1, "", "WARNING: this\nnpm error that\nERROR: No route\n")
        npms, pips = "npm pack a@1 failed: .*that", "pip could not fetch a==1: ERROR: No route"
        for registry, said in (("npm", npms), ("pypi", pips)):
            with mock.patch.object(subprocess, "run", return_value=failed), self.assertRaisesRegex(RuntimeError, said):
                packages.REGISTRIES[registry].download("a", "1", self.cache)


class Cards(unittest.TestCase):
    def test_each_model_that_is_fetched_without_names_has_one(self):
        for name in fetch_models.DEFAULT:
            card = json.loads(fetch_models.card_path(name).read_text())
            self.assertEqual(card["file"], f"{name}.pt")
            self.assertTrue((fetch_models.card_path(name).parent / card["golden"]["file"]).exists())


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
