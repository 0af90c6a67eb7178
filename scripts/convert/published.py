"""Downloads the file that a card's "published" describes, and checks it before anything reads it.

"published" has the file's name (file), its addresses (urls, tried in this order), its size (bytes) and its best
published sum: sha256, else md5, else git_blob, the SHA-1 that git gives to a file. An address that is an object is a
zip archive that holds the file: url, member, and the archive's own file, bytes and sha256. confidence says how reliable
the sum is (docs/how-to/exporting.md), non_commercial that the licence allows no commercial use, paper that the paper's
evaluations use the network. exporter is the command of scripts/export/ that takes the file as {file}; {NAME} is the
file of the card NAME, instead of or in addition to its own.

curl downloads: it resumes, follows redirects and gives up on a connection that stalls. (pooch 1.9.0 was not chosen: it
cannot resume, takes one address per file, and checks no size.)
"""
import contextlib
import fcntl
import hashlib
import html
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

SUMS = {"sha256": "sha256", "md5": "md5", "git_blob": "git blob SHA-1"}  # best first
STALL_SECONDS = 60  # below a kilobyte a second
TRIES = 50  # of one address; each continues where the last one ended
WRITE_FAILED, NO_RANGES, TOO_LARGE = 23, 33, 63  # exit codes of curl


class Failed(RuntimeError):
    """The file could not be obtained; the message says why."""


class Wrong(Failed):
    """A file is not the published one."""


def sum_kind(facts):
    return next((kind for kind in SUMS if kind in facts), None)


def verified_by(facts):
    """How a file is known to be the published one. If no sha256 is published, a later download must have the sha256 of
    the file that was used first."""
    kind = sum_kind(facts)
    return ([SUMS[kind]] if kind else []) + ([] if kind == "sha256" else ["first use"])


def sums_of(path, kinds):
    sums = {kind: hashlib.new("sha1" if kind == "git_blob" else kind, usedforsecurity=False) for kind in kinds}
    if "git_blob" in sums:
        sums["git_blob"].update(b"blob %d\0" % path.stat().st_size)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            for one in sums.values():
                one.update(block)
    return {kind: one.hexdigest() for kind, one in sums.items()}


def first_use(facts, cache):
    """The file that records the sha256 of the first use, in the format of sha256sum."""
    return cache / f"{facts['file']}.sha256"


def pinned_sha256(facts, cache):
    """The sha256 that the file must have, or None if it is not known yet."""
    record = first_use(facts, cache)
    return facts.get("sha256") or (record.read_text().split()[0] if record.exists() else None)


def check(path, facts, cache):
    """The file's sha256. Raises Wrong if the file is not the published one; its size is checked first."""
    size, kind = path.stat().st_size, sum_kind(facts)
    if size != facts.get("bytes", size):
        other = "is cut short, or another file" if size < facts["bytes"] else "is another file"
        raise Wrong(f"{what_came(path) or other}; it has {size:,} bytes, expected {facts['bytes']:,}")
    if kind is None and (found := what_came(path)):
        raise Wrong(found)
    sums = sums_of(path, {"sha256", kind or "sha256"})
    if kind and sums[kind] != facts[kind].lower():
        raise Wrong(f"{what_came(path) or 'is another file'}; its {SUMS[kind]} is {sums[kind]}, expected {facts[kind]}")
    pinned = pinned_sha256(facts, cache)
    if pinned and sums["sha256"] != pinned.lower():
        raise Wrong(
            f"is not the file that was used first; its sha256 is {sums['sha256']}, expected {pinned} "
            f"({first_use(facts, cache)})"
        )
    return sums["sha256"]


def what_came(path):
    """Names a file that is not a checkpoint, if its start shows that; else ""."""
    from export.base import in_its_place  # late, because it imports PyTorch

    with open(path, "rb") as file:
        start = file.read(1 << 16)
    found = in_its_place(start[:512])
    if not found:
        return ""
    title = re.search(r"<title[^>]*>\s*(.*?)\s*</title>", start.decode(errors="replace"), re.S | re.I)
    said = found.format(what="checkpoint") + (f' (title: "{html.unescape(title[1])[:80]}")' if title else "")
    if re.search(rb"quota exceeded|too many users have viewed or downloaded", start, re.I):
        said += "; Google Drive's quota for this file is used up, usually for a day"
    return said


def run_curl(url, part, facts):
    """Appends the missing rest of the file to the part. Returns curl's exit code, the HTTP status, the content's type
    and curl's message."""
    limit = ["--max-filesize", str(facts["bytes"])] if "bytes" in facts else []
    command = [
        "curl", "--fail", "--location", "--globoff", "--max-redirs", "10", "--connect-timeout", "20",
        "--speed-limit", "1024", "--speed-time", str(STALL_SECONDS), "--continue-at", "-", *limit,
        "--proto", "=http,https", "--proto-redir", "=https" if url.startswith("https:") else "=http,https",
        "--progress-bar" if sys.stderr.isatty() else "--silent",
        "--write-out", "%{http_code}\n%{content_type}\n%{errormsg}", "--output", str(part), "--url", url,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, close_fds=False)
    except FileNotFoundError:
        raise Failed("curl is not installed") from None
    status, kind, *message = done.stdout.split("\n")
    return done.returncode, int(status or 0), kind, " ".join(message).strip()


