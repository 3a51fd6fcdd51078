"""Which films are put before a model, in which order, and what is given without asking it again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from cxr_viewer.core.errors import ModelError, RefusalError
from cxr_viewer.core.findings import (
    AnalysisRequest,
    AnalysisResult,
    Finding,
    InputSpec,
    LabelSpec,
    ModelCard,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, Layout, ViewerState
from cxr_viewer.ui.controller import Controller
from cxr_viewer.ui.findings_panel import FindingsPanel
from cxr_viewer.ui.inference import InferenceThread

WAIT_MS = 30_000
CARD = ModelCard(
    "adult",
    "Adult",
    "1",
    "small",
    "a" * 64,
    "MIT",
    (LabelSpec("Effusion", 0.5),),
    ScoreKind.CALIBRATED,
    InputSpec(64, "pad", True, 0.5, 0.25),
    1.0,
    0.0,
    None,
    (),
    "For research.",
    "films",
)
MakeFilm = Callable[..., Radiograph]


class Runner:
    """Answers with the first pixel of the film; ``hold`` keeps it from going on."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.rested = 0
        self.hold = threading.Event()
        self.hold.set()
        self.began = threading.Event()
        self.fault: Exception | None = None

    def analyse(self, request: AnalysisRequest, cancel: CancelToken, report: Callable[[str], None]) -> AnalysisResult:
        self.asked.append(request.image.key.sop_uid)
        report("Scoring")
        self.began.set()
        assert self.hold.wait(WAIT_MS / 1000)
        cancel.raise_if_cancelled()
        if self.fault is not None:
            raise self.fault
        score = float(request.image.stored[0, 0]) / 255
        return AnalysisResult(
            request.pane,
            request.generation,
            request.image.key,
            CARD.model_id,
            CARD.name,
            CARD.version,
            CARD.sha256,
            (Finding("Effusion", score, ScoreKind.CALIBRATED, 0.5),),
            (),
            ImageRect(0, 0, 8, 8),
            "CPU",
            0.1,
        )

    def warm_up(self, model_id: str, device: str) -> None:
        self.asked.append(f"warm-up {model_id}")

    def settle(self, cancel: CancelToken) -> bool:
        self.rested += 1
        return self.rested < 3

    def forget_removed(self) -> None:
        self.asked.append("forget")

    def close(self) -> None: ...


class Bench(QObject):
    """A session, the thread of the models, and loaders that give a film at once."""

    def __init__(self, make_film: MakeFilm, **fields: Any) -> None:
        super().__init__()
        self.runner = Runner()
        self.thread_of_models = InferenceThread(lambda: self.runner, self)
        self.make_film = make_film
        self.loads: list[ev.LoadImage] = []
        self.controller = Controller(
            replace(ViewerState(model_id="adult", cards=(CARD,)), **fields), self, self.thread_of_models, self
        )
        self.thread_of_models.sends.connect(self.controller.dispatch)
        self.seen: list[tuple[AnalysisStatus, str]] = []
        self.controller.state_changed.connect(lambda state: self.seen.append((state.pane.analysis, state.pane.stage)))
        self.thread_of_models.start()

    def load(self, effect: ev.LoadImage) -> None:
        self.loads.append(effect)

    def cancel(self, pane: int) -> None: ...

    def set_status(self, study_uid: str, status: Any) -> None: ...

    def save_calibration(self, effect: ev.SaveCalibration) -> None: ...

    def film(self, number: int, **changes: Any) -> Radiograph:
        stored = np.full((8, 8), number, np.uint8)
        key = ImageKey("study", "series", f"film {number}")
        return self.make_film(stored, **({"key": key, "source_sha256": f"digest {number}"} | changes))

    def open(self, number: int, pane: int = 0, **changes: Any) -> None:
        film = self.film(number, **changes)
        self.controller.dispatch(ev.OpenImage(ImageNode(film.key, film.path, 8, 8), pane))
        self.controller.dispatch(ev.ImageLoaded(pane, self.loads[-1].generation, film))

    def score(self, pane: int = 0) -> float | None:
        result = self.controller.state.panes[pane].result
        return None if result is None else round(result.findings[0].score * 255)

    def settled(self) -> bool:
        return all(pane.analysis is not AnalysisStatus.RUNNING for pane in self.controller.state.panes)


@pytest.fixture
def new_bench(qtbot: QtBot, make_film: MakeFilm) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**fields: Any) -> Bench:
        made.append(Bench(make_film, **fields))
        return made[-1]

    yield make
    for bench in made:
        bench.runner.hold.set()
        assert bench.thread_of_models.stop()


def test_paging_through_fifty_films_scores_the_one_the_reader_stays_on(
    qtbot: QtBot, new_bench: Callable[..., Bench]
) -> None:
    bench = new_bench()
    for number in range(50):
        bench.open(number)
    assert bench.runner.asked == []
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert bench.runner.asked == ["film 49"]
    assert bench.score() == 49


