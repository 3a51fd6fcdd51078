"""Lines on a film: where one is too wide it is broken, not cut in the middle of a number."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontMetricsF
from PySide6.QtWidgets import QApplication

from cxr_viewer.ui.film_text import Line, broken

NUMBERS = Line("C 6355.5  W 13238.3")
ZOOM = Line("zoom 15 %, fitted · inverted", "#ffffff")


def test_lines_that_fit_stay_whole(qapp: QApplication) -> None:
    assert broken((NUMBERS, ZOOM), QFont(), 10_000) == (NUMBERS, ZOOM)


def test_a_line_that_does_not_fit_is_broken_where_its_parts_stand_apart(qapp: QApplication) -> None:
    font = QFont()
    width = QFontMetricsF(font).horizontalAdvance(NUMBERS.text) - 1
    assert broken((NUMBERS, ZOOM), font, width) == (
        Line("C 6355.5"),
        Line("W 13238.3"),
        Line("zoom 15 %, fitted", "#ffffff"),
        Line("inverted", "#ffffff"),
    )


def test_a_word_alone_is_left_to_the_ellipsis(qapp: QApplication) -> None:
    assert broken((Line("Lowest-to-highest"),), QFont(), 5) == (Line("Lowest-to-highest"),)
