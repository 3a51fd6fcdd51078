"""Grey pixels at the resolution of the screen, averaged over area so that a film seen small has no false lines.

The table is laid over every stored pixel first and grey values are averaged afterwards. Averaging stored values once
and laying the table over the small film would save a millisecond, but where the table is not straight it shows greys
no pixel has. Measured on five real chest films at half and quarter size: up to 13 of 255 grey levels with the file's
own window, up to 49 with the automatic one, up to 192 with a tenth of its width (where 1 to 7 % of the pixels are off
by more than 4), at letters, wires and edges most. ``tests/benchmarks/grey_values.py`` prints what either way costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.imaging import luts

COARSEST = 16
"""Largest shrinking; a film of 5000 pixels is then 313."""


@dataclass(frozen=True, slots=True, eq=False)
class GreyLevel:
    """A film in grey at one resolution.

    Attributes:
        pixels: uint8 (rows / factor, columns / factor), rounded up, C-ordered. It belongs to the :class:`Pyramid` and
            is written over by the next call.
        factor: 1, 2, 4, ... image pixels along each side of a pixel.
        extent: the part of the image, in image pixels, that ``pixels`` covers exactly. Where a side of the film is no
            multiple of ``factor`` it reaches less than one of its pixels over the edge, filled with the edge's grey.
    """

    pixels: NDArray[np.uint8]
    factor: int
    extent: ImageRect


def factor_for(zoom: float) -> int:
    """The coarsest power of two that still has a pixel for each pixel of the screen.

    Args:
        zoom: *device* pixels of the screen per image pixel.
    """
    if not zoom > 0:
        return COARSEST
    return min(COARSEST, 1 << max(0, math.floor(math.log2(1.0 / zoom) + 1e-9)))


class Pyramid:
    """Turns the stored pixels of one film to grey at the resolution needed. One thread at a time.

    It keeps its buffers, since fresh pages for each frame of a drag cost as much as the work itself.
    """

    def __init__(self, stored: NDArray[np.generic]) -> None:
        """``stored``: uint8, uint16 or int16 (rows, columns)."""
        self._stored = stored
        self._buffers: dict[int, NDArray[np.uint8]] = {}

    def grey(self, table: NDArray[np.uint8], factor: int = 1) -> GreyLevel:
        """The film through a table of :func:`luts.compose`, averaged over squares of ``factor`` image pixels.

        Raises:
            ValueError: ``factor`` is no power of two up to ``COARSEST``.
        """
        if factor not in (1, 2, 4, 8, COARSEST):
            raise ValueError(f"factor is a power of two up to {COARSEST}, not {factor}")
        rows, columns = self._stored.shape
        full = self._buffer(1, -(-rows // factor) * factor, -(-columns // factor) * factor)
        luts.apply(self._stored, table, full[:rows, :columns])
        full[:rows, columns:] = full[:rows, columns - 1 : columns]
        full[rows:] = full[rows - 1]
        level = full
        for step in (2, 4, 8, COARSEST):
            if step > factor:
                break
            half = self._buffer(step, level.shape[0] // 2, level.shape[1] // 2)
            cv2.resize(level, (half.shape[1], half.shape[0]), dst=half, interpolation=cv2.INTER_AREA)
            level = half
        extent = ImageRect(0.0, 0.0, float(level.shape[1] * factor), float(level.shape[0] * factor))
        return GreyLevel(level, factor, extent)

    def _buffer(self, factor: int, rows: int, columns: int) -> NDArray[np.uint8]:
        buffer = self._buffers.get(factor)
        if buffer is None or buffer.shape != (rows, columns):
            buffer = np.empty((rows, columns), dtype=np.uint8)
            self._buffers[factor] = buffer
        return buffer
