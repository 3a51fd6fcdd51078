"""Millimetres by the reader: what a line of known length does to a film."""

from __future__ import annotations

from typing import Any

import pytest

from cxr_viewer.core.annotations import MarkKind, mark_label
from cxr_viewer.core.geometry import Point
from cxr_viewer.core.image import PixelSpacing, SpacingSource
from cxr_viewer.services import events as ev

SPACED, BARE = 1, 0
"""Numbers of a film with millimetres (0.2 x 0.1 at the detector) and of one without."""
KEPT = PixelSpacing(0.3, 0.3, SpacingSource.USER)


def line(window: Any, *ends: Point, pane: int = 0) -> int:
    """Measure on the film of a pane; returns the number of the mark."""
    window.do(ev.AddMark(pane, MarkKind.LENGTH, ends or (Point(0, 0), Point(0, 50))))
    return int(window.state.panes[pane].selected_mark)


def test_a_line_of_known_length_gives_a_film_without_millimetres_its_scale(window: Any) -> None:
    window.open(BARE)
    mark = line(window, Point(0, 0), Point(30, 40))
    effects = window.do(ev.Calibrate(0, mark, 25.0))
    assert window.pane.image.spacing == PixelSpacing(0.5, 0.5, SpacingSource.USER)
    assert mark_label(window.pane.marks[0], window.pane.image.spacing) == "25.0 mm (by the reader)"
    image = window.pane.image
    assert effects == (ev.SaveCalibration(image.key, image.source_sha256, image.spacing),)


def test_pixels_keep_the_shape_the_file_gives_them(window: Any) -> None:
    window.open(SPACED)
    window.do(ev.Calibrate(0, line(window, Point(0, 0), Point(0, 50)), 20.0))  # 50 rows of 0.2 mm are 10 mm
    assert window.pane.image.spacing == PixelSpacing(0.4, 0.2, SpacingSource.USER)


def test_calibrating_again_starts_from_the_film_not_from_the_first_calibration(window: Any) -> None:
    window.open(SPACED)
    mark = line(window)
    window.do(ev.Calibrate(0, mark, 20.0))
    window.do(ev.Calibrate(0, mark, 10.0))
    assert window.pane.image.spacing.row_mm == pytest.approx(0.2)
    window.do(ev.Calibrate(0))
    assert window.pane.image.spacing == PixelSpacing(0.2, 0.1, SpacingSource.DETECTOR)


def test_the_way_back_is_to_what_the_file_says(window: Any) -> None:
    for film, before in ((BARE, None), (SPACED, PixelSpacing(0.2, 0.1, SpacingSource.DETECTOR))):
        window.open(film)
        window.do(ev.Calibrate(0, line(window), 20.0))
        effects = window.do(ev.Calibrate(0))
        assert window.pane.image.spacing == before
        assert not window.pane.calibrated
        assert effects == (ev.SaveCalibration(window.pane.key, window.pane.image.source_sha256, None),)


@pytest.mark.parametrize("mm", [0.0, -25.0, float("nan"), float("inf"), 2000.1, 0.01])
def test_no_length_no_calibration(window: Any, mm: float) -> None:
    window.open(SPACED)
    mark = line(window)
    before = window.state
    assert window.do(ev.Calibrate(0, mark, mm)) == ()
    assert window.state is before


def test_only_a_line_that_is_long_enough_calibrates(window: Any) -> None:
    window.open(SPACED)
    short = line(window, Point(0, 0), Point(0, 4.9))
    window.do(ev.AddMark(0, MarkKind.ARROW, (Point(0, 0), Point(0, 50)), "here"))
    arrow = window.pane.selected_mark
    before = window.state
    for mark in (short, arrow, 99, None):
        window.do(ev.Calibrate(0, mark, 20.0))
    window.do(ev.Calibrate(1, 1, 20.0))  # a pane without a film
    window.do(ev.Calibrate(0))  # nothing to take back
    assert window.state is before


def test_a_preview_is_not_measured(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[SPACED], 0))
    window.arrive(window.loads[-1], preview=True)
    mark = line(window)
    before = window.state
    window.do(ev.Calibrate(0, mark, 20.0))
    assert window.state is before


def test_every_pane_that_shows_the_film_follows_and_no_other(window: Any) -> None:
    window.open(SPACED, 0)
    window.open(SPACED, 1)
    window.open(2, 2)
    window.do(ev.Calibrate(0, line(window, pane=0), 20.0))
    measures = [window.state.panes[index].image.spacing.source for index in range(3)]
    assert measures == [SpacingSource.USER, SpacingSource.USER, SpacingSource.DETECTOR]
    window.do(ev.Calibrate(1))
    assert not window.state.panes[0].calibrated


def test_another_file_with_the_same_identity_keeps_its_own_millimetres(window: Any) -> None:
    window.open(SPACED, 0)
    window.do(ev.OpenImage(window.nodes[SPACED], 1))
    window.arrive(window.loads[-1], source_sha256="another file")
    window.do(ev.Calibrate(0, line(window, pane=0), 20.0))
    assert not window.state.panes[1].calibrated


def test_what_was_kept_comes_back_with_the_film_and_can_be_taken_back(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[SPACED], 0))
    window.arrive(window.loads[-1], calibration=KEPT)
    assert (window.pane.image.spacing, window.pane.calibrated) == (KEPT, True)
    window.do(ev.Calibrate(0))
    assert window.pane.image.spacing == PixelSpacing(0.2, 0.1, SpacingSource.DETECTOR)


def test_it_comes_back_with_the_preview_and_stays_with_the_whole_film(window: Any) -> None:
    window.do(ev.OpenImage(window.nodes[SPACED], 0))
    window.arrive(window.loads[-1], calibration=KEPT, preview=True)
    assert window.pane.calibrated
    window.arrive(window.loads[-1], calibration=KEPT)
    assert (window.pane.image.spacing, window.pane.calibrated) == (KEPT, True)
    assert window.pane.file_spacing == PixelSpacing(0.2, 0.1, SpacingSource.DETECTOR)


def test_what_another_pane_shows_is_newer_than_what_was_kept(window: Any) -> None:
    """The film was being read for the second pane while the reader calibrated it in the first."""
    window.open(SPACED, 0)
    window.do(ev.OpenImage(window.nodes[SPACED], 1))
    window.do(ev.Calibrate(0, line(window, pane=0), 20.0))
    window.arrive(window.loads[-1])
    assert window.state.panes[1].image.spacing == window.state.panes[0].image.spacing
    window.do(ev.OpenImage(window.nodes[SPACED], 2))
    window.do(ev.Calibrate(0))
    window.arrive(window.loads[-1], calibration=KEPT)
    assert not window.state.panes[2].calibrated


def test_a_frame_brings_its_own_calibration(window: Any) -> None:
    window.open(3)
    window.do(ev.Calibrate(0, line(window), 20.0))
    window.do(ev.StepFrame(0, 1))
    window.arrive(window.loads[-1])
    assert not window.pane.calibrated
    window.do(ev.StepFrame(0, -1))
    window.arrive(window.loads[-1], calibration=KEPT)
    assert window.pane.image.spacing == KEPT


def test_calibrating_changes_no_finding(window: Any) -> None:
    window.open(SPACED)
    result = window.answer({"Pneumonia": 0.9})
    asked = len(window.requests)
    window.do(ev.Calibrate(0, line(window), 20.0))
    assert window.pane.result is result
    assert len(window.requests) == asked
