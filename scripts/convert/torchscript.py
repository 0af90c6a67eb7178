"""Writes TorchScript files whose bytes depend only on the network: cached embeddings and attacks depend on the bytes.

Three things would change them from run to run: TorchScript writes a class's constants in the order of a Python set,
numbers classes in the order in which a process met them, and stores the paths of the sources.
"""
import io
import os
import sys

VERSIONS = (".data/version", "version")  # of the format, in later and in earlier files
NOT_COPIED = (*VERSIONS, "byteorder", ".data/serialization_id")  # the writer makes these itself


def fix_hashes():
    """Starts this program again if the order of a set is random. Call it before anything else."""
    if sys.flags.hash_randomization:
        os.execve(sys.executable, sys.orig_argv, os.environ | {"PYTHONHASHSEED": "0"})


def save(scripted, path):
    """Saves without the paths of the sources, which only error messages use, and without the file's name."""
    import torch

    whole = io.BytesIO()
    torch.jit.save(scripted, whole)
    whole.seek(0)
    reader = torch._C.PyTorchFileReader(whole)
    bare = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(bare)
    writer.set_min_version(int(next(reader.get_record(name) for name in VERSIONS if reader.has_record(name))))
    for name in reader.get_all_records():
        if name not in NOT_COPIED and not name.endswith(".debug_pkl"):
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    with open(path, "wb") as file:
        file.write(bare.getbuffer())
