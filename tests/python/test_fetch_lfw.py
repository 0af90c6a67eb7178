"""Tests scripts/fetch_lfw.py with a server on the loopback interface, and the sum of the
photos themselves if they are present."""
import contextlib
import hashlib
import io
import os
import sys
import tarfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(Path(__file__).resolve().parent / "fixtures")]
import fetch_lfw  # noqa: E402
from loopback import WithServer  # noqa: E402

REAL = os.environ.get("FACEPOISON_REAL_PHOTOS")
LFW = Path(REAL).parent / "lfw" if REAL else None
COUNTS = {"Ann_Lee": 12, "Bo": 10, "Cy_Poe": 3, "Di": 1, "Ed": 1, "Fay": 2}


def name_of(person, number):
    return f"{person}/{person}_{number:04d}.jpg"


def photos_of(counts):
    return {name_of(person, i): f"{person} {i}".encode() for person in counts for i in range(1, counts[person] + 1)}


def packed(folder, photos, more=()):
    """A .tgz of the photos in the folder; more: members that are not LFW photos."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in [(f"{folder}/{path}", content) for path, content in photos.items()] + list(more):
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content or b""))
    return data.getvalue()


class FetchLfw(WithServer):
    def setUp(self):
        super().setUp()
        self.output = self.folder / "data/lfw"
        self.photos = photos_of(COUNTS)
        sums = {path: hashlib.sha256(data).hexdigest() for path, data in self.photos.items()}
        self.patch("CACHE", self.cache)
        self.patch("MANY_SHA256", fetch_lfw.digest_of(sums, Counter(COUNTS)))
        self.serve("FUNNELED", packed("lfw-deepfunneled", self.photos))

    def patch(self, name, value):
        self.enterContext(mock.patch.object(fetch_lfw, name, value))

    def serve(self, name, data, **facts):
        facts = {"md5": hashlib.md5(data).hexdigest()} | facts
        if facts["md5"] is None:
            del facts["md5"]
        known = getattr(fetch_lfw, name)
        where = {key: known[key] for key in ("file", "folder")}
        self.patch(name, where | {"urls": [self.url(f"/{known['file']}", data)]} | facts)

    def fetch(self, *options, code=0):
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            self.assertEqual(fetch_lfw.main(["-o", str(self.output), *options]), code, said.getvalue())
        self.show(said.getvalue())
        return said.getvalue()

    def found(self):
        return {path.relative_to(self.output).as_posix(): path.read_bytes() for path in self.output.rglob("*.jpg")}

    def test_people_with_ten_photos_are_unpacked(self):
        self.assertIn("22 photos of 2 people", self.fetch())
        self.assertEqual(self.found(), {path: self.photos[path] for path in self.photos if path[0] in "AB"})
        self.assertEqual(self.cached(), ["lfw-deepfunneled.tgz.sha256", "lock"])
        self.assertIn("lfw: ok", self.fetch())
        self.assertEqual(len(self.server.asked), 1)

    def test_fewer_photos_and_distractors(self):
        self.assertIn("26 photos of 4 people", self.fetch("--least", "3", "--distractors", "1", "--keep"))
        others = [path for path in self.found() if path[0] in "DEF"]
        self.assertEqual(len(others), 1)
        self.assertIn("lfw-deepfunneled.tgz", self.cached())
        self.output.rename(self.folder / "first")
        self.fetch("--least", "3", "--distractors", "2")
        self.assertLess(set(others), set(self.found()))  # a longer draw contains the shorter one
        self.assertEqual(len(self.server.asked), 1)

    def test_more_than_there_are_is_refused(self):
        self.assertIn("nobody has 13 photos; the most are 12", self.fetch("--least", "13", code=1))
        self.assertIn("--distractors 5: there are 4 people", self.fetch("--distractors", "5", code=1))
        self.assertEqual({path for path, _ in self.server.asked}, {"/lfw-deepfunneled.tgz"})
        self.assertEqual(list(self.output.parent.iterdir()), [])

    def test_another_photo_is_noticed(self):
        self.photos[name_of("Bo", 3)] = b"another"
        self.serve("FUNNELED", packed("lfw-deepfunneled", self.photos))
        self.serve("FUNNELED_SITE", b"", md5=None)
        said = self.fetch(code=1)
        self.assertRegex(said, "holds other photos than expected: .* expected [0-9a-f]{64}")
        self.assertFalse(self.output.exists())

    def test_the_authors_site_is_asked_where_the_archive_cannot_be_had(self):
        self.server.pages.clear()
        others = [(f"site-2a620cd/images/{path}", b"not aligned") for path in self.photos]
        self.serve("FUNNELED_SITE", packed("site-2a620cd/images_deepfunneled", self.photos, others), md5=None)
        said = self.fetch()
        self.assertIn("HTTP 404", said)
        self.assertEqual(set(self.found()), {path for path in self.photos if path[0] in "AB"})

    def test_photos_that_are_not_aligned(self):
        data = packed("lfw", self.photos)
        self.serve("NOT_FUNNELED", data, sha256=hashlib.sha256(data).hexdigest(), md5=None)
        self.fetch("--not-funneled")
        self.assertEqual(len(self.found()), 22)

    def test_nothing_but_photos_is_written(self):
        folder = "lfw-deepfunneled"
        odd = [
            (f"{folder}/../Bo/Bo_0099.jpg", b"x"), (f"{folder}/Bo/Ann_Lee_0001.jpg", b"x"), (f"{folder}/Bo/x.sh", b"x"),
            (f"{folder}/Bo/Bo_0098.jpg", None), (f"/{folder}/../../Bo/Bo_0097.jpg", b"x"),
            (f"{folder}/.ssh/.ssh_0001.jpg", b"x"),
        ]  # fmt: skip
        self.serve("FUNNELED", packed(folder, self.photos, odd))
        self.fetch()
        self.assertEqual(len(self.found()), 22)
        self.assertEqual(len([path for path in self.output.rglob("*") if path.is_file()]), 22)
        self.assertEqual([path.name for path in self.folder.rglob("*_009?.jpg")], [])

    def test_a_broken_archive_is_named(self):
        whole = packed("lfw-deepfunneled", self.photos)
        half = whole[: len(whole) // 2]
        for data, said in ((b"no archive" * 99, "cannot be unpacked"), (half, "holds other photos")):
            self.serve("FUNNELED", data)
            self.serve("FUNNELED_SITE", b"", md5=None)
            self.assertIn(f"lfw-deepfunneled.tgz {said}", self.fetch(code=1))
            self.assertEqual(list(self.output.parent.iterdir()), [])
            self.assertEqual(self.cached(), ["lock"])  # the next run downloads it again

    def test_what_is_there_is_left_alone(self):
        self.output.mkdir(parents=True)
        (self.output / "mine.jpg").write_bytes(b"mine")
        self.assertIn("already exists; move it away", self.fetch(code=2))
        self.assertEqual((self.output / "mine.jpg").read_bytes(), b"mine")
        self.assertEqual(self.server.asked, [])

    def test_what_a_killed_run_left_is_made_anew(self):
        part = self.output.with_name("lfw.part")
        (part / "Old").mkdir(parents=True)
        (part / "Old/Old_0001.jpg").write_bytes(b"cut")
        self.fetch()
        self.assertFalse(part.exists())
        self.assertEqual(len(self.found()), 22)


@unittest.skipUnless(LFW and LFW.is_dir(), "FACEPOISON_REAL_PHOTOS names no folder beside which LFW's photos lie")
class Photos(unittest.TestCase):
    def test_they_have_the_committed_sum(self):
        self.assertTrue(fetch_lfw.is_there(LFW))


if __name__ == "__main__":
    unittest.main()
