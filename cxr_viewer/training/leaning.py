"""What a classifier leans on: how much of its answer is left when the lungs are taken away, or the frame exchanged.

In data from one hospital the frame of a film (field size, arms, markers, sharpness) may tell the answer, because ill
and well people are filmed on different units. A network that has learned this does well on its own test films and badly
elsewhere, and no figure of the test films shows it. These probes do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.findings import InputSpec, Metric
from cxr_viewer.training.measure import AUC, RANKING, label_metrics

Floats = NDArray[np.float32]
Values = NDArray[np.float64]
Scorer = Callable[[Floats], Values]
"""Inputs (n, channels, size, size) -> any score of one finding that rises with it, (n,)."""

CENTRE_SHARES = (0.6, 0.7, 0.8)
FRAME = 0.1
"""Share of the side that the frame of another film takes on every side."""
MOVED = 0.05
"""Share of the side by which the cut is moved."""
FRAMED, OWN, CUT = (
    f"{AUC}, frame of another film",
    f"{AUC} of the frame's own label",
    f"{AUC}, cut moved by {MOVED:.0%}",
)
PROBES = (*(f"{AUC}, centre blanked {share:.0%}" for share in CENTRE_SHARES), FRAMED, OWN, CUT)
"""Names of the figures."""
_RESAMPLES = 1000


def leaning(
    label: str,
    truth: Values,
    inputs: Floats,
    score: Scorer,
    patients: Sequence[str],
    data: str,
    spec: InputSpec,
    *,
    seed: int = 0,
) -> tuple[Metric, ...]:
    """AUC of one finding on films that were tampered with; 0.5 is chance.

    - ``AUC, centre blanked N %``: the middle square of N % of the side is black. Where the input is cut to the lungs,
      what is left still shows their edges, so some answer may rightly be left.
    - ``AUC, frame of another film``: the outer tenth of each side comes from a film drawn by chance; the AUC should
      stay.
    - ``AUC of the frame's own label``: in the same mixed films, how well the score tells the label of the film that
      only gave the frame; it should be 0.5.
    - ``AUC, cut moved by 5 %``: every film moved by 5 % of the side in a direction drawn by chance, as where the lungs'
      box is not quite right; the AUC should stay.

    Args:
        truth: (n,), 1, 0 or nan (unknown: counts nowhere).
        inputs: (n, channels, size, size), as the network is fed them.
        data: what the films are and their split, for the metrics.
    """
    known = np.isfinite(truth)
    inputs, truth = inputs[known], truth[known]
    of = [patient for patient, keep in zip(patients, known, strict=True) if keep]
    chance = np.random.default_rng(seed)
    giver = chance.permutation(len(inputs))
    mixed = framed(inputs, inputs[giver])
    tampered = [(blanked(inputs, share, spec), truth) for share in CENTRE_SHARES]
    tampered += [(mixed, truth), (mixed, truth[giver]), (moved(inputs, chance), truth)]
    out: list[Metric] = []
    for name, (films, told) in zip(PROBES, tampered, strict=True):
        figures = label_metrics(
            label, told, score(films), 0.0, of, data, names=RANKING[:1], resamples=_RESAMPLES, seed=seed
        )
        out += [_called(name, figure) for figure in figures]
    return tuple(out)


def blanked(inputs: Floats, share: float, spec: InputSpec) -> Floats:
    """The films with the middle square of ``share`` of the side black."""
    size = inputs.shape[-1]
    edge = round(size * (1 - share) / 2)
    out = inputs.copy()
    for channel in range(inputs.shape[1]):
        mean = spec.channel_means[channel] if spec.channel_means else spec.mean
        std = spec.channel_stds[channel] if spec.channel_stds else spec.std
        out[:, channel, edge : size - edge, edge : size - edge] = -mean / std
    return out


def framed(inputs: Floats, others: Floats) -> Floats:
    """The middle of ``inputs`` in the frames of ``others``."""
    size = inputs.shape[-1]
    edge = round(size * FRAME)
    out = others.copy()
    out[:, :, edge : size - edge, edge : size - edge] = inputs[:, :, edge : size - edge, edge : size - edge]
    return out


def moved(inputs: Floats, chance: np.random.Generator) -> Floats:
    """Every film moved by :data:`MOVED` of the side to one of eight sides; its edge is drawn out into the gap."""
    step = max(1, round(MOVED * inputs.shape[-1]))
    sides = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    padded = np.pad(inputs, ((0, 0), (0, 0), (step, step), (step, step)), mode="edge")
    out = np.empty_like(inputs)
    size = inputs.shape[-1]
    for index, side in enumerate(chance.integers(len(sides), size=len(inputs))):
        y, x = (step * (1 + one) for one in sides[side])
        out[index] = padded[index, :, y : y + size, x : x + size]
    return out


def _called(name: str, figure: Metric) -> Metric:
    return Metric(
        name, figure.value, figure.low, figure.high, figure.data, figure.count, figure.label, positives=figure.positives
    )
