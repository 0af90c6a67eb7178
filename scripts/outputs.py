"""Writes files whole or not at all, and replaces nothing but what the same script wrote before."""
import os
import tempfile


class WouldReplace(Exception):
    """A file lies where another is to be written."""


def check_outputs(outputs, inputs=(), is_own=False):
    """Raises WouldReplace where an output is an input, also through a link or under another spelling of its path, and
    where it is any other file that the script did not write. is_own: did it write the ones that are there? Called
    before anything is written."""
    there = [path for path in outputs if os.path.lexists(path)]
    for path in there:
        for given in inputs:
            if os.path.exists(path) and os.path.exists(given) and os.path.samefile(path, given):
                raise WouldReplace(f"{path} would replace {given}, which is read: give another name or folder")
    if there and not is_own:
        raise WouldReplace(
            f"{there[0]} is there, and was not written by this script: give another name or folder, or move it"
        )


def replace_atomically(path, write):
    """write(temporary path), then rename: nobody ever sees half a file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
