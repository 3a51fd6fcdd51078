"""How a film is shown: everything the reader may change without changing the film."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Voi


class OverlayMode(Enum):
    """How a heat map is drawn."""

    COLOUR = "colour"
    CONTOUR = "contour"


@dataclass(frozen=True, slots=True)
class OverlayState:
    """The heat map over the film.

    Attributes:
        label: finding whose map is shown, or None for no map.
        alpha: opacity of the strongest part, 0..1.
        threshold: map values below it (0..1, common scale) are not drawn.
        structures: structures of a segmenter whose outlines are drawn; None while the reader has chosen none and
            dropped none. Names the model on screen does not know draw nothing.
    """

    label: str | None = None
    alpha: float = 0.45
    threshold: float = 0.15
    mode: OverlayMode = OverlayMode.COLOUR
    structures: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DisplayState:
    """Window, polarity, position and overlay of one pane.

    Attributes:
        voi: the grey transformation in use; None means lowest to highest value of the film.
        voi_index: place of ``voi`` in ``Radiograph.voi`` while it is one of the file's own, else None.
        inverted: the reader's own inversion, on top of what the file asks for.
        zoom: screen pixels per image pixel (in device-independent pixels); None fits the film to the pane.
        center: display coordinates shown in the middle of the pane; None is the middle of the film.
        overlays: draw the file's own overlays (60xx).
        shutter: cover what the file's display shutter covers.
        padding: show pixel padding black, whatever the window.
    """

    voi: Voi | None = None
    voi_index: int | None = None
    inverted: bool = False
    orientation: Orientation = Orientation()
    zoom: float | None = None
    center: Point | None = None
    overlay: OverlayState = OverlayState()
    overlays: bool = True
    shutter: bool = True
    padding: bool = True
