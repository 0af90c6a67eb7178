"""Reads MXNet's .params files: arrays by name, no code and no network."""
import struct

import numpy as np
import torch
from export.base import fail

ARRAY, DENSE = 0xF993FAC9, 0  # the start of each array, and the only kind of storage that is read
TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}


class Reader:
    def __init__(self, data):
        self.data, self.place = data, 16  # after the file's two header numbers

    def numbers(self, kinds):
        found = struct.unpack_from(f"<{kinds}", self.data, self.place)
        self.place += struct.calcsize(f"<{kinds}")
        return found

    def take(self, size):
        if self.place + size > len(self.data):
            raise ValueError(f"it ends after {len(self.data)} bytes")
        self.place += size
        return self.data[self.place - size : self.place]

    def array(self):
        start, storage, axes = self.numbers("IiI")
        if start != ARRAY or storage != DENSE or axes > 8:
            raise ValueError("an array of a version or storage that is not read")
        shape = self.numbers(f"{axes}q")
        *_, kind = self.numbers("iii")  # after the device
        if kind not in TYPES or min(shape, default=1) < 0:
            raise ValueError(f"an array of the type {kind}")
        kind = np.dtype(TYPES[kind])
        return np.frombuffer(self.take(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)


def read_params(path):
    """Tensors in float32 by name, without MXNet's prefixes."""
    reader = Reader(path.read_bytes())
    try:
        arrays = [reader.array() for _ in range(*reader.numbers("Q"))]
        names = [reader.take(*reader.numbers("Q")).decode() for _ in range(*reader.numbers("Q"))]
        if len(names) != len(arrays):
            raise ValueError(f"{len(arrays)} arrays and {len(names)} names")
    except (ValueError, struct.error, OverflowError) as error:
        fail(f"{path} is a truncated or unsupported .params file of MXNet: {error}")
    return {
        name.removeprefix("arg:").removeprefix("aux:"): torch.from_numpy(array.astype(np.float32))
        for name, array in zip(names, arrays)
    }
