"""Writes each fuzzer's seeds: small files of the kinds that its reader takes, from the repository.

    .venv/bin/python tests/fuzz/seeds.py FOLDER
"""
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SHA = "0123456789abcdef" * 4


def encoded(picture, kind, **how):
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def pictures():
    whole = Image.open(ROOT / "data/rendered/gallery-000/00.jpg")
    face = whole.resize((40, 32))
    turned = Image.Exif()
    turned[0x112] = 6
    yield (ROOT / "data/rendered/gallery-000/00.jpg").read_bytes()
    for mode in ("RGB", "L", "CMYK"):
        yield encoded(face.convert(mode), "JPEG")
    yield encoded(face, "JPEG", progressive=True)
    yield encoded(face, "JPEG", exif=turned, subsampling=0)
    yield encoded(face, "JPEG", restart_marker_blocks=1)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        yield encoded(face.convert(mode), "PNG")
    yield encoded(Image.fromarray(np.asarray(face.convert("L")).astype(np.uint16) << 8), "PNG")
    for mode in ("RGB", "L", "1"):
        yield encoded(face.convert(mode), "BMP")


def matrices():
    for array in (np.eye(3, dtype=np.float32), np.arange(6.0).reshape(1, 6), np.zeros((0, 4)), np.float32(1)):
        out = io.BytesIO()
        np.save(out, array)
        yield out.getvalue()
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }".ljust(117) + b"\n"
    yield b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(8)


def manifests():
    five = [[30.5, 40], [60, 40], [45, 55], [35, 70], [55, 70]]
    line = {"id": "a/1.jpg", "person": "a", "path": "canvases/a/00.png", "source": "a/1.jpg", "source_sha256": SHA}
    line |= {"sha256": SHA, "side": 184, "source_size": [100, 80], "source_landmarks": five, "landmarks": five}
    line |= {"split": "train", "duplicate_of": None}
    twin = line | {"id": "a/2.jpg", "split": "test", "duplicate_of": "a/1.jpg", "landmarks": None}
    rejected = "id,person,reason\na/3.jpg,a,duplicate of a/1.jpg\n"
    yield json.dumps(line).encode()
    yield f"{json.dumps(line)}\n{json.dumps(twin)}\n---\n{rejected}".encode()


def lists():
    row = ["Ann Other", "1", "2", "http://example.org/1.jpg", "10,20,110,120", SHA]
    yield ("name\timage_id\tface_id\turl\tbbox\tsha256\n" + "\t".join(row) + "\n").encode()
    yield "\n".join((ROOT / "data/rendered/landmarks.csv").read_text().splitlines()[:4]).encode()
    yield b"id,x1,y1,x2,y2,x3,y3,x4,y4,x5,y5\nAnn_Other/1.jpg,1,2,3,4,5,6,7,8,9,10\n"


def files(*patterns):
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            yield path.read_bytes()[:4000]


SEEDS = {
    "picture": pictures(),
    "npy": matrices(),
    "manifest": manifests(),
    "photos": lists(),
    "card": files("configs/extractors/*.json", "configs/cloak-detectors/*.json", "configs/networks/*.json"),
    "config": files("configs/experiments/*.json", "configs/training/*.json", "configs/attacks/*.json"),
    "table": files("tests/golden/*.csv", "data/rendered/people.csv"),
}


def main():
    for name, seeds in SEEDS.items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for k, seed in enumerate(seeds):
            (folder / f"{k:02d}").write_bytes(seed)


if __name__ == "__main__":
    main()
