"""Writes files whole or not at all, and replaces only files that the same script wrote."""
import os
import tempfile


class WouldReplace(Exception):
    """An output would replace an existing file."""


def check_outputs(outputs, inputs=(), is_own=False):
    """Raises WouldReplace if an output is an input, also through a link or another spelling of its path, or if it is
    another file that the script did not write. is_own: did the script write the files that exist? Call it before
    anything is written."""
    there = [path for path in outputs if os.path.lexists(path)]
    for path in there:
        for given in inputs:
            if os.path.exists(path) and os.path.exists(given) and os.path.samefile(path, given):
                raise WouldReplace(f"{path} would replace {given}, an input: give another name or folder")
    if there and not is_own:
        raise WouldReplace(
            f"{there[0]} exists and was not written by this script: give another name or folder, or move it"
        )


def replace_atomically(path, write):
    """Calls write(temporary path), then renames, so that no process sees half a file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
