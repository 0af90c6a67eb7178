#!/usr/bin/env python3
"""Exports AdaFace: the authors' checkpoints of an IR 18, 34, 50 or 101, such as `adaface_ir50_ms1mv2.ckpt`. Their head
is dropped.

    .venv/bin/python scripts/export/adaface.py adaface_ir101_webface12m.ckpt [--name adaface] [-o FOLDER]

The authors' network returns an embedding of length one and the length that it had. Only the embedding is kept.
"""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, fail, finish, load_into, load_state_dict, unwrap  # noqa: E402
from export.ir import IR, blocks_of  # noqa: E402

DEPTHS = {(2, 2, 2, 2): 18, (3, 4, 6, 3): 34, (3, 4, 14, 3): 50, (3, 13, 30, 3): 101}  # as AdaFace names them


def main(given=None):
    options = arguments(__doc__, "adaface").parse_args(given)
    tensors = unwrap(load_state_dict(options.checkpoint), "body.")
    blocks, complaint = blocks_of(tensors), f"{options.checkpoint} is not an AdaFace IR"
    if blocks not in DEPTHS:
        fail(f"{complaint}: its stages have {blocks} blocks, expected one of {', '.join(map(str, DEPTHS))}")
    finish(load_into(IR(blocks, adaface=True), tensors, complaint), "adaface", options, f"IR-{DEPTHS[blocks]}")


if __name__ == "__main__":
    main()
