"""Lungs and heart of a film, and the cardiothoracic ratio measured on them.

The ratio is the widest extent of the heart to the right and to the left of the midline, added, over the widest inner
diameter of the chest (Danzer, Am J Med Sci 157 (1919) 513-521). All of it is measured at a right angle to the midline,
so that it holds on a film that is tilted. Sides are those of the picture: what lies left on an upright film is the
patient's right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from cxr_viewer.core.geometry import ImageRect, Point
from cxr_viewer.core.heatmaps import Heatmap
from cxr_viewer.core.image import Caution, PixelSpacing

LUNGS, HEART = "Lungs", "Heart"
"""Names of the outlines, as the anatomy model's card has them."""
ENLARGED = 0.5
"""The ratio above which a heart is called wide on a PA film of an adult."""


class Handle(Enum):
    """An end of the callipers that a hand can take."""

    MIDLINE_TOP = "midline, top"
    MIDLINE_BOTTOM = "midline, bottom"
    HEART_LEFT = "heart, left in the picture"
    HEART_RIGHT = "heart, right in the picture"
    CHEST_LEFT = "chest, left in the picture"
    CHEST_RIGHT = "chest, right in the picture"


@dataclass(frozen=True, slots=True)
class Callipers:
    """The lines of the cardiothoracic ratio, in image pixels.

    Attributes:
        midline: its upper and lower end; may be tilted.
        heart: the points of the heart's outline furthest from the midline, left and right in the picture.
        chest: the inner chest wall where the chest is widest, left and right in the picture, both at one level.
        edited: the reader has moved them.
    """

    midline: tuple[Point, Point]
    heart: tuple[Point, Point]
    chest: tuple[Point, Point]
    edited: bool = False

    def foot(self, point: Point, spacing: PixelSpacing | None = None) -> Point:
        """Where a line from ``point`` at a right angle meets the midline."""
        along, across = _scales(spacing)
        (x0, y0), (x1, y1) = self.midline
        dx, dy = (x1 - x0) * across, (y1 - y0) * along
        share = ((point.x - x0) * across * dx + (point.y - y0) * along * dy) / (dx * dx + dy * dy)
        return Point(x0 + share * (x1 - x0), y0 + share * (y1 - y0))

    def offset(self, point: Point, spacing: PixelSpacing | None = None) -> float:
        """Distance of ``point`` from the midline, positive to the right in the picture.

        In mm with a spacing, else in pixels taken as square.
        """
        along, across = _scales(spacing)
        (x0, y0), (x1, y1) = self.midline
        dx, dy = (x1 - x0) * across, (y1 - y0) * along
        return ((point.x - x0) * across * dy - (point.y - y0) * along * dx) / math.hypot(dx, dy)

    def heart_widths(self, spacing: PixelSpacing | None = None) -> tuple[float, float]:
        """What the heart reaches to the left and to the right of the midline in the picture; may be below 0."""
        return -self.offset(self.heart[0], spacing), self.offset(self.heart[1], spacing)

    def chest_width(self, spacing: PixelSpacing | None = None) -> float:
        """The inner diameter of the chest."""
        return self.offset(self.chest[1], spacing) - self.offset(self.chest[0], spacing)

    def ratio(self, spacing: PixelSpacing | None = None) -> float:
        """Cardiothoracic ratio; the spacing only matters where pixels are not square."""
        width = self.chest_width(spacing)
        return sum(self.heart_widths(spacing)) / width if width > 0 else math.nan

    def lines(self, spacing: PixelSpacing | None = None) -> tuple[tuple[Point, Point], ...]:
        """The three callipers to draw: heart left of the midline, heart right of it, chest."""
        left, right = self.heart
        return (left, self.foot(left, spacing)), (self.foot(right, spacing), right), self.chest

    def point(self, handle: Handle) -> Point:
        """Where a handle lies."""
        return _ENDS[handle](self)

    def moved(self, handle: Handle, to: Point, spacing: PixelSpacing | None = None) -> Callipers:
        """The callipers after a hand has pulled one end to ``to``.

        Both ends of the chest's line stay at one level; the midline keeps a length, its upper end above the lower.

        Raises:
            ValueError: the ends would cross (the heart's or the chest's left end right of its right end).
        """
        top, bottom = self.midline
        if handle in (Handle.MIDLINE_TOP, Handle.MIDLINE_BOTTOM):
            new = (to, bottom) if handle is Handle.MIDLINE_TOP else (top, to)
            # On a film that is stored lying down "below" is a side of the picture: the line may tilt, not turn about.
            way = Point(bottom.x - top.x, bottom.y - top.y)
            kept = (new[1].x - new[0].x) * way.x + (new[1].y - new[0].y) * way.y
            if kept < math.hypot(*way):
                raise ValueError("the midline runs from above to below")
            return replace(self, midline=new, edited=True)._levelled(spacing)
        pair = list(self.heart if handle in (Handle.HEART_LEFT, Handle.HEART_RIGHT) else self.chest)
        pair[0 if handle in (Handle.HEART_LEFT, Handle.CHEST_LEFT) else 1] = to
        if self.offset(pair[1], spacing) <= self.offset(pair[0], spacing):
            raise ValueError("the left end lies right of the right end")
        if handle in (Handle.HEART_LEFT, Handle.HEART_RIGHT):
            return replace(self, heart=(pair[0], pair[1]), edited=True)
        other = 1 if handle is Handle.CHEST_LEFT else 0
        pair[other] = self._at_level(pair[other], to, spacing)
        return replace(self, chest=(pair[0], pair[1]), edited=True)

    def _levelled(self, spacing: PixelSpacing | None) -> Callipers:
        left, right = self.chest
        return replace(self, chest=(left, self._at_level(right, left, spacing)))

    def _at_level(self, point: Point, of: Point, spacing: PixelSpacing | None) -> Point:
        """``point`` moved along the midline to where ``of`` lies; its distance from the midline stays."""
        own, other = self.foot(point, spacing), self.foot(of, spacing)
        return Point(point.x + other.x - own.x, point.y + other.y - own.y)


