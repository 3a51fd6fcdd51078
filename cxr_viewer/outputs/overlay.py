"""What lies over the film on a page: graphics of its file, heat map with its scale, outlines, unseen strips."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cxr_viewer.core.display import OverlayMode, OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.colormap import colourise
from cxr_viewer.imaging.graphics import Graphics, coloured
from cxr_viewer.imaging.grid import whole
from cxr_viewer.imaging.heatmap import contour_colour, contour_levels, contours_on_image, heatmap_on_image
from cxr_viewer.imaging.render import oriented
from cxr_viewer.imaging.structures import main_line, name_places, outlines_on_image, structure_colour
from cxr_viewer.outputs.placement import PagePlacement
from cxr_viewer.outputs.text import Colour, Style, draw_text, text_width

_SHIFT = 4  # cv2 takes positions in sixteenths of a pixel
_STRIP_ROWS = 128  # numpy's look-up keeps every other thread waiting, so the film is coloured in strips
_FILM_GREY = (110, 110, 110)
_GRAPHICS = (124, 227, 139)
_HATCH = (163, 171, 181)
_HATCH_RIM = (30, 34, 38)
_HATCH_SHARE = 0.4
_HATCH_STEP_SHARE, _LEAST_HATCH_STEP_PX = 0.014, 8  # of the film's long side; small films are enlarged to be read


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
        lines = [_sixteenths(_on_film(line, placement)) for line in contours_on_image(heatmap, level)]
        for colour, width in (((0, 0, 0), 2 * wide + 2), (contour_colour(level), wide)):
            cv2.polylines(drawn, lines, True, colour, width, cv2.LINE_AA, _SHIFT)
    share = min(1.0, 0.4 + overlay.alpha)
    return np.asarray(cv2.addWeighted(drawn, share, film, 1 - share, 0), dtype=np.uint8)


def _on_film(line: NDArray[np.float64], placement: PagePlacement) -> NDArray[np.float64]:
    """A line of image points, float64 (n, 2), in pixels of the film on the page."""
    points = [placement.at(Point(x, y)) for x, y in line.tolist()]
    return np.array(points, np.float64).reshape(-1, 2) - (placement.left, placement.top)


def _sixteenths(line: NDArray[np.float64]) -> NDArray[np.int32]:
    """As cv2 takes it: the first pixel's centre is at 0 there and at 0.5 here."""
    return np.rint(line * 16 - 8).astype(np.int32).reshape(-1, 1, 2)


def hatch_unseen(film: NDArray[np.uint8], strips: tuple[ImageRect, ...], placement: PagePlacement) -> NDArray[np.uint8]:
    """The film with thin slanted lines over what the model was not given.

    A light line and a dark one beside it: seen on air and on bone, in print as on screen, and the film stays readable.

    Args:
        film: uint8 (height, width, 3), the whole film at page size.
        strips: parts of the film in image pixels, as of :func:`cxr_viewer.core.seeing.unseen_strips`.

    Returns:
        uint8 of the same shape; ``film`` is not changed.
    """
    if not strips:
        return film
    height, width = film.shape[:2]
    outside = np.zeros((height, width), np.bool_)
    for strip in strips:
        first, last = placement.rect(strip)
        rows = slice(max(0, round(first.y - placement.top)), max(0, round(last.y - placement.top)))
        columns = slice(max(0, round(first.x - placement.left)), max(0, round(last.x - placement.left)))
        outside[rows, columns] = True
    step = max(_LEAST_HATCH_STEP_PX, round(max(height, width) * _HATCH_STEP_SHARE))
    line = max(1, step // 10)
    y, x = np.ogrid[:height, :width]
    phase = (x + y) % step
    hatched = film.copy()
    for low, colour in ((0, _HATCH), (line, _HATCH_RIM)):
        lines = outside & (phase >= low) & (phase < low + line)
        part = film[lines].astype(np.float32)
        hatched[lines] = np.rint(part + (np.array(colour, np.float32) - part) * _HATCH_SHARE).astype(np.uint8)
    return hatched


def draw_structures(
    film: NDArray[np.uint8], outlines: Sequence[Heatmap], structures: Sequence[str], placement: PagePlacement
) -> NDArray[np.uint8]:
    """The film with the outlines of structures, each with its name in its colour.

    Args:
        film: uint8 (height, width, 3), the whole film at page size.
        outlines: what is drawn; ``structures``: all that the model outlines, which the colours go by.

    Returns:
        uint8 of the same shape; ``film`` is not changed.
    """
    drawn = film.copy()
    wide = max(2, round(max(placement.width, placement.height) / 600))
    named: list[tuple[str, Colour, NDArray[np.float64]]] = []
    for heatmap in outlines:
        lines = [_on_film(line, placement) for line in outlines_on_image(heatmap)]
        colour = structure_colour(heatmap.label, structures)
        for ink, width in (((0, 0, 0), 2 * wide + 1), (colour, wide)):
            cv2.polylines(drawn, [_sixteenths(line) for line in lines], True, ink, width, cv2.LINE_AA, _SHIFT)
        main = main_line(lines)
        if main is not None:
            named.append((heatmap.label, colour, main))
    page = Image.fromarray(drawn)
    _write_names(page, named)
    return np.asarray(page, dtype=np.uint8)


def _write_names(page: Image.Image, named: list[tuple[str, Colour, NDArray[np.float64]]]) -> None:
    size = max(11, round(max(page.size) / 75))
    styles = [Style(size, colour, outline=(0, 0, 0)) for _, colour, _ in named]
    sizes = [(text_width(name, style), float(style.line_px)) for (name, _, _), style in zip(named, styles, strict=True)]
    bounds = (4.0, 4.0, page.width - 4.0, page.height - 4.0)
    draw = ImageDraw.Draw(page)
    places = name_places([line for _, _, line in named], sizes, bounds)
    for (name, _, _), style, (left, top, _, _) in zip(named, styles, places, strict=True):
        draw_text(draw, (left, top), name, style)


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
