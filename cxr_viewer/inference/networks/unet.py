"""A small U-Net (Ronneberger et al., MICCAI 2015) with residual blocks, for outlining lungs and heart.

The stem halves the film before anything else, and the outline is enlarged again at the end: an outline half a pixel of
the input finer would cost three quarters of all the work.
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn
from torch.nn import functional

from cxr_viewer.inference.networks.base import SegmentNetwork
from cxr_viewer.inference.networks.residual import ResidualBlock

_WIDTHS = (24, 48, 80, 128, 160)


class Unet(nn.Module):
    """Logits (n, outputs, h, w) from (n, 1, h, w); sides are multiples of 32."""

    def __init__(self, outputs: int, widths: tuple[int, ...] = _WIDTHS) -> None:
        super().__init__()
        stem = widths[0]
        self.stem = nn.Sequential(nn.Conv2d(1, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=False))
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList([ResidualBlock(inner, outer, 2) for inner, outer in pairs])
        self.deep = ResidualBlock(widths[-1], widths[-1], 1)
        self.side = nn.ModuleList([nn.Conv2d(outer, inner, 1, bias=False) for inner, outer in reversed(pairs)])
        self.up = nn.ModuleList([ResidualBlock(inner, inner, 1) for inner, _ in reversed(pairs)])
        self.last = nn.Conv2d(stem, outputs, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.stem(x)]
        for down in self.down:
            maps.append(down(maps[-1]))
        y = self.deep(maps.pop())
        for side, up in zip(self.side, self.up, strict=True):
            beside = maps.pop()
            y = up(beside + _enlarged(side(y), beside))
        return functional.interpolate(self.last(y), scale_factor=2.0, mode="bilinear", align_corners=False)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def cxr_unet(outputs: int) -> SegmentNetwork:
    """About 1.2 million parameters."""
    return SegmentNetwork(Unet(outputs))