_ENDS: dict[Handle, Callable[[Callipers], Point]] = {
    Handle.MIDLINE_TOP: lambda c: c.midline[0],
    Handle.MIDLINE_BOTTOM: lambda c: c.midline[1],
    Handle.HEART_LEFT: lambda c: c.heart[0],
    Handle.HEART_RIGHT: lambda c: c.heart[1],
    Handle.CHEST_LEFT: lambda c: c.chest[0],
    Handle.CHEST_RIGHT: lambda c: c.chest[1],
}


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """What the anatomy model found on one film.

    Attributes:
        lungs: the box of each lung, left to right in the picture; one or none where not both were found.
        heart: the heart's box.
        outlines: probability maps of the lungs and of the heart.
        callipers: None where the ratio cannot be measured (lateral film, no heart, badly segmented).
        ratio_error: half the width of the interval that held 95 of 100 measured ratios on held-out films.
        trusted: the masks look as those of a frontal chest film should; where False nothing is made of them.
        heart_side: share of the heart right of the midline in the picture less the share left of it, -1 to 1; about
            +0.3 on an ordinary film, the same below 0 on a mirrored one. None where it cannot be told.
        cautions: what has to be known beside the ratio.
        turns: quarter turns clockwise that made the film upright before it was looked at.
    """

    model_id: str
    model_name: str
    model_version: str
    model_sha256: str
    lungs: tuple[ImageRect, ...]
    heart: ImageRect | None
    outlines: tuple[Heatmap, ...] = field(repr=False)
    callipers: Callipers | None
    ratio_error: float
    trusted: bool
    heart_side: float | None = None
    cautions: tuple[Caution, ...] = ()
    turns: int = 0

    @property
    def lungs_box(self) -> ImageRect | None:
        """The box around both lungs; None unless both were found."""
        if len(self.lungs) != 2:
            return None
        first, second = self.lungs
        left, top = min(first.x, second.x), min(first.y, second.y)
        right, bottom = max(first.right, second.right), max(first.bottom, second.bottom)
        return ImageRect(left, top, right - left, bottom - top)


def ratio_text(ratio: float, error: float | None = None) -> str:
    """``"0.53 ± 0.04"``; after the reader's hand (``error`` None) the bare ratio."""
    return f"{ratio:.2f}" if error is None else f"{ratio:.2f} \N{PLUS-MINUS SIGN} {error:.2f}"


def _scales(spacing: PixelSpacing | None) -> tuple[float, float]:
    return (spacing.row_mm, spacing.column_mm) if spacing is not None else (1.0, 1.0)
