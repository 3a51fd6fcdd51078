"""Networks this program knows by name.

Every network here ends in ReLU > global average pooling > linear. With that head the class activation map of an
output is ``einsum("k,khw->hw", classifier.weight[output], features(x))`` and equals Grad-CAM on the last map up to its
positive scale (Zhou et al., CVPR 2016; Selvaraju et al., ICCV 2017), so all maps come from the one forward pass.
No ReLU works in place: activation-storing hooks would otherwise see overwritten values.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cxr_viewer.core.errors import ModelError


class CamNetwork(nn.Module):
    """A convolutional classifier with a head that explains itself.

    Args:
        trunk: maps (n, channels, size, size) to (n, k, h, w).
        width: k, the number of feature maps.
        outputs: number of labels.

    Attributes:
        trunk: everything before the last ReLU.
        relu: the last ReLU; hook methods of the ``grad-cam`` library take it as their target layer.
        classifier: linear layer from k pooled features to one logit per label.
    """

    def __init__(self, trunk: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.relu = nn.ReLU(inplace=False)
        self.classifier = nn.Linear(width, outputs)

    def features(self, x: Tensor) -> Tensor:
        """The map after the last ReLU, (n, k, h, w), all values >= 0."""
        maps: Tensor = self.relu(self.trunk(x))
        return maps

    def logits_and_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, outputs) and the post-ReLU map (n, k, h, w) of one pass; what an engine exports."""
        maps = self.features(x)
        logits: Tensor = self.classifier(maps.mean(dim=(2, 3)))
        return logits, maps

    def forward(self, x: Tensor) -> Tensor:
        return self.logits_and_features(x)[0]


class _ResidualBlock(nn.Module):
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


def _residual_trunk(widths: tuple[int, ...], blocks: tuple[int, ...]) -> nn.Module:
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
            layers.append(_ResidualBlock(inputs, width, 2 if stage > 0 and index == 0 else 1, last=last))
            inputs = width
    return nn.Sequential(*layers)


def _cxr_small(outputs: int) -> CamNetwork:
    """About 1.2 million parameters; the map has 1/16 of the input's side."""
    return CamNetwork(_residual_trunk((32, 64, 176), (1, 2, 2)), 176, outputs)


def _cxr_tiny(outputs: int) -> CamNetwork:
    """A few thousand parameters, for tests of the training code."""
    return CamNetwork(_residual_trunk((8, 16), (1, 1)), 16, outputs)


NETWORKS: dict[str, Callable[[int], CamNetwork]] = {
    "cxr-small": _cxr_small,
    "cxr-tiny": _cxr_tiny,
}


def build_network(name: str, outputs: int) -> CamNetwork:
    """The network called ``name`` with ``outputs`` labels, randomly initialised, in training mode.

    Raises:
        ModelError: no such network.
    """
    maker = NETWORKS.get(name)
    if maker is None:
        known = ", ".join(sorted(NETWORKS))
        raise ModelError(
            f"This program does not know the network “{name}”.",
            hint="The model may need a newer version of the program.",
            detail=f"known networks: {known}",
            code="unknown-network",
        )
    return maker(outputs)


def load_network(name: str, outputs: int, state: dict[str, Tensor]) -> CamNetwork:
    """The network called ``name`` with the given weights, in evaluation mode.

    Raises:
        ModelError: no such network, or the weights do not fit it.
    """
    network = build_network(name, outputs)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"The weights do not belong to the network “{name}”.",
            hint="Install the model again.",
            detail=str(error),
            code="weights-mismatch",
        ) from error
    return network.eval()


def parameter_count(network: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in network.parameters())


def activation_maps(network: CamNetwork, features: Tensor) -> Tensor:
    """Class activation maps (n, outputs, h, w) from post-ReLU features (n, k, h, w), before any clipping at 0."""
    return torch.einsum("ok,nkhw->nohw", network.classifier.weight, features)
