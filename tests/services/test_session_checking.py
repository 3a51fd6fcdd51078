"""What the reader makes of the film check and of the callipers of the cardiothoracic ratio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cxr_viewer.core.anatomy import Anatomy, Callipers, Handle
from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.filmcheck import FilmCheck, FilmCheckError, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.findings import AnalysisRequest, Refusal
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import View
from cxr_viewer.services import events as ev
from cxr_viewer.services.answers import refusal_of
from cxr_viewer.services.session.checking import check_of
from cxr_viewer.services.state import AnalysisStatus

TURNED = Sign("turned", "This film is turned by 90 degrees.", Severity.BLOCK, "Turn it.")
MIRRORED = Sign("mirrored", "The film may be mirrored.", Severity.CAUTION)
CALLIPERS = Callipers((Point(2, 0), Point(2, 4)), (Point(1, 2), Point(3, 2)), (Point(0, 3), Point(4, 3)))
FOUND = Anatomy("anatomy", "Anatomy", "1", "a" * 64, (), None, (), CALLIPERS, 0.04, trusted=True)


def check(*signs: Sign, turns: int = 0) -> FilmCheck:
    return FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.FILE, turns, signs, "guard", "1", "b" * 64)


def refuse(window: Any, found: FilmCheck | None, request: AnalysisRequest | None = None) -> Refusal:
    """The guard (or, with None, the file's own words) declines the newest question."""
    asked = request or window.requests[-1]
    if found is not None:
        refusal = refusal_of(asked, FilmCheckError(found))
    else:
        refusal = Refusal(asked.pane, asked.generation, asked.image.key, asked.model_id, "wrong-modality", "A CT.")
    window.do(ev.AnalysisRefused(refusal))
    return refusal


@pytest.fixture
def measured(window: Any) -> Any:
    """A window with a film whose callipers are there."""
    window.open()
    window.answer({"Effusion": 0.2}, anatomy=FOUND, check=check())
    return window


# ---------------------------------------------------------------- the film check


def test_what_the_guard_blocks_is_asked_again_only_by_the_readers_wish(window: Any) -> None:
    window.open()
    refusal = refuse(window, check(TURNED, MIRRORED, turns=1))
    assert window.pane.analysis is AnalysisStatus.REFUSED
    assert (refusal.code, refusal.summary, refusal.hint) == ("turned", TURNED.text, TURNED.hint)
    assert check_of(window.pane) == check(TURNED, MIRRORED, turns=1)
    assert not window.requests[-1].override
    effects = window.do(ev.Override(0))
    assert window.requests[-1].override
    assert window.pane.analysis is AnalysisStatus.RUNNING
    (record,) = [effect for effect in effects if isinstance(effect, ev.RecordOverride)]
    assert record == ev.RecordOverride(window.pane.image.key, "paediatric", ("turned",))
    assert effects[0].at_once


def test_only_the_guards_refusal_can_be_passed_over(window: Any) -> None:
    window.open()
    before = window.state
    assert window.do(ev.Override(0)) == ()
    assert window.state is before
    refuse(window, None)
    before = window.state
    assert window.do(ev.Override(0)) == ()
    assert window.do(ev.TurnUpright(0)) == ()
    assert window.do(ev.Override(1)) == ()  # an empty pane
    assert window.state is before


def test_the_wish_holds_for_this_film_only(window: Any) -> None:
    window.open()
    refuse(window, check(TURNED, turns=1))
    window.do(ev.Override(0))
    window.answer({"Effusion": 0.2}, check=check(TURNED, turns=1), overridden=("turned",))
    window.do(ev.AskModel(0))
    assert window.requests[-1].override
    window.open(1)
    assert not window.requests[-1].override


def test_turning_upright_turns_the_display_and_what_models_see(window: Any) -> None:
    window.open()
    refuse(window, check(TURNED, turns=3))
    window.do(ev.TurnUpright(0))
    assert window.pane.display.orientation == Orientation(3)
    assert (window.requests[-1].turns, window.requests[-1].override) == (3, False)
    assert window.pane.refusal is None
    window.answer({"Effusion": 0.2}, check=check(turns=3), turns=3)
    before = window.state
    assert window.do(ev.TurnUpright(0)) == ()  # it is upright already
    assert window.state is before
    window.open(1)
    assert window.requests[-1].turns == 0


def test_taking_the_turn_back_takes_back_what_models_see(window: Any) -> None:
    """Display, question and answer go together, back and forth; other steps ask nothing."""
    window.open()
    refuse(window, check(TURNED, turns=3))
    window.do(ev.TurnUpright(0))
    window.answer({"Effusion": 0.2}, check=check(turns=3), turns=3)
    window.do(ev.SetInverted(0, True))
    asked = len(window.requests)
    window.do(ev.Undo(0))
    assert (len(window.requests), window.pane.result.turns) == (asked, 3)

    late = window.requests[-1]
    (started,) = (one for one in window.do(ev.Undo(0)) if isinstance(one, ev.StartAnalysis))
    assert (window.pane.display.orientation, window.pane.turns) == (Orientation(0), 0)
    assert (started.request.turns, started.at_once) == (0, True)
    assert window.pane.result is None, "a score of the film as it lay otherwise does not stay"
    window.answer({"Effusion": 0.9}, late, check=check(turns=3), turns=3)
    assert window.pane.result is None, "nor does it come late"
    refuse(window, check(TURNED, turns=3))
    assert check_of(window.pane).upright_turns != window.pane.turns, "the strip offers the turn again"

    window.do(ev.Redo(0))
    assert (window.pane.display.orientation, window.pane.turns) == (Orientation(3), 3)
    assert window.requests[-1].turns == 3
    assert window.pane.refusal is None


def test_a_film_that_was_scored_can_be_turned_too(window: Any) -> None:
    window.open()
    window.answer({"Effusion": 0.2}, check=check(MIRRORED, turns=2))
    window.do(ev.TurnUpright(0))
    assert window.requests[-1].turns == 2
    assert window.pane.result is None


# ---------------------------------------------------------------- the callipers


def test_callipers_are_the_anatomy_models_until_a_hand_moves_them(measured: Any) -> None:
    assert measured.pane.callipers == CALLIPERS
    measured.do(ev.MoveCalliper(0, Handle.HEART_RIGHT, Point(3.5, 2)))
    assert measured.pane.callipers.ratio() == pytest.approx(2.5 / 4)
    assert measured.pane.callipers.edited
    assert measured.pane.result.anatomy.callipers == CALLIPERS
    measured.do(ev.ResetCallipers(0))
    assert measured.pane.callipers == CALLIPERS
    before = measured.state
    measured.do(ev.ResetCallipers(0))
    assert measured.state is before


def test_one_drag_is_one_step_back_and_forth(measured: Any) -> None:
    for x in (3.2, 3.4, 3.6):
        measured.do(ev.MoveCalliper(0, Handle.HEART_RIGHT, Point(x, 2), gesture=7))
    measured.do(ev.MoveCalliper(0, Handle.CHEST_LEFT, Point(0.5, 3), gesture=8))
    last = measured.pane.callipers
    measured.do(ev.Undo(0))
    assert measured.pane.callipers.heart[1] == Point(3.6, 2)
    assert measured.pane.callipers.chest == CALLIPERS.chest
    measured.do(ev.Undo(0))
    assert measured.pane.callipers == CALLIPERS
    assert not measured.pane.undo
    measured.do(ev.Redo(0))
    measured.do(ev.Redo(0))
    assert measured.pane.callipers == last


def test_taking_them_back_can_itself_be_undone(measured: Any) -> None:
    measured.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(0.5, 2)))
    moved = measured.pane.callipers
    measured.do(ev.ResetCallipers(0))
    measured.do(ev.Undo(0))
    assert measured.pane.callipers == moved


