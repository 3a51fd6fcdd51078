"""A film at the resolution of the screen, averaged over area so that seen small it has no false lines.

*Stored* values are averaged, and the table is laid over the small film: what a coarser detector would have recorded.
It makes a window drag cost what is on screen, not what is on file, and lines and noise are averaged before a narrow
window sharpens them. The other order (table first, greys averaged) is not the same where the table is not straight.
Measured on five real chest films at half and quarter size, the two differ by up to 13 of 255 grey levels with the
file's own window, up to 49 with the automatic one, and up to 192 with a tenth of its width (where 1 to 7 % of the
pixels are off by more than 4), at letters, wires and edges most. ``tests/benchmarks/grey_values.py`` prints what either
way costs. Seen at 1:1 or larger, and in :func:`cxr_viewer.imaging.render.render_grey`, every stored pixel has its own
grey value.
"""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.padding import averaged, exposed

COARSEST = 16
"""Largest shrinking; a film of 5000 pixels is then 313."""


def factor_for(zoom: float) -> int:
    """Image pixels along a side of the coarsest level that still has a pixel for each pixel of the screen.

    Args:
        zoom: *device* pixels of the screen per image pixel.

    Returns:
        A power of two, 1 to ``COARSEST``.
    """
    if not zoom > 0:
        return COARSEST
    return min(COARSEST, 1 << max(0, math.floor(math.log2(1.0 / zoom) + 1e-9)))


class Pyramid:
    """One film at half, quarter, ... size, each made when it is first asked for. One thread at a time."""

    def __init__(self, stored: NDArray[np.generic]) -> None:
        """``stored``: uint8, uint16 or int16 (rows, columns), or (rows, columns, 3) of a colour picture."""
        self._whole = weakref.ref(stored)  # whoever shows the film keeps it; its pyramid does not
        self._levels: dict[int, NDArray[np.integer[Any]]] = {}

    def level_for(self, zoom: float) -> NDArray[np.integer[Any]]:
        """Stored values for a place on screen: :meth:`level` of :func:`factor_for`."""
        return self.level(factor_for(zoom))

    def level(self, factor: int) -> NDArray[np.integer[Any]]:
        """Stored values averaged over squares of ``factor`` image pixels, rounded to the nearest.

        Returns:
            The film's dtype, (rows / factor, columns / factor) rounded up, read-only. It covers the film exactly, edge
            to edge: where a side is no multiple of ``factor`` its pixels stand for a little less than ``factor``.

        Raises:
            ValueError: ``factor`` is no power of two up to ``COARSEST``.
        """
        if factor not in (1, 2, 4, 8, COARSEST):
            raise ValueError(f"factor is a power of two up to {COARSEST}, not {factor}")
        if factor == 1:
            return self._stored()
        if factor not in self._levels:
            rows, columns = (-(-side // factor) for side in self._stored().shape[:2])
            finer = self.level(factor // 2)
            coarse = cv2.resize(finer, (columns, rows), interpolation=cv2.INTER_AREA)
            coarse.flags.writeable = False
            self._levels[factor] = coarse.astype(finer.dtype, copy=False)
        return self._levels[factor]

    def _stored(self) -> NDArray[np.integer[Any]]:
        return _alive(self._whole)  # type: ignore[return-value]  # stored pixels are whole numbers


class PaddedPyramid:
    """A film with pixel padding at half, quarter, ... size, padding left out of every average. One thread at a time."""

    def __init__(self, image: Radiograph) -> None:
        self._whole = weakref.ref(image.stored)
        self._exposed = exposed(image)
        self._levels: dict[int, tuple[NDArray[np.generic], NDArray[np.uint8]]] = {}

    def level_for(self, zoom: float) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
        """(stored values, how much of each pixel is film, 255 being all of it) for a place on screen."""
        return self.level(factor_for(zoom))

    def level(self, factor: int) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
        """As :meth:`Pyramid.level`, with the share of film of each pixel beside it."""
        if factor == 1:
            return _alive(self._whole), self._exposed
        if factor not in self._levels:
            stored, share = self.level(factor // 2)
            rows, columns = (-(-side // 2) for side in stored.shape)
            self._levels[factor] = averaged(stored, share, (columns, rows))
        return self._levels[factor]


def _alive(film: weakref.ref[NDArray[np.generic]]) -> NDArray[np.generic]:
    stored = film()
    if stored is None:
        raise ReferenceError("the film of this pyramid is gone")
    return stored


_pyramids: dict[int, Pyramid] = {}
_padded: dict[tuple[int, tuple[int, int] | None], PaddedPyramid] = {}
_pyramids_lock = threading.Lock()


def pyramid_of(stored: NDArray[np.generic]) -> Pyramid:
    """The pyramid of these pixels, the same as long as they live, so that it can be made ahead on another thread."""
    with _pyramids_lock:
        known = _pyramids.get(id(stored))
        if known is None:
            known = _pyramids[id(stored)] = Pyramid(stored)
            weakref.finalize(stored, _pyramids.pop, id(stored), None).atexit = False
        return known


def padded_pyramid_of(image: Radiograph) -> PaddedPyramid:
    """The padded pyramid of a film's pixels, the same as long as they live."""
    key = id(image.stored), image.padding
    with _pyramids_lock:
        known = _padded.get(key)
        if known is None:
            known = _padded[key] = PaddedPyramid(image)
            weakref.finalize(image.stored, _padded.pop, key, None).atexit = False
        return known
