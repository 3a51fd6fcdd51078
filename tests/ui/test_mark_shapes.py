"""Where the text of a mark stands."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.ui.mark_shapes import label_rect
from cxr_viewer.ui.placement import Frame

FRAME = Frame(640.0, 520.0)
INSIDE = QRectF(0, 0, FRAME.width, FRAME.height)
MEASURE = "179.1 mm (magnification corrected)"


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        (MarkKind.LENGTH, ((100, 200), (600, 200))),
        (MarkKind.LENGTH, ((100, 4), (638, 4))),
        (MarkKind.LENGTH, ((30, 500), (639, 519))),
        (MarkKind.ARROW, ((300, 200), (20, 210))),
        (MarkKind.ANGLE, ((500, 100), (620, 200), (500, 300))),
        (MarkKind.TEXT, ((600, 300),)),
    ],
)
def test_what_a_length_is_worth_is_never_cut_off(
    qapp: QApplication, kind: MarkKind, ends: tuple[tuple[float, float], ...]
) -> None:
    points = [QPointF(*end) for end in ends]
    assert INSIDE.contains(label_rect(kind, points, MEASURE, QFont(), FRAME))


def test_where_there_is_room_it_stands_beside_the_line(qapp: QApplication) -> None:
    rect = label_rect(MarkKind.LENGTH, [QPointF(100, 200), QPointF(200, 260)], MEASURE, QFont(), FRAME)
    assert rect.left() > 200
    assert rect.top() < 260 < rect.bottom()


def test_the_text_of_a_line_out_of_sight_is_out_of_sight(qapp: QApplication) -> None:
    rect = label_rect(MarkKind.LENGTH, [QPointF(900, 200), QPointF(990, 260)], MEASURE, QFont(), FRAME)
    assert not INSIDE.intersects(rect)
