"""Which model looks at a film, and what the reader is told of it."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import pytest

from cxr_viewer.core.findings import AnalysisResult, InputSpec, LabelSpec, ModelCard, ScoreKind, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import PatientInfo, View
from cxr_viewer.services import events as ev
from cxr_viewer.services.choice import choose_model
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import AUTO, AnalysisStatus, ViewerState


def card(model_id: str, ages: tuple[float, float] | None, **changes: object) -> ModelCard:
    made = ModelCard(
        model_id, model_id, "1", "n", "0" * 64, "Apache-2.0", (LabelSpec("A", 0.5),), ScoreKind.CALIBRATED,
        InputSpec(64, "pad", False, 0.5, 0.2), 1.0, 0.0, ages, ("PA", "AP"), "Tests.", "nothing",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


CHILDREN, ADULTS, ANYBODY = card("children", (1, 5)), card("adults", (18, 95)), card("anybody", None)
OUTLINES = card("outlines", None, task=Task.SEGMENT)


@pytest.mark.parametrize(
    ("age", "model_id", "words"),
    [
        (3.0, "children", "children of 1 to 5 years"),
        (57.0, "adults", "adults of 18 to 95 years"),
        (10.0, "anybody", "PA"),
    ],
)
def test_the_model_meant_for_the_patient_is_taken(make_film, age: float, model_id: str, words: str) -> None:
    _, shown = make_film(patient=PatientInfo(age_years=age), view=View.PA, body_part="CHEST")
    choice = choose_model((OUTLINES, ADULTS, ANYBODY, CHILDREN), AUTO, shown)
    assert choice is not None
    assert choice.model_id == model_id
    assert words in choice.reason


def test_where_none_is_meant_the_nearest_is_taken_and_says_so(make_film) -> None:
    _, shown = make_film(patient=PatientInfo(age_years=10.0), view=View.LATERAL, body_part="CHEST")
    choice = choose_model((CHILDREN, ADULTS), AUTO, shown)
    assert choice is not None
    assert choice.reason.startswith("None of the 2 installed models is meant for this film")


@pytest.mark.parametrize(
    ("age", "model_id"), [(6.0, "children"), (8.0, "children"), (16.0, "adults"), (97.0, "adults")]
)
def test_nearest_is_the_model_whose_ages_are_nearest(make_film, age: float, model_id: str) -> None:
    """Not the one with the narrowest range, or a patient of 97 years would get a model made for small children."""
    _, shown = make_film(patient=PatientInfo(age_years=age), view=View.PA, body_part="CHEST")
    choice = choose_model((CHILDREN, ADULTS), AUTO, shown)
    assert choice is not None
    assert choice.model_id == model_id


@pytest.mark.parametrize("age", [None, -1.0, 400.0])
def test_where_the_age_is_not_known_the_model_made_for_most_ages_is_taken(make_film, age: float | None) -> None:
    _, shown = make_film(patient=PatientInfo(age_years=age), view=View.PA, body_part="CHEST")
    choice = choose_model((CHILDREN, ADULTS), AUTO, shown)
    assert choice is not None
    assert choice.model_id == "adults"
    assert choice.reason == (
        "The patient's age is not known; of the 2 installed models this one is made for most ages."
    )
    assert choose_model((CHILDREN, ADULTS, ANYBODY), AUTO, shown).model_id == "anybody"  # type: ignore[union-attr]


def test_the_readers_own_choice_stands(make_film) -> None:
    _, shown = make_film(patient=PatientInfo(age_years=57.0))
    choice = choose_model((CHILDREN, ADULTS), "children", shown)
    assert choice is not None
    assert (choice.model_id, choice.reason) == ("children", "You chose this model.")
    assert choose_model((), AUTO, shown) is None
    assert choose_model((OUTLINES,), AUTO, shown) is None  # outlines are drawn when asked for


def test_a_better_model_that_is_installed_is_asked_at_once(make_film) -> None:
    node, shown = make_film(patient=PatientInfo(age_years=57.0), view=View.PA, body_part="CHEST")
    state, _ = reduce(ViewerState(model_id=AUTO, cards=(CHILDREN,)), ev.OpenImage(node, 0))
    state, _ = reduce(state, ev.ImageLoaded(0, state.panes[0].generation, shown))
    assert state.panes[0].model is not None
    assert state.panes[0].model.model_id == "children"
    state, effects = reduce(state, ev.ModelsChanged((CHILDREN, ADULTS)))
    assert [effect.request.model_id for effect in effects if isinstance(effect, ev.StartAnalysis)] == ["adults"]
    state, effects = reduce(state, ev.ModelsChanged(()))
    assert (state.model_id, state.panes[0].analysis) == ("", AnalysisStatus.NONE)


def test_a_card_that_changed_over_the_same_weights_is_asked_anew(make_film) -> None:
    """Operating points stand in the answer: those of the card before must not stay on screen."""
    node, shown = make_film(patient=PatientInfo(age_years=3.0), view=View.PA, body_part="CHEST")
    state, _ = reduce(ViewerState(model_id=AUTO, cards=(CHILDREN,)), ev.OpenImage(node, 0))
    state, effects = reduce(state, ev.ImageLoaded(0, state.panes[0].generation, shown))
    (request,) = [effect.request for effect in effects if isinstance(effect, ev.StartAnalysis)]
    whole = ImageRect(0, 0, 4, 4)
    result = AnalysisResult(0, request.generation, shown.key, "children", "", "", CHILDREN.sha256, (), (), whole, "", 0)
    state, _ = reduce(state, ev.AnalysisArrived(result))
    state, effects = reduce(state, ev.ModelsChanged((CHILDREN, ADULTS)))
    assert (state.panes[0].result, effects) == (result, ())
    state, effects = reduce(state, ev.ModelsChanged((replace(CHILDREN, temperature=3.0), ADULTS)))
    assert state.panes[0].result is None
    assert any(isinstance(effect, ev.StartAnalysis) for effect in effects)


def test_models_that_work_beside_every_other_are_not_chosen(make_film) -> None:
    _, shown = make_film(patient=PatientInfo(age_years=3.0), view=View.PA, body_part="CHEST")
    check = card("check", None, task=Task.GUARD, serves="guard")
    lungs = card("lungs", None, task=Task.SEGMENT, serves="anatomy")
    assert choose_model((check, lungs), AUTO, shown) is None
    for wanted in (AUTO, "check"):  # a film check gives no findings: whoever names it gets the model for the film
        choice = choose_model((check, lungs, CHILDREN), wanted, shown)
        assert choice is not None
        assert choice.model_id == "children"
    named = choose_model((check, lungs, CHILDREN), "lungs", shown)
    assert named is not None
    assert named.model_id == "lungs"


def test_what_the_models_beside_said_does_not_outlast_them(make_film) -> None:
    """Film check and callipers stand in every answer: those of a guard that was removed must not stay on screen."""
    guard = replace(OUTLINES, model_id="guard", task=Task.GUARD, serves="guard")
    node, shown = make_film(patient=PatientInfo(age_years=3.0), view=View.PA, body_part="CHEST")
    state, _ = reduce(ViewerState(model_id=AUTO, cards=(CHILDREN, guard)), ev.OpenImage(node, 0))
    state, effects = reduce(state, ev.ImageLoaded(0, state.panes[0].generation, shown))
    (request,) = [effect.request for effect in effects if isinstance(effect, ev.StartAnalysis)]
    whole = ImageRect(0, 0, 4, 4)
    result = AnalysisResult(0, request.generation, shown.key, "children", "", "", CHILDREN.sha256, (), (), whole, "", 0)
    state, _ = reduce(state, ev.AnalysisArrived(result))
    state, effects = reduce(state, ev.ModelsChanged((CHILDREN, guard, ADULTS)))
    assert (state.panes[0].result, effects) == (result, ())
    state, effects = reduce(state, ev.ModelsChanged((CHILDREN, ADULTS)))
    assert state.panes[0].result is None
    assert [effect.request.model_id for effect in effects if isinstance(effect, ev.StartAnalysis)] == ["children"]
