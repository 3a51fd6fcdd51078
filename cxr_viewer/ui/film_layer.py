"""The visible part of a film at the resolution of the screen, as grey values.

Stored values are brought to the pixels of the screen once per place and kept; a window drag then only lays a new table
over what is in sight. They are interpolated linearly from the pyramid level next finer than the screen, so that fine
lines do not turn into patterns, and are the film's own where one image pixel is one device pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph, Voi
from cxr_viewer.imaging import luts
from cxr_viewer.imaging.pyramid import COARSEST, pyramid_of
from cxr_viewer.ui.placement import Placement

ScalarT = TypeVar("ScalarT", bound=np.generic)

_MARGIN = 3  # source pixels kept around the visible part, for interpolation


@dataclass(frozen=True, slots=True)
class DeviceRect:
    """A rectangle of whole device pixels of a widget."""

    x: int
    y: int
    width: int
    height: int

    @property
    def empty(self) -> bool:
        return self.width <= 0 or self.height <= 0


def visible_rect(placement: Placement, rect: ImageRect) -> DeviceRect:
    """The device pixels that show ``rect``, cut to the widget."""
    ratio = placement.frame.device_ratio
    left, top, right, bottom = (round(edge * ratio) for edge in placement.rect_on_widget(rect))
    left, top = max(0, left), max(0, top)
    right = min(math.ceil(placement.frame.width * ratio), right)
    bottom = min(math.ceil(placement.frame.height * ratio), bottom)
    return DeviceRect(left, top, right - left, bottom - top)


def device_to_source(
    placement: Placement, area: DeviceRect, extent: ImageRect, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """float64 (2, 3) for ``cv2.warpAffine(..., WARP_INVERSE_MAP)``: pixel index in ``area`` to index in an array.

    Args:
        extent: what the array covers, edge to edge, in image pixels.
        shape: (rows, columns, ...) of the array.
    """
    image_to_widget = np.vstack([placement.matrix, (0.0, 0.0, 1.0)])
    ratio = placement.frame.device_ratio
    pixel_to_widget = np.array(
        [[1 / ratio, 0.0, (area.x + 0.5) / ratio], [0.0, 1 / ratio, (area.y + 0.5) / ratio], [0.0, 0.0, 1.0]]
    )
    fx, fy = shape[1] / extent.width, shape[0] / extent.height
    image_to_index = np.array([[fx, 0.0, -extent.x * fx - 0.5], [0.0, fy, -extent.y * fy - 0.5], [0.0, 0.0, 1.0]])
    result: NDArray[np.float64] = (image_to_index @ np.linalg.inv(image_to_widget) @ pixel_to_widget)[:2]
    return result


def sampled(source: NDArray[ScalarT], matrix: NDArray[np.float64], area: DeviceRect) -> NDArray[ScalarT]:
    """``source`` at the places ``matrix`` names, linearly interpolated: (area.height, area.width).

    Its edge goes on beyond the border.
    """
    ends = np.array([[0, area.width, 0, area.width], [0, 0, area.height, area.height]], dtype=np.float64)
    ends = matrix[:, :2] @ ends + matrix[:, 2:]
    x0, y0 = (int(v) for v in np.floor(ends.min(axis=1)) - _MARGIN)
    x1, y1 = (int(v) for v in np.ceil(ends.max(axis=1)) + _MARGIN)
    x0, y0 = min(max(x0, 0), source.shape[1] - 1), min(max(y0, 0), source.shape[0] - 1)
    part: NDArray[Any] = source[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]  # no side beyond cv2's 32,767
    shifted = matrix.copy()
    shifted[:, 2] -= (x0, y0)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(part, shifted, (area.width, area.height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=source.dtype)


def make_ready(image: Radiograph) -> None:
    """Work out ahead, on any thread, what the first drawing of a film needs (about 20 ms for 9 megapixels)."""
    luts.pattern_counts(image)
    pyramid_of(image.stored).level(COARSEST)


class FilmLayer:
    """Grey values of one film for one widget. Keeps what it worked out last."""

    def __init__(self, image: Radiograph) -> None:
        self.image = image
        self._whole = ImageRect(0.0, 0.0, float(image.columns), float(image.rows))
        self._pyramid = pyramid_of(image.stored)
        self._placement: Placement | None = None
        self._area = DeviceRect(0, 0, 0, 0)
        self._visible: NDArray[np.generic] = np.empty((0, 0), image.stored.dtype)
        self._table_of: tuple[Voi | None, bool] | None = None
        self._table = np.empty(0, np.uint8)

    def render(self, placement: Placement, voi: Voi | None, inverted: bool) -> tuple[DeviceRect, NDArray[np.uint8]]:
        """Where on the widget (device pixels) the film shows, and its grey values there, uint8 (height, width)."""
        if placement != self._placement:
            self._area = visible_rect(placement, self._whole)
            self._visible = self._sample(placement, self._area)
            self._placement = placement
        if self._area.empty:
            return self._area, np.empty((0, 0), np.uint8)
        if self._table_of != (voi, inverted):
            self._table = luts.compose(self.image, voi, inverted)
            self._table_of = (voi, inverted)
        return self._area, luts.apply(self._visible, self._table)

    def _sample(self, placement: Placement, area: DeviceRect) -> NDArray[np.generic]:
        """Stored values at the pixels of the screen."""
        if area.empty:
            return np.empty((0, 0), self.image.stored.dtype)
        level = self._pyramid.level_for(placement.zoom * placement.frame.device_ratio)
        return sampled(level, device_to_source(placement, area, self._whole, level.shape), area)
