#!/usr/bin/env python3
"""Exports CLIP's image tower, ViT-B/32: OpenAI's `ViT-B-32.pt`, or a state dict of open_clip or transformers
(CLIPVisionModelWithProjection or the whole CLIPModel).

    .venv/bin/python scripts/export/clip.py ViT-B-32.pt [--name clip | --name clip-facecure] [-o FOLDER]
        [--gelu quick|exact]

Two cards use the same weights: `clip` resizes the shorter side and crops the middle, as OpenAI's preprocessing does;
`clip-facecure` squashes, as the paper's code does. OpenAI's activation is x·σ(1.702 x), the default here; most of
open_clip's own models have the exact GELU.

OpenAI's file is a TorchScript archive: PyTorch's weights_only reader refuses it, and torch.jit.load runs its code.
TensorsOnly reads its tensors from the zip instead, with an unpickler that knows only tensors and dictionaries. Half
precision becomes float32.
"""
import io
import pickle
import sys
import zipfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import (  # noqa: E402
    WRAPPERS,
    arguments,
    fail,
    finish,
    load_into,
    load_state_dict,
    sentence,
    sha256_of,
    unwrap,
)

# The sha256 of ViT-B-32.pt in OpenAI's own loader and in the file's address.
PUBLISHED = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
SIDE = 224


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight, self.in_proj_bias = (
            nn.Parameter(torch.empty(3 * width, width)),
            nn.Parameter(torch.empty(3 * width)),
        )
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(n, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width))


class Think(nn.Module):
    def __init__(self, width, quick):
        super().__init__()
        self.c_fc, self.c_proj, self.quick = nn.Linear(width, 4 * width), nn.Linear(4 * width, width), quick

    def forward(self, x):
        x = self.c_fc(x)
        return self.c_proj(x * torch.sigmoid(1.702 * x) if self.quick else F.gelu(x))


class Block(nn.Module):
    def __init__(self, width, heads, quick):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(width), Attention(width, heads)
        self.ln_2, self.mlp = nn.LayerNorm(width), Think(width, quick)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class ImageTower(nn.Module):
    """OpenAI's names. Heads are 64 wide."""

    def __init__(self, width, depth, patch, grid, dimension, quick):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(grid * grid + 1, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.ModuleDict(
            {"resblocks": nn.Sequential(*[Block(width, width // 64, quick) for _ in range(depth)])}
        )
        self.proj = nn.Parameter(torch.empty(width, dimension))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.size(0), 1, -1), x], 1) + self.positional_embedding
        return self.ln_post(self.transformer["resblocks"](self.ln_pre(x))[:, 0]) @ self.proj


class Holder:
    """Stands for an object of any class; holds only its attributes."""

    def __init__(self, *arguments):
        pass


class TensorsOnly(pickle.Unpickler):
    """Reads a TorchScript archive's data.pkl. Objects of any class become plain holders of their attributes, and no
    code of any class is called."""

    def __init__(self, archive, root):
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *rest: torch.as_strided(storage, size, stride, offset)
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name.endswith("Storage"):
            return name
        return Holder

    def persistent_load(self, place):
        _, kind, key, _, count = place
        types = {
            "HalfStorage": torch.float16,
            "FloatStorage": torch.float32,
            "LongStorage": torch.int64,
            "DoubleStorage": torch.float64,
        }
        if kind not in types:
            raise pickle.UnpicklingError(f"a tensor of {kind}")
        return torch.frombuffer(bytearray(self.archive.read(f"{self.root}/data/{key}")), dtype=types[kind])[:count]


def named_tensors(holder, prefix=""):
    for name, value in vars(holder).items():
        if isinstance(value, torch.Tensor):
            yield prefix + name, value
        elif hasattr(value, "__dict__"):
            yield from named_tensors(value, f"{prefix}{name}.")


def tensors_of_archive(path):
    """The tensors of a TorchScript archive; None for any other file."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            root = archive.namelist()[0].split("/")[0]
            if not any(name.startswith(f"{root}/code/") for name in archive.namelist()):
                return None
            return dict(named_tensors(TensorsOnly(archive, root).load()))
    except Exception as error:
        fail(f"{path} is a TorchScript archive that cannot be read: {sentence(str(error)) or type(error).__name__}")


# transformers' names of the tower's parts → OpenAI's.
TRANSFORMERS = {
    "vision_model.": "", "embeddings.class_embedding": "class_embedding", "embeddings.patch_embedding": "conv1",
    "embeddings.position_embedding.weight": "positional_embedding", "pre_layrnorm": "ln_pre",
    "post_layernorm": "ln_post",
    "encoder.layers.": "transformer.resblocks.", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


def from_transformers(tensors):
    """Renames transformers' tensors to OpenAI's names; q, k and v become one matrix. Unknown names of the tower stay,
    to be refused later."""
    renamed = {}
    for name, tensor in tensors.items():
        if name == "visual_projection.weight":
            renamed["proj"] = tensor.T
        elif name.startswith("vision_model.") and not name.endswith("position_ids"):
            for theirs, ours in TRANSFORMERS.items():
                name = name.replace(theirs, ours)
            renamed[name] = tensor
    for name in [name for name in renamed if ".self_attn.q_proj." in name]:
        names = [name.replace("q_proj", f"{which}_proj") for which in "qkv"]
        if all(part in renamed for part in names):
            renamed[name.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(
                [renamed.pop(part) for part in names]
            )
    return renamed


def image_tensors(path):
    """The image tower's tensors, under OpenAI's names. Other parts of a whole CLIP are left out."""
    tensors = tensors_of_archive(path)
    if tensors is None:
        tensors = load_state_dict(path)
    theirs = unwrap(tensors, "vision_model.")
    return from_transformers(theirs) if theirs else unwrap(tensors, "conv1.weight", (*WRAPPERS, "visual"))


def build(tensors, where, quick):
    complaint = f"{where} is not a CLIP with a ViT"
    axes = {"conv1.weight": 4, "positional_embedding": 2, "proj": 2}
    missing = [name for name in axes if name not in tensors or tensors[name].dim() != axes[name]]
    if missing:
        fail(f"{complaint}: there is no {', no '.join(missing)}")
    width, _, patch, _ = tensors["conv1.weight"].shape
    grid = round((tensors["positional_embedding"].shape[0] - 1) ** 0.5)
    layers = len({name.split(".")[2] for name in tensors if name.startswith("transformer.resblocks.")})
    if width % 64 or patch * grid != SIDE:
        fail(
            f"{where} is a ViT of width {width} for pictures of {patch * grid}; "
            f"the cards need heads of 64 and pictures of {SIDE}"
        )
    return load_into(ImageTower(width, layers, patch, grid, tensors["proj"].shape[1], quick), tensors, complaint)


def main(given=None):
    parser = arguments(__doc__, "clip")
    parser.add_argument("--gelu", choices=["quick", "exact"], help="default: quick")
    options = parser.parse_args(given)
    gelu = options.gelu or "quick"
    module = build(image_tensors(options.checkpoint), options.checkpoint, gelu == "quick")
    published = sha256_of(options.checkpoint) == PUBLISHED
    print(f"{options.checkpoint.name} is {'' if published else 'not '}the file that OpenAI published")
    if not published and not options.gelu:  # the tensors do not show which one it is
        print("took OpenAI's quick GELU; most of open_clip's own models need --gelu exact")
    width, layers = module.proj.shape[0], len(module.transformer["resblocks"])
    finish(module, "clip", options, f"ViT/{module.conv1.kernel_size[0]}, {layers} layers of {width}, {gelu} GELU")


if __name__ == "__main__":
    main()
