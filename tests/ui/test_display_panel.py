from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.image import Radiograph, VoiTable, VoiWindow, WindowFunction
from cxr_viewer.imaging import levels, luts
from cxr_viewer.services import events as ev
from cxr_viewer.ui.display_panel import DisplayPanel
from cxr_viewer.ui.histogram_view import Grip, HistogramView, dragged
from cxr_viewer.ui.value_fields import ValueSlider, ValueSpin

CANON = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
WINDOWS = "syn_dx_canon_multiwindow.dcm"
LUTS = "syn_dx_canon_voilutsequence3.dcm"
NIH = "dx_nih_00002527_nodule_f37.dcm"

RealFilm = Callable[[str], Radiograph]


@pytest.fixture
def panel(qtbot: QtBot) -> DisplayPanel:
    panel = DisplayPanel()
    qtbot.addWidget(panel)
    panel.resize(320, 300)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


@pytest.fixture
def session(panel: DisplayPanel, new_session: Any) -> Any:
    return new_session(panel)


def named(panel: QWidget, kind: type[Any], name: str) -> Any:
    (found,) = (child for child in panel.findChildren(kind) if child.accessibleName() == name)
    return found


def choice(panel: QWidget) -> QComboBox:
    return named(panel, QComboBox, "Window")  # type: ignore[no-any-return]


def choose(panel: QWidget, text: str) -> None:
    box = choice(panel)
    row = next(row for row in range(box.count()) if text in box.itemText(row))
    box.setCurrentIndex(row)
    box.activated.emit(row)


def numbers(panel: QWidget) -> tuple[float, float]:
    return named(panel, ValueSpin, "Window centre").value(), named(panel, ValueSpin, "Window width").value()


# ---------------------------------------------------------------- what is shown


def test_without_a_film_nothing_can_be_changed(panel: DisplayPanel, session: Any) -> None:
    controls = panel.findChildren(QPushButton) + panel.findChildren(ValueSpin) + [choice(panel)]
    assert controls
    assert not any(control.isEnabled() for control in controls)


def test_the_files_own_windows_stand_there_by_their_explanations(
    panel: DisplayPanel, session: Any, real_film: RealFilm
) -> None:
    session.open(real_film(WINDOWS))
    box = choice(panel)
    texts = [box.itemText(row) for row in range(box.count())]
    assert texts[:3] == ["1  NORMAL (2048 / 4096)", "2  LUNG (1200 / 1500)", "3  BONE (2900 / 1500)"]
    assert texts[3:] == ["Automatic", "Lowest to highest value"]
    assert box.currentText() == texts[0]
    assert numbers(panel) == (2048, 4096)
    assert session.events == []


def test_tables_stand_there_too_and_have_the_numbers_a_drag_goes_on_from(
    panel: DisplayPanel, session: Any, real_film: RealFilm
) -> None:
    film = real_film(LUTS)
    session.open(film)
    assert choice(panel).currentText() == "1  NORMAL (table)"
    window = levels.equivalent_window(film, film.voi[0])
    assert numbers(panel) == pytest.approx((window.center, window.width), abs=0.01)


