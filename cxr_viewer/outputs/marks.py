"""Marks on a film of a report: lines smoothed at sub-pixel precision, labels beside them, each with its number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

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
    size = max(text_width(line, _LABEL) for line in lines), float(len(lines) * _LABEL.line_px)
    at = [placement.at(point) for point in mark.points]
    box = _free_place(at, _anchor(mark, at), size, placement, taken)
    for row, line in enumerate(lines):
        draw_text(draw, (box[0], box[1] + row * _LABEL.line_px), line, _LABEL)
    return box


def _anchor(mark: Mark, at: Line) -> Point:
    """What a label belongs to: the right end of a length, the vertex, the tail, or the point itself."""
    if mark.kind is MarkKind.LENGTH:
        return max(at, key=lambda point: (point.x, point.y))
    return at[0] if mark.kind is MarkKind.TEXT else at[1]


def _free_place(
    at: Line, anchor: Point, size: tuple[float, float], placement: PagePlacement, taken: Sequence[Box]
) -> Box:
    """The place on the film nearest to ``anchor`` that covers no other label and, if it can be, not its own mark."""
    width, height = size
    right_most = max(placement.left + placement.width - width, placement.left)
    lowest = max(placement.top + placement.height - height, placement.top)
    own = _samples(at)

    def box(x: float, y: float) -> Box:
        x, y = min(max(x, placement.left), right_most), min(max(y, placement.top), lowest)
        return (x, y, x + width, y + height)

    beside = (anchor.x + _GAP_PX, anchor.x - _GAP_PX - width, anchor.x - width / 2)
    above_and_below = [anchor.y + _GAP_PX, anchor.y - _GAP_PX - height, anchor.y - height / 2]
    above_and_below += [anchor.y + step * height for step in (-6, -4, -3, -2, 1, 2, 3, 5)]
    tries = [box(x, y) for y in above_and_below for x in beside]
    tries += [box(anchor.x + _GAP_PX, y) for _, y0, _, y1 in taken for y in (y1, y0 - height)]

    def cost(tried: Box) -> float:
        covered = sum(_overlap(tried, other) for other in taken)
        crossed = sum(_holds(tried, point) for point in own)
        center = (tried[0] + tried[2]) / 2, (tried[1] + tried[3]) / 2
        return 1e3 * covered + 40.0 * crossed + math.dist(center, anchor)

    return min(tries, key=cost)


def _samples(at: Line) -> Line:
    """Points along the strokes of a mark, close enough that no label slips between them."""
    points = list(at)
    for start, end in pairwise(at):
        steps = int(math.dist(start, end) / 10)
        points += [
            Point(start.x + (end.x - start.x) * i / steps, start.y + (end.y - start.y) * i / steps)
            for i in range(1, steps)
        ]
    return points


def _overlap(first: Box, second: Box) -> float:
    """Area two boxes share."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    return max(0.0, width) * max(0.0, height)


def _holds(box: Box, point: Point) -> bool:
    return box[0] - 6 <= point.x <= box[2] + 6 and box[1] - 4 <= point.y <= box[3] + 4
