"""Marks on a film of a report: lines smoothed at sub-pixel precision, labels beside them, each with its number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cxr_viewer.core.annotations import Mark, MarkKind, mark_label
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import PixelSpacing
from cxr_viewer.core.wording import plain
from cxr_viewer.outputs.placement import PagePlacement
from cxr_viewer.outputs.text import Colour, Style, draw_text, text_width, wrap

_COLOUR: Colour = (255, 216, 102)
_OUTLINE: Colour = (0, 0, 0)
_LINE_PX, _OUTLINE_PX = 4, 10
_SHIFT = 4  # cv2 takes positions in sixteenths of a pixel
_LABEL = Style(32, _COLOUR, bold=True, outline=_OUTLINE)
_LABEL_WIDTH_PX, _LABEL_LINES = 620, 3
_GAP_PX = 18
_TICK_PX, _HEAD_PX, _ARC_PX = 16, 38, 60

Line = list[Point]
Box = tuple[float, float, float, float]


def draw_marks(
    page: Image.Image, marks: Sequence[Mark], spacing: PixelSpacing | None, placement: PagePlacement
) -> None:
    """Draw every mark with its number and label; the labels keep clear of each other and of the film's edge."""
    if not marks:
        return
    lines = [line for mark in marks for line in _lines(mark, [placement.at(point) for point in mark.points])]
    _draw_lines(page, lines)
    draw = ImageDraw.Draw(page)
    taken: list[Box] = []
    for number, mark in enumerate(marks, 1):
        taken.append(_draw_label(draw, mark, number, spacing, placement, taken))


def _lines(mark: Mark, at: Line) -> list[Line]:
    """The strokes of a mark, in page pixels."""
    if mark.kind is MarkKind.LENGTH:
        return [at, _across(at[0], at[1]), _across(at[1], at[0])]
    if mark.kind is MarkKind.ANGLE:
        return [at, _arc(at)]
    if mark.kind is MarkKind.ARROW:
        return [at, _head(at[0], at[1])]
    return [_cross(at[0], 0.0), _cross(at[0], math.pi / 2)]


def _polar(origin: Point, angle: float, length: float) -> Point:
    return Point(origin.x + length * math.cos(angle), origin.y + length * math.sin(angle))


def _direction(start: Point, end: Point) -> float:
    return math.atan2(end.y - start.y, end.x - start.x)


def _across(end: Point, other: Point) -> Line:
    angle = _direction(end, other) + math.pi / 2
    return [_polar(end, angle, _TICK_PX), _polar(end, angle, -_TICK_PX)]


def _cross(center: Point, angle: float) -> Line:
    return [_polar(center, angle, _TICK_PX / 2), _polar(center, angle, -_TICK_PX / 2)]


def _head(tip: Point, tail: Point) -> Line:
    angle = _direction(tip, tail)
    return [_polar(tip, angle - 0.45, _HEAD_PX), tip, _polar(tip, angle + 0.45, _HEAD_PX)]


def _arc(at: Line) -> Line:
    """The short way round the vertex, from one leg to the other."""
    first, second = _direction(at[1], at[0]), _direction(at[1], at[2])
    turn = math.remainder(second - first, 2 * math.pi)
    radius = min(_ARC_PX, math.dist(at[1], at[0]) * 0.6, math.dist(at[1], at[2]) * 0.6)
    return [_polar(at[1], first + turn * step / 24, radius) for step in range(25)]


def _draw_lines(page: Image.Image, lines: Sequence[Line]) -> None:
    canvas = np.array(page)
    points = [np.round(np.array(line) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2) for line in lines]
    for colour, width in ((_OUTLINE, _OUTLINE_PX), (_COLOUR, _LINE_PX)):
        cv2.polylines(canvas, points, False, colour, width, cv2.LINE_AA, _SHIFT)
    page.paste(Image.fromarray(canvas))


def _draw_label(
    draw: ImageDraw.ImageDraw,
    mark: Mark,
    number: int,
    spacing: PixelSpacing | None,
    placement: PagePlacement,
    taken: Sequence[Box],
) -> Box:
    words = f"{number}  {plain(mark_label(mark, spacing))}".rstrip()
    lines = wrap(words, _LABEL, min(_LABEL_WIDTH_PX, placement.width), _LABEL_LINES)
    width, height = max(text_width(line, _LABEL) for line in lines), len(lines) * _LABEL.line_px
    box = _free_place(_anchor(mark, placement), width, height, placement, taken)
    for row, line in enumerate(lines):
        draw_text(draw, (box[0], box[1] + row * _LABEL.line_px), line, _LABEL)
    return box


def _anchor(mark: Mark, placement: PagePlacement) -> Point:
    """Where a label would best begin: beside the middle of a length, the vertex, the tail, or the point itself."""
    at = [placement.at(point) for point in mark.points]
    if mark.kind is MarkKind.LENGTH:
        near = max(at, key=lambda point: (point.x, point.y))
    elif mark.kind is MarkKind.TEXT:
        near = at[0]
    else:
        near = at[1]  # vertex of an angle, tail of an arrow
    return Point(near.x + _GAP_PX, near.y + _GAP_PX)


def _free_place(anchor: Point, width: float, height: float, placement: PagePlacement, taken: Sequence[Box]) -> Box:
    """The place nearest to ``anchor`` within the film that no other label has."""
    left = min(max(anchor.x, placement.left), placement.left + placement.width - width)
    highest, lowest = float(placement.top), placement.top + placement.height - height
    wanted = min(max(anchor.y, highest), max(lowest, highest))

    def box(y: float) -> Box:
        return (left, y, left + width, y + height)

    def free(y: float) -> bool:
        x0, y0, x1, y1 = box(y)
        return all(x1 <= a0 or a1 <= x0 or y1 <= b0 or b1 <= y0 for a0, b0, a1, b1 in taken)

    tries = [wanted, *(b1 for _, _, _, b1 in taken), *(b0 - height for _, b0, _, _ in taken)]
    fitting = [y for y in tries if highest <= y <= lowest and free(y)]
    return box(min(fitting, key=lambda y: abs(y - wanted), default=wanted))
