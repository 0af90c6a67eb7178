"""The three networks of the MTCNN face detector as one module with three methods."""
from typing import Tuple

import torch
from torch import Tensor, nn

from .tflite_reader import read_tflite


class Mtcnn(nn.Module):
    """Takes ordinary (not transposed) RGB pictures, N×3×H×W, scaled to (x - 127.5) / 128."""

    def __init__(self, proposal: nn.Module, refinement: nn.Module, output: nn.Module):
        super().__init__()
        self.proposal, self.refinement, self.output = proposal, refinement, output

    # The graphs are read up to the two-class logits; class 1 is "face".
    @torch.jit.export
    def pnet(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        logits, box = self.proposal(x)
        return torch.softmax(logits, 1)[:, 1], box

    @torch.jit.export
    def rnet(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        logits, box = self.refinement(x)
        return torch.softmax(logits, 1)[:, 1], box

    @torch.jit.export
    def onet(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        logits, box, landmarks = self.output(x)
        return torch.softmax(logits, 1)[:, 1], box, landmarks


def build_mtcnn(pnet, rnet, onet):
    return Mtcnn(
        read_tflite(pnet, ["pnet/conv4-1/BiasAdd", "pnet/conv4-2/BiasAdd"], transposed=True),
        read_tflite(rnet, ["rnet/conv5-1/conv5-1", "rnet/conv5-2/conv5-2"], transposed=True),
        read_tflite(onet, ["onet/conv6-1/conv6-1", "onet/conv6-2/conv6-2", "onet/conv6-3/conv6-3"], transposed=True),
    ).eval()
