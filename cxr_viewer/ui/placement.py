"""Where a film lies on the screen: from image pixels to pixels of the widget and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Radiograph

ZOOM_MAX = 40.0
"""Widget pixels per image pixel beyond which nothing more is to be seen."""
_BOX_SHARE = 0.94  # of the pane that a box which was asked for fills
_ZOOM_OUT_MAX = 0.25  # of the fitted size


@dataclass(frozen=True, slots=True)
class Frame:
    """The widget a film is shown in: size in device-independent pixels, and device pixels per one of those."""

    width: float
    height: float
    device_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Placement:
    """One film in one widget.

    Attributes:
        rows, columns: size of the stored image.
        stretch: (along a row, along a column) how much larger an image pixel is than the finer of its two spacings;
            (1, 1) for square pixels. Films with pixels that are not square keep their true shape.
        zoom: widget pixels per image pixel (along the finer spacing).
        center: display coordinates in the middle of the widget.
    """

    rows: int
    columns: int
    stretch: tuple[float, float]
    orientation: Orientation
    frame: Frame
    zoom: float
    center: Point

    @property
    def display_stretch(self) -> tuple[float, float]:
        """``stretch`` along the screen's (x, y)."""
        x, y = self.stretch
        return (y, x) if self.orientation.quarter_turns % 2 else (x, y)

    @property
    def display_size(self) -> tuple[int, int]:
        """(width, height) in display coordinates."""
        return self.orientation.display_size(self.rows, self.columns)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """float64 (2, 3): image point to widget position.

        The film is moved by less than half a device pixel so that its edge falls between two of them; at one device
        pixel per image pixel every stored pixel is then shown as it is.
        """
        turn = self.orientation
        origin = turn.to_display(Point(0.0, 0.0), self.rows, self.columns)
        right = turn.to_display(Point(1.0, 0.0), self.rows, self.columns)
        down = turn.to_display(Point(0.0, 1.0), self.rows, self.columns)
        matrix = np.empty((2, 3))
        for axis, (scale, corner) in enumerate(self._axes()):
            matrix[axis] = (
                (right[axis] - origin[axis]) * scale,
                (down[axis] - origin[axis]) * scale,
                origin[axis] * scale + corner,
            )
        return matrix

    def _axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(scale, corner) along the screen's x and y: from display coordinates to the widget."""

        def axis(half: float, center: float, stretch: float) -> tuple[float, float]:
            scale = self.zoom * stretch
            corner = half - center * scale
            return scale, math.floor(corner * self.frame.device_ratio + 0.5) / self.frame.device_ratio

        sx, sy = self.display_stretch
        return axis(self.frame.width / 2, self.center.x, sx), axis(self.frame.height / 2, self.center.y, sy)

    def to_widget(self, point: Point) -> Point:
        """Where an image point is on the widget."""
        m = self.matrix
        x = float(m[0, 0] * point.x + m[0, 1] * point.y + m[0, 2])
        return Point(x, float(m[1, 0] * point.x + m[1, 1] * point.y + m[1, 2]))

    def to_image(self, x: float, y: float) -> Point:
        """The image point under a widget position, also outside the film."""
        m = self.matrix
        solved = np.linalg.solve(m[:, :2], np.array([x, y]) - m[:, 2])
        return Point(float(solved[0]), float(solved[1]))

    def rect_on_widget(self, rect: ImageRect) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of an image rectangle on the widget; turns by 90 degrees keep it upright."""
        first = self.to_widget(Point(rect.x, rect.y))
        second = self.to_widget(Point(rect.right, rect.bottom))
        return (min(first.x, second.x), min(first.y, second.y), max(first.x, second.x), max(first.y, second.y))

    def film_on_widget(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the whole film on the widget."""
        return self.rect_on_widget(ImageRect(0, 0, self.columns, self.rows))

    def millimetres_per_pixel(self, row_mm: float, column_mm: float) -> float:
        """Millimetres of the film per widget pixel, the same in every direction as pixels keep their true shape."""
        return min(row_mm, column_mm) / self.zoom

    # ------------------------------------------------------------ moving about

    def panned(self, dx: float, dy: float) -> Placement:
        """After the hand has pulled the film by (dx, dy) widget pixels; its middle stays within the widget's reach."""
        sx, sy = self.display_stretch
        return self._at(self.zoom, self.center.x - dx / (self.zoom * sx), self.center.y - dy / (self.zoom * sy))

    def zoomed(self, factor: float, x: float, y: float) -> Placement:
        """After zooming by ``factor`` with the film point under widget position (x, y) staying where it is."""
        low = min(fit_zoom(self.display_size, self.display_stretch, self.frame) * _ZOOM_OUT_MAX, 1.0)
        zoom = min(max(self.zoom * factor, low), ZOOM_MAX)
        sx, sy = self.display_stretch
        (scale_x, corner_x), (scale_y, corner_y) = self._axes()
        center_x = (x - corner_x) / scale_x - (x - self.frame.width / 2) / (zoom * sx)
        center_y = (y - corner_y) / scale_y - (y - self.frame.height / 2) / (zoom * sy)
        return self._at(zoom, center_x, center_y)

    def showing(self, box: ImageRect) -> Placement:
        """With ``box`` of the image in the middle of the widget, as large as fits with a little around it."""
        first = self.orientation.to_display(Point(box.x, box.y), self.rows, self.columns)
        second = self.orientation.to_display(Point(box.right, box.bottom), self.rows, self.columns)
        size = (max(1, math.ceil(abs(second.x - first.x))), max(1, math.ceil(abs(second.y - first.y))))
        zoom = min(fit_zoom(size, self.display_stretch, self.frame) * _BOX_SHARE, ZOOM_MAX)
        return self._at(zoom, (first.x + second.x) / 2, (first.y + second.y) / 2)

    def _at(self, zoom: float, x: float, y: float) -> Placement:
        width, height = self.display_size
        return replace(self, zoom=zoom, center=Point(min(max(x, 0.0), width), min(max(y, 0.0), height)))


def fit_zoom(display_size: tuple[int, int], display_stretch: tuple[float, float], frame: Frame) -> float:
    """The zoom that shows the whole film as large as the widget allows."""
    width = display_size[0] * display_stretch[0]
    height = display_size[1] * display_stretch[1]
    return max(min(frame.width / width, frame.height / height), 1e-6)  # a widget may have no size yet


def pixel_stretch(image: Radiograph) -> tuple[float, float]:
    """(along a row, along a column): size of a pixel over the finer of its two spacings (PS3.3 10.7.1.3)."""
    if image.spacing is None:
        return (1.0, 1.0)
    finer = min(image.spacing.row_mm, image.spacing.column_mm)
    return (image.spacing.column_mm / finer, image.spacing.row_mm / finer)


def place(image: Radiograph, display: DisplayState, frame: Frame) -> Placement:
    """Where ``display`` asks the film to lie in ``frame``."""
    width, height = display.orientation.display_size(image.rows, image.columns)
    middle = Point(width / 2, height / 2)
    fitted = Placement(
        image.rows, image.columns, pixel_stretch(image), display.orientation, frame, display.zoom or 1.0, middle
    )
    if display.zoom is None:
        return replace(fitted, zoom=fit_zoom(fitted.display_size, fitted.display_stretch, frame))
    return replace(fitted, center=display.center or middle)
