"""Maps that need further forward passes and nothing else: the same on every engine, for all findings at once.

Every function takes an engine and one film, asks the engine in batches of :data:`BATCH`, can be cancelled between them
and tells how far it is. No gradient is needed, so a model in ONNX can be explained as well; occlusion needs not even
to know what the network is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.engines import Engine, Floats

BATCH = 8
"""Films asked at once: small enough to be cancelled soon and to fit beside a window."""

OCCLUSION_CELLS = 14
"""The occlusion map has 14 x 14 cells: the stride is a fourteenth of the side, the patch two cells, a seventh."""

Progress = Callable[[int, int], None]
"""Told how many passes are done, and of how many."""


def occlusion(engine: Engine, film: Floats, cancel: CancelToken, progress: Progress) -> Floats:
    """By how much the logits fall when a part of the film is hidden (Zeiler and Fergus, ECCV 2014).

    A square patch, a seventh of the side, is moved by half its width; under it the film has its own mean grey. A cell
    is covered by four patches, at the edge by parts of patches: 225 passes. Its value is their mean fall, a part of a
    patch counting for what it hides.

    Args:
        film: float32 (1, channels, size, size), at least 14 px.

    Returns:
        float32 (k, 14, 14), clipped at 0, in logits per patch.

    Raises:
        CancelledError: ``cancel`` was set.
        ModelError: the engine failed.
    """
    cells, size = OCCLUSION_CELLS, film.shape[-1]
    edges = np.rint(np.linspace(0, size, cells + 1)).astype(int)
    spans = [(max(0, first), min(cells, first + 2)) for first in range(-1, cells)]
    patches = [(rows, columns) for rows in spans for columns in spans]
    # One pass for the whole film first: the same engine, the same rounding as the others.
    whole = engine.run(film)[0][0].astype(np.float64)
    grey = film.mean(axis=(2, 3), keepdims=True)[0]

    def hidden() -> Iterator[Floats]:
        for rows, columns in patches:
            one = film[0].copy()
            one[:, edges[rows[0]] : edges[rows[1]], edges[columns[0]] : edges[columns[1]]] = grey
            yield one

    falls = np.zeros((whole.size, cells, cells))
    shares = np.zeros((cells, cells))
    answers = _logits(engine, hidden(), len(patches), cancel, progress)
    for (rows, columns), logits in zip(patches, answers, strict=True):
        place = np.s_[rows[0] : rows[1], columns[0] : columns[1]]
        area = (edges[rows[1]] - edges[rows[0]]) * (edges[columns[1]] - edges[columns[0]])
        falls[(slice(None), *place)] += (whole - logits)[:, None, None]
        shares[place] += area / size**2
    patch = (2 / cells) ** 2
    return np.maximum(falls / shares * patch, 0).astype(np.float32)


def score_cam(engine: Engine, film: Floats, features: Floats, cancel: CancelToken, progress: Progress) -> Floats:
    """ScoreCAM (Wang et al., CVPRW 2020) of all findings from the same passes, one for each feature map.

    The film is shown through each feature map, stretched to 0..1; a map weighs as much as the softmax, over the maps,
    of the logit that comes out. Equal to the ``grad-cam`` library's, which repeats the passes for each finding: for
    18 findings of a network with 1024 feature maps 18 432 passes in place of 1024.

    Args:
        film: float32 (1, channels, size, size).
        features: float32 (c, h, w) of this film.

    Returns:
        float32 (k, h, w), clipped at 0; not in logits.

    Raises:
        CancelledError: ``cancel`` was set.
        ModelError: the engine failed.
    """
    size = film.shape[-1]
    down, across = (_corner_aligned(cells, size) for cells in features.shape[1:])

    def through() -> Iterator[Floats]:
        for one in features:
            mask = down @ one @ across.T
            low, high = float(mask.min()), float(mask.max())
            yield film[0] * ((mask - low) / np.float32(high - low + 1e-8))

    logits = np.stack(list(_logits(engine, through(), len(features), cancel, progress)))
    weights = np.exp(logits - logits.max(axis=0))
    weights /= weights.sum(axis=0)
    maps: Floats = np.maximum(np.einsum("ck,chw->khw", weights, features), 0).astype(np.float32)
    return maps


def _corner_aligned(cells: int, size: int) -> Floats:
    """Linear interpolation of ``cells`` values to ``size``, float32 (size, cells), the outer ones on the edges, as
    torch's ``UpsamplingBilinear2d`` does."""
    place = np.linspace(0, cells - 1, size)
    low = np.minimum(place.astype(int), max(0, cells - 2))
    matrix = np.zeros((size, cells), dtype=np.float32)
    matrix[np.arange(size), low] = 1 - (place - low)
    matrix[np.arange(size), np.minimum(low + 1, cells - 1)] += place - low
    return matrix


def _logits(
    engine: Engine, films: Iterator[Floats], total: int, cancel: CancelToken, progress: Progress
) -> Iterator[Floats]:
    for logits, _ in _answers(engine, films, total, cancel, progress):
        yield logits


def _answers(
    engine: Engine, films: Iterator[Floats], total: int, cancel: CancelToken, progress: Progress
) -> Iterator[tuple[Floats, Floats | None]]:
    """Logits (k,) and features (c, h, w) of films (channels, size, size), asked in batches."""
    done = 0
    while done < total:
        cancel.raise_if_cancelled()
        progress(done, total)
        batch = np.stack(list(islice(films, min(BATCH, total - done))))
        logits, features = engine.run(np.ascontiguousarray(batch, dtype=np.float32))
        done += len(batch)
        for index in range(len(batch)):
            yield logits[index], None if features is None else features[index]
