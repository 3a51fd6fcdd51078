"""What the networks have in common: a classifier that explains itself, and a network that outlines."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CamNetwork(nn.Module):
    """A convolutional classifier with a head that explains itself.

    Args:
        trunk: maps (n, channels, size, size) to (n, k, h, w).
        width: k, the number of feature maps.
        outputs: number of labels.
        members: networks side by side in the trunk, each with an equal share of the maps, one after the other.

    Attributes:
        members: as given.
        trunk: everything before the last ReLU.
        relu: the last ReLU; hook methods of the ``grad-cam`` library take it as their target layer.
        classifier: linear layer from k pooled features to one logit per label.
    """

    def __init__(self, trunk: nn.Module, width: int, outputs: int, members: int = 1) -> None:
        super().__init__()
        self.members = members
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

    def votes(self, maps: Tensor) -> Tensor:
        """Logits of every member for itself, (members, n, outputs), from the post-ReLU map; their mean is the answer.

        In training each member is held to the truth on its own; were only the mean, they would lean on one another.
        """
        pooled = maps.mean(dim=(2, 3)).reshape(maps.shape[0], self.members, -1)
        weights = self.classifier.weight.reshape(self.classifier.out_features, self.members, -1)
        return torch.einsum("nmk,omk->mno", pooled, weights) * self.members + self.classifier.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.logits_and_features(x)[0]


class SegmentNetwork(nn.Module):
    """A network that says of each pixel of its input to which anatomical structures it belongs.

    Args:
        body: maps (n, channels, size, size) to logits (n, k, size, size); a pixel may belong to several structures.

    Attributes:
        body: the whole network.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, k, size, size); a structure covers the pixels above 0."""
        logits: Tensor = self.body(x)
        return logits