def test_a_film_without_windows_shows_its_full_range(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    film = real_film(NIH)
    session.open(film)
    assert film.voi == ()
    assert choice(panel).currentText() == "Lowest to highest value"
    full = levels.full_range(film)
    assert numbers(panel) == pytest.approx((full.center, full.width), abs=0.01)


def test_another_windows_number_is_shown_whole(
    panel: DisplayPanel, session: Any, make_film: Callable[..., Radiograph]
) -> None:
    stored = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    far = VoiWindow(250_000.25, 800_000.0)
    session.open(make_film(stored, voi=(far,)))
    assert numbers(panel) == (far.center, far.width)  # never clipped: it would not be what is on screen
    assert session.events == []


def test_it_follows_undo_and_the_keys(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    session.open(real_film(WINDOWS))
    session.dispatch(ev.SetVoi(0, VoiWindow(1000, 500)))
    assert choice(panel).currentText() == "By hand (1000 / 500)"
    session.dispatch(ev.SetInverted(0, True))
    assert named(panel, QPushButton, "Invert").isChecked()
    session.dispatch(ev.Undo(0))
    session.dispatch(ev.Undo(0))
    assert choice(panel).currentText() == "1  NORMAL (2048 / 4096)"
    assert not named(panel, QPushButton, "Invert").isChecked()
    assert "By hand" not in [choice(panel).itemText(row) for row in range(choice(panel).count())]
    assert len(session.events) == 4


def test_closing_the_film_empties_it(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    session.open(real_film(WINDOWS))
    session.dispatch(ev.ClosePane(0))
    assert choice(panel).count() == 0
    assert not choice(panel).isEnabled()


# ---------------------------------------------------------------- what the hand asks for


def test_choosing(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    film = real_film(WINDOWS)
    session.open(film)
    choose(panel, "LUNG")
    assert session.state.pane.display.voi is film.voi[1]
    assert session.state.pane.display.voi_index == 1
    choose(panel, "Lowest to highest value")
    assert session.state.pane.display.voi is None
    choose(panel, "Automatic")
    assert session.state.pane.display.voi == levels.auto_window(film)
    assert choice(panel).currentText() == "Automatic"


def test_the_buttons(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    film = real_film(WINDOWS)
    session.open(film)
    QTest.mouseClick(named(panel, QPushButton, "Automatic window"), Qt.MouseButton.LeftButton)
    assert session.state.pane.display.voi == levels.auto_window(film)
    QTest.mouseClick(named(panel, QPushButton, "Invert"), Qt.MouseButton.LeftButton)
    assert session.state.pane.display.inverted
    QTest.mouseClick(named(panel, QPushButton, "Reset film"), Qt.MouseButton.LeftButton)
    assert session.state.pane.display.voi is film.voi[0]
    assert not session.state.pane.display.inverted


def test_a_number_typed_counts_when_it_is_whole(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    session.open(real_film(CANON))
    spin = named(panel, ValueSpin, "Window centre")
    spin.selectAll()
    QTest.keyClicks(spin, "1500")
    assert session.events == []
    QTest.keyClick(spin, Qt.Key.Key_Return)
    assert session.state.pane.display.voi == VoiWindow(1500, 4096)
    assert len(session.state.pane.undo) == 1


@pytest.mark.parametrize("language", [QLocale.Language.German, QLocale.Language.English])
@pytest.mark.parametrize("typed", ["12.5", "12,5"])
def test_comma_and_point_are_the_decimal_mark_in_any_language(
    qtbot: QtBot, language: QLocale.Language, typed: str
) -> None:
    spin = ValueSpin("Width", "tip")
    qtbot.addWidget(spin)
    spin.setLocale(QLocale(language))
    spin.setRange(0, 1000)
    spin.selectAll()
    QTest.keyClicks(spin, typed)
    QTest.keyClick(spin, Qt.Key.Key_Return)
    assert spin.value() == 12.5


def test_a_slider_pulled_is_one_undo_step(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    film = real_film(CANON)
    session.open(film)
    slider = named(panel, ValueSlider, "Window centre slider")
    slider.setSliderDown(True)
    for place in (520, 540, 600):
        slider.setSliderPosition(place)
    slider.setSliderDown(False)
    slider.triggerAction(ValueSlider.SliderAction.SliderPageStepAdd)
    assert len(session.state.pane.undo) == 2
    voi = session.state.pane.display.voi
    assert voi.center > 2048
    assert voi.width == 4096


def test_the_slider_stands_where_the_window_is(panel: DisplayPanel, session: Any, real_film: RealFilm) -> None:
    film = real_film(CANON)
    session.open(film)
    limits = levels.window_limits(luts.modality_range(film), film.voi[0])  # type: ignore[arg-type]
    center = named(panel, ValueSlider, "Window centre slider").value() / 1000
    assert limits.lowest_center + center * (limits.highest_center - limits.lowest_center) == pytest.approx(
        2048, rel=0.01
    )
    width = named(panel, ValueSlider, "Window width slider").value() / 1000
    assert limits.narrowest * (limits.widest / limits.narrowest) ** width == pytest.approx(4096, rel=0.01)


def test_a_falling_table_keeps_its_polarity_when_its_numbers_are_changed(
    panel: DisplayPanel, session: Any, make_film: Callable[..., Radiograph]
) -> None:
    ramp = np.arange(4096, dtype=np.uint16)
    film = make_film(ramp.reshape(64, 64), bits_stored=12, voi=(VoiTable(0, ramp[::-1].copy(), 12),))
    session.open(film)
    named(panel, ValueSpin, "Window width").setValue(4000)
    display = session.state.pane.display
    assert display.inverted
    after = luts.compose(film, display.voi, display.inverted)
    assert after[100] > after[4000]


# ---------------------------------------------------------------- histogram


@pytest.fixture
def histogram(panel: DisplayPanel, session: Any, real_film: RealFilm) -> HistogramView:
    session.open(real_film(CANON))
    session.dispatch(ev.SetVoi(0, VoiWindow(2000, 2000)))
    session.events.clear()
    return named(panel, HistogramView, "Histogram with window")  # type: ignore[no-any-return]


def test_the_edges_and_the_middle_are_taken_hold_of(histogram: HistogramView, session: Any, hand: Any) -> None:
    low, high = histogram.position(1000), histogram.position(3000)
    assert histogram.grip_at(low + 2) is Grip.LOW
    assert histogram.grip_at(high - 2) is Grip.HIGH
    assert histogram.grip_at((low + high) / 2) is Grip.WHOLE
    assert histogram.grip_at(low - 30) is None

    per_pixel = 1000 / (histogram.position(2000) - histogram.position(1000))
    hand.drag(histogram, (low, 40), (low + 20, 40))
    voi = session.state.pane.display.voi
    assert voi.center + voi.width / 2 == pytest.approx(3000, abs=2)
    assert voi.center - voi.width / 2 == pytest.approx(1000 + 20 * per_pixel, abs=2)
    before = voi
    hand.drag(histogram, (histogram.position(voi.center), 40), (histogram.position(voi.center) - 15, 40))
    voi = session.state.pane.display.voi
    assert voi.width == before.width
    assert voi.center == pytest.approx(before.center - 15 * per_pixel, abs=2)


def test_one_drag_on_it_is_one_undo_step(histogram: HistogramView, session: Any, hand: Any) -> None:
    steps = len(session.state.pane.undo)
    hand.drag(histogram, (histogram.position(2000), 40), (histogram.position(2400), 40), steps=12)
    assert len(session.state.pane.undo) == steps + 1
    session.dispatch(ev.Undo(0))
    assert session.state.pane.display.voi == VoiWindow(2000, 2000)


def test_a_window_out_of_sight_can_still_be_taken_hold_of(histogram: HistogramView, session: Any) -> None:
    session.dispatch(ev.SetVoi(0, VoiWindow(2000, 100_000)))
    assert histogram.grip_at(1) is Grip.LOW
    assert histogram.grip_at(histogram.width() - 2) is Grip.HIGH


def test_edges_do_not_pass_each_other() -> None:
    start = VoiWindow(100, 50, WindowFunction.LINEAR, "X")
    assert dragged(start, Grip.LOW, 500).width == 1
    assert dragged(start, Grip.HIGH, -500).width == 1
    assert dragged(start, Grip.HIGH, -500).center == pytest.approx(75.5)
    assert dragged(start, Grip.WHOLE, 7) == VoiWindow(107, 50)


def test_the_line_falls_where_high_values_are_dark(
    panel: DisplayPanel, session: Any, real_film: RealFilm, screen_pixels: Callable[[QWidget], Any]
) -> None:
    film = real_film(CANON)
    session.open(film)
    assert luts.inverts(film)
    view = named(panel, HistogramView, "Histogram with window")

    def bright_rows(column: int) -> float:
        part = screen_pixels(view)[:, column - 6 : column + 6].min(axis=2)
        return float(np.nonzero((part > 190).any(axis=1))[0].mean())

    low, high = 20, view.width() - 20
    assert bright_rows(low) < bright_rows(high)
    session.dispatch(ev.SetInverted(0, True))
    assert bright_rows(low) > bright_rows(high)


def test_every_control_says_what_it_is(panel: DisplayPanel) -> None:
    kinds: tuple[type[QWidget], ...] = (QPushButton, ValueSpin, ValueSlider, QComboBox, HistogramView)
    for kind in kinds:
        for control in panel.findChildren(kind):
            assert control.toolTip(), control
            assert control.accessibleName(), control
    takers = [child for child in panel.findChildren(QWidget) if child.acceptDrops()]
    assert takers == []  # a film dropped here is for the window