def test_marks_and_callipers_come_back_each_at_its_step(measured: Any) -> None:
    measured.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(0.5, 2)))
    moved = measured.pane.callipers
    measured.do(ev.AddMark(0, MarkKind.LENGTH, (Point(0, 0), Point(0, 3))))
    measured.do(ev.Undo(0))
    assert measured.pane.callipers == moved
    measured.do(ev.Undo(0))
    assert measured.pane.callipers == CALLIPERS


def test_ends_that_would_cross_stay(measured: Any) -> None:
    before = measured.state
    measured.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(3.5, 2)))
    assert measured.state is before


def test_without_callipers_there_is_nothing_to_move(window: Any) -> None:
    window.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(0, 0)))
    window.open()
    window.answer({"Effusion": 0.2}, anatomy=replace(FOUND, callipers=None, trusted=False))
    before = window.state
    window.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(0, 0)))
    window.do(ev.ResetCallipers(0))
    assert window.state is before


def test_another_film_has_its_own(measured: Any) -> None:
    measured.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(0.5, 2)))
    measured.open(1)
    assert measured.pane.callipers is None


def test_another_frame_has_its_own(window: Any) -> None:
    window.open(3)
    window.answer({"Effusion": 0.2}, anatomy=FOUND)
    window.do(ev.MoveCalliper(0, Handle.HEART_LEFT, Point(0.5, 2)))
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    assert window.pane.image.key.frame == 1
    assert window.pane.edited is None
    assert (window.pane.turns, window.pane.overridden) == (0, False)


def test_the_switch_is_kept(window: Any) -> None:
    assert window.state.show_callipers
    assert window.do(ev.ShowCallipers(visible=False)) == (ev.SavePreference("show_callipers", False),)
    assert not window.state.show_callipers


def test_outlines_are_drawn_until_the_program_ends_and_not_kept(window: Any) -> None:
    assert window.do(ev.ShowOutlines(True)) == ()
    assert window.state.show_outlines
    window.open()
    assert window.state.show_outlines
    window.do(ev.ShowOutlines(False))
    assert not window.state.show_outlines
