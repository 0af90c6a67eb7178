#!/usr/bin/env python3
"""CLIP's image tower: OpenAI's `ViT-B-32.pt` (any of its ViTs), or a state dict of open_clip or of transformers' CLIPVisionModelWithProjection.

    .venv/bin/python scripts/export/clip.py ViT-B-32.pt [--name clip | --name clip-facecure] [-o FOLDER] [--gelu quick|exact]

The same weights under two cards: `clip` resizes the shorter side and crops the middle, as OpenAI's preprocessing does, `clip-facecure`
squashes, as the paper's code. OpenAI's activation is x·σ(1.702 x), the default here; open_clip's own models mostly have the exact GELU.

OpenAI's file is a TorchScript archive, which is code. Its tensors are read here without running any: see tensors_of_archive().
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
from export.base import arguments, fail, finish, load_into, load_state_dict  # noqa: E402


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight, self.in_proj_bias = nn.Parameter(torch.empty(3 * width, width)), nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
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
        self.transformer = nn.ModuleDict({"resblocks": nn.Sequential(*[Block(width, width // 64, quick) for _ in range(depth)])})
        self.proj = nn.Parameter(torch.empty(width, dimension))

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.size(0), 1, -1), x], 1) + self.positional_embedding
        return self.ln_post(self.transformer["resblocks"](self.ln_pre(x))[:, 0]) @ self.proj


class Holder:
    """An object of whatever class: its attributes and nothing else."""

    def __init__(self, *arguments):
        pass


class TensorsOnly(pickle.Unpickler):
    """Reads a TorchScript archive's data.pkl: objects become plain holders of their attributes, whatever class they name, and nothing of
    any class is ever called."""

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
        types = {"HalfStorage": torch.float16, "FloatStorage": torch.float32, "LongStorage": torch.int64, "DoubleStorage": torch.float64}
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
    """Of a TorchScript archive; None for any other file."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            root = archive.namelist()[0].split("/")[0]
            if not any(name.startswith(f"{root}/code/") for name in archive.namelist()):
                return None
            return dict(named_tensors(TensorsOnly(archive, root).load()))
    except Exception as error:
        fail(f"{path} is a TorchScript archive that cannot be read: {error}")


def from_transformers(tensors):
    """transformers' names in OpenAI's; q, k and v become one matrix."""
    plain = {name.removeprefix("vision_model."): tensor for name, tensor in tensors.items()}
    renamed = {}
    once = {"embeddings.class_embedding": "class_embedding", "embeddings.patch_embedding.weight": "conv1.weight", "embeddings.position_embedding.weight": "positional_embedding",
            "pre_layrnorm": "ln_pre", "post_layernorm": "ln_post"}  # fmt: skip
    parts = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}
    for name, tensor in plain.items():
        if name == "visual_projection.weight":
            renamed["proj"] = tensor.T
        elif name.startswith("encoder.layers."):
            _, _, layer, *rest = name.split(".")
            part, kind = ".".join(rest[:-1]), rest[-1]
            if part in parts:
                renamed[f"transformer.resblocks.{layer}.{parts[part]}.{kind}"] = tensor
            elif part == "self_attn.q_proj":
                three = [plain[f"encoder.layers.{layer}.self_attn.{which}_proj.{kind}"] for which in "qkv"]
                renamed[f"transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(three)
        elif not name.endswith("position_ids"):
            for old, new in once.items():
                if name.startswith(old):
                    renamed[new + name[len(old) :]] = tensor
    return renamed


def image_tensors(path):
    """The image tower's, under OpenAI's names."""
    tensors = tensors_of_archive(path)
    if tensors is None:
        tensors = load_state_dict(path)
    if any(name.startswith("vision_model.") for name in tensors):
        return from_transformers(tensors)
    visual = {name.removeprefix("visual."): tensor for name, tensor in tensors.items() if name.startswith("visual.")}
    return visual or tensors


def build(tensors, where, quick):
    needed = ("conv1.weight", "positional_embedding", "proj")
    missing = [name for name in needed if name not in tensors]
    if missing:
        fail(f"{where} is no CLIP with a ViT: there is no {', no '.join(missing)}")
    width, _, patch, _ = tensors["conv1.weight"].shape
    grid = round((tensors["positional_embedding"].shape[0] - 1) ** 0.5)
    depth = len({name.split(".")[2] for name in tensors if name.startswith("transformer.resblocks.")})
    print(f"ViT, {depth} layers of {width}, patches of {patch}, pictures of {patch * grid}")
    return load_into(ImageTower(width, depth, patch, grid, tensors["proj"].shape[1], quick), tensors, f"{where} is no CLIP with a ViT")


def main(given=None):
    parser = arguments(__doc__, "clip")
    parser.add_argument("--gelu", choices=["quick", "exact"], default="quick")
    options = parser.parse_args(given)
    finish(build(image_tensors(options.checkpoint), options.checkpoint, options.gelu == "quick"), "clip", options)


if __name__ == "__main__":
    main()