def size_of(path):
    return path.stat().st_size if path.exists() else 0


def reason_of(code, status, message, facts):
    if code == TOO_LARGE:
        return f"the file there is larger than the published one of {facts['bytes']:,} bytes"
    hints = {404: ": the file is gone", 403: ": access is refused", 429: ": too many requests"}
    return f"HTTP {status}{hints.get(status, '')}" if status >= 400 else message or f"curl ended with {code}"


def download(url, part, facts):
    """Completes the part from one address, over as many connections as needed. If it raises Failed, the part stays."""
    for _ in range(TRIES):
        before = size_of(part)
        if before and before == facts.get("bytes"):
            return
        code, status, kind, message = run_curl(url, part, facts)
        if code == 0:
            part.touch()  # curl does not create an empty file
            return
        if before and code == NO_RANGES and kind.startswith("text/html"):
            raise Failed("the server sends an HTML page, not the rest of the file")
        if before and (code == NO_RANGES or status == 416):  # the server sends only the whole file
            part.unlink()
        elif code == WRITE_FAILED or size_of(part) <= before:
            raise Failed(reason_of(code, status, message, facts))
    raise Failed(f"the connection broke {TRIES} times")


def download_checked(url, path, facts, cache):
    """Puts the file of one address at the path and returns its sha256. Continues the part of a killed run; if the
    result is wrong, downloads the whole file once more."""
    part = path.with_name(path.name + ".part")
    # Without a sum or a size, a part that continues with another file's end would not be noticed.
    if sum_kind(facts) is None or size_of(part) > facts.get("bytes", size_of(part)):
        part.unlink(missing_ok=True)
    continued = size_of(part) > 0
    download(url, part, facts)
    try:
        sha256 = check(part, facts, cache)
    except Wrong:
        part.unlink()
        if not continued:
            raise
        return download_checked(url, path, facts, cache)
    os.replace(part, path)
    return sha256


def extract_checked(archive, path, facts, cache):
    """Puts the archive's member at the path and returns its sha256."""
    zipped = cache / archive["file"]
    _, downloaded = obtain(archive | {"urls": [archive["url"]]}, cache)
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(zipped) as opened, opened.open(archive["member"]) as member, open(part, "wb") as file:
            shutil.copyfileobj(member, file)
        sha256 = check(part, facts, cache)
    except KeyError:
        raise Failed(f"{archive['file']} holds no {archive['member']}") from None
    finally:
        if downloaded:
            zipped.unlink()
    os.replace(part, path)
    return sha256


def obtain(facts, cache):
    """Puts the published file into the cache, checked. Uses a file that somebody placed there. Returns its sha256, and
    whether it was downloaded now. Raises Failed with each address's reason and what to do."""
    path = cache / facts["file"]
    if path.exists():
        try:
            return check(path, facts, cache), False
        except Wrong as wrong:
            raise Failed(f"{path} {wrong}. It was there before: move it away, or put the right one there") from None
    reasons = []
    for number, address in enumerate(facts["urls"], 1):
        url = address if isinstance(address, str) else address["url"]
        size = f" ({facts['bytes'] / 1e6:,.1f} MB)" if "bytes" in facts else ""
        print(f"  fetching {path.name}{size} from {urlsplit(url).netloc}", flush=True)
        try:
            if isinstance(address, str):
                return download_checked(url, path, facts, cache), True
            return extract_checked(address, path, facts, cache), True
        except Failed as failed:
            said = f"the download {failed}" if isinstance(failed, Wrong) else str(failed)
            reasons.append(f"{url}: {said}")
            if number < len(facts["urls"]):
                print(f"    {said}; trying the next address", flush=True)
    raise Failed(f"{'; '.join(reasons)}. To place the file by hand: {path} ({described(facts)}); then run this again")


def described(facts):
    """Size and sum that a file placed by hand must have."""
    size = [f"{facts['bytes']:,} bytes"] if "bytes" in facts else []
    kind = sum_kind(facts)
    return ", ".join(size + ([f"{SUMS[kind]} {facts[kind]}"] if kind else ["no sum of it is published"]))


def remember(facts, cache, sha256):
    """Pins the sha256 of a used file if none is published."""
    record = first_use(facts, cache)
    if "sha256" not in facts and not record.exists():
        record.write_text(f"{sha256}  {facts['file']}\n")


@contextlib.contextmanager
def alone(cache: Path):
    """Lets one process at a time work in the cache. A curl that outlives its killed parent keeps the lock too."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another download to end", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
