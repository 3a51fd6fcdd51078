"""A film that lies on its side is made upright for the models; what they say comes back in the film's own pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.anatomy import Anatomy, Callipers
from cxr_viewer.core.findings import Heatmap, Saw
from cxr_viewer.core.geometry import ImageRect, Orientation, Point, opposite_direction
from cxr_viewer.core.image import PixelSpacing, Radiograph

Cell = TypeVar("Cell", bound=np.generic)


def upright(image: Radiograph, turns: int) -> Radiograph:
    """The film turned clockwise by ``turns`` quarter turns, with all that a model looks at; ``image`` itself for 0.

    What only a screen needs (overlays, shutter, colours) is left out.
    """
    if turns % 4 == 0:
        return image
    stored = np.ascontiguousarray(np.rot90(image.stored, -turns))
    stored.flags.writeable = False
    return replace(
        image,
        stored=stored,
        spacing=_turned(image.spacing, turns),
        patient_orientation=_directions(image.patient_orientation, turns),
        overlays=(),
        shutter=None,
        rgb=None,
    )


@dataclass(frozen=True, slots=True)
class WayBack:
    """From the film as it was made upright to the film as it is stored.

    Attributes:
        turns: as given to :func:`upright`, 0 to 3.
        rows, columns: of the film as it is stored.
    """

    turns: int
    rows: int
    columns: int

    def point(self, point: Point) -> Point:
        """Where a point of the upright film lies on the stored one."""
        return Orientation(self.turns).to_image(point, self.rows, self.columns)

    def rect(self, rect: ImageRect) -> ImageRect:
        """The same of a rectangle; it may reach beyond the film."""
        first, second = self.point(Point(rect.x, rect.y)), self.point(Point(rect.right, rect.bottom))
        left, top = min(first.x, second.x), min(first.y, second.y)
        return ImageRect(left, top, abs(second.x - first.x), abs(second.y - first.y))

    def there(self, rect: ImageRect) -> ImageRect:
        """Where a rectangle of the stored film lies on the upright one; the inverse of :meth:`rect`."""
        way = Orientation(self.turns)
        first = way.to_display(Point(rect.x, rect.y), self.rows, self.columns)
        second = way.to_display(Point(rect.right, rect.bottom), self.rows, self.columns)
        left, top = min(first.x, second.x), min(first.y, second.y)
        return ImageRect(left, top, abs(second.x - first.x), abs(second.y - first.y))

    def heatmap(self, heatmap: Heatmap) -> Heatmap:
        if self.turns == 0:
            return heatmap
        return replace(heatmap, values=_back(heatmap.values, self.turns), extent=self.rect(heatmap.extent))

    def saw(self, saw: Saw) -> Saw:
        if self.turns == 0:
            return saw
        given = None if saw.given is None else self.rect(saw.given)
        return replace(saw, picture=_back(saw.picture, self.turns), given=given)

    def callipers(self, callipers: Callipers) -> Callipers:
        """Their ends keep their names: left, right, top and bottom are those of the upright film."""
        ends = (callipers.midline, callipers.heart, callipers.chest)
        midline, heart, chest = ((self.point(first), self.point(second)) for first, second in ends)
        return replace(callipers, midline=midline, heart=heart, chest=chest)

    def anatomy(self, anatomy: Anatomy) -> Anatomy:
        """The lungs keep their order, left to right on the upright film."""
        if self.turns == 0:
            return anatomy
        return replace(
            anatomy,
            lungs=tuple(self.rect(lung) for lung in anatomy.lungs),
            heart=None if anatomy.heart is None else self.rect(anatomy.heart),
            outlines=tuple(self.heatmap(outline) for outline in anatomy.outlines),
            callipers=None if anatomy.callipers is None else self.callipers(anatomy.callipers),
            turns=self.turns,
        )


def _turned(spacing: PixelSpacing | None, turns: int) -> PixelSpacing | None:
    if spacing is None or turns % 2 == 0:
        return spacing
    return replace(spacing, row_mm=spacing.column_mm, column_mm=spacing.row_mm)


def _directions(stated: tuple[str, str] | None, turns: int) -> tuple[str, str] | None:
    """What lies towards the right and the bottom edge after turning (PS3.3 C.7.6.1.1.1)."""
    if stated is None:
        return None
    right, bottom = stated
    for _ in range(turns % 4):  # clockwise: the upper edge becomes the right one, the right edge the lower
        right, bottom = opposite_direction(bottom), right
    return right, bottom


def _back(values: NDArray[Cell], turns: int) -> NDArray[Cell]:
    turned = np.ascontiguousarray(np.rot90(values, turns))
    turned.flags.writeable = False
    return turned
