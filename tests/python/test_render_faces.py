"""Rendered people: the recipe gives the same pictures for the same seeds, and the committed gallery is what it made.

Rendering needs Blender, which scripts/render_faces/run.sh installs into .venv-render; without it these tests skip.
"""
import csv
import hashlib
import json
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "scripts/render_faces/run.sh"
GALLERY = ROOT / "data/rendered"


def rows(path):
    with open(path, newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


class Gallery(unittest.TestCase):
    """What is committed."""

    def test_every_photo_has_landmarks_inside_it_and_a_row(self):
        on_disk = {str(path.relative_to(GALLERY)) for path in GALLERY.rglob("*.jpg")}
        landmarks = rows(GALLERY / "landmarks.csv")
        self.assertEqual(on_disk, set(landmarks))
        self.assertEqual(on_disk, set(rows(GALLERY / "photos.csv")))
        self.assertEqual({name.split("/")[0] for name in on_disk}, set(rows(GALLERY / "people.csv")))
        for name, row in landmarks.items():
            points = {key: float(value) for key, value in row.items() if key != "id"}
            self.assertTrue(all(0 < value < 191 for value in points.values()), name)
            self.assertLess(points["left_eye_x"], points["right_eye_x"], name)
            self.assertLess(points["left_eye_y"], points["left_mouth_y"], name)

    def test_it_is_large_enough_and_small_enough(self):
        people = [len(list(folder.glob("*.jpg"))) for folder in GALLERY.iterdir() if folder.is_dir()]
        self.assertGreaterEqual(len(people), 100)
        self.assertGreaterEqual(min(people), 20)
        self.assertLess(sum(path.stat().st_size for path in GALLERY.rglob("*") if path.is_file()), 16e6)
        pictures = {path.suffix for path in GALLERY.rglob("*") if path.is_file()} - {".csv", ".json", ".md"}
        self.assertEqual(pictures, {".jpg"})

    def test_it_is_what_these_scripts_make(self):
        recipe = json.loads((GALLERY / "recipe.json").read_text())
        source = (ROOT / "scripts/render_faces/render.py").read_text()
        names = eval(source[source.index("SOURCES = ") + len("SOURCES = ") :].split("]")[0] + "]")
        found = hashlib.sha256(b"".join((RUN.parent / name).read_bytes() for name in names)).hexdigest()
        self.assertEqual(recipe["sources_sha256"], found, "the recipe changed: render the gallery again")


@unittest.skipUnless(
    (ROOT / ".venv-render/ready").exists(), "no .venv-render; scripts/render_faces/run.sh --help makes it"
)
class Rendering(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def render(self, name, *options, code=0):
        command = [RUN, "--photos", "2", "--setting", "training", *options, "-o", self.folder / name]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def contents(self, name):
        return {
            str(p.relative_to(self.folder / name)): p.read_bytes()
            for p in (self.folder / name).rglob("*")
            if p.is_file()
        }

    def test_the_same_seeds_give_the_same_bytes_in_any_order_and_after_a_kill(self):
        self.render("whole", "--people", "3..4")
        whole = self.contents("whole")
        self.assertEqual(len([name for name in whole if name.endswith(".jpg")]), 4)
        # As a kill leaves it: a photo without its row, half a row, a temporary file, no landmarks yet.
        shutil.copytree(self.folder / "whole", self.folder / "killed")
        killed = self.folder / "killed"
        log = (killed / "photos.csv").read_text().splitlines(keepends=True)
        (killed / "photos.csv").write_text("".join(log[:2]) + log[2][:40])
        (killed / "gallery-004/01.jpg").unlink()
        (killed / "landmarks.csv").unlink()
        self.render("killed", "--people", "4")  # in another order
        self.render("killed", "--people", "3..4")
        self.assertEqual(self.contents("killed"), whole)

    def test_groups_are_different_people_and_a_folder_is_of_one_recipe(self):
        self.render("gallery", "--people", "3")
        self.render("training", "--people", "3", "--group", "training")
        self.assertNotEqual(
            (self.folder / "gallery/gallery-003/00.jpg").read_bytes(),
            (self.folder / "training/training-003/00.jpg").read_bytes(),
        )
        before = self.contents("gallery")
        said = self.render("gallery", "--people", "3", "--group", "training", code=1)
        self.assertIn("another recipe (group)", said)
        self.assertEqual(self.contents("gallery"), before)

    def test_bad_options_are_named(self):
        self.assertIn("0 <= A <= B", self.render("x", "--people", "5..2", code=2))
        self.assertIn("not a share", self.render("x", "--people", "1", "--hard", "2", code=2))
        self.assertFalse((self.folder / "x").exists())


if __name__ == "__main__":
    unittest.main()
