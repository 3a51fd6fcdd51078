"""Runs the loop on a lesson made of numbers: a program of its own, to be started by torchrun or killed midway.

python plain_run.py OUT [--die-in-epoch N] [--accumulate N] [--epochs N]
"""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cxr_viewer.training.ddp import leave
from cxr_viewer.training.lesson import Batch, Judgement
from cxr_viewer.training.loop import RunOptions, learn
from cxr_viewer.training.recipe import LoopConfig

SAMPLES = 48


class PlainLesson:
    """Eight numbers say yes or no; no norm over the batch, so the gradient of a batch is the mean of its parts."""

    def __init__(self, dies_in_epoch: int = 0) -> None:
        chance = np.random.default_rng(0)
        self._inputs = chance.standard_normal((SAMPLES, 1, 2, 4)).astype(np.float32)
        self._truth = (self._inputs.sum(axis=(1, 2, 3)) > 0).astype(np.float32)
        self._dies_in_epoch, self._judged = dies_in_epoch, 0

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.Tanh(), nn.Dropout(0.0), nn.Linear(6, 1))

    def order(self, chance: np.random.Generator) -> NDArray[np.int64]:
        return chance.permutation(SAMPLES)

    def batch(self, samples: NDArray[np.int64], chance: np.random.Generator) -> Batch:
        return {"film": torch.from_numpy(self._inputs[samples]), "target": torch.from_numpy(self._truth[samples])}

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        logits = network(batch["film"])[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(logits.float(), batch["target"])

    def judge(self, network: nn.Module) -> Judgement:
        self._judged += 1
        if self._judged == self._dies_in_epoch:
            os.kill(os.getpid(), signal.SIGKILL)
        logits = network(torch.from_numpy(self._inputs))[:, 0].numpy()
        return Judgement(float(((logits > 0) == (self._truth > 0)).mean()), 0.0, {"half": 0.5})


def config(accumulate: int = 1, epochs: int = 3) -> LoopConfig:
    return LoopConfig(epochs=epochs, batch=12, accumulate=accumulate, learning_rate=0.05, patience=9, half=False)


def run(out: Path, *, accumulate: int = 1, epochs: int = 3, dies_in_epoch: int = 0) -> dict[str, Tensor]:
    """The network's weights after the last step (not the averaged ones)."""
    kept: list[nn.Module] = []

    class Keeping(PlainLesson):
        def network(self) -> nn.Module:
            kept.append(super().network())
            return kept[0]

    options = RunOptions(device="cpu", threads=1, quiet=True)
    learn(Keeping(dies_in_epoch), config(accumulate, epochs), out, settings={"batch": 12}, options=options)
    return {name: value.detach().clone() for name, value in kept[0].state_dict().items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--die-in-epoch", type=int, default=0)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    args = parser.parse_args()
    weights = run(args.out, accumulate=args.accumulate, epochs=args.epochs, dies_in_epoch=args.die_in_epoch)
    torch.save(weights, args.out / f"rank{os.environ.get('RANK', '0')}.pt")
    leave()
