"""The film check, the cardiothoracic ratio and what is not offered, in the findings panel over a real film."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from cxr_viewer.core.anatomy import Anatomy, Handle
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.findings import MapScale, Refusal, SiteCalibration, Withheld
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Caution, Radiograph, View
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus
from cxr_viewer.ui.check_strip import severity_icon
from cxr_viewer.ui.findings_panel import FindingsPanel

PA = "dx_canon_pa_mono1_12bit_j2klossless.dcm"
FINE = FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.FILE, 0, (), "guard", "1", "ab" * 32)
READ_AP = replace(FINE, view=View.AP, view_source=ViewSource.NETWORK)
UNKNOWN = replace(FINE, view=View.UNKNOWN, view_source=ViewSource.NOWHERE)
TURNED = Sign("turned", "The film lies turned by 90 degrees.", Severity.BLOCK, "Turn it upright.", 0.99)
UNLIKE = Sign("unlike-training", "The film looks unlike those the model was trained on.", Severity.GREY, "Take care.")


@pytest.fixture
def film(real_film: Callable[[str], Radiograph]) -> Radiograph:
    return real_film(PA)


@pytest.fixture
def panel(qtbot: QtBot) -> FindingsPanel:
    made = FindingsPanel((), ("auto",), ("Grad-CAM",), lambda card, head: ("Grad-CAM",))
    qtbot.addWidget(made)
    made.resize(320, 620)
    made.show()
    return made


@pytest.fixture
def session(panel: FindingsPanel, new_session: Any, film: Radiograph) -> Any:
    session = new_session(panel)
    session.open(film)
    return session


def refuse(session: Any, check: FilmCheck) -> None:
    """The guard has stopped the film."""
    pane = session.state.panes[0]
    sign = check.blocking[0]
    refusal = Refusal(0, pane.question, pane.key, "findings", sign.code, sign.text, sign.hint, check)
    stopped = replace(pane, result=None, refusal=refusal, analysis=AnalysisStatus.REFUSED)
    session.show(replace(session.state, panes=(stopped, *session.state.panes[1:])))


def words(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget))


# ---------------------------------------------------------------- film check


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (FINE, "Frontal PA film, upright"),
        (
            replace(FINE, view=View.AP, view_source=ViewSource.NETWORK),
            "Frontal film, AP read from the picture, upright",
        ),
        (replace(FINE, view=View.UNKNOWN, view_source=ViewSource.NOWHERE), "Frontal film, PA or AP not known, upright"),
    ],
)
def test_a_film_in_order_takes_one_quiet_line(
    panel: FindingsPanel, session: Any, answer_with: Any, check: FilmCheck, expected: str
) -> None:
    answer_with(session, check=check)
    assert words(panel.check) == expected
    assert not panel.check.turn.isVisible()
    assert not panel.check.override.isVisible()


def test_without_a_guard_nothing_is_said(panel: FindingsPanel, session: Any, answer_with: Any) -> None:
    answer_with(session)
    assert not panel.check.isVisible()
    assert not panel.ratio.isVisible()


def test_a_blocked_film_offers_two_ways_on(panel: FindingsPanel, session: Any, hand: Any) -> None:
    refuse(session, replace(FINE, upright_turns=1, signs=(TURNED,)))
    assert TURNED.text in words(panel.check)
    assert TURNED.hint in words(panel.check)
    assert "record" in panel.check.override.toolTip()
    assert "no score" in panel.check.accessibleDescription()
    assert words(panel).count(TURNED.text) == 1
    hand.click(panel.check.turn, (8, 8))
    assert session.state.panes[0].display.orientation == Orientation(1)
    assert session.state.panes[0].turns == 1


def test_the_reader_may_have_it_scored_all_the_same_by_keyboard(
    panel: FindingsPanel, session: Any, qtbot: QtBot, answer_with: Any
) -> None:
    check = replace(FINE, signs=(replace(TURNED, code="not-chest", text="This does not look like a chest film."),))
    refuse(session, check)
    assert not panel.check.turn.isVisible()
    panel.check.override.setFocus()
    qtbot.keyClick(panel.check.override, Qt.Key.Key_Space)
    assert session.sent(ev.Override)
    assert session.state.panes[0].overridden
    answer_with(session, check=check, overridden=("not-chest",), limits=(check.signs[0].caution,))
    assert panel.check.badge.isVisible()
    assert "Scored against the film check" in panel.check.accessibleDescription()
    assert words(panel).count("This does not look like a chest film.") == 1
    assert "The score does not hold for this film." in words(panel)


def test_signs_are_told_apart_by_their_form(qtbot: QtBot) -> None:
    pictures = [severity_icon(severity).toImage() for severity in Severity]
    assert all(pictures[first] != pictures[second] for first in range(4) for second in range(first))


# ---------------------------------------------------------------- cardiothoracic ratio


def test_the_ratio_stands_with_its_error_and_its_widths(
    panel: FindingsPanel, session: Any, film: Radiograph, make_anatomy: Callable[..., Anatomy], answer_with: Any
) -> None:
    anatomy = make_anatomy(film, cautions=(Caution("ap", "On an AP film the heart looks wider."),))
    answer_with(session, anatomy=anatomy)
    assert film.spacing is not None
    assert panel.ratio.value.text() == "0.43 ± 0.04"
    heart = round(0.3 * film.columns * film.spacing.column_mm)
    assert f"Heart {heart}\N{NO-BREAK SPACE}mm" in panel.ratio.widths.text()
    assert "(at detector)" in panel.ratio.widths.text()
    assert "On an AP film the heart looks wider." in words(panel.ratio)
    assert "0.43 ± 0.04" in panel.ratio.accessibleDescription()


def test_after_the_hand_it_says_whose_it_is_and_goes_back(
    panel: FindingsPanel,
    session: Any,
    film: Radiograph,
    make_anatomy: Callable[..., Anatomy],
    answer_with: Any,
    hand: Any,
) -> None:
    answer_with(session, anatomy=make_anatomy(film))
    assert not panel.ratio.reset.isVisible()
    session.dispatch(ev.MoveCalliper(0, Handle.HEART_RIGHT, Point(0.77 * film.columns, 0.6 * film.rows)))
    assert panel.ratio.value.text() == "0.53"
    assert panel.ratio.automatic.text() == "measured by you; automatic 0.43 ± 0.04"
    hand.click(panel.ratio.reset, (8, 8))
    assert panel.ratio.value.text() == "0.43 ± 0.04"


def test_an_uncalibrated_film_is_measured_in_pixels(
    panel: FindingsPanel,
    new_session: Any,
    real_film: Callable[[str], Radiograph],
    make_anatomy: Callable[..., Anatomy],
    answer_with: Any,
) -> None:
    bare = real_film("syn_dx_canon_nospacing.dcm")
    session = new_session(panel)
    session.open(bare)
    answer_with(session, anatomy=make_anatomy(bare))
    assert "px (not calibrated)" in panel.ratio.widths.text()


def test_where_it_cannot_be_measured_it_says_why(
    panel: FindingsPanel, session: Any, film: Radiograph, make_anatomy: Callable[..., Anatomy], answer_with: Any
) -> None:
    why = Caution("lateral", "On a lateral film there is no cardiothoracic ratio.")
    answer_with(session, anatomy=make_anatomy(film, callipers=None, trusted=False, cautions=(why,)))
    assert panel.ratio.value.text() == "not measurable"
    assert why.text in words(panel.ratio)
    assert not panel.ratio.callipers.isEnabled()


def test_callipers_and_outlines_are_switched(
    panel: FindingsPanel,
    session: Any,
    film: Radiograph,
    make_anatomy: Callable[..., Anatomy],
    answer_with: Any,
    qtbot: QtBot,
) -> None:
    answer_with(session, anatomy=make_anatomy(film))
    assert panel.ratio.callipers.isChecked()
    assert not panel.ratio.outlines.isChecked()
    for box in (panel.ratio.callipers, panel.ratio.outlines):
        box.setFocus()
        qtbot.keyClick(box, Qt.Key.Key_Space)
    assert not session.state.show_callipers
    assert session.state.show_outlines


# ---------------------------------------------------------------- what scores carry


def test_what_is_not_offered_folds(panel: FindingsPanel, session: Any, answer_with: Any, qtbot: QtBot) -> None:
    ap = "Not offered on AP films."
    answer_with(session, withheld=(Withheld("Effusion", ap), Withheld("Edema", ap)))
    assert panel.withheld.head.toolTip() == "Not offered on AP films: Effusion, Edema"
    assert panel.withheld.head.text() == "Not offered: Effusion, Edema"  # which they are is seen without a click
    assert not panel.withheld.words.isVisible()
    panel.withheld.head.setFocus()
    qtbot.keyClick(panel.withheld.head, Qt.Key.Key_Space)
    assert panel.withheld.words.isVisible()
    answer_with(session)
    assert not panel.withheld.isVisible()


def test_a_caution_about_a_map_stands_beside_its_controls(
    panel: FindingsPanel, session: Any, film: Radiograph, answer_with: Any, make_anatomy: Callable[..., Anatomy]
) -> None:
    outside = Caution("map-outside-lungs", "Map of “Effusion”: 62 % of its heat lies outside lungs and heart.")
    heatmap = replace(make_anatomy(film).outlines[0], label="Effusion", scale=MapScale.COMMON)
    answer_with(session, cautions=(outside,), heatmaps=(heatmap,))
    assert outside.text in words(panel)
    assert not panel._overlay.note.isVisible()
    session.dispatch(ev.SetOverlay(0, visible=True))
    assert panel._overlay.note.text() == outside.text
    assert panel._overlay.note.isVisibleTo(panel)


def test_the_panel_stays_as_narrow_as_its_dock(
    panel: FindingsPanel, session: Any, film: Radiograph, make_anatomy: Callable[..., Anatomy], answer_with: Any
) -> None:
    before = panel.minimumSizeHint().width()
    site = SiteCalibration("St. Anna", "2026-11-22", 412, 380, ())
    withheld = tuple(Withheld(f"Finding of a long name {number}", "Not offered on AP films.") for number in range(6))
    answer_with(
        session,
        anatomy=make_anatomy(film),
        check=replace(FINE, upright_turns=1, signs=(UNLIKE, TURNED)),
        overridden=("turned",),
        withheld=withheld,
        site=site,
    )
    session.dispatch(ev.MoveCalliper(0, Handle.HEART_RIGHT, Point(0.77 * film.columns, 0.6 * film.rows)))
    assert panel.minimumSizeHint().width() <= max(before, 300)
