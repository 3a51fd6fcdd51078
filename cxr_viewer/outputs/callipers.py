"""The callipers of the cardiothoracic ratio on a film of a report, as they lie on the screen."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cxr_viewer.core.anatomy import Callipers
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import PixelSpacing
from cxr_viewer.outputs.placement import PagePlacement
from cxr_viewer.outputs.text import Colour, Style, draw_text, text_width

AUTOMATIC: Colour = (147, 220, 232)
BY_HAND: Colour = (255, 216, 102)
_RIM: Colour = (0, 0, 0)
_LINE_PX, _RIM_PX = 4, 10
_SHIFT = 4  # cv2 takes positions in sixteenths of a pixel
_TICK_PX, _DASH_PX, _GAP_PX = 18, 26, 18
_LABEL_GAP_PX = 22

Line = tuple[Point, Point]


def draw_callipers(
    page: Image.Image, callipers: Callipers, words: str, spacing: PixelSpacing | None, placement: PagePlacement
) -> None:
    """Midline dashed, three lines with ticks at their ends, ``words`` below the chest's line."""
    colour = BY_HAND if callipers.edited else AUTOMATIC
    lines = [_at(line, placement) for line in callipers.lines(spacing)]
    strokes = [*_dashes(_at(callipers.midline, placement)), *lines]
    strokes += [tick for line in lines for tick in _ticks(line)]
    points = [np.round(np.array(line) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2) for line in strokes]
    canvas = np.array(page)
    for ink, width in ((_RIM, _RIM_PX), (colour, _LINE_PX)):
        cv2.polylines(canvas, points, False, ink, width, cv2.LINE_AA, _SHIFT)
    page.paste(Image.fromarray(canvas))
    _draw_words(page, words, lines[-1], colour, placement)


def _at(line: Line, placement: PagePlacement) -> Line:
    return placement.at(line[0]), placement.at(line[1])


def _between(line: Line, share: float) -> Point:
    (x0, y0), (x1, y1) = line
    return Point(x0 + share * (x1 - x0), y0 + share * (y1 - y0))


def _dashes(line: Line) -> list[Line]:
    length = math.dist(*line)
    starts = np.arange(0.0, length, _DASH_PX + _GAP_PX)
    return [(_between(line, start / length), _between(line, min(1.0, (start + _DASH_PX) / length))) for start in starts]


def _ticks(line: Line) -> list[Line]:
    length = math.dist(*line)
    if length == 0:
        return []
    dx, dy = ((line[1].y - line[0].y) / length * _TICK_PX, (line[0].x - line[1].x) / length * _TICK_PX)
    return [(Point(end.x - dx, end.y - dy), Point(end.x + dx, end.y + dy)) for end in line]


def _draw_words(page: Image.Image, words: str, chest: Line, colour: Colour, placement: PagePlacement) -> None:
    """Beside the midline, where no lung is; inside the film."""
    style = Style(32, colour, bold=True, outline=_RIM)
    quarter, half = _between(chest, 0.25), text_width(words, style) / 2
    dx, dy = chest[1].x - chest[0].x, chest[1].y - chest[0].y
    drop = max(-0.25 * dy, 0.75 * dy) if abs(dy) >= abs(dx) else abs(dy / dx) * half  # of the line below the words
    x, y = quarter.x - half, quarter.y + drop + _LABEL_GAP_PX
    right = placement.left + placement.width - text_width(words, style)
    bottom = placement.top + placement.height - style.line_px
    place = (max(placement.left, min(x, right)), max(placement.top, min(y, bottom)))
    draw_text(ImageDraw.Draw(page), place, words, style)
