#!/usr/bin/env python3
"""Exports DINOv2 (Oquab et al. 2023), an image encoder that was trained without labels: Meta's
`dinov2_vits14_pretrain.pth`, and ViT-B/14 and ViT-L/14.

    .venv/bin/python scripts/export/dinov2.py dinov2_vits14_pretrain.pth [--name dinov2-s] [-o FOLDER]

The embedding is the class token, normalised as in the authors' code. Layer names, shapes and the arithmetic are those
of facebookresearch/dinov2, dinov2/models/vision_transformer.py. The position embeddings of the patches were learnt for
pictures of 518; the export resamples them once for 224.
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from export.base import arguments, card_like, fail, finish, load_into, load_state_dict, unwrap  # noqa: E402

SIDE, PATCH, HEAD = 224, 14, 64  # pixels, pixels, width of a head
EPSILON = 1e-6
SIZES = {384: "S", 768: "B", 1024: "L"}


class Scaled(nn.Module):
    """Each channel times a learnt number."""

    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x):
        return x * self.gamma


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv, self.proj, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), width // HEAD

    def forward(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, width))


class Perceptron(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(width, EPSILON), Attention(width), Scaled(width)
        self.norm2, self.mlp, self.ls2 = nn.LayerNorm(width, EPSILON), Perceptron(width), Scaled(width)

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """Pictures of 224 × 224 → width."""

    def __init__(self, width, depth):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, (SIDE // PATCH) ** 2 + 1, width))
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, EPSILON)

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.size(0), -1, -1), x], 1) + self.pos_embed
        return self.norm(self.blocks(x))[:, 0]


def resampled(places):
    """The position embeddings for pictures of 224, made from those of another size as in the authors' code."""
    first, patches = places[:, :1].float(), places[:, 1:].float()
    learnt, wanted = round(patches.shape[1] ** 0.5), SIDE // PATCH
    if learnt == wanted:
        return torch.cat([first, patches], 1)
    square = patches.view(1, learnt, learnt, -1).permute(0, 3, 1, 2)
    factor = (wanted + 0.1) / learnt  # as in the authors' code: a factor that is slightly too large
    square = F.interpolate(square, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat([first, square.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def main(given=None):
    options = arguments(__doc__).parse_args(given)
    tensors = unwrap(load_state_dict(options.checkpoint), "patch_embed.proj.weight")
    complaint = f"{options.checkpoint} is not a DINOv2"
    if "pos_embed" not in tensors or tensors["pos_embed"].dim() != 3:
        fail(f"{complaint}: it lacks patch_embed.proj.weight or pos_embed")
    if "register_tokens" in tensors:
        fail(f"{complaint} without registers: it has register_tokens; the file without _reg4 in its name is read")
    width = tensors["pos_embed"].shape[2]
    if width not in SIZES:
        fail(f"{complaint} of ViT-S, B or L: its tokens have {width} numbers, expected {', '.join(map(str, SIZES))}")
    tensors.pop("mask_token", None)  # for training
    tensors["pos_embed"] = resampled(tensors["pos_embed"])
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    module = load_into(VisionTransformer(width, depth), tensors, complaint)
    options.name = options.name or f"dinov2-{SIZES[width].lower()}"
    title = f"DINOv2 ViT-{SIZES[width]}/14, an image encoder"
    finish(module, card_like("dinov2-s", title=title), options, f"ViT-{SIZES[width]}/14, {depth} layers")


if __name__ == "__main__":
    main()
