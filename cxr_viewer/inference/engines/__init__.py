"""Things that run a network. What they share is here; nothing heavy is imported.

* ``openvino``: the CPU engine of the window. Needs no torch in its process.
* ``torch``: the reference, and CUDA.
* ``child``: torch in a process of its own, so that neither its import (1.4 s, most of it without giving way to other
  threads) nor a fault in a driver reaches the window.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.findings import ModelCard

Floats = NDArray[np.float32]

ONNX_NETWORK = "onnx"
"""``ModelCard.network`` of models that somebody else made, in ONNX."""


F32, BF16, INT8, ONNX, TORCH = "openvino-f32", "openvino-bf16", "openvino-int8", "onnxruntime", "torch"

ENGINES = (F32, BF16, INT8, ONNX, TORCH)
"""Names of the engines on the CPU, as a reader may ask for them."""

CANDIDATES = (F32, BF16, INT8, ONNX)
"""Engines of the window's process, among which the fastest is chosen where its scores agree."""


class Engine(Protocol):
    """A network with its weights, ready to run. Used on one thread."""

    @property
    def device_name(self) -> str:
        """For the reader, e.g. ``"CPU (OpenVINO)"``."""
        ...

    @property
    def head_weights(self) -> Floats | None:
        """Weights of the linear head, float32 (k, c): k labels, c feature maps. None where the network does not end
        in ReLU > global average > linear (or is a segmenter): there is no map in its forward pass then."""
        ...

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        """One forward pass.

        Args:
            batch: float32 (n, channels, size, size) from ``preprocess.prepare``.

        Returns:
            Logits before calibration, (n, k) of a classifier, (n, k, h, w) of a segmenter; and the post-ReLU feature
            maps (n, c, h, w), None exactly where ``head_weights`` is. All float32 and the caller's own.

        Raises:
            ModelError: the engine failed.
        """
        ...

    def close(self) -> None:
        """Give memory and processes back. Safe to call twice."""
        ...


def pass_key(card: ModelCard) -> str:
    """Names all that a forward pass depends on, hexadecimal.

    The digest of the weights is not enough: two cards may read the same weights differently (another size of the input,
    other columns of an ONNX file's output), and the score of one must never stand beside a finding of the other.
    """
    return _digest(card.sha256, card.network, card.input, card.onnx, len(card.labels))


def score_key(card: ModelCard) -> str:
    """Names all that the scores as shown depend on, hexadecimal: how far engines agree is told on that scale.

    What the cardiothoracic ratio adds is the same on every engine.
    """
    own = tuple((label.threshold, label.score_kind, label.temperature, label.bias) for label in card.labels)
    site = () if card.site is None else card.site.labels
    return _digest(pass_key(card), card.score_kind, card.temperature, card.bias, own, site)


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def one_by_one(answer: Callable[[Floats], tuple[Floats, Floats | None]], batch: Floats) -> tuple[Floats, Floats | None]:
    """The answers to the films of a batch, for engines whose graph takes one film at a time."""
    answers = [answer(batch[index : index + 1]) for index in range(len(batch))]
    maps = [features for _, features in answers if features is not None]
    return np.concatenate([logits for logits, _ in answers]), np.concatenate(maps) if maps else None


def thread_count() -> int:
    """Threads for one forward pass on the CPU: half of the cores, at least 1 and at most 4.

    The window, the reading processes and the table look-up want the others. *Measured* on a machine of two cores, small
    network, OpenVINO: 2.3 ms with one thread, 2.5 ms with two.
    """
    return max(1, min(4, (os.cpu_count() or 2) // 2))
