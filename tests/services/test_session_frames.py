"""Previews and frames: what is looked at early, what is kept meanwhile, and what is dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.geometry import Orientation, Point
from cxr_viewer.core.image import VoiTable, VoiWindow
from cxr_viewer.core.jobs import Failure
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, PaneStatus

CINE = 3
"""Number of the film of several frames."""
BONE = VoiWindow(40, 80)


def failed(load: ev.LoadImage) -> ev.LoadFailed:
    return ev.LoadFailed(Failure(load.pane, load.generation, "read", "no-pixel-data", "No pixels."))


# ---------------------------------------------------------------- previews


def test_a_preview_is_shown_but_not_scored_until_the_whole_film_is_there(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[0], 0))
    window.arrive(window.loads[-1], preview=True)
    assert window.pane.status is PaneStatus.SHOWN
    assert window.pane.image.preview
    assert window.requests == []
    window.arrive(window.loads[-1])
    assert not window.pane.image.preview
    assert [request.image for request in window.requests] == [window.pane.image]


def test_a_preview_that_comes_after_the_whole_film_is_dropped(window: Any) -> None:
    window.open(0)
    window.answer({"Pneumonia": 0.9})
    before = window.state
    window.arrive(window.loads[-1], preview=True)
    assert window.state is before


def test_what_the_reader_does_to_a_preview_stays_when_the_whole_film_comes(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[0], 0))
    window.arrive(window.loads[-1], preview=True)
    window.do(ev.SetVoi(0, BONE))
    window.do(ev.SetOrientation(0, Orientation(1)))
    window.do(ev.SetView(0, 2.0, Point(1, 1)))
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    window.do(ev.SetOpinion(0, "looks wet"))
    before = window.pane
    window.arrive(window.loads[-1])
    assert window.pane.display == before.display
    assert (window.pane.marks, window.pane.opinion, window.pane.undo) == (before.marks, "looks wet", before.undo)


def test_a_preview_that_was_left_alone_gives_way_to_the_window_of_the_whole_film(window: Any) -> None:
    """The default of a whole film may be another: a window that shows nothing is noticed on all its pixels only."""
    opening = VoiWindow(7, 9)
    window.do(ev.OpenImage(window.nodes[0], 0))
    window.arrive(window.loads[-1], preview=True)
    window.arrive(window.loads[-1], opening=opening)
    assert (window.pane.display.voi, window.pane.display.voi_index) == (opening, None)


def test_a_further_window_of_the_file_chosen_on_the_preview_is_that_of_the_whole_film(window: Any) -> None:
    def tables() -> tuple[VoiTable, ...]:
        return tuple(VoiTable(0, np.arange(4, dtype=np.uint16), 8, label) for label in ("soft", "hard"))

    window.do(ev.OpenImage(window.nodes[0], 0))
    window.arrive(window.loads[-1], preview=True, voi=tables())
    window.do(ev.SetVoi(0, window.pane.image.voi[1], 1))
    window.arrive(window.loads[-1], voi=tables())
    assert window.pane.display.voi is window.pane.image.voi[1]


def test_asking_about_a_preview_asks_about_the_whole_film_once_it_is_there(new_window: Any) -> None:
    window = new_window(automatic=False)
    window.do(ev.OpenImage(window.nodes[0], 0))
    window.arrive(window.loads[-1], preview=True)
    window.do(ev.AskModel(0))
    assert window.pane.analysis is AnalysisStatus.RUNNING
    assert window.pane.stage == "Reading the whole film"
    assert window.requests == []
    window.arrive(window.loads[-1])
    assert window.requests[-1].image is window.pane.image


def test_a_film_that_fails_after_its_preview_takes_the_preview_away(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[0], 0))
    window.arrive(window.loads[-1], preview=True)
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    window.do(failed(window.loads[-1]))
    assert (window.pane.status, window.pane.image, window.pane.marks) == (PaneStatus.FAILED, None, ())
    before = window.state
    window.arrive(window.loads[-1], preview=True)
    window.arrive(window.loads[-1])
    assert window.state is before


# ---------------------------------------------------------------- frames


def test_the_next_frame_takes_the_place_of_this_one_only_when_it_is_there(window: Any) -> None:
    window.open(CINE)
    window.answer({"Pneumonia": 0.9})
    shown = window.pane
    effects = window.do(ev.StepFrame(0, 1))
    assert [type(effect) for effect in effects] == [ev.LoadImage]
    assert (window.pane.image, window.pane.result, window.pane.heatmap) == (shown.image, shown.result, shown.heatmap)
    window.arrive(window.loads[-1])
    assert window.pane.key == window.pane.image.key == replace(shown.key, frame=1)
    assert (window.pane.result, window.pane.heatmap, window.pane.pending) == (None, None, None)
    assert window.requests[-1].image is window.pane.image


def test_the_film_itself_knows_best_how_many_frames_it_has(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[CINE], 0))
    assert window.pane.frames == 3
    window.arrive(window.loads[-1], frames=2)
    assert window.pane.frames == 2
    window.do(ev.StepFrame(0, 99))
    assert window.loads[-1].node.key.frame == 1
    window.do(failed(window.loads[-1]))
    assert (window.pane.image, window.pane.frames) == (None, 2)
    before = window.state
    window.do(ev.StepFrame(0, 1))
    assert window.state is before


def test_window_polarity_zoom_and_place_are_kept_from_frame_to_frame(window: Any) -> None:
    window.open(CINE)
    window.do(ev.SetVoi(0, BONE))
    window.do(ev.SetInverted(0, True))
    window.do(ev.SetOrientation(0, Orientation(3, True)))
    window.do(ev.SetView(0, 3.0, Point(1, 2)))
    before = window.pane.display
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    assert window.pane.display == before


def test_the_files_own_window_of_each_frame_is_used_while_the_reader_has_not_chosen(window: Any) -> None:
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1], voi=(BONE,))
    assert (window.pane.display.voi, window.pane.display.voi_index) == (BONE, 0)


def test_frames_stop_at_both_ends(window: Any) -> None:
    window.open(CINE)
    before = window.state
    assert window.do(ev.StepFrame(0, -1)) == ()
    assert window.state is before
    window.do(ev.StepFrame(0, 99))
    window.arrive(window.loads[-1])
    assert window.pane.key.frame == 2
    before = window.state
    assert window.do(ev.StepFrame(0, 1)) == ()
    assert window.state is before


def test_a_film_of_one_frame_and_an_empty_pane_have_no_next_frame(window: Any) -> None:
    window.open(0)
    before = window.state
    assert window.do(ev.StepFrame(0, 1)) == ()
    assert window.do(ev.StepFrame(1, 1)) == ()
    assert window.state is before


def test_quick_steps_read_one_frame_at_a_time_and_then_the_one_that_is_wanted(window: Any) -> None:
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    assert window.do(ev.StepFrame(0, 1)) == ()  # no reading is begun that would be thrown away
    asked = len(window.requests)
    window.arrive(window.loads[-1])
    assert window.pane.key.frame == 1  # seen on the way
    assert len(window.requests) == asked  # but not scored
    assert window.loads[-1].node.key.frame == 2
    window.arrive(window.loads[-1])
    assert (window.pane.key.frame, window.pane.pending) == (2, None)
    assert len(window.requests) == asked + 1


def test_going_back_to_the_frame_on_screen_keeps_its_marks_and_findings(window: Any) -> None:
    window.open(CINE)
    window.answer({"Pneumonia": 0.9})
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    before = window.pane
    window.do(ev.StepFrame(0, 1))
    assert ev.CancelLoad(0) in window.do(ev.StepFrame(0, -1))
    assert (window.pane.marks, window.pane.result, window.pane.pending) == (before.marks, before.result, None)
    shown = window.state
    window.arrive(window.loads[-1])
    assert window.state is shown


def test_marks_and_comment_wait_on_their_frame(window: Any) -> None:
    window.open(CINE)
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    window.do(ev.SetOpinion(0, "looks wet"))
    marked = window.pane
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    assert (window.pane.marks, window.pane.opinion, window.pane.undo) == ((), "", ())
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(3, 3), Point(2, 2)), "there"))
    window.do(ev.StepFrame(0, -1))
    window.arrive(window.loads[-1])
    assert (window.pane.marks, window.pane.opinion) == (marked.marks, "looks wet")
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(0, 0), Point(2, 2)), "and here"))
    assert len({mark.mark_id for mark in window.pane.marks}) == 2
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    assert [mark.text for mark in window.pane.marks] == ["there"]
    window.do(ev.StepFrame(0, -1))
    window.arrive(window.loads[-1])
    assert [mark.text for mark in window.pane.marks] == ["here", "and here"]


def test_marks_that_were_removed_do_not_come_back(window: Any) -> None:
    window.open(CINE)
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    for step in (1, -1):
        window.do(ev.StepFrame(0, step))
        window.arrive(window.loads[-1])
    window.do(ev.RemoveMark(0, 1))
    for step in (1, -1):
        window.do(ev.StepFrame(0, step))
        window.arrive(window.loads[-1])
    assert (window.pane.marks, window.pane.kept) == ((), ())


def test_marks_survive_a_frame_that_cannot_be_read_and_no_other_film(window: Any) -> None:
    window.open(CINE)
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(1, 1), Point(2, 2)), "here"))
    window.do(ev.StepFrame(0, 1))
    window.do(failed(window.loads[-1]))
    assert window.pane.marks == ()
    window.do(ev.StepFrame(0, -1))
    window.arrive(window.loads[-1])
    assert [mark.text for mark in window.pane.marks] == ["here"]
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    window.open(0)
    assert (window.pane.marks, window.pane.kept) == ((), ())


def test_a_frame_that_cannot_be_read_leaves_nothing_of_the_one_before(window: Any) -> None:
    window.open(CINE)
    window.answer({"Pneumonia": 0.9})
    window.do(ev.StepFrame(0, 1))
    window.do(failed(window.loads[-1]))
    assert window.pane.status is PaneStatus.FAILED
    assert window.pane.key.frame == 1
    assert (window.pane.image, window.pane.result, window.pane.pending) == (None, None, None)
    assert ev.CancelAnalysis(0) in window.effects


def test_the_way_leads_past_a_frame_that_cannot_be_read(window: Any) -> None:
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    window.do(failed(window.loads[-1]))
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    assert (window.pane.status, window.pane.key.frame) == (PaneStatus.SHOWN, 2)


def test_a_frame_that_was_passed_and_cannot_be_read_does_not_stop_the_reader(window: Any) -> None:
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    window.do(ev.StepFrame(0, 1))
    window.do(failed(window.loads[-1]))
    assert window.pane.status is PaneStatus.SHOWN
    assert window.loads[-1].node.key.frame == 2
    window.arrive(window.loads[-1])
    assert window.pane.key.frame == 2


def test_a_frame_that_arrives_after_another_film_was_opened_is_dropped(window: Any) -> None:
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    late = window.loads[-1]
    effects = window.do(ev.OpenImage(window.nodes[0], 0))
    assert any(isinstance(effect, ev.LoadImage) and effect.pane == 0 for effect in effects)  # replaces the reading
    shown = window.state
    window.arrive(late)
    window.do(failed(late))
    assert window.state is shown


def test_a_frame_that_arrives_after_the_pane_was_closed_is_dropped(window: Any) -> None:
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    assert ev.CancelLoad(0) in window.do(ev.ClosePane(0))
    shown = window.state
    window.arrive(window.loads[-1])
    assert window.state is shown


def test_another_frame_than_the_one_that_was_asked_for_is_dropped(window: Any) -> None:
    """Never sent by a sound loader; the session does not believe it all the same."""
    window.open(CINE)
    window.do(ev.StepFrame(0, 1))
    shown = window.state
    load = window.loads[-1]
    window.arrive(load, replace(load.node, key=replace(load.node.key, frame=2)))
    window.arrive(load, preview=True)
    assert window.state is shown


def test_leaving_a_preview_for_the_next_frame_survives_the_failure_of_its_whole_film(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[CINE], 0))
    first = window.loads[-1]
    window.arrive(first, preview=True)
    window.do(ev.StepFrame(0, 1))
    window.do(failed(first))
    assert (window.pane.status, window.pane.image) == (PaneStatus.LOADING, None)
    window.arrive(window.loads[-1])
    assert window.pane.key.frame == 1


def test_coming_back_to_a_preview_reads_its_whole_film_again(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[CINE], 0))
    window.arrive(window.loads[-1], preview=True)
    window.do(ev.StepFrame(0, 1))
    window.do(ev.StepFrame(0, -1))
    window.arrive(window.loads[-1])
    window.arrive(window.loads[-1])
    assert window.pane.key.frame == 0
    assert not window.pane.image.preview
