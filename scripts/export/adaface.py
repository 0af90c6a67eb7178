#!/usr/bin/env python3
"""AdaFace: the authors' checkpoints, such as `adaface_ir50_ms1mv2.ckpt`, of an IR 18, 34, 50 or 101, with their head,
which is dropped.

    .venv/bin/python scripts/export/adaface.py adaface_ir101_webface12m.ckpt [--name adaface] [-o FOLDER]

The embedding has length one: the first of the two things that the authors' network returns. The second, the length, is
left out.
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
    blocks, complaint = blocks_of(tensors), f"{options.checkpoint} is no IR of AdaFace's"
    if blocks not in DEPTHS:
        fail(f"{complaint}: its stages have {blocks} blocks, expected one of {', '.join(map(str, DEPTHS))}")
    finish(load_into(IR(blocks, adaface=True), tensors, complaint), "adaface", options, f"IR-{DEPTHS[blocks]}")


if __name__ == "__main__":
    main()
