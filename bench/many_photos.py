#!/usr/bin/env python3
"""Makes as many photos of as many people as in FaceScrub, from the rendered ones, only to measure the cost of size.

    .venv/bin/python bench/many_photos.py OUT [--people 530] [--photos 94]
    facepoison prepare OUT --no-detect --canvas 112 --keep-duplicates -o DATASET

Person k is rendered person k mod 100 with a face of another width and colour. Each photo is one of that person's,
rotated, shifted and lit at random, 112 pixels, JPEG. The default 530 × 94 are 49,820 photos.
"""
import argparse
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image, ImageEnhance

RENDERED = Path(__file__).resolve().parent.parent / "data" / "rendered"
SIDE = 112


def make_person(out, photos, k):
    draw = random.Random(k)
    width, red, blue = draw.uniform(0.75, 1.3), draw.uniform(0.7, 1.3), draw.uniform(0.7, 1.3)
    folders = sorted(path for path in RENDERED.iterdir() if path.is_dir())
    sources = [Image.open(path).convert("RGB") for path in sorted(folders[k % len(folders)].glob("*.jpg"))]
    folder = out / f"person-{k:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(photos):
        picture = sources[n % len(sources)]
        side = min(picture.size)
        shift = (draw.randint(-9, 9), draw.randint(-9, 9))
        picture = picture.rotate(draw.uniform(-12, 12), Image.BILINEAR, translate=shift)
        margin = side * draw.uniform(0.08, 0.16)
        box = (margin * width, margin, side - margin * width, side - margin)
        red_, green, blue_ = picture.crop([round(edge) for edge in box]).resize((SIDE, SIDE)).split()
        channels = (red_.point(lambda v: v * red), green, blue_.point(lambda v: v * blue))
        lit = ImageEnhance.Brightness(Image.merge("RGB", channels)).enhance(draw.uniform(0.6, 1.4))
        lit.save(folder / f"{n:02d}.jpg", quality=92)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--people", type=int, default=530)
    parser.add_argument("--photos", type=int, default=94)
    options = parser.parse_args()
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(make_person, options.out, options.photos), range(options.people)))


if __name__ == "__main__":
    main()
