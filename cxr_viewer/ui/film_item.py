"""The one place that imports pyqtgraph, so that the window can be up before it is loaded (0.3 s)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QGraphicsScene

from cxr_viewer.core.imports import without_modules
from cxr_viewer.ui.film_layer import DeviceRect

# A widget of pyqtgraph that is not used here looks for CUDA's bindings; loading them costs 0.1 s that the window feels.
with without_modules("cuda", "cuda.bindings"):
    import pyqtgraph as pg


class FilmItem(pg.ImageItem):
    """Grey values or colours of a film at screen resolution, one for one on device pixels."""

    def __init__(self, scene: QGraphicsScene) -> None:
        super().__init__(axisOrder="row-major")
        self.setAutoDownsample(False)
        scene.addItem(self)

    def show_pixels(self, area: DeviceRect, pixels: NDArray[np.uint8], device_ratio: float) -> None:
        """Show uint8 (area.height, area.width), or (area.height, area.width, 3) in red, green, blue, at ``area``.

        No levels are applied: the values are what is seen.
        """
        if area.empty:
            self.clear_film()
            return
        self.setImage(pixels, autoLevels=False, levels=None)
        self.setScale(1.0 / device_ratio)
        self.setPos(area.x / device_ratio, area.y / device_ratio)
        self.show()

    def clear_film(self) -> None:
        """Forget every pixel."""
        self.hide()
        self.clear()
        self.qimage = None
