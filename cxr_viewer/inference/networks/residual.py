"""Small residual networks (He et al., CVPR 2016), made for training on an ordinary computer."""

from __future__ import annotations

from torch import Tensor, nn

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


def residual_trunk(widths: tuple[int, ...], blocks: tuple[int, ...]) -> nn.Module:
    """One-channel trunk; the map is 1/4 of the input after the stem and halves at every further width."""
    stem = widths[0]
    layers: list[nn.Module] = [
        nn.Conv2d(1, stem, 5, 2, 2, bias=False),
        nn.BatchNorm2d(stem),
        nn.ReLU(inplace=False),
        nn.AvgPool2d(2),
    ]
    inputs = stem
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        for index in range(count):
            last = stage == len(widths) - 1 and index == count - 1
            layers.append(ResidualBlock(inputs, width, 2 if stage > 0 and index == 0 else 1, last=last))
            inputs = width
    return nn.Sequential(*layers)


def cxr_small(outputs: int) -> CamNetwork:
    """About 1.2 million parameters; the map has 1/16 of the input's side."""
    return CamNetwork(residual_trunk((32, 64, 176), (1, 2, 2)), 176, outputs)


def cxr_tiny(outputs: int) -> CamNetwork:
    """A few thousand parameters, for tests of the training code."""
    return CamNetwork(residual_trunk((8, 16), (1, 1)), 16, outputs)
