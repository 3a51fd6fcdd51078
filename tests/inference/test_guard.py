"""The guard's outputs become signs; no network runs here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.anatomy import Anatomy
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import FilmCheckError, FilmKind, Severity, ViewSource
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.heatmaps import Heatmap, MapScale
from cxr_viewer.core.image import ImageKey, PatientInfo, Radiograph, View
from cxr_viewer.core.modelcard import InputSpec, LabelSpec, ModelCard, OperatingPoint, ScoreKind, Task
from cxr_viewer.inference.cards import card_faults
from cxr_viewer.inference.guard import GROUPS, LABELS, SUPPORTED, check, look, share_at_edge

THRESHOLDS = {
    "kind/frontal": 0.8,
    "kind/lateral": 0.6,
    "turn/0": 0.5,
    "polarity/inverted": 0.9,
    "view/PA": 0.97,
    "view/AP": 0.95,
}


@pytest.fixture
def card() -> ModelCard:
    labels = []
    for name in LABELS:
        points: tuple[OperatingPoint, ...] = ()
        if name == "kind/frontal":
            points = (OperatingPoint("alone", 0.8, 0.98, 0.99), OperatingPoint(SUPPORTED, 0.3, 0.995, 0.97))
        labels.append(LabelSpec(name, THRESHOLDS.get(name, 0.9), points=points))
    return ModelCard(
        model_id="guard",
        name="Film check",
        version="1.0.0",
        network="cxr-guard",
        sha256="0" * 64,
        licence="Apache-2.0",
        labels=tuple(labels),
        score_kind=ScoreKind.UNCALIBRATED,
        input=InputSpec(128, "stretch", True, 0.5, 0.25),
        temperature=1.0,
        bias=0.0,
        intended_ages=None,
        intended_views=(),
        intended_use="Research use only.",
        trained_on="Films.",
        task=Task.GUARD,
        serves="guard",
    )


@pytest.fixture
def film() -> Callable[..., Radiograph]:
    def make(**facts: Any) -> Radiograph:
        stored = np.arange(64, dtype=np.uint8).reshape(8, 8)
        return Radiograph(ImageKey("1", "2", "3"), Path("film.dcm"), stored, 8, "MONOCHROME2", "DX", **facts)

    return make


@pytest.fixture
def anatomy() -> Anatomy:
    """Two lungs well inside the film, the heart where it should be."""
    chance = np.zeros((32, 32), dtype=np.float32)
    chance[6:26, 4:13] = chance[6:26, 19:28] = 1
    lungs = Heatmap("Lungs", chance, ImageRect(0, 0, 8, 8), "Outline", MapScale.PROBABILITY)
    return Anatomy(
        "anatomy",
        "Anatomy",
        "1.0.0",
        "1" * 64,
        (ImageRect(1, 1, 2, 5), ImageRect(5, 1, 2, 5)),
        ImageRect(3, 4, 3, 3),
        (lungs,),
        None,
        0.03,
        trusted=True,
        heart_side=0.3,
    )


def outputs(chances: Mapping[str, float]) -> NDArray[np.float32]:
    """Logits that give these chances; the rest of each group is shared evenly, an unnamed group says its first."""
    out = []
    for group, names in GROUPS.items():
        given = {name: chances[f"{group}/{name}"] for name in names if f"{group}/{name}" in chances}
        given = given or {names[0]: 0.9999}
        rest = (1 - sum(given.values())) / max(1, len(names) - len(given))
        out += [np.log(max(given.get(name, rest), 1e-9)) for name in names]
    return np.array(out, dtype=np.float32)


def test_the_card_of_a_guard_has_no_fault(card: ModelCard) -> None:
    assert card_faults(card) == []


def test_an_ordinary_film_gives_no_sign(card: ModelCard, film: Callable[..., Radiograph], anatomy: Anatomy) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99, "view/PA": 0.99}))
    found = check(card, seen, film(view=View.PA), anatomy)
    assert found.signs == ()
    assert (found.kind, found.view, found.view_source) == (FilmKind.FRONTAL, View.PA, ViewSource.FILE)
    assert (found.model_id, found.model_sha256) == ("guard", "0" * 64)


def test_the_chances_of_a_group_sum_to_one(card: ModelCard) -> None:
    seen = look(card, outputs({"kind/lateral": 0.7, "turn/90": 0.6}))
    for group, names in GROUPS.items():
        assert sum(seen.chances[f"{group}/{name}"] for name in names) == pytest.approx(1)
    assert seen.chances["kind/lateral"] == pytest.approx(0.7, abs=1e-4)


def test_outputs_of_another_model_are_refused(card: ModelCard) -> None:
    with pytest.raises(ModelError) as refused:
        look(replace(card, labels=card.labels[1:]), np.zeros(len(LABELS) - 1, dtype=np.float32))
    assert refused.value.code == "not-a-guard"


@pytest.mark.parametrize(
    ("turned", "turns", "words"),
    [("90", 3, "by 90 degrees to the right"), ("180", 2, "by 180 degrees"), ("270", 1, "by 90 degrees to the left")],
)
def test_a_turned_film_says_how_to_turn_it_back(
    card: ModelCard, film: Callable[..., Radiograph], turned: str, turns: int, words: str
) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99, f"turn/{turned}": 0.98}))
    found = check(card, seen, film())
    assert found.upright_turns == turns
    assert [sign.code for sign in found.blocking] == ["turned"]
    assert found.blocking[0].text == f"This film is turned {words}."
    assert found.blocking[0].share == pytest.approx(0.98, abs=1e-3)


def test_a_doubtful_turn_is_not_told(card: ModelCard, film: Callable[..., Radiograph]) -> None:
    found = check(card, look(card, outputs({"kind/frontal": 0.99, "turn/90": 0.6})), film())
    assert (found.upright_turns, found.signs) == (0, ())


def test_a_turn_against_the_file_is_told_so(card: ModelCard, film: Callable[..., Radiograph]) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99, "turn/180": 0.98}))
    upright = check(card, seen, film(patient_orientation=("L", "F")))
    assert upright.blocking[0].text == "This film is turned by 180 degrees, although the file says it is upright."
    told = check(card, seen, film(patient_orientation=("R", "H")))
    assert told.blocking[0].text == "This film is turned by 180 degrees."


@pytest.mark.parametrize("stated", [("R", "H"), ("H", "L"), ("F", "R")])
def test_a_file_that_says_turned_over_an_upright_film_is_noted(
    card: ModelCard, film: Callable[..., Radiograph], stated: tuple[str, str]
) -> None:
    found = check(card, look(card, outputs({"kind/frontal": 0.99})), film(patient_orientation=stated))
    assert [(sign.code, sign.severity) for sign in found.signs] == [("view-contradicted", Severity.NOTE)]


def test_other_images_are_blocked_by_kind(card: ModelCard, film: Callable[..., Radiograph]) -> None:
    lateral = check(card, look(card, outputs({"kind/lateral": 0.9})), film())
    assert [sign.code for sign in lateral.signs] == ["lateral"]
    assert lateral.blocking[0].text == "This is a lateral film; the model reads frontal films."
    assert (lateral.view, lateral.view_source) == (View.LATERAL, ViewSource.NETWORK)
    other = check(card, look(card, outputs({"kind/other": 0.9})), film())
    assert other.blocking[0].text == "This does not look like a chest film."
    assert other.view is View.UNKNOWN
    between = check(card, look(card, outputs({"kind/lateral": 0.5, "kind/other": 0.45})), film())
    assert [sign.text for sign in between.signs] == ["This does not look like a frontal chest film."]
    error = FilmCheckError(other)
    assert (error.code, error.summary) == ("not-chest", "This does not look like a chest film.")


def test_nothing_but_the_kind_is_said_of_other_images(
    card: ModelCard, film: Callable[..., Radiograph], anatomy: Anatomy
) -> None:
    seen = look(card, outputs({"kind/other": 0.99, "turn/90": 0.99, "polarity/inverted": 0.99, "view/AP": 0.99}))
    found = check(card, seen, film(), replace(anatomy, heart_side=-0.5))
    assert [sign.code for sign in found.signs] == ["not-chest"]
    assert found.upright_turns == 0


def test_lungs_and_heart_let_a_likely_film_pass(
    card: ModelCard, film: Callable[..., Radiograph], anatomy: Anatomy
) -> None:
    seen = look(card, outputs({"kind/frontal": 0.5}))
    assert check(card, seen, film()).kind is not FilmKind.FRONTAL
    assert check(card, seen, film(), replace(anatomy, trusted=False)).kind is not FilmKind.FRONTAL
    assert check(card, seen, film(), anatomy).kind is FilmKind.FRONTAL
    turned = check(card, look(card, outputs({"kind/frontal": 0.5, "turn/90": 0.99})), film())
    assert turned.upright_turns == 0  # nothing is known of which way up a film is that is not taken for one
    unlikely = look(card, outputs({"kind/frontal": 0.2}))
    assert check(card, unlikely, film(), anatomy).kind is not FilmKind.FRONTAL


def test_inverted_black_and_white_block(card: ModelCard, film: Callable[..., Radiograph]) -> None:
    found = check(card, look(card, outputs({"kind/frontal": 0.99, "polarity/inverted": 0.95})), film())
    assert [sign.code for sign in found.blocking] == ["inverted"]
    doubtful = check(card, look(card, outputs({"kind/frontal": 0.99, "polarity/inverted": 0.7})), film())
    assert doubtful.signs == ()


def test_a_heart_on_the_right_is_a_soft_warning(
    card: ModelCard, film: Callable[..., Radiograph], anatomy: Anatomy
) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99}))
    found = check(card, seen, film(), replace(anatomy, heart_side=-0.3))
    assert [(sign.code, sign.severity) for sign in found.signs] == [("mirrored", Severity.CAUTION)]
    assert found.signs[0].text == "The film may be mirrored: the heart lies on the right side."
    stated = check(card, seen, film(patient_orientation=("R", "F")), replace(anatomy, heart_side=-0.3))
    assert "as its file says" in stated.signs[0].text
    assert check(card, seen, film(), replace(anatomy, heart_side=-0.3, trusted=False)).signs == ()


def test_lungs_over_the_edge_are_cut_away(card: ModelCard, film: Callable[..., Radiograph], anatomy: Anatomy) -> None:
    chance = np.zeros((32, 32), dtype=np.float32)
    chance[0:20, 0:13] = chance[0:20, 19:32] = 1
    cut = replace(anatomy, outlines=(replace(anatomy.outlines[0], values=chance),))
    found = check(card, look(card, outputs({"kind/frontal": 0.99})), film(), cut)
    assert [(sign.code, sign.severity) for sign in found.signs] == [("cut-away", Severity.CAUTION)]


def test_the_share_at_the_edge() -> None:
    values = np.zeros((10, 10), dtype=np.float32)
    film = ImageRect(0, 0, 100, 100)
    outline = Heatmap("Lungs", values, film)
    assert share_at_edge(outline, film) == 0
    values[0:4, 3:7] = 1  # a square of 4 x 4 with one of its four sides on the edge
    assert share_at_edge(outline, film) == pytest.approx(0.25)
    values[:] = 1
    assert share_at_edge(outline, film) == 1


def test_the_edge_is_that_of_the_film_and_not_of_the_map() -> None:
    values = np.zeros((10, 10), dtype=np.float32)
    values[3:7, 2:6] = 1
    padded = Heatmap("Lungs", values, ImageRect(-20, 0, 100, 100))  # two columns of the map lie left of the film
    assert share_at_edge(padded, ImageRect(0, 0, 60, 100)) == pytest.approx(0.25)
    assert share_at_edge(padded, ImageRect(-20, 0, 100, 100)) == 0


def test_the_file_decides_the_view_and_the_network_only_where_it_is_silent(
    card: ModelCard, film: Callable[..., Radiograph]
) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99, "view/AP": 0.99}))
    silent = check(card, seen, film())
    assert (silent.view, silent.view_source, silent.signs) == (View.AP, ViewSource.NETWORK, ())
    stated = check(card, seen, film(view=View.PA))
    assert (stated.view, stated.view_source) == (View.PA, ViewSource.FILE)
    assert [(sign.code, sign.severity) for sign in stated.signs] == [("view-contradicted", Severity.NOTE)]
    unsure = check(card, look(card, outputs({"kind/frontal": 0.99, "view/AP": 0.9})), film())
    assert (unsure.view, unsure.view_source) == (View.UNKNOWN, ViewSource.NOWHERE)


@pytest.mark.parametrize("looks", ["view/PA", "view/AP"])
@pytest.mark.parametrize("age", [0.1, 4.0, 15.99])
def test_pa_and_ap_are_not_told_by_the_looks_of_a_film_of_a_child(
    card: ModelCard, film: Callable[..., Radiograph], looks: str, age: float
) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99, looks: 0.999}))
    child = PatientInfo(age_years=age)
    silent = check(card, seen, film(patient=child))
    assert (silent.view, silent.view_source) == (View.UNKNOWN, ViewSource.NOWHERE)
    for stated in (View.PA, View.AP):
        found = check(card, seen, film(patient=child, view=stated))
        assert (found.view, found.view_source, found.signs) == (stated, ViewSource.FILE, ())
    for grown in (PatientInfo(age_years=16.0), PatientInfo()):  # an age that is not known is no child's
        assert check(card, seen, film(patient=grown)).view_source is ViewSource.NETWORK


def test_a_lateral_or_turned_film_of_a_child_is_told_all_the_same(
    card: ModelCard, film: Callable[..., Radiograph]
) -> None:
    child = film(patient=PatientInfo(age_years=4.0))
    lateral = check(card, look(card, outputs({"kind/lateral": 0.99})), child)
    assert (lateral.kind, lateral.view) == (FilmKind.LATERAL, View.LATERAL)
    turned = check(card, look(card, outputs({"kind/frontal": 0.99, "turn/90": 0.99})), child)
    assert [sign.code for sign in turned.signs] == ["turned"]
    stated = check(card, look(card, outputs({"kind/frontal": 0.99})), replace(child, view=View.LATERAL))
    assert [sign.code for sign in stated.signs] == ["view-contradicted"]


def test_a_frontal_film_that_the_file_calls_lateral_is_told(card: ModelCard, film: Callable[..., Radiograph]) -> None:
    found = check(card, look(card, outputs({"kind/frontal": 0.99})), film(view=View.LATERAL))
    assert [(sign.code, sign.severity) for sign in found.signs] == [("view-contradicted", Severity.CAUTION)]
    lateral = check(card, look(card, outputs({"kind/lateral": 0.99})), film(view=View.PA))
    assert lateral.blocking[0].text == "This looks like a lateral film, although the file says PA."


@pytest.mark.parametrize(("view", "kind"), [(View.LATERAL, FilmKind.LATERAL), (View.UNKNOWN, FilmKind.OTHER)])
def test_a_film_that_file_and_looks_hold_for_lateral_is_refused_as_lateral(
    card: ModelCard, film: Callable[..., Radiograph], view: View, kind: FilmKind
) -> None:
    seen = look(card, outputs({"kind/lateral": 0.5, "kind/other": 0.4}))
    found = check(card, seen, film(view=view))
    assert found.kind is kind
    words = "This is a lateral film; the model reads frontal films."
    assert (found.blocking[0].text == words) is (kind is FilmKind.LATERAL)


def test_the_heaviest_sign_comes_first(card: ModelCard, film: Callable[..., Radiograph], anatomy: Anatomy) -> None:
    seen = look(card, outputs({"kind/frontal": 0.99, "polarity/inverted": 0.99, "view/AP": 0.99}))
    found = check(card, seen, film(view=View.PA), replace(anatomy, heart_side=-0.4))
    assert [sign.code for sign in found.signs] == ["inverted", "mirrored", "view-contradicted"]
