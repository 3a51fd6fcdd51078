"""What lies over the film on a page: the graphics of its file, the heat map, and the scale that belongs to that."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxr_viewer.core.display import OverlayMode, OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.colormap import colourise
from cxr_viewer.imaging.graphics import Graphics, coloured
from cxr_viewer.imaging.grid import whole
from cxr_viewer.imaging.heatmap import contour_colour, contour_levels, contours_on_image, heatmap_on_image
from cxr_viewer.imaging.render import oriented
from cxr_viewer.outputs.placement import PagePlacement

_SHIFT = 4  # cv2 takes positions in sixteenths of a pixel
_STRIP_ROWS = 128  # numpy's look-up keeps every other thread waiting, so the film is coloured in strips
_FILM_GREY = (110, 110, 110)
_GRAPHICS = (124, 227, 139)
_HATCH = (163, 171, 181)
_HATCH_STEP_PX, _HATCH_LINE_PX, _HATCH_SHARE = 26, 3, 0.45


def draw_graphics(
    film: NDArray[np.uint8], image: Radiograph, placement: PagePlacement, *, line_px: int = 1
) -> NDArray[np.uint8]:
    """The film with the graphics its file draws over it (60xx), in one colour with a dark outline.

    Args:
        film: uint8 (height, width, 3), the whole film at page size.
        line_px: width of the thinnest line on the page, odd; 1 draws on the pixels of the graphics and no others.

    Returns:
        uint8 of the same shape; ``film`` is not changed.
    """
    if not image.overlays:
        return film
    height, width = film.shape[:2]
    if placement.orientation.quarter_turns % 2:
        height, width = width, height
    ink = oriented(Graphics(image).on(whole(image.rows, image.columns, height, width)), placement.orientation)
    ink = cv2.dilate(np.ascontiguousarray(ink, dtype=np.uint8), np.ones((line_px, line_px), np.uint8))
    return laid_over(film, coloured(np.asarray(ink, dtype=np.uint8), _GRAPHICS, (line_px + 1) // 2))


def draw_heatmap(
    film: NDArray[np.uint8], heatmap: Heatmap, overlay: OverlayState, placement: PagePlacement
) -> NDArray[np.uint8]:
    """The film with the map over it.

    Args:
        film: uint8 (height, width, 3), the whole film at page size.
        placement: where it lies; only its size and orientation matter here.

    Returns:
        uint8 of the same shape; ``film`` is not changed.
    """
    if overlay.mode is OverlayMode.CONTOUR:
        return _with_contours(film, heatmap, overlay, placement)
    side = max(placement.width, placement.height)
    values = heatmap_on_image(heatmap, placement.rows, placement.columns, side)
    values = np.ascontiguousarray(oriented(values, placement.orientation), dtype=np.float32)
    size = (placement.width, placement.height)
    if values.shape[::-1] != size:
        values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    mixed = np.empty_like(film)
    for top in range(0, len(film), _STRIP_ROWS):
        part = slice(top, top + _STRIP_ROWS)
        mixed[part] = laid_over(film[part], colourise(values[part], overlay.threshold, overlay.alpha))
    return mixed


def laid_over(film: NDArray[np.uint8], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (height, width, 3) under uint8 (height, width, 4), which is not premultiplied."""
    share = colours[:, :, 3:].astype(np.float32) / 255
    return np.rint(film + (colours[:, :, :3].astype(np.float32) - film) * share).astype(np.uint8)


def _with_contours(
    film: NDArray[np.uint8], heatmap: Heatmap, overlay: OverlayState, placement: PagePlacement
) -> NDArray[np.uint8]:
    drawn = film.copy()
    wide = max(2, round(max(placement.width, placement.height) / 500))
    for level in contour_levels(overlay):
        lines = [_on_film(line, placement) for line in contours_on_image(heatmap, level)]
        for colour, width in (((0, 0, 0), 2 * wide + 2), (contour_colour(level), wide)):
            cv2.polylines(drawn, lines, True, colour, width, cv2.LINE_AA, _SHIFT)
    share = min(1.0, 0.4 + overlay.alpha)
    return np.asarray(cv2.addWeighted(drawn, share, film, 1 - share, 0), dtype=np.uint8)


def _on_film(line: NDArray[np.float64], placement: PagePlacement) -> NDArray[np.int32]:
    points = (placement.at(Point(float(x), float(y))) for x, y in line)
    return np.array(
        [[round((x - placement.left) * 16 - 8), round((y - placement.top) * 16 - 8)] for x, y in points], np.int32
    ).reshape(-1, 1, 2)


def hatch_unseen(film: NDArray[np.uint8], seen: ImageRect, placement: PagePlacement) -> NDArray[np.uint8]:
    """The film with thin slanted lines over whatever the model was not given."""
    if covers(seen, placement.rows, placement.columns):
        return film
    height, width = film.shape[:2]
    first, last = placement.rect(seen)
    y, x = np.ogrid[:height, :width]
    outside = (
        (x + 0.5 < first.x - placement.left)
        | (x + 0.5 > last.x - placement.left)
        | (y + 0.5 < first.y - placement.top)
        | (y + 0.5 > last.y - placement.top)
    )
    lines = outside & ((x + y) % _HATCH_STEP_PX < _HATCH_LINE_PX)
    hatched = film.copy()
    part = film[lines].astype(np.float32)
    hatched[lines] = np.rint(part + (np.array(_HATCH, np.float32) - part) * _HATCH_SHARE).astype(np.uint8)
    return hatched


def covers(seen: ImageRect, rows: int, columns: int) -> bool:
    """Whether the model was given the whole film, up to half a pixel."""
    return seen.x <= 0.5 and seen.y <= 0.5 and seen.right >= columns - 0.5 and seen.bottom >= rows - 0.5


def colour_bar(width: int, height: int, overlay: OverlayState) -> Image.Image:
    """The scale from 0 to 1 as it looks over a middle grey; in contour mode the lines at their places."""
    bar = np.full((height, width, 3), _FILM_GREY, np.uint8)
    if overlay.mode is OverlayMode.CONTOUR:
        for level in contour_levels(overlay):
            at = min(width - 5, round(level * width))
            bar[:, max(0, at - 4) : at + 5] = (0, 0, 0)
            bar[:, max(0, at - 2) : at + 3] = contour_colour(level)
        return Image.fromarray(bar)
    values = np.broadcast_to(((np.arange(width) + 0.5) / width).astype(np.float32), (height, width))
    return Image.fromarray(laid_over(bar, colourise(np.ascontiguousarray(values), overlay.threshold, overlay.alpha)))
