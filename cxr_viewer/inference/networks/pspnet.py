"""Pyramid scene parsing (Zhao et al., CVPR 2017) as trained on ChestX-Det (Lian et al., IEEE TMI 2021).

A dilated ResNet-101 sees the film at 1/8 of its side; averages over 6 x 6, 3 x 3, 2 x 2 and 1 x 1 fields of that map
tell every place what lies around it. Both enlargements are bilinear with pixel areas aligned, not corners
(``align_corners=False``), and the fields are those of a plain average pooling with whole strides, which leaves out the
rows and columns that do not fill a field: so it was trained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_FIELDS = (6, 3, 2, 1)


class _Bottleneck(nn.Module):
    """1x1, 3x3 (with stride or dilation), 1x1 convolution beside a shortcut, which is one itself where sizes change."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, dilation: int, *, first: bool) -> None:
        super().__init__()
        self.reduce = _convolved(inputs, middle, 1)
        self.spread = _convolved(middle, middle, 3, stride, dilation)
        self.expand = _convolved(middle, outputs, 1, relu=False)
        self.shortcut = _convolved(inputs, outputs, 1, stride, relu=False) if first else nn.Identity()
        self.relu = nn.ReLU(inplace=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.expand(self.spread(self.reduce(x))) + self.shortcut(x))
        return y


class PspNet(nn.Module):
    """Logits (n, outputs, h, w) from (n, 3, h, w); sides are multiples of 8, at least 48."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _convolved(3, 64, 3, 2), _convolved(64, 64, 3), _convolved(64, 128, 3), nn.MaxPool2d(3, 2, 1)
        )
        self.stages = nn.Sequential(
            _stage(3, 128, 64, stride=1, dilation=1),
            _stage(4, 256, 128, stride=2, dilation=1),
            _stage(23, 512, 256, stride=1, dilation=2),
            _stage(3, 1024, 512, stride=1, dilation=4),
        )
        self.paths = nn.ModuleList([_convolved(2048, 512, 1) for _ in _FIELDS])
        self.merge = _convolved(4096, 512, 3)
        self.classifier = nn.Conv2d(512, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.stages(self.stem(x))
        rows, columns = maps.shape[2:]
        pyramid = [maps]
        for path, count in zip(self.paths, _FIELDS, strict=True):
            fields = functional.avg_pool2d(maps, (rows // count, columns // count))
            pyramid.append(_enlarged(path(fields), (rows, columns)))
        logits = self.classifier(self.merge(torch.cat(pyramid, dim=1)))
        return _enlarged(logits, (x.shape[2], x.shape[3]))


def _stage(blocks: int, inputs: int, middle: int, *, stride: int, dilation: int) -> nn.Sequential:
    outputs = 4 * middle
    first = _Bottleneck(inputs, middle, outputs, stride, dilation, first=True)
    others = [_Bottleneck(outputs, middle, outputs, 1, dilation, first=False) for _ in range(blocks - 1)]
    return nn.Sequential(first, *others)


def _convolved(
    inputs: int, outputs: int, side: int, stride: int = 1, dilation: int = 1, *, relu: bool = True
) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, batch normalisation, and a ReLU unless it comes later."""
    padding = dilation * (side // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, side, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=False)) if relu else nn.Sequential(*layers)


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
