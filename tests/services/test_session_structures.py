"""A segmenter's outlines: which are drawn, and that they belong to the film on screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cxr_viewer.core.findings import Heatmap, MapScale
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution
from cxr_viewer.services import events as ev

ANATOMY = ("Right Lung", "Left Lung", "Heart")
AGE = Caution("age", "Trained on adults.")


def outline(window: Any, labels: tuple[str, ...] = ANATOMY, **changes: Any) -> None:
    """A segmenter's answer to the newest question."""
    whole = ImageRect(0, 0, 4, 4)
    maps = tuple(
        Heatmap(label, np.ones((4, 4), np.float32), whole, "Segmentation", MapScale.PROBABILITY) for label in labels
    )
    window.answer({}, heatmaps=maps, **changes)


def drawn(window: Any, pane: int = 0) -> tuple[str, ...]:
    return tuple(heatmap.label for heatmap in window.state.panes[pane].outlines)


def test_outlines_appear_as_maps_do(new_window: Callable[..., Any]) -> None:
    window = new_window()
    window.open(0)
    outline(window)
    assert drawn(window) == ANATOMY
    assert window.state.pane.heatmap is None
    quiet = new_window(show_maps=False)
    quiet.open(0)
    outline(quiet)
    assert drawn(quiet) == ()


def test_no_outline_appears_unasked_on_a_film_the_model_is_not_made_for(window: Any) -> None:
    window.open(0)
    outline(window, limits=(AGE,))
    assert drawn(window) == ()
    window.do(ev.SetOverlay(0, visible=True))
    assert drawn(window) == ANATOMY


def test_each_structure_is_switched_by_itself_and_all_together(window: Any) -> None:
    window.open(0)
    outline(window)
    window.do(ev.ShowStructure(0, "Left Lung", False))
    assert drawn(window) == ("Right Lung", "Heart")
    window.do(ev.ShowStructure(0, "Left Lung", False))
    assert drawn(window) == ("Right Lung", "Heart")
    window.do(ev.ShowStructure(0, "Left Lung", True))
    window.do(ev.ShowStructure(0, "Left Lung", True))
    assert drawn(window) == ANATOMY  # in the model's order, whatever was switched last
    window.do(ev.SetOverlay(0, visible=False))
    assert drawn(window) == ()
    window.do(ev.SetOverlay(0, visible=True))
    assert drawn(window) == ANATOMY


def test_the_choice_goes_on_to_the_next_film_and_the_outline_does_not(window: Any) -> None:
    window.open(0)
    outline(window)
    for label in ("Right Lung", "Left Lung"):
        window.do(ev.ShowStructure(0, label, False))
    window.open(1)
    assert drawn(window) == ()
    outline(window)
    assert drawn(window) == ("Heart",)
    window.open(2)
    outline(window, ("Aorta", "Heart"))
    assert drawn(window) == ("Heart",)


def test_no_outline_stays_so_on_the_next_film(window: Any) -> None:
    window.open(0)
    outline(window)
    window.do(ev.SetOverlay(0, visible=False))
    window.open(1)
    outline(window)
    assert drawn(window) == ()


@pytest.mark.parametrize("pane", [0, 1])
def test_a_structure_that_is_not_there_cannot_be_switched(window: Any, pane: int) -> None:
    window.open(0)
    window.answer({"Effusion": 0.9})
    before = window.state
    window.do(ev.ShowStructure(pane, "Heart", True))
    window.do(ev.ShowStructure(pane, "Effusion", True))
    assert window.state is before
    assert drawn(window) == ()


def test_a_classifier_is_not_touched_by_what_was_outlined_before(window: Any) -> None:
    window.open(0)
    outline(window)
    window.do(ev.AskModel(0))
    assert drawn(window) == ()
    window.answer({"Heart": 0.9})
    assert drawn(window) == ()
    assert window.state.pane.heatmap is not None
    assert window.state.pane.heatmap.label == "Heart"


def test_undo_leaves_the_outlines_alone(window: Any) -> None:
    window.open(0)
    outline(window)
    window.do(ev.SetInverted(0, True))
    window.do(ev.ShowStructure(0, "Heart", False))
    window.do(ev.Undo(0))
    assert drawn(window) == ("Right Lung", "Left Lung")


def test_showing_what_the_model_saw_is_kept_for_the_next_start(window: Any) -> None:
    effects = window.do(ev.SetShowSeen(True))
    assert window.state.show_seen
    assert effects == (ev.SavePreference("show_seen", True),)
