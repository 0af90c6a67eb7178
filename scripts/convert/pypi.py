"""PyPI's wheels. (See packages.py.)"""
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

SUFFIX = "whl"


def integrity(data):
    """In the format of pip and PyPI's pages."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def download(package, version, folder):
    """Downloads the package's wheel into the folder, which holds no other; returns its path. Installs nothing."""
    # By default pip tries six times for fifteen seconds.
    patience = ["--retries", "1", "--timeout", "10"]
    spec = f"{package}=={version}"
    what = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), spec]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *patience, *what], capture_output=True, text=True)
    wheels = list(Path(folder).glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        raise RuntimeError(f"pip could not fetch {spec}: {said[-1] if said else 'no message'}")
    return wheels[0]


def read(archive, paths):
    """The files' bytes, by path."""
    with zipfile.ZipFile(archive) as opened:
        return {path: opened.read(path) for path in paths}
