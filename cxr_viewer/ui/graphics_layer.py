"""The graphics a file draws over its film (60xx), at the resolution of the screen, as one picture over the film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage, QPixmap
from PySide6.QtWidgets import QGraphicsPixmapItem

from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Radiograph
from cxr_viewer.imaging.graphics import Graphics, coloured
from cxr_viewer.ui import theme
from cxr_viewer.ui.film_layer import DeviceRect, grid_of, visible_rect
from cxr_viewer.ui.placement import Placement


class GraphicsLayer(QGraphicsPixmapItem):
    """Draws the graphics of one film; nothing is worked out for films that have none."""

    def __init__(self) -> None:
        super().__init__()
        self._image: Radiograph | None = None
        self._graphics: Graphics | None = None
        self._drawn: Placement | None = None

    def change_film(self, image: Radiograph | None) -> None:
        """Forget the graphics of the film before."""
        self._image = image if image is not None and image.overlays else None
        self._graphics = self._drawn = None
        self.hide()
        self.setPixmap(QPixmap())

    def refresh(self, placement: Placement, on: bool) -> None:
        """Show the graphics where the film lies, or hide them."""
        if self._image is None or not on:
            self.hide()
            return
        if placement != self._drawn:
            self._graphics = self._graphics or Graphics(self._image)
            area, pixels = graphics_pixels(self._graphics, self._image, placement)
            self.setPixmap(_pixmap(pixels, placement.frame.device_ratio))
            ratio = placement.frame.device_ratio
            self.setPos(area.x / ratio, area.y / ratio)
            self._drawn = placement
        self.show()


def graphics_pixels(
    graphics: Graphics, image: Radiograph, placement: Placement
) -> tuple[DeviceRect, NDArray[np.uint8]]:
    """Where the film shows (device pixels), and its graphics there: uint8 (height, width, 4), premultiplied."""
    area = visible_rect(placement, ImageRect(0.0, 0.0, float(image.columns), float(image.rows)))
    if area.empty:
        return area, np.zeros((0, 0, 4), np.uint8)
    grid = grid_of(placement, area)
    color = QColor(theme.GRAPHICS)
    outline_px = max(1, round(placement.frame.device_ratio))
    return area, coloured(grid.shown(graphics.on(grid)), (color.red(), color.green(), color.blue()), outline_px)


def _pixmap(rgba: NDArray[np.uint8], device_ratio: float) -> QPixmap:
    height, width = rgba.shape[:2]
    if not rgba.size:
        return QPixmap()
    image = QImage(rgba.data, width, height, 4 * width, QImage.Format.Format_RGBA8888_Premultiplied)
    pixmap = QPixmap.fromImage(image)
    pixmap.setDevicePixelRatio(device_ratio)
    return pixmap
