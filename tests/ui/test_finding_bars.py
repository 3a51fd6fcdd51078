"""Bars for few findings and for many: seen together, chosen by mouse and keys, and never a percent too much."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.findings import Finding, ScoreKind
from cxr_viewer.ui import theme
from cxr_viewer.ui.finding_bars import FindingBars, MapNote

WIDTH_PX = 300
NAMES = [f"Finding {number}" for number in range(17)] + ["Enlarged Cardiomediastinum"]
ScreenPixels = Callable[[QWidget], NDArray[np.uint8]]


def made(count: int, kind: ScoreKind = ScoreKind.OPERATING_POINT) -> tuple[Finding, ...]:
    return tuple(Finding(name, 0.9 - 0.05 * place, kind, 0.5) for place, name in enumerate(NAMES[:count]))


@pytest.fixture
def bars(qtbot: QtBot) -> FindingBars:
    widget = FindingBars()
    qtbot.addWidget(widget)
    widget.resize(WIDTH_PX, 900)
    widget.show()
    return widget


def show(bars: FindingBars, count: int, **more: Any) -> None:
    bars.show_findings(made(count), more.pop("selected", NAMES[0]), greyed=False, map_shown=None, **more)
    bars.resize(WIDTH_PX, bars.sizeHint().height())


def test_eighteen_findings_are_seen_together(bars: FindingBars) -> None:
    show(bars, 18)
    assert bars.sizeHint().height() <= 460  # the panel of a window of 1280 x 800 has 480 for them
    show(bars, 3)
    assert bars.sizeHint().height() >= 3 * 50


@pytest.mark.parametrize("count", [3, 18])
def test_each_row_is_where_it_is_said_to_be(bars: FindingBars, qtbot: QtBot, count: int) -> None:
    note = MapNote("map not reliable", "Worse than a fixed point.")
    bars.show_findings(made(count), NAMES[0], greyed=False, map_shown=NAMES[1], notes={NAMES[1]: note})
    bars.resize(WIDTH_PX, bars.sizeHint().height())
    chosen: list[str] = []
    bars.chosen.connect(chosen.append)
    for name in NAMES[:count]:
        qtbot.mouseClick(bars, Qt.MouseButton.LeftButton, pos=bars.place_of(name).center())
    assert chosen == NAMES[:count]
    rows = [bars.place_of(name) for name in NAMES[:count]]
    assert rows[1].height() > rows[0].height()  # the badge has room of its own
    assert all(before.bottom() + 1 == after.top() for before, after in pairwise(rows))
    assert not bars.place_of("no such finding").isValid()


@pytest.mark.parametrize("count", [3, 18])
def test_the_operating_point_is_in_the_middle_of_every_bar(
    bars: FindingBars, screen_pixels: ScreenPixels, count: int
) -> None:
    show(bars, count, selected=None)
    picture = screen_pixels(bars)
    white = np.asarray([int(theme.TEXT[i : i + 2], 16) for i in (1, 3, 5)])
    columns = []
    for name in NAMES[:count]:
        row = bars.place_of(name)
        line = np.all(np.abs(picture[row.top() : row.bottom()].astype(int) - white) <= 8, axis=2)
        columns.append(int(np.argmax(line.sum(axis=0) * (np.arange(WIDTH_PX) > 100))))
    assert max(columns) - min(columns) <= 1  # one below the other: bars of all rows begin and end alike


def test_a_finding_called_has_a_bar_beyond_the_operating_point(bars: FindingBars, screen_pixels: ScreenPixels) -> None:
    show(bars, 18, selected=None)
    picture = screen_pixels(bars).astype(int)
    accent = np.asarray([int(theme.ACCENT[i : i + 2], 16) for i in (1, 3, 5)])
    lengths = []
    for name in NAMES:
        row = bars.place_of(name)
        lengths.append(int(np.all(np.abs(picture[row.center().y() - 1] - accent) <= 8, axis=1).sum()))
    called = [finding.positive for finding in made(18)]
    assert [length > 0 for length in lengths] == called
    assert lengths[:8] == sorted(lengths[:8], reverse=True)


def test_scores_of_operating_points_bear_no_percent_sign(bars: FindingBars) -> None:
    show(bars, 18)
    assert "%" not in bars.accessibleDescription()
    bars.show_findings(made(1, ScoreKind.CALIBRATED), None, greyed=False, map_shown=None)
    assert "90\N{NO-BREAK SPACE}%" in bars.accessibleDescription()


def test_arrow_keys_walk_through_many(bars: FindingBars, qtbot: QtBot) -> None:
    show(bars, 18, selected=NAMES[16])
    chosen: list[str] = []
    bars.chosen.connect(chosen.append)
    qtbot.keyClick(bars, Qt.Key.Key_Down)
    qtbot.keyClick(bars, Qt.Key.Key_Up)
    assert chosen == [NAMES[17], NAMES[15]]
    wanted: list[str] = []
    bars.map_wanted.connect(wanted.append)
    qtbot.keyClick(bars, Qt.Key.Key_Return)
    qtbot.mouseDClick(bars, Qt.MouseButton.LeftButton, pos=QPoint(20, bars.place_of(NAMES[2]).center().y()))
    assert wanted == [NAMES[16], NAMES[2]]
