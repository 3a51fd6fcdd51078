"""Points, rectangles and the turning and flipping of a film.

Image coordinates: ``x`` runs along columns, ``y`` along rows, both in pixels; the outer edge of the image is at 0, so
the centre of the first pixel is at (0.5, 0.5). Display coordinates are the same after the reader's rotation and flip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple


class Point(NamedTuple):
    """A position in image pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class ImageRect:
    """An axis-parallel rectangle in image pixels.

    ``x`` and ``y`` are the top left corner (edge, not pixel centre); it may reach outside the image where a model
    pads to a square.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise ValueError(f"rectangle must have a positive size, not {self.width} x {self.height}")

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Orientation:
    """How the film lies on the screen: first mirrored left to right (if ``flipped``), then turned clockwise.

    Every combination of rotations and flips is one of these eight, so a vertical flip is ``flipped`` plus two turns.
    """

    quarter_turns: int = 0
    flipped: bool = False

    def __post_init__(self) -> None:
        if self.quarter_turns not in (0, 1, 2, 3):
            raise ValueError("quarter_turns is 0, 1, 2 or 3")

    def turned(self, quarter_turns: int) -> Orientation:
        """The orientation after turning what is on screen clockwise by ``quarter_turns`` x 90 degrees."""
        return Orientation((self.quarter_turns + quarter_turns) % 4, self.flipped)

    def mirrored_horizontally(self) -> Orientation:
        """The orientation after mirroring what is on screen left to right."""
        return Orientation((-self.quarter_turns) % 4, not self.flipped)

    def mirrored_vertically(self) -> Orientation:
        """The orientation after mirroring what is on screen top to bottom."""
        return self.mirrored_horizontally().turned(2)

    def display_size(self, rows: int, columns: int) -> tuple[int, int]:
        """(width, height) on screen, in image pixels."""
        return (rows, columns) if self.quarter_turns % 2 else (columns, rows)

    def to_display(self, point: Point, rows: int, columns: int) -> Point:
        """Where an image point lies in display coordinates."""
        x, y = point
        if self.flipped:
            x = columns - x
        width, height = columns, rows
        for _ in range(self.quarter_turns):  # clockwise: the left edge becomes the top edge
            x, y = height - y, x
            width, height = height, width
        return Point(x, y)

    def to_image(self, point: Point, rows: int, columns: int) -> Point:
        """The image point shown at a display position; the inverse of :meth:`to_display`."""
        x, y = point
        width, height = self.display_size(rows, columns)
        for _ in range(self.quarter_turns):
            x, y = y, width - x
            width, height = height, width
        if self.flipped:
            x = columns - x
        return Point(x, y)


_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}


def opposite_direction(letters: str) -> str:
    """The opposite of a Patient Orientation value, e.g. ``"LF"`` -> ``"RH"`` (PS3.3 C.7.6.1.1.1)."""
    return "".join(_OPPOSITE.get(letter, letter) for letter in letters.upper())


def edge_letters(patient_orientation: tuple[str, str], orientation: Orientation) -> tuple[str, str, str, str]:
    """Letters for the (left, top, right, bottom) edge of the screen.

    Args:
        patient_orientation: direction of the rows (towards the right edge) and of the columns (towards the bottom
            edge) of the stored image, as in Patient Orientation (0020,0020).
        orientation: how the film lies on screen.
    """
    towards_right, towards_bottom = patient_orientation
    edges = [opposite_direction(towards_right), opposite_direction(towards_bottom), towards_right, towards_bottom]
    if orientation.flipped:
        edges[0], edges[2] = edges[2], edges[0]
    for _ in range(orientation.quarter_turns):  # clockwise: left -> top -> right -> bottom -> left
        edges = [edges[3], edges[0], edges[1], edges[2]]
    return (edges[0], edges[1], edges[2], edges[3])


def angle_degrees(first: Point, vertex: Point, second: Point) -> float:
    """The angle at ``vertex`` between the two legs, 0 to 180 degrees; 0 where a leg has no length."""
    ax, ay = first.x - vertex.x, first.y - vertex.y
    bx, by = second.x - vertex.x, second.y - vertex.y
    if (ax == 0 and ay == 0) or (bx == 0 and by == 0):
        return 0.0
    return abs(math.degrees(math.atan2(ax * by - ay * bx, ax * bx + ay * by)))
