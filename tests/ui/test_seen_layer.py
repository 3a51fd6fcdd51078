"""Unseen strips are hatched where they lie on the screen, however the film lies, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage, QPainter
from PySide6.QtWidgets import QGraphicsScene, QStyleOptionGraphicsItem

from cxr_viewer.core.display import DisplayState
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Radiograph
from cxr_viewer.ui.placement import Frame, Placement, place
from cxr_viewer.ui.seen_layer import STEP_PX, SeenLayer

pytestmark = pytest.mark.usefixtures("qapp")

ROWS, COLUMNS = 300, 200
LEFT, TOP = ImageRect(0, 0, 40, 300), ImageRect(40, 0, 160, 60)
GREY = 120


@pytest.fixture
def film(make_film: Callable[..., Radiograph]) -> Radiograph:
    return make_film(np.zeros((ROWS, COLUMNS), np.uint8))


def painted(placement: Placement, strips: tuple[ImageRect, ...], grey: int = GREY) -> NDArray[np.int64]:
    """How far the layer moves each widget pixel from an even grey: (height, width), 0 where it paints nothing."""
    layer = SeenLayer()
    scene = QGraphicsScene()
    scene.addItem(layer)
    layer.refresh(placement, strips)
    picture = QImage(int(placement.frame.width), int(placement.frame.height), QImage.Format.Format_RGB32)
    picture.fill(QColor(grey, grey, grey))
    painter = QPainter(picture)
    if layer.isVisible():
        layer.paint(painter, QStyleOptionGraphicsItem(), None)
    painter.end()
    flat = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.width(), 4)
    return flat[..., 0].astype(np.int64) - grey


def inside(placement: Placement, rect: ImageRect, margin: float = 0.0) -> NDArray[np.bool_]:
    """Widget pixels whose middle lies on a part of the film, and ``margin`` widget pixels away from its border."""
    y, x = np.mgrid[: int(placement.frame.height), : int(placement.frame.width)] + 0.5
    turn = np.linalg.inv(placement.matrix[:, :2])
    moved = np.stack((x - placement.matrix[0, 2], y - placement.matrix[1, 2]))
    across, down = np.tensordot(turn, moved, axes=1)
    away = margin / placement.zoom
    within_x = (across >= rect.x + away) & (across <= rect.right - away)
    return np.asarray(within_x & (down >= rect.y + away) & (down <= rect.bottom - away))


@pytest.mark.parametrize("zoom", [0.31, 0.5])
def test_strips_are_hatched_on_their_pixels_however_the_film_lies(
    film: Radiograph, orientation: Orientation, zoom: float
) -> None:
    placement = place(film, DisplayState(orientation=orientation, zoom=zoom, center=None), Frame(170, 170))
    drawn = painted(placement, (LEFT, TOP)) != 0
    on_strips = inside(placement, LEFT, -1.0) | inside(placement, TOP, -1.0)  # with half-covered pixels at the border
    assert not (drawn & ~on_strips).any()
    for strip in (LEFT, TOP):
        share = drawn[inside(placement, strip, 2.0)].mean()
        assert 0.05 < share < 0.6
    seen = ImageRect(40, 60, 160, 240)
    assert not drawn[inside(placement, seen, 1.0)].any()


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.5])
def test_lines_keep_their_distance_at_every_zoom(film: Radiograph, zoom: float) -> None:
    placement = place(film, DisplayState(zoom=zoom, center=Point(20, 150)), Frame(160, 120))
    row = painted(placement, (ImageRect(0, 0, 200, 300),))[60]
    starts = np.flatnonzero((row[1:] > 15) & (row[:-1] <= 15))
    assert len(starts) >= 3
    assert np.abs(np.diff(starts) - STEP_PX).max() <= 1


def test_lines_move_with_the_film(film: Radiograph) -> None:
    before = place(film, DisplayState(zoom=1.0, center=Point(100, 150)), Frame(200, 300))
    after = place(film, DisplayState(zoom=1.0, center=Point(95, 150)), Frame(200, 300))
    strips = (ImageRect(0, 0, 200, 300),)
    assert np.abs(painted(before, strips)[:, 10:190] - painted(after, strips)[:, 15:195]).max() <= 2


@pytest.mark.parametrize("grey", [0, 60, 128, 200, 255])
def test_hatching_is_seen_on_every_grey_and_leaves_the_film_readable(film: Radiograph, grey: int) -> None:
    placement = place(film, DisplayState(zoom=1.0), Frame(200, 300))
    change = painted(placement, (ImageRect(0, 0, 200, 300),), grey)[5:-5, 5:-5]
    assert np.abs(change).max() >= 18  # seen
    assert np.abs(change).mean() < 14  # no wash over what is under it
    assert (change == 0).mean() > 0.5


def test_nothing_is_hatched_where_the_model_saw_everything(film: Radiograph) -> None:
    placement = place(film, DisplayState(zoom=1.0), Frame(200, 300))
    layer: Any = SeenLayer()
    layer.refresh(placement, (LEFT,))
    assert layer.isVisible()
    layer.refresh(placement, ())
    assert not layer.isVisible()
    assert not painted(placement, ()).any()
