"""Answers kept by film, model and settings: what comes back is what was said of that film by that model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cxr_viewer.core.findings import (
    AnalysisRequest,
    AnalysisResult,
    Finding,
    Heatmap,
    LabelSpec,
    ModelCard,
    Refusal,
    Saw,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, Radiograph
from cxr_viewer.services.answers import Answers

MakeFilm = Callable[..., Any]
MakeCard = Callable[..., ModelCard]


def said(request: AnalysisRequest, model: ModelCard, score: float = 0.7, side: int = 4) -> AnalysisResult:
    whole = ImageRect(0, 0, 4, 4)
    return AnalysisResult(
        request.pane,
        request.generation,
        request.image.key,
        model.model_id,
        model.name,
        model.version,
        model.sha256,
        (Finding("Effusion", score, ScoreKind.CALIBRATED, 0.5),),
        (Heatmap("Effusion", np.zeros((side, side), np.float32), whole),),
        whole,
        "CPU (OpenVINO)",
        0.1,
        saw=Saw(np.zeros((side, side), np.uint8)),
    )


@pytest.fixture
def film(make_film: MakeFilm) -> Radiograph:
    image: Radiograph = make_film()[1]
    return image


@pytest.fixture
def adult(make_card: MakeCard) -> ModelCard:
    return make_card("adult", "a" * 64)


@pytest.fixture
def answers(adult: ModelCard) -> Answers:
    kept = Answers()
    kept.installed((adult,))
    return kept


def keep(answers: Answers, request: AnalysisRequest, model: ModelCard) -> AnalysisResult:
    answer = said(request, model)
    answers.keep(answers.question(request), answer)
    return answer


def test_an_answer_comes_back_for_the_pane_and_question_that_ask_now(
    answers: Answers, adult: ModelCard, film: Radiograph
) -> None:
    answer = keep(answers, AnalysisRequest(0, 5, film, "adult"), adult)
    again = answers.given(AnalysisRequest(2, 9, film, "adult"))
    assert isinstance(again, AnalysisResult)
    assert (again.pane, again.generation, again.kept) == (2, 9, True)
    assert (again.findings, again.heatmaps, again.saw) == (answer.findings, answer.heatmaps, answer.saw)
    assert (again.device, again.elapsed_s) == (answer.device, answer.elapsed_s)


@pytest.mark.parametrize(
    "changes",
    [{"method": "LayerCAM"}, {"device": "cpu"}, {"model_id": "other"}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_question_has_no_answer_yet(
    answers: Answers, adult: ModelCard, film: Radiograph, changes: dict[str, Any]
) -> None:
    answers.installed((adult, replace(adult, model_id="other", sha256="b" * 64)))
    request = AnalysisRequest(0, 1, film, "adult")
    keep(answers, request, adult)
    assert answers.given(request) is not None
    assert answers.given(replace(request, **changes)) is None


@pytest.mark.parametrize("what", ["frame", "identity", "bytes"])
def test_another_film_has_no_answer_yet(answers: Answers, adult: ModelCard, film: Radiograph, what: str) -> None:
    others = {
        "frame": replace(film, key=replace(film.key, frame=1)),
        "identity": replace(film, key=replace(film.key, sop_uid="other")),
        "bytes": replace(film, source_sha256="another digest"),
    }
    keep(answers, AnalysisRequest(0, 1, film, "adult"), adult)
    assert answers.given(AnalysisRequest(0, 2, others[what], "adult")) is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"preview": True}, id="preview"),
        pytest.param({"cautions": (Caution("truncated", "Rows are missing."),)}, id="damaged"),
        pytest.param({"source_sha256": ""}, id="of unknown bytes"),
    ],
)
def test_films_that_may_be_another_thing_next_time_are_not_kept(
    answers: Answers, adult: ModelCard, film: Radiograph, changes: dict[str, Any]
) -> None:
    request = AnalysisRequest(0, 1, replace(film, **changes), "adult")
    keep(answers, request, adult)
    assert answers.given(request) is None
    assert len(answers) == 0


def test_refusals_are_kept_too(answers: Answers, adult: ModelCard, film: Radiograph) -> None:
    request = AnalysisRequest(0, 1, film, "adult")
    answers.keep(answers.question(request), Refusal(0, 1, film.key, "adult", "wrong-modality", "No.", "Look."))
    again = answers.given(AnalysisRequest(3, 8, film, "adult"))
    assert again == Refusal(3, 8, film.key, "adult", "wrong-modality", "No.", "Look.")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(None, id="removed"),
        pytest.param({"sha256": "c" * 64}, id="other weights"),
        pytest.param({"labels": (LabelSpec("Effusion", 0.3),)}, id="another operating point"),
        pytest.param({"temperature": 2.0}, id="another calibration"),
    ],
)
def test_answers_of_models_that_are_no_longer_there_go(
    answers: Answers, adult: ModelCard, film: Radiograph, changes: dict[str, Any] | None
) -> None:
    request = AnalysisRequest(0, 1, film, "adult")
    question = answers.question(request)
    keep(answers, request, adult)
    answers.installed(() if changes is None else (replace(adult, **changes),))
    assert answers.given(request) is None
    assert (len(answers), answers.size_bytes) == (0, 0)
    answers.keep(question, said(request, adult))  # an answer that was under way meanwhile
    answers.installed((adult,))
    assert answers.given(request) is None


def test_an_answer_of_other_weights_is_not_kept(answers: Answers, adult: ModelCard, film: Radiograph) -> None:
    request = AnalysisRequest(0, 1, film, "adult")
    keep(answers, request, replace(adult, sha256="d" * 64))
    assert answers.given(request) is None


def test_an_answer_about_another_film_is_not_kept(answers: Answers, adult: ModelCard, film: Radiograph) -> None:
    request = AnalysisRequest(0, 1, film, "adult")
    other = replace(request, image=replace(film, key=replace(film.key, sop_uid="other")))
    answers.keep(answers.question(request), said(other, adult))
    assert answers.given(request) is None


def test_what_was_not_asked_for_longest_goes_first(adult: ModelCard, film: Radiograph) -> None:
    answers = Answers(most_kept=2)
    answers.installed((adult,))
    films = [AnalysisRequest(0, 1, replace(film, source_sha256=str(n)), "adult") for n in range(3)]
    keep(answers, films[0], adult)
    keep(answers, films[1], adult)
    answers.given(films[0])
    keep(answers, films[2], adult)
    assert [answers.given(request) is not None for request in films] == [True, False, True]


def test_large_answers_take_the_room_of_many(adult: ModelCard, film: Radiograph) -> None:
    answers = Answers(most_bytes=1 << 20)
    answers.installed((adult,))
    for n in range(10):
        request = AnalysisRequest(0, 1, replace(film, source_sha256=str(n)), "adult")
        answers.keep(answers.question(request), said(request, adult, side=256))
        assert answers.size_bytes <= 1 << 20
        assert answers.given(request) is not None
    assert len(answers) == 3  # 256 x 256 float32 and uint8: 320 KiB each
    keep(answers, request, adult)
    assert len(answers) == 3  # the same question again takes the place of its older answer


class AnyOrder(RuleBasedStateMachine):
    """Films, models and settings in any order; every answer that comes back was given to that very question."""

    films = st.integers(0, 3)
    models = st.sampled_from(("adult", "child"))
    weights = st.sampled_from(("a" * 64, "b" * 64))
    methods = st.sampled_from(("Grad-CAM", "LayerCAM"))

    def __init__(self, film: Radiograph, make_card: MakeCard) -> None:
        super().__init__()
        self.film, self.make_card = film, make_card
        self.answers = Answers(most_kept=5)
        self.cards: dict[str, ModelCard] = {}
        self.number = 0
        self.truth: dict[tuple[Any, ...], float] = {}
        self.under_way: list[tuple[AnalysisRequest, ModelCard, Any]] = []

    def request(self, film: int, model: str, method: str) -> AnalysisRequest:
        self.number += 1
        image = replace(self.film, source_sha256=f"digest {film}", key=replace(self.film.key, sop_uid=f"film {film}"))
        return AnalysisRequest(self.number % 4, self.number, image, model, method)

    def score(self, request: AnalysisRequest, model: ModelCard) -> float:
        """One score for each question, unlike all others."""
        what = (request.image.key, request.method, model)
        return self.truth.setdefault(what, float(len(self.truth)))

    @rule(model=models, sha=weights)
    def install(self, model: str, sha: str) -> None:
        self.cards[model] = self.make_card(model, sha)
        self.answers.installed(tuple(self.cards.values()))

    @rule(model=models)
    def remove(self, model: str) -> None:
        self.cards.pop(model, None)
        self.answers.installed(tuple(self.cards.values()))

    @rule(film=films, model=models, method=methods)
    def ask(self, film: int, model: str, method: str) -> None:
        request = self.request(film, model, method)
        given = self.answers.given(request)
        if given is None:
            if model in self.cards:
                self.under_way.append((request, self.cards[model], self.answers.question(request)))
            return
        assert isinstance(given, AnalysisResult)
        assert given.kept
        assert (given.pane, given.generation, given.key) == (request.pane, request.generation, request.image.key)
        assert given.model_sha256 == self.cards[model].sha256
        assert given.findings[0].score == self.truth[request.image.key, method, self.cards[model]]

    @rule(late=st.booleans())
    def answer(self, late: bool) -> None:
        if self.under_way:
            request, model, question = self.under_way.pop(-1 if late else 0)
            self.answers.keep(question, said(request, model, self.score(request, model)))

    @invariant()
    def bounded(self) -> None:
        assert len(self.answers) <= 5


def test_any_order(film: Radiograph, make_card: MakeCard) -> None:
    run_state_machine_as_test(
        lambda: AnyOrder(film, make_card), settings=settings(max_examples=60, stateful_step_count=40)
    )
