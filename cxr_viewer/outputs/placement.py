"""Where a film lies on a page: from image pixels to pixels of the page."""

from __future__ import annotations

from dataclasses import dataclass

from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Radiograph


@dataclass(frozen=True, slots=True)
class PagePlacement:
    """The whole film, turned and flipped as on screen, in a rectangle of the page.

    Attributes:
        rows, columns: size of the stored image.
        left, top: page position of the film's corner.
        width, height: size on the page in pixels. Pixels that are not square keep their true shape.
        millimetres_per_px: length on the film of one page pixel, the same in both directions; None without spacing.
    """

    rows: int
    columns: int
    orientation: Orientation
    left: int
    top: int
    width: int
    height: int
    millimetres_per_px: float | None

    def at(self, point: Point) -> Point:
        """Where an image point is on the page."""
        x, y = self.orientation.to_display(point, self.rows, self.columns)
        across, down = self.orientation.display_size(self.rows, self.columns)
        return Point(self.left + x * self.width / across, self.top + y * self.height / down)

    def rect(self, rect: ImageRect) -> tuple[Point, Point]:
        """(top left, bottom right) on the page of a rectangle of the image."""
        first, second = self.at(Point(rect.x, rect.y)), self.at(Point(rect.right, rect.bottom))
        return (
            Point(min(first.x, second.x), min(first.y, second.y)),
            Point(max(first.x, second.x), max(first.y, second.y)),
        )

    @property
    def scale(self) -> float:
        """Page pixels per image pixel, in the finer direction."""
        across, down = self.orientation.display_size(self.rows, self.columns)
        return min(self.width / across, self.height / down)


def whole_film(image: Radiograph, orientation: Orientation) -> PagePlacement:
    """The film pixel for pixel, a page of its own."""
    width, height = orientation.display_size(image.rows, image.columns)
    return PagePlacement(image.rows, image.columns, orientation, 0, 0, width, height, None)


def place(image: Radiograph, orientation: Orientation, box: tuple[int, int, int, int]) -> PagePlacement:
    """The largest upright place for the whole film in ``box`` (left, top, width, height), centred."""
    across, down = orientation.display_size(image.rows, image.columns)
    x_mm = y_mm = 1.0
    if image.spacing is not None:
        x_mm, y_mm = image.spacing.column_mm, image.spacing.row_mm
        if orientation.quarter_turns % 2:
            x_mm, y_mm = y_mm, x_mm
    left, top, box_width, box_height = box
    zoom = min(box_width / (across * x_mm), box_height / (down * y_mm))
    width, height = max(1, round(across * x_mm * zoom)), max(1, round(down * y_mm * zoom))
    return PagePlacement(
        image.rows,
        image.columns,
        orientation,
        left + (box_width - width) // 2,
        top + (box_height - height) // 2,
        width,
        height,
        1 / zoom if image.spacing is not None else None,
    )
