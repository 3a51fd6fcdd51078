"""The visible part of a film at the resolution of the screen, as grey values or in its own colours.

Stored values are brought to the pixels of the screen once per place and kept; a window drag then only lays a new table
over what is in sight. They are interpolated linearly from the pyramid level next finer than the screen, so that fine
lines do not turn into patterns, and are the film's own where one image pixel is one device pixel. Pixel padding is left
out of every average, so that the border of the exposed field neither gleams nor darkens; padding and shutter are laid
over the grey values last.
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
from cxr_viewer.imaging.grid import Axis, Grid
from cxr_viewer.imaging.padding import divided
from cxr_viewer.imaging.pyramid import COARSEST, padded_pyramid_of, pyramid_of
from cxr_viewer.imaging.render import as_rgb
from cxr_viewer.imaging.shutter import covered
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


def grid_of(placement: Placement, area: DeviceRect) -> Grid:
    """The device pixels of ``area`` as a grid over the film."""
    m = np.linalg.inv(np.vstack([placement.matrix, (0.0, 0.0, 1.0)])) / placement.frame.device_ratio
    right, down = (area.x, area.width), (area.y, area.height)
    turned = abs(m[0, 1]) > abs(m[0, 0])
    axes = []
    for row, along_right in ((0, not turned), (1, turned)):
        step = float(m[row, 0] if along_right else m[row, 1])
        start, count = right if along_right else down
        axes.append(Axis(float(m[row, 2]) * placement.frame.device_ratio + step * start, step, count))
    return Grid(axes[0], axes[1], bool(turned))


def sampled(source: NDArray[ScalarT], matrix: NDArray[np.float64], area: DeviceRect) -> NDArray[ScalarT]:
    """``source`` at the places ``matrix`` names, linearly interpolated: (area.height, area.width, ...).

    Its edge goes on beyond the border.
    """
    rows, columns, shifted = _in_sight(matrix, area, source.shape)
    return _warped(source[rows, columns], shifted, area)


def _in_sight(
    matrix: NDArray[np.float64], area: DeviceRect, shape: tuple[int, ...]
) -> tuple[slice, slice, NDArray[np.float64]]:
    """The rows and columns of an array that ``area`` shows, and ``matrix`` for that part of it."""
    ends = np.array([[0, area.width, 0, area.width], [0, 0, area.height, area.height]], dtype=np.float64)
    ends = matrix[:, :2] @ ends + matrix[:, 2:]
    x0, y0 = (int(v) for v in np.floor(ends.min(axis=1)) - _MARGIN)
    x1, y1 = (int(v) for v in np.ceil(ends.max(axis=1)) + _MARGIN)
    x0, y0 = min(max(x0, 0), shape[1] - 1), min(max(y0, 0), shape[0] - 1)
    shifted = matrix.copy()
    shifted[:, 2] -= (x0, y0)
    return slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1)), shifted  # no side beyond cv2's 32,767


def _warped(part: NDArray[Any], matrix: NDArray[np.float64], area: DeviceRect) -> NDArray[Any]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(part, matrix, (area.width, area.height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=part.dtype)


def sampled_film(
    stored: NDArray[np.generic], share: NDArray[np.uint8], matrix: NDArray[np.float64], area: DeviceRect
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """As :func:`sampled`, padding left out: stored values, and how much of each is film (255 being all of it)."""
    rows, columns, shifted = _in_sight(matrix, area, stored.shape)
    weight = share[rows, columns].astype(np.float32) / np.float32(255)
    summed = _warped(stored[rows, columns].astype(np.float32) * weight, shifted, area)
    return divided(summed, _warped(weight, shifted, area), stored.dtype)


def make_ready(image: Radiograph) -> None:
    """Work out ahead, on any thread, what the first drawing of a film needs (about 20 ms for 9 megapixels)."""
    luts.pattern_counts(image)
    if _is_padded(image):
        padded_pyramid_of(image).level(COARSEST)
    else:
        pyramid_of(image.stored if image.rgb is None else image.rgb).level(COARSEST)


def _is_padded(image: Radiograph) -> bool:
    return image.padding is not None and image.rgb is None


@dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """What lies over the grey values: they are multiplied by ``share`` (255 being 1), and ``grey`` is added."""

    share: NDArray[np.uint8]
    grey: NDArray[np.uint8] | None

    def over(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        dimmed = cv2.multiply(picture, self.share, picture, scale=1 / 255)
        return np.asarray(dimmed if self.grey is None else cv2.add(dimmed, self.grey, dimmed), dtype=np.uint8)


class FilmLayer:
    """Grey values (or colours) of one film for one widget. Keeps what it worked out last."""

    def __init__(self, image: Radiograph) -> None:
        self.image = image
        self._pixels = image.stored if image.rgb is None else image.rgb
        self._whole = ImageRect(0.0, 0.0, float(image.columns), float(image.rows))
        self._pyramid = pyramid_of(self._pixels)
        self._looked_at: tuple[Placement, bool, bool] | None = None
        self._area = DeviceRect(0, 0, 0, 0)
        self._visible: NDArray[np.generic] = np.empty((0, 0), image.stored.dtype)
        self._cover: _Cover | None = None
        self._table_of: tuple[Voi | None, bool] | None = None
        self._table = np.empty(0, np.uint8)

    def render(
        self, placement: Placement, voi: Voi | None, inverted: bool, *, padding: bool = True, shutter: bool = True
    ) -> tuple[DeviceRect, NDArray[np.uint8]]:
        """Where on the widget (device pixels) the film shows, and what is seen there.

        Args:
            padding: show pixel padding black.
            shutter: cover what the file's display shutter covers.

        Returns:
            The place; grey values, uint8 (height, width), or (height, width, 3) in red, green, blue of a colour film.
        """
        looked_at = placement, padding, shutter
        if looked_at != self._looked_at:
            self._area = visible_rect(placement, self._whole)
            self._look(*looked_at)
            self._looked_at = looked_at
        if self._area.empty:
            return self._area, np.empty((0, 0), np.uint8)
        if self._table_of != (voi, inverted):
            self._table = luts.compose(self.image, voi, inverted)
            self._table_of = (voi, inverted)
        picture = luts.apply(self._visible, self._table)
        return self._area, picture if self._cover is None else self._cover.over(picture)

    def _look(self, placement: Placement, padding: bool, shutter: bool) -> None:
        """Stored values at the pixels of the screen, and what covers them."""
        area, share = self._area, None
        self._cover = None
        if area.empty:
            return
        zoom = placement.zoom * placement.frame.device_ratio
        if padding and _is_padded(self.image):
            level, film = padded_pyramid_of(self.image).level_for(zoom)
            matrix = device_to_source(placement, area, self._whole, level.shape)
            self._visible, share = sampled_film(level, film, matrix, area)
        else:
            level = self._pyramid.level_for(zoom)
            self._visible = sampled(level, device_to_source(placement, area, self._whole, level.shape), area)
        grid = grid_of(placement, area)
        hidden = covered(self.image, grid) if shutter else None
        self._cover = _cover(share, None if hidden is None else grid.shown(hidden), self.image)


def _cover(share: NDArray[np.uint8] | None, hidden: NDArray[np.bool_] | None, image: Radiograph) -> _Cover | None:
    """Padding black, and over it what the shutter hides in its grey."""
    if share is None and (hidden is None or not hidden.any()):
        return None
    grey = None
    if hidden is not None and image.shutter is not None:
        share = np.where(hidden, np.uint8(0), np.uint8(255) if share is None else share)
        grey = np.where(hidden, np.uint8(image.shutter.grey), np.uint8(0))
    if share is not None and image.rgb is not None:
        share, grey = as_rgb(share), None if grey is None else as_rgb(grey)
    return None if share is None else _Cover(share, grey)
