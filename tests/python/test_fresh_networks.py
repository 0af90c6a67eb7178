"""Tests the starting networks' own promises: a fresh purifier changes nothing, and has the card of one."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]


class FreshPurifier(unittest.TestCase):
    def test_it_is_the_identity_and_small(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, ROOT / "scripts/fresh_networks.py", "small-purifier", "-o", folder]
            subprocess.run(command, check=True, capture_output=True)
            weights = Path(folder) / "small-purifier.pt"
            card = json.loads((Path(folder) / "small-purifier.json").read_text())
            network = torch.jit.load(weights)
            self.assertLess(weights.stat().st_size, 1e6)
        pictures = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            self.assertTrue(torch.equal(network(pictures), pictures))
        self.assertEqual(card["task"], "purifier")
        self.assertNotIn("dimension", card)
        self.assertEqual((card["input"]["scale"], card["input"]["mean"], card["input"]["std"]), (1, [0] * 3, [1] * 3))


if __name__ == "__main__":
    unittest.main()