def test_panes_wait_each_for_itself(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(layout=Layout.ONE_BY_TWO)
    bench.open(1, 0)
    bench.open(2, 1)
    bench.open(3, 1)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert sorted(bench.runner.asked) == ["film 1", "film 3"]
    assert (bench.score(0), bench.score(1)) == (1, 3)


def test_the_active_pane_is_served_first(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(layout=Layout.TWO_BY_TWO, automatic=False)
    bench.runner.hold.clear()
    for pane in range(4):
        bench.open(pane + 1, pane)
        bench.controller.dispatch(ev.AskModel(pane))
        qtbot.waitUntil(bench.runner.began.is_set, timeout=WAIT_MS)  # the first is under way
    bench.controller.dispatch(ev.ActivatePane(2))
    bench.runner.hold.set()
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert bench.runner.asked == ["film 1", "film 3", "film 2", "film 4"]
    assert [bench.score(pane) for pane in range(4)] == [1, 2, 3, 4]


def test_a_kept_answer_comes_in_the_step_of_its_film(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.open(7)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    bench.open(8)
    assert bench.score() is None
    bench.open(7)  # nothing is waited for from here on
    result = bench.controller.state.pane.result
    assert result is not None
    assert (bench.score(), result.kept) == (7, True)
    assert bench.runner.asked == ["film 7"]


def test_waiting_for_the_reader_to_stay_is_not_working(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.open(1)
    assert bench.seen[-1] == (AnalysisStatus.RUNNING, "")
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert (AnalysisStatus.RUNNING, "Scoring") in bench.seen


def test_the_panel_shows_work_not_waiting(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    panel = FindingsPanel((), ("auto",), ("Grad-CAM",), lambda card, device: ("Grad-CAM",))
    qtbot.addWidget(panel)
    bench = new_bench()
    busy: list[tuple[str, bool]] = []

    def show(state: ViewerState) -> None:
        panel.show_state(state)
        if state.pane.analysis is AnalysisStatus.RUNNING:
            busy.append((state.pane.stage, panel._busy_timer.isActive()))

    bench.controller.state_changed.connect(show)
    bench.open(1)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert busy == [("", False), ("Scoring", True)]
    assert not panel._busy_timer.isActive()


def test_who_waits_for_another_pane_is_told(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(layout=Layout.ONE_BY_TWO, automatic=False)
    bench.runner.hold.clear()
    bench.open(1, 0)
    bench.controller.dispatch(ev.AskModel(0))
    qtbot.waitUntil(bench.runner.began.is_set, timeout=WAIT_MS)
    bench.open(2, 1)
    bench.controller.dispatch(ev.AskModel(1))
    qtbot.waitUntil(lambda: bench.controller.state.panes[1].stage == "Waiting for the model", timeout=WAIT_MS)


def test_refusals_are_given_again_and_failures_are_tried_again(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.runner.fault = RefusalError("Not a chest film.", code="wrong-body-part")
    bench.open(1)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    bench.open(1)
    assert bench.controller.state.pane.analysis is AnalysisStatus.REFUSED
    assert bench.runner.asked == ["film 1"]
    bench.runner.fault = ModelError("It broke.", code="engine-failed")
    bench.open(2)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert bench.controller.state.pane.analysis is AnalysisStatus.FAILED
    bench.runner.fault = None
    bench.open(2)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert bench.score() == 2


def test_answers_go_with_their_model(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.open(1)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    bench.controller.dispatch(ev.ModelsChanged((replace(CARD, temperature=2.0),)))
    bench.open(1)
    assert bench.score() is None
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert bench.runner.asked == ["film 1", "forget", "film 1"]


def test_a_film_scored_ahead_is_answered_when_it_opens(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    with qtbot.waitSignal(bench.thread_of_models.at_rest, timeout=WAIT_MS):
        bench.thread_of_models.ask_ahead(AnalysisRequest(-1, 0, bench.film(5), "adult"))
    bench.open(5)
    assert bench.score() == 5
    assert bench.runner.asked == ["film 5"]


def test_what_nobody_waits_for_comes_last_and_is_given_up(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench(layout=Layout.ONE_BY_TWO, automatic=False)
    models = bench.thread_of_models
    bench.runner.hold.clear()
    bench.open(1, 0)
    bench.controller.dispatch(ev.AskModel(0))
    qtbot.waitUntil(bench.runner.began.is_set, timeout=WAIT_MS)
    models.use_rest()
    models.ask_ahead(AnalysisRequest(-1, 0, bench.film(9), "adult"))
    models.warm_up("adult", "auto")
    bench.open(2, 1)
    bench.controller.dispatch(ev.AskModel(1))
    with qtbot.waitSignals([models.at_rest, models.at_rest], timeout=WAIT_MS):
        bench.runner.hold.set()
    assert bench.runner.asked == ["film 1", "film 2", "warm-up adult", "film 9"]
    assert bench.runner.rested == 3
    bench.runner.began.clear()
    bench.runner.hold.clear()
    token = models.ask_ahead(AnalysisRequest(-1, 0, bench.film(10), "adult"))
    qtbot.waitUntil(bench.runner.began.is_set, timeout=WAIT_MS)
    models.give_up_rest()
    assert token.cancelled
    with qtbot.waitSignal(models.at_rest, timeout=WAIT_MS):
        bench.runner.hold.set()
    bench.open(10)
    assert bench.score() is None


def test_models_that_are_removed_are_given_back(qtbot: QtBot, new_bench: Callable[..., Bench]) -> None:
    bench = new_bench()
    bench.controller.dispatch(ev.ModelsChanged((CARD, replace(CARD, model_id="other"))))
    bench.open(1)
    qtbot.waitUntil(bench.settled, timeout=WAIT_MS)
    assert bench.runner.asked == ["film 1"], "nothing is held before a model was asked"
    bench.controller.dispatch(ev.ModelsChanged((CARD,)))
    qtbot.waitUntil(lambda: bench.runner.asked[-1] == "forget", timeout=WAIT_MS)
