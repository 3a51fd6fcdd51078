"""Small residual networks (He et al., CVPR 2016), made for training on an ordinary computer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cxr_viewer.inference.networks.base import CamNetwork


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al., 2016). ``last`` leaves the closing ReLU to the head."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, last: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU(inplace=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            pool: nn.Module = nn.AvgPool2d(stride) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.relu2: nn.Module = nn.Identity() if last else nn.ReLU(inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y)) + self.shortcut(x)
        out: Tensor = self.relu2(y)
        return out


class FoldedStem(nn.Module):
    """From (n, 1, h, w) to (n, width, h/4, w/4): every 4x4 pixels become 16 channels, then one 3x3 convolution.

    On a processor a third faster than a convolution over the single channel, and nothing is averaged away before the
    network has looked at it. Sides are multiples of 4.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(self.norm(self.conv(functional.pixel_unshuffle(x, 4))))
        return out


class SideBySide(nn.Module):
    """Trunks that each look at the same film; their maps are one after the other, (n, members * k, h, w)."""

    def __init__(self, trunks: list[nn.Module]) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(trunks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([trunk(x) for trunk in self.trunks], dim=1)


def residual_trunk(widths: tuple[int, ...], blocks: tuple[int, ...], *, folded: bool = False) -> nn.Module:
    """One-channel trunk; the map is 1/4 of the input after the stem and halves at every further width.

    Args:
        folded: begin with :class:`FoldedStem`.
    """
    stem = widths[0]
    layers: list[nn.Module] = [FoldedStem(stem)] if folded else _plain_stem(stem)
    inputs = stem
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for index in range(count):
            last = stage == len(widths) - 1 and index == count - 1
            layers.append(ResidualBlock(inputs, width, 2 if stage > 0 and index == 0 else 1, last=last))
            inputs = width
    return nn.Sequential(*layers)


def _plain_stem(width: int) -> list[nn.Module]:
    return [
        nn.Conv2d(1, width, 5, 2, 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=False),
        nn.AvgPool2d(2),
    ]


def cxr_small(outputs: int) -> CamNetwork:
    """About 1.2 million parameters; the map has 1/16 of the input's side."""
    return CamNetwork(residual_trunk((32, 64, 176), (1, 2, 2)), 176, outputs)


def cxr_guard(outputs: int) -> CamNetwork:
    """About 0.37 million parameters, for films at 128 px; the map has 1/32 of the input's side."""
    return CamNetwork(residual_trunk((24, 48, 80, 128), (1, 1, 1, 1)), 128, outputs)


def cxr_committee(outputs: int) -> CamNetwork:
    """Two networks side by side, about 2.2 million parameters; the map has 1/16 of the input's side.

    The members share nothing but the film. Their mean is better than either, and than one network of their size,
    because they err differently; the one linear layer over both makes them one network with one map per label.
    """
    trunks = [residual_trunk((32, 64, 176), (1, 2, 2), folded=True) for _ in range(2)]
    return CamNetwork(SideBySide(trunks), 2 * 176, outputs, members=2)


def cxr_tiny(outputs: int) -> CamNetwork:
    """A few thousand parameters, for tests of the training code."""
    return CamNetwork(residual_trunk((8, 16), (1, 1)), 16, outputs)
