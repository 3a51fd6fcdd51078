"""What each event does, one behaviour at a time. ``test_session_order.py`` holds what is true for any order of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.findings import Refusal
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import Caution, VoiWindow
from cxr_viewer.core.jobs import Failure, Progress
from cxr_viewer.core.study import ReadStatus, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import (
    PANE_COUNT,
    AnalysisStatus,
    CornerText,
    Layout,
    NoticeLevel,
    PaneStatus,
    Tool,
    ViewerState,
    sorted_findings,
)

HIGH, LOW = {"Pneumonia": 0.9, "Effusion": 0.2}, {"Pneumonia": 0.3, "Effusion": 0.2}
BONE = VoiWindow(40, 80)


# ---------------------------------------------------------------- opening


def test_a_film_opens_with_its_own_window_upright_and_fitted(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[0]))
    assert window.pane.status is PaneStatus.LOADING
    window.arrive(window.loads[-1])
    pane = window.pane
    assert pane.status is PaneStatus.SHOWN
    assert (pane.display.voi, pane.display.voi_index) == (pane.image.voi[0], 0)
    assert (pane.display.zoom, pane.display.orientation, pane.display.inverted) == (None, Orientation(), False)


def test_opening_another_film_empties_everything_in_the_same_step(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    window.do(ev.SetOpinion(0, "looks wet"))
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    assert window.pane.heatmap is not None

    effects = window.do(ev.OpenImage(window.nodes[1], 0))

    pane = window.pane
    assert (pane.image, pane.result, pane.heatmap, pane.selected, pane.refusal) == (None,) * 5
    assert (pane.marks, pane.undo, pane.opinion) == ((), (), "")
    assert pane.analysis is AnalysisStatus.NONE
    assert ev.CancelAnalysis(0) in effects


def test_a_late_answer_is_never_shown(window: Any) -> None:
    window.open(0)
    late = window.requests[-1]
    window.open(1)
    shown = window.state
    window.answer(HIGH, late)
    window.do(ev.AnalysisFailed(Failure(0, late.generation, "analyse", "engine", "It failed.")))
    window.do(ev.AnalysisRefused(Refusal(0, late.generation, late.image.key, late.model_id, "colour", "No.")))
    window.do(ev.AnalysisProgressed(Progress(0, late.generation, "Scoring")))
    assert window.state is shown


def test_a_late_film_is_never_shown(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[0]))
    window.do(ev.OpenImage(window.nodes[1]))
    first, second = window.loads
    window.arrive(first)
    assert window.pane.image is None
    window.arrive(second)
    assert window.pane.image.key == window.nodes[1].key
    window.arrive(first)
    assert window.pane.image.key == window.nodes[1].key


def test_a_film_that_cannot_be_read_says_why(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[0]))
    failure = Failure(0, window.loads[-1].generation, "load", "no-pixel-data", "No pixels.", "Choose another.")
    window.do(ev.LoadFailed(failure))
    assert (window.pane.status, window.pane.failure) == (PaneStatus.FAILED, failure)
    assert not window.requests


def test_a_failure_of_no_pane_changes_nothing(window: Any) -> None:
    before = window.state
    window.do(ev.LoadFailed(Failure(-1, -1, "scan", "unreadable", "The folder cannot be read.")))
    assert window.state is before


def test_a_frontal_and_a_lateral_film_hang_side_by_side(window: Any, make_study: Callable[..., StudyNode]) -> None:
    pa, lateral = window.nodes[:2]
    window.open(2, pane=3)
    window.do(ev.OpenStudy(make_study(lateral, pa)))
    assert window.state.layout is Layout.ONE_BY_TWO
    assert [pane.node for pane in window.state.panes] == [pa, lateral, None, None]
    assert window.state.active == 0


def test_a_study_without_images_is_told_and_leaves_the_films(window: Any, make_study: Callable[..., StudyNode]) -> None:
    window.open(0)
    window.do(ev.OpenStudy(make_study()))
    assert window.pane.image is not None
    assert window.state.notice.level is NoticeLevel.INFO


def test_closing_forgets_the_film_and_stops_its_work(window: Any) -> None:
    window.open(0)
    assert set(window.do(ev.ClosePane(0))) == {ev.CancelLoad(0), ev.CancelAnalysis(0)}
    assert window.pane.status is PaneStatus.EMPTY
    assert window.do(ev.ClosePane(0)) == ()


def test_a_film_is_never_opened_out_of_sight(window: Any) -> None:
    window.do(ev.SetLayout(Layout.ONE_BY_TWO))
    window.do(ev.OpenImage(window.nodes[0], 3))
    assert window.state.active == 3
    assert 3 in window.state.visible
    window.do(ev.SetLayout(Layout.ONE_BY_TWO))
    assert window.state.active == 0
    window.do(ev.ActivatePane(2))
    assert window.state.active == 0


@pytest.mark.parametrize("pane", [-1, PANE_COUNT])
def test_an_event_for_a_pane_that_does_not_exist_changes_nothing(window: Any, pane: int) -> None:
    window.open(0)
    before = window.state
    for event in (
        ev.ClosePane(pane),
        ev.AskModel(pane),
        ev.SetInverted(pane, True),
        ev.OpenImage(window.nodes[1], pane),
    ):
        assert window.do(event) == ()
        assert window.state is before


def test_the_state_before_is_left_as_it_was(window: Any) -> None:
    window.open(0)
    before = window.state
    after, _ = reduce(before, ev.SetInverted(0, True))
    assert not before.pane.display.inverted
    assert after.pane.display.inverted


# ---------------------------------------------------------------- model


def test_the_model_runs_by_itself_or_on_request(new_window: Callable[..., Any]) -> None:
    by_itself, on_request = new_window(), new_window(automatic=False)
    by_itself.open(0)
    on_request.open(0)
    assert by_itself.pane.analysis is AnalysisStatus.RUNNING
    assert on_request.pane.analysis is AnalysisStatus.NONE
    on_request.do(ev.AskModel(0))
    request = on_request.requests[-1]
    assert (request.image, request.model_id) == (on_request.pane.image, "paediatric")


def test_without_a_model_nothing_is_asked(new_window: Callable[..., Any]) -> None:
    window = new_window(model_id="")
    window.open(0)
    window.do(ev.AskModel(0))
    assert not window.requests
    assert window.pane.analysis is AnalysisStatus.NONE


def test_a_map_appears_unasked_only_for_a_finding_that_is_called(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    assert window.pane.selected == "Pneumonia"
    assert window.pane.heatmap.label == "Pneumonia"
    window.open(1)
    window.answer(LOW)
    assert window.pane.selected is not None
    assert window.pane.heatmap is None


def test_no_map_appears_unasked_on_a_film_the_model_is_not_made_for(window: Any) -> None:
    window.open(0)
    window.answer(HIGH, limits=(Caution("age", "Trained on children."),))
    assert window.pane.heatmap is None
    window.do(ev.SetOverlay(0, visible=True))
    assert window.pane.heatmap.label == "Pneumonia"


def test_no_map_appears_unasked_when_maps_are_off(new_window: Callable[..., Any]) -> None:
    window = new_window(show_maps=False)
    window.open(0)
    window.answer(HIGH)
    assert window.pane.heatmap is None


def test_another_model_empties_the_results_and_asks_again(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    window.open(1, pane=1)
    window.answer(LOW)
    effects = window.do(ev.ChooseModel("adult"))
    assert all(pane.result is None and pane.heatmap is None for pane in window.state.panes)
    assert [request.model_id for request in window.requests[-2:]] == ["adult", "adult"]
    assert ev.SavePreference("model_id", "adult") in effects
    assert window.do(ev.ChooseModel("adult")) == ()


def test_another_model_asks_only_where_it_was_asked_before(new_window: Callable[..., Any]) -> None:
    window = new_window(automatic=False)
    window.open(0, pane=0)
    window.open(1, pane=1)
    window.do(ev.AskModel(1))
    window.do(ev.ChooseModel("adult"))
    assert [pane.analysis for pane in window.state.panes[:2]] == [AnalysisStatus.NONE, AnalysisStatus.RUNNING]


def test_an_answer_of_the_model_before_is_not_shown(window: Any) -> None:
    window.open(0)
    before = window.requests[-1]
    window.do(ev.ChooseModel("adult"))
    window.answer(HIGH, before)
    assert window.pane.result is None
    window.answer(HIGH, model_id="paediatric")
    assert window.pane.result is None
    window.answer(HIGH)
    assert window.pane.result is not None


@pytest.mark.parametrize("event", [ev.SetDevice("cpu"), ev.SetMethod("EigenCAM")])
def test_another_device_or_method_asks_again(window: Any, event: ev.Event) -> None:
    window.open(0)
    window.answer(HIGH)
    window.do(event)
    assert window.pane.result is None
    request = window.requests[-1]
    assert (request.device, request.method) == (window.state.device, window.state.method)
    assert window.do(event) == ()


def test_switching_to_automatic_asks_for_the_films_that_were_not(new_window: Callable[..., Any]) -> None:
    window = new_window(automatic=False)
    window.open(0)
    window.do(ev.SetAutomatic(True))
    assert window.pane.analysis is AnalysisStatus.RUNNING
    window.answer(HIGH)
    assert not [effect for effect in window.do(ev.SetAutomatic(True)) if isinstance(effect, ev.StartAnalysis)]
    assert window.pane.result is not None


def test_busy_refused_and_failed_are_told(window: Any) -> None:
    window.open(0)
    request = window.requests[-1]
    window.do(ev.AnalysisProgressed(Progress(0, request.generation, "Scoring")))
    assert window.pane.stage == "Scoring"
    refusal = Refusal(0, request.generation, request.image.key, request.model_id, "colour", "A colour picture.")
    window.do(ev.AnalysisRefused(refusal))
    assert (window.pane.analysis, window.pane.refusal, window.pane.stage) == (AnalysisStatus.REFUSED, refusal, "")
    window.do(ev.AskModel(0))
    failure = Failure(0, window.requests[-1].generation, "analyse", "engine", "It failed.")
    window.do(ev.AnalysisFailed(failure))
    assert (window.pane.analysis, window.pane.analysis_failure) == (AnalysisStatus.FAILED, failure)
    assert window.pane.refusal is None


def test_a_refusal_of_another_film_is_not_shown(window: Any) -> None:
    window.open(0)
    request = window.requests[-1]
    other = window.nodes[1].key
    window.do(ev.AnalysisRefused(Refusal(0, request.generation, other, request.model_id, "colour", "No.")))
    assert window.pane.analysis is AnalysisStatus.RUNNING


def test_stepping_through_findings_takes_a_shown_map_along(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    labels = [finding.label for finding in sorted_findings(window.pane.result)]
    window.do(ev.StepFinding(0, 1))
    assert window.pane.selected == window.pane.heatmap.label == labels[1]
    window.do(ev.StepFinding(0, 1))
    assert window.pane.selected == labels[0]
    window.do(ev.SetOverlay(0, visible=False))
    window.do(ev.StepFinding(0, -1))
    assert window.pane.selected == labels[1]
    assert window.pane.heatmap is None


def test_a_finding_that_is_not_there_cannot_be_selected(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    before = window.state
    window.do(ev.SelectFinding(0, "Unicorn"))
    assert window.state is before


def test_overlay_habits_go_on_to_the_next_film_and_the_map_does_not(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    window.do(ev.SetOverlay(0, alpha=7.0, threshold=-1.0, mode=OverlayMode.CONTOUR))
    window.open(1)
    overlay = window.pane.display.overlay
    assert (overlay.alpha, overlay.threshold, overlay.mode, overlay.label) == (1.0, 0.0, OverlayMode.CONTOUR, None)


def test_findings_are_sorted_by_their_distance_from_the_operating_point(window: Any) -> None:
    window.open(0)
    result = window.answer({"a": 0.6, "b": 0.5, "c": 0.4})
    a, b, c = result.findings
    strict, loose = replace(a, threshold=0.59), replace(b, threshold=0.05)
    ranked = sorted_findings(replace(result, findings=(c, strict, loose)))
    assert [finding.label for finding in ranked] == ["b", "a", "c"]


# ---------------------------------------------------------------- display, marks, undo


def test_one_drag_is_one_undo_step(window: Any) -> None:
    window.open(0)
    own = window.pane.display
    for width in range(100, 110):
        window.do(ev.SetVoi(0, VoiWindow(50, width), gesture=1))
    window.do(ev.SetVoi(0, BONE, gesture=2))
    window.do(ev.Undo(0))
    assert window.pane.display.voi == VoiWindow(50, 109)
    window.do(ev.Undo(0))
    assert window.pane.display == own
    window.do(ev.Undo(0))
    assert window.pane.display == own
    window.do(ev.Redo(0))
    window.do(ev.Redo(0))
    assert window.pane.display.voi == BONE


def test_what_is_done_after_an_undo_cannot_be_redone_over(window: Any) -> None:
    window.open(0)
    window.do(ev.SetVoi(0, BONE, gesture=1))
    window.do(ev.SetInverted(0, True))
    window.do(ev.Undo(0))
    window.do(ev.SetVoi(0, VoiWindow(1, 2), gesture=1))  # the drag of before goes on
    assert window.pane.redo == ()
    window.do(ev.Undo(0))
    assert window.pane.display.voi == BONE


def test_undo_leaves_the_map_and_the_place_alone(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    window.do(ev.SetInverted(0, True))
    window.do(ev.SetView(0, 2.0, Point(1, 1)))
    window.do(ev.AskModel(0))
    window.do(ev.Undo(0))
    display = window.pane.display
    assert (display.inverted, display.zoom, display.center) == (False, 2.0, Point(1, 1))
    assert (display.overlay.label, window.pane.heatmap) == (None, None)


def test_a_change_that_changes_nothing_is_no_undo_step(window: Any) -> None:
    window.open(0)
    before = window.state
    voi = window.pane.display.voi
    for event in (
        ev.SetInverted(0, False),
        ev.SetVoi(0, voi, 0),
        ev.SetOrientation(0, Orientation()),
        ev.ResetDisplay(0),
    ):
        window.do(event)
        assert window.state is before


def test_reset_goes_back_to_how_the_film_opened_and_keeps_the_map(window: Any) -> None:
    window.open(0)
    window.answer(HIGH)
    opened = window.pane.display
    window.do(ev.SetVoi(0, None))
    window.do(ev.SetOrientation(0, Orientation(1, flipped=True)))
    window.do(ev.SetView(0, 3.0, Point(0, 0)))
    window.do(ev.ResetDisplay(0))
    assert window.pane.display == opened


def test_turning_puts_the_film_in_the_middle(window: Any) -> None:
    window.open(0)
    window.do(ev.SetView(0, 2.0, Point(1, 1)))
    window.do(ev.SetOrientation(0, Orientation(1)))
    assert (window.pane.display.zoom, window.pane.display.center) == (2.0, None)


def test_marks_are_added_changed_removed_and_brought_back(window: Any) -> None:
    window.open(0)
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2))))
    window.do(ev.AddMark(0, MarkKind.TEXT, (Point(3, 3),), "rib"))
    first, second = window.pane.marks
    assert window.pane.selected_mark == second.mark_id != first.mark_id
    window.do(ev.ChangeMark(0, first.mark_id, text="nodule", gesture=1))
    window.do(ev.ChangeMark(0, first.mark_id, points=(Point(0, 0), Point(2, 2)), gesture=1))
    assert window.pane.marks[0] == replace(first, points=(Point(0, 0), Point(2, 2)), text="nodule")
    window.do(ev.RemoveMark(0, second.mark_id))
    assert len(window.pane.marks) == 1
    window.do(ev.Undo(0))
    window.do(ev.Undo(0))
    assert window.pane.marks == (first, second)
    window.do(ev.AddMark(0, MarkKind.TEXT, (Point(0, 0),), "new"))
    assert len({mark.mark_id for mark in window.pane.marks}) == 3


def test_a_mark_that_is_gone_is_neither_changed_nor_selected(window: Any) -> None:
    window.open(0)
    before = window.state
    for event in (ev.ChangeMark(0, 9, text="x"), ev.RemoveMark(0, 9), ev.SelectMark(0, 9)):
        window.do(event)
        assert window.state is before


def test_nothing_can_be_done_to_a_film_that_is_not_there(window: Any) -> None:
    before = window.state
    arrow = ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)))
    for event in (ev.SetVoi(0, BONE), ev.SetView(0, 1.0, None), ev.ResetDisplay(0), arrow, ev.SetOpinion(0, "x")):
        assert window.do(event) == ()
        assert window.state is before


# ---------------------------------------------------------------- the window itself


def test_choices_of_the_window_are_kept_for_the_next_start(window: Any) -> None:
    assert window.do(ev.SetCornerText(CornerText.HIDDEN)) == (ev.SavePreference("corner_text", "hidden"),)
    assert window.do(ev.SetShowMaps(False)) == (ev.SavePreference("show_maps", False),)
    window.do(ev.SetTool(Tool.ANGLE))
    window.do(ev.SetMarksVisible(False))
    state = window.state
    assert (state.corner_text, state.show_maps, state.tool, state.marks_visible) == (
        CornerText.HIDDEN,
        False,
        Tool.ANGLE,
        False,
    )
    assert window.do(ev.MarkStudy("1.2.3", ReadStatus.READ)) == (ev.SaveStatus("1.2.3", ReadStatus.READ),)


def test_equal_notices_are_distinct_and_only_the_shown_one_is_dismissed(window: Any) -> None:
    window.do(ev.Tell(NoticeLevel.ERROR, "Disk full."))
    first = window.state.notice
    window.do(ev.Tell(NoticeLevel.ERROR, "Disk full."))
    second = window.state.notice
    assert second.number > first.number
    window.do(ev.DismissNotice(first.number))
    assert window.state.notice is second
    window.do(ev.DismissNotice(second.number))
    assert window.state.notice is None


def test_a_scan_is_shown_while_it_runs(window: Any) -> None:
    window.do(ev.ScanProgressed(10, 0, 3))
    assert (window.state.scan.looked_at, window.state.scan.found) == (10, 3)
    window.do(ev.ScanEnded())
    assert window.state.scan is None


def test_panes_on_screen_by_layout() -> None:
    assert ViewerState(active=2).visible == (2,)
    assert ViewerState(layout=Layout.ONE_BY_TWO).visible == (0, 1)
    assert ViewerState(layout=Layout.TWO_BY_TWO).visible == (0, 1, 2, 3)
