"""Pixels of more than 16 bits, whole numbers or floating point, in 65,536 steps. Runs in the reader process only.

No radiograph has them; doses, maps and other results of calculations do. They are shown all the same: the steps go into
the rescale, so that windows and the values under the pointer stay those of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import ModalityTable, Rescale
from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import faults
from cxr_viewer.sources.greys import GreyChain
from cxr_viewer.sources.pixelformat import PixelFormat
from cxr_viewer.sources.tolerant import Cautions

_STEPS = 65535
_LARGEST = 1e30
"""Beyond this, products with a rescale would overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class SixteenBits:
    """``stored`` is uint16 (rows, columns), read-only; ``scale`` leads back to the file's own numbers."""

    stored: NDArray[np.uint16]
    scale: Rescale


def to_sixteen_bits(words: NDArray[Any], rows: int, form: PixelFormat, cautions: Cautions) -> SixteenBits:
    """The lowest number of the frame becomes 0, the highest 65535; whole numbers that lie closer keep their steps.

    Args:
        words: uint32, float32 or float64 (rows, columns).
        rows: rows from the top that the file holds; the others become 0.

    Raises:
        ReadError: no pixel holds a number.
    """
    numbers = words[:rows]
    if not form.floating:
        numbers = (numbers.view(np.int32) if form.signed else numbers).astype(np.float64)
    usable = np.isfinite(numbers) & (np.abs(numbers) <= _LARGEST)
    if not usable.any():
        raise faults.damaged("no pixel holds a number")
    if not usable.all():
        cautions.add("not-finite", "Some pixels hold no number; they are shown as the lowest value.", "BitsAllocated")
    low, high = float(numbers[usable].min()), float(numbers[usable].max())
    exact = not form.floating and high - low <= _STEPS
    step = 1.0 if exact or high <= low else (high - low) / _STEPS
    stored = np.zeros((form.rows, form.columns), np.uint16)
    stored[:rows] = np.round((np.where(usable, numbers, low) - low) / step)
    stored.flags.writeable = False
    kind = "floating point numbers" if form.floating else f"{form.bits_allocated} bits per pixel"
    text = f"The picture has {kind}, as results of calculations do; it is shown in 65,536 steps."
    cautions.add("deep-pixels", text, "BitsAllocated")
    return SixteenBits(stored, Rescale(step, low))


def behind(grey: GreyChain, scale: Rescale, cautions: Cautions) -> GreyChain:
    """The file's own chain for numbers that were brought to 16 bits."""
    own = grey.modality_lut
    if isinstance(own, ModalityTable):
        cautions.add("bad-lut", "The file's table is for fewer bits than its pixels have.", "ModalityLUTSequence")
        cautions.story.pass_over(Stage.MODALITY, "The Modality LUT is passed over: it is for fewer bits.")
        own = Rescale()
    rule = f"Before that they were brought to 16 bits: a step is {scale.slope:g}, the lowest {scale.intercept:g}."
    cautions.story.tell(Stage.MODALITY, rule)
    joined = Rescale(own.slope * scale.slope, own.slope * scale.intercept + own.intercept)
    return replace(grey, modality_lut=joined, padding=None)
