"""A heat map at the resolution of the screen: in colour as a picture, as contours as lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QGraphicsPixmapItem

from cxr_viewer.core.display import OverlayMode, OverlayState
from cxr_viewer.core.findings import Heatmap
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.imaging.colormap import INFERNO, colourise
from cxr_viewer.imaging.heatmap import contour_colour, contour_levels, contours_on_image
from cxr_viewer.ui import theme
from cxr_viewer.ui.film_layer import DeviceRect, device_to_source, sampled, visible_rect
from cxr_viewer.ui.placement import Placement
from cxr_viewer.ui.structure_layer import on_widget, path_of

_BELOW_THRESHOLD_ALPHA = 60


@dataclass(frozen=True, slots=True)
class HeatPicture:
    """A picture to lay over the film, its top left corner at whole device pixels."""

    area: DeviceRect
    pixmap: QPixmap


def heat_pixels(
    heatmap: Heatmap, placement: Placement, overlay: OverlayState
) -> tuple[DeviceRect, NDArray[np.uint8]] | None:
    """The map where it shows, as uint8 (height, width, 4), not premultiplied; None where nothing of it is in sight.

    The cells of the map cover ``heatmap.extent`` from edge to edge and are interpolated linearly; what reaches beyond
    the film is cut off.
    """
    area = visible_rect(placement, _on_film(heatmap.extent, placement))
    if area.empty:
        return None
    matrix = device_to_source(placement, area, heatmap.extent, heatmap.values.shape)
    values = sampled(np.ascontiguousarray(heatmap.values), matrix, area)
    return area, colourise(values, overlay.threshold, overlay.alpha)


def heat_picture(heatmap: Heatmap, placement: Placement, overlay: OverlayState) -> HeatPicture | None:
    """:func:`heat_pixels` ready to be laid over the film many times."""
    pixels = heat_pixels(heatmap, placement, overlay)
    if pixels is None:
        return None
    area, rgba = pixels
    image = QImage(rgba.data, area.width, area.height, 4 * area.width, QImage.Format.Format_RGBA8888)
    ready = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
    pixmap = QPixmap.fromImage(ready)
    pixmap.setDevicePixelRatio(placement.frame.device_ratio)
    return HeatPicture(area, pixmap)


class HeatLayer(QGraphicsPixmapItem):
    """The map of one film in colour; worked out again only where something has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn: tuple[object, ...] | None = None

    def forget(self) -> None:
        """Another film comes: nothing of this one stays."""
        self._drawn = None
        self.hide()
        self.setPixmap(QPixmap())

    def refresh(self, heatmap: Heatmap | None, placement: Placement, overlay: OverlayState) -> None:
        """Show the map where the film lies, or nothing where there is none or it is drawn as contours."""
        wanted = (heatmap, placement, overlay)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        picture = None
        if heatmap is not None and overlay.mode is OverlayMode.COLOUR:
            picture = heat_picture(heatmap, placement, overlay)
        if picture is None:
            self.hide()
            return
        ratio = placement.frame.device_ratio
        self.setPixmap(picture.pixmap)
        self.setPos(picture.area.x / ratio, picture.area.y / ratio)
        self.show()


def _on_film(extent: ImageRect, placement: Placement) -> ImageRect:
    """The part of ``extent`` that is film; a sliver where there is none."""
    left, top = max(0.0, extent.x), max(0.0, extent.y)
    right, bottom = min(float(placement.columns), extent.right), min(float(placement.rows), extent.bottom)
    return ImageRect(left, top, max(right - left, 1e-9), max(bottom - top, 1e-9))


class ContourLines:
    """The contours of one map in image coordinates, kept while map and levels stay the same."""

    def __init__(self) -> None:
        self._of: tuple[int, tuple[float, ...]] | None = None
        self._heatmap: Heatmap | None = None  # held, so that its id stays its own
        self._lines: list[tuple[float, list[NDArray[np.float64]]]] = []

    def draw(self, painter: QPainter, heatmap: Heatmap, placement: Placement, overlay: OverlayState) -> None:
        """Over the film, clipped to it."""
        levels = contour_levels(overlay)
        if self._of != (id(heatmap), levels):
            self._lines = [(level, contours_on_image(heatmap, level)) for level in levels]
            self._of, self._heatmap = (id(heatmap), levels), heatmap
        left, top, right, bottom = placement.film_on_widget()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(QRectF(QPointF(left, top), QPointF(right, bottom)), Qt.ClipOperation.IntersectClip)
        painter.setOpacity(min(1.0, 0.4 + overlay.alpha))
        for level, lines in self._lines:
            path = path_of([on_widget(line, placement) for line in lines])
            for color, width in ((QColor(theme.FILM_BACKGROUND), 3.4), (QColor(*contour_colour(level)), 1.8)):
                painter.setPen(QPen(color, width))
                painter.drawPath(path)
        painter.restore()


def color_bar(length: int, overlay: OverlayState) -> NDArray[np.uint8]:
    """The scale of the map, 0 to 1: uint8 (1, length, 4); what lies below the threshold is not drawn and is faint."""
    values = (np.arange(length) + 0.5) / length
    pixels = np.full((1, length, 4), 255, np.uint8)
    pixels[0, :, :3] = INFERNO[np.minimum((values * 256).astype(np.int64), 255)]
    if overlay.mode is OverlayMode.CONTOUR:
        pixels[0, :, 3] = _BELOW_THRESHOLD_ALPHA
        for level in contour_levels(overlay):
            color = QColor(*contour_colour(level))
            place = min(length - 1, int(level * length))
            pixels[0, max(0, place - 1) : place + 2] = (color.red(), color.green(), color.blue(), 255)
    else:
        pixels[0, values < overlay.threshold, 3] = _BELOW_THRESHOLD_ALPHA
    return pixels
