#!/usr/bin/env python3
"""Fetches photos of Labeled Faces in the Wild (LFW): one folder a person, as `facepoison prepare` takes them.

    .venv/bin/python scripts/fetch_lfw.py [-o data/lfw] [--least 10] [--distractors D] [--not-funneled] [--keep]

Unpacks the people with at least N photos (--least) and, with --distractors, one photo each of D other people. The hash
of a name decides who is drawn, so the draw is the same everywhere. The photos are the authors' deep-funneled ones
(Huang et al. 2012), or with --not-funneled those of 2007. LFW has no licence file; its authors call it a public
benchmark for research. For deep-funneled photos only the archive's md5 is published, which protects only against
accidents, so the photos of the 158 people with ten or more are compared with a committed sum.
"""
import argparse
import hashlib
import re
import shutil
import sys
import tarfile
from collections import Counter
from pathlib import Path

from convert import published

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / "models/.cache"
LICENCE = "no licence file; a public benchmark for research, says its authors' page"
MANY = 10  # the sum is over people with at least so many photos
# The sha256 of the sha256sum lines of all photos of these people, sorted by path: <person>/<photo>.
MANY_SHA256 = "5e841549a199c7d3266388e9f24502208ddd7df1a552495b76348a3c96319a41"
FUNNELED = {
    "file": "lfw-deepfunneled.tgz",
    "urls": ["http://vis-www.cs.umass.edu/lfw/lfw-deepfunneled.tgz"],
    "md5": "68331da3eb755a505a502b5aacb3c201",
    "folder": "lfw-deepfunneled",
}
# The authors' site in their GitHub repository. No sum of this archive is published; its photos are compared.
FUNNELED_SITE = {
    "file": "umass-vis-lfw.tgz",
    "urls": [
        "https://codeload.github.com/umass-vis-lfw/umass-vis-lfw.github.io/tar.gz/"
        "2a620cd8cceb10430f8c7012fe9fa5f0837759e9"
    ],
    "folder": "images_deepfunneled",
}
NOT_FUNNELED = {
    "file": "lfw.tgz",
    "urls": ["https://ndownloader.figshare.com/files/5976018"],
    "bytes": 180566744,
    "sha256": "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
    "folder": "lfw",
}


class TooMany(RuntimeError):
    """The user asked for more than LFW has; the message says how much there is."""


def person_of(name, folder):
    """The person of an archive's member, FOLDER/PERSON/PERSON_0001.jpg, perhaps below another folder; else None. Only
    members with such names are written to the disk."""
    found = re.fullmatch(rf"(?:[^/]+/)?{re.escape(folder)}/([^/.][^/]*)/\1_\d{{4}}\.jpg", name)
    return found and found[1]


def photos_in(archive, folder):
    """Each photo's path below the folder, its person and its bytes, in the archive's order."""
    try:
        with tarfile.open(archive, "r|gz") as opened:
            for member in opened:
                if member.isfile() and (person := person_of(member.name.removeprefix("./"), folder)):
                    yield f"{person}/{Path(member.name).name}", person, opened.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise published.Wrong(f"{archive} cannot be unpacked: {error}") from None


def digest_of(sums, counts):
    """One sum over the photos of all people with MANY or more. sums: the sha256 of each photo, by <person>/<photo>."""
    lines = (f"{sums[path]}  {path}\n" for path in sorted(sums) if counts[path.split("/")[0]] >= MANY)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def chosen_of(sums, counts, least, distractors):
    """The paths to unpack. Raises TooMany."""
    chosen = {path for path in sums if counts[path.split("/")[0]] >= least}
    if not chosen:
        raise TooMany(f"nobody has {least} photos; the most are {max(counts.values(), default=0)}")
    others = sorted(
        (person for person in counts if counts[person] < least),
        key=lambda person: hashlib.sha256(person.encode()).digest(),
    )
    if distractors > len(others):
        raise TooMany(f"--distractors {distractors}: there are {len(others)} people with fewer photos")
    return chosen | {min(path for path in sums if path.startswith(f"{person}/")) for person in others[:distractors]}


def unpack(archive, facts, output, least, distractors):
    """Puts the chosen people's photos into the folder. The folder appears only when it is complete and correct.
    Returns the numbers of photos and people."""
    part = output.with_name(output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    sums, counts = {}, Counter()
    for path, person, data in photos_in(archive, facts["folder"]):
        sums[path] = hashlib.sha256(data).hexdigest()
        counts[person] += 1
        (part / person).mkdir(parents=True, exist_ok=True)
        (part / path).write_bytes(data)
    if facts is not NOT_FUNNELED and (found := digest_of(sums, counts)) != MANY_SHA256:
        raise published.Wrong(
            f"{archive} holds other photos than expected: the sum over the people with {MANY} or more is "
            f"{found}, expected {MANY_SHA256}"
        )
    chosen = chosen_of(sums, counts, least, distractors)
    for path in sums.keys() - chosen:
        (part / path).unlink()
    people = {path.split("/")[0] for path in chosen}
    for person in counts.keys() - people:
        (part / person).rmdir()
    part.rename(output)
    return len(chosen), len(people)


def is_there(folder):
    """Whether the folder has the photos of the people with MANY or more, and nobody else's."""
    photos = sorted(folder.glob("*/*.jpg"))
    counts = Counter(path.parent.name for path in photos)
    if not counts or min(counts.values()) < MANY:
        return False
    sums = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in photos}
    return digest_of(sums, counts) == MANY_SHA256


def fetch(archives, output, least, distractors, keep):
    """Tries one archive after the other. Raises Failed with the reasons of all, or TooMany."""
    reasons = []
    for facts in archives:
        archive, downloaded = CACHE / facts["file"], False
        try:
            sha256, downloaded = published.obtain(facts, CACHE)
            photos, people = unpack(archive, facts, output, least, distractors)
        except published.Failed as failed:
            reasons.append(str(failed))
            print(f"  {failed}", flush=True)
            if downloaded:
                archive.unlink()
            continue
        finally:
            shutil.rmtree(output.with_name(output.name + ".part"), ignore_errors=True)
        published.remember(facts, CACHE, sha256)
        if downloaded and not keep:
            archive.unlink()
        print(f"{photos:,} photos of {people} people in {output}")
        return
    raise published.Failed("; ".join(reasons))


def parsed(given):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "data/lfw", help="a new folder")
    parser.add_argument("--least", type=int, default=MANY, help="minimum photos per person (default: %(default)s)")
    parser.add_argument("--distractors", type=int, default=0, help="more people, with one photo each")
    parser.add_argument("--not-funneled", action="store_true", help="the photos before alignment")
    parser.add_argument("--keep", action="store_true", help="keep the archive, in models/.cache")
    options = parser.parse_args(given)
    if options.least < 1 or options.distractors < 0:
        parser.error("--least starts from 1, --distractors from 0")
    options.is_usual = options.least == MANY and not options.distractors and not options.not_funneled
    return options


def main(given=None):
    options = parsed(given)
    if options.output.exists() or options.output.is_symlink():
        if options.is_usual and is_there(options.output):
            print(f"{options.output}: ok")
            return 0
        print(f"{options.output} already exists; move it away, or give another folder with -o", file=sys.stderr)
        return 2
    archives = [NOT_FUNNELED] if options.not_funneled else [FUNNELED, FUNNELED_SITE]
    print(f"Labeled Faces in the Wild:\n  licence: {LICENCE}", flush=True)
    try:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        with published.alone(CACHE):
            fetch(archives, options.output, options.least, options.distractors, options.keep)
    except (published.Failed, TooMany, OSError) as failed:
        print(f"missing: LFW ({failed})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
