"""What a network is to learn, and how it is judged; ``training.loop`` does the rest of the work for every lesson."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, Tensor]
"""What one step learns from: ``"film"`` float32 (n, channels, size, size), normalised, and the lesson's targets."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good a network is on the validation films.

    Attributes:
        score: what training maximises, e.g. the mean AUC; the best epoch is kept by it.
        tie: decides between equal scores, more is better (e.g. minus the log loss).
        figures: everything worth a curve, by name.
    """

    score: float
    tie: float
    figures: dict[str, float] = field(default_factory=dict)


class Lesson(Protocol):
    """One kind of learning. Holds its films in memory; all chance comes from the generators passed in."""

    def network(self) -> nn.Module:
        """The network, freshly initialised from torch's generator, in training mode. Called once per run."""
        ...

    def order(self, chance: np.random.Generator) -> NDArray[np.int64]:
        """The samples of one epoch, (m,); balancing is done here."""
        ...

    def batch(self, samples: NDArray[np.int64], chance: np.random.Generator) -> Batch:
        """Augmented samples. Called on another thread while the network learns, so it must not touch torch's state."""
        ...

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of one batch, a scalar; runs the network. Called under autocast where that is in use."""
        ...

    def judge(self, network: nn.Module) -> Judgement:
        """Measure the averaged weights on the validation films. The network is in evaluation mode."""
        ...
