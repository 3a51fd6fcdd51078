"""Marks the reader puts on a film. All positions are image coordinates, so they follow every turn and flip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from cxr_viewer.core.geometry import Point, angle_degrees
from cxr_viewer.core.image import PixelSpacing


class MarkKind(Enum):
    LENGTH = "length"  # two points
    ANGLE = "angle"  # end, vertex, end
    ARROW = "arrow"  # tip, tail
    TEXT = "text"  # one point


POINTS_NEEDED = {MarkKind.LENGTH: 2, MarkKind.ANGLE: 3, MarkKind.ARROW: 2, MarkKind.TEXT: 1}


@dataclass(frozen=True, slots=True)
class Mark:
    """One measurement or note.

    Attributes:
        mark_id: unique within its pane, given by the session.
        points: as many as ``POINTS_NEEDED[kind]``.
        text: the note of an arrow or text; unused for measurements.
    """

    mark_id: int
    kind: MarkKind
    points: tuple[Point, ...]
    text: str = ""

    def __post_init__(self) -> None:
        if len(self.points) != POINTS_NEEDED[self.kind]:
            raise ValueError(f"{self.kind.value} needs {POINTS_NEEDED[self.kind]} points, not {len(self.points)}")


def length_label(first: Point, second: Point, spacing: PixelSpacing | None) -> str:
    """Length with its unit and where the millimetres come from; pixels where the film is not calibrated."""
    dx, dy = second.x - first.x, second.y - first.y
    if spacing is None:
        return f"{math.hypot(dx, dy):.0f} px (not calibrated)"
    millimetres = math.hypot(dx * spacing.column_mm, dy * spacing.row_mm)
    return f"{millimetres:.1f} mm ({spacing.source.value})"


def angle_label(points: tuple[Point, Point, Point], spacing: PixelSpacing | None) -> str:
    """Angle in degrees, corrected for pixels that are not square."""
    row, column = (spacing.row_mm, spacing.column_mm) if spacing else (1.0, 1.0)
    scaled = [Point(point.x * column, point.y * row) for point in points]
    return f"{angle_degrees(scaled[0], scaled[1], scaled[2]):.1f}\N{DEGREE SIGN}"


def mark_label(mark: Mark, spacing: PixelSpacing | None) -> str:
    """The text drawn beside a mark, on screen and in the report."""
    if mark.kind is MarkKind.LENGTH:
        return length_label(mark.points[0], mark.points[1], spacing)
    if mark.kind is MarkKind.ANGLE:
        return angle_label((mark.points[0], mark.points[1], mark.points[2]), spacing)
    return mark.text
