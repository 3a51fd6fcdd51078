"""Films beside the one on screen are read and scored while the reader rests, and only then."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PySide6.QtCore import QEvent, QObject, QPointF, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPaintEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from cxr_viewer.app import Program
from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.findings import AnalysisRequest, InputSpec, LabelSpec, ModelCard, ScoreKind
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, ViewerState
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.ui.ahead import Ahead, Sources

WAIT_MS = 60_000
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
NODES = tuple(ImageNode(ImageKey("1", "2", str(n)), Path(f"{n}.dcm"), 8, 8) for n in range(4))


class Models(QObject):
    """Takes requests as the thread of the models does, and answers when told to."""

    at_rest = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[AnalysisRequest] = []
        self.tokens: list[CancelToken] = []
        self.rests = self.given_up = 0

    def ask_ahead(self, request: AnalysisRequest) -> CancelToken:
        self.asked.append(request)
        self.tokens.append(CancelToken())
        return self.tokens[-1]

    def use_rest(self) -> CancelToken:
        self.rests += 1
        self.tokens.append(CancelToken())
        return self.tokens[-1]

    def give_up_rest(self) -> None:
        self.given_up += 1

    def answer(self, number: int = -1) -> None:
        self.at_rest.emit(self.tokens[number])


class Bench:
    """Looks ahead among ``NODES`` with films made up at once, or when ``go_on`` is set."""

    def __init__(self, make_film: Callable[..., Radiograph]) -> None:
        self.models = Models()
        self.state = ViewerState(model_id="adult", cards=(CARD,))
        self.resting = True
        self.neighbours: list[ImageNode] = list(NODES[1:])
        self.read_nodes: list[ImageNode] = []
        self.tokens: list[CancelToken] = []
        self.fault: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self._make_film = make_film
        sources = Sources(lambda: self.state, lambda: self.resting, lambda: self.neighbours, self.read)
        self.ahead = Ahead(sources, self.models)  # type: ignore[arg-type]

    def read(self, node: ImageNode, token: CancelToken) -> Radiograph:
        self.read_nodes.append(node)
        self.tokens.append(token)
        assert self.go_on.wait(WAIT_MS / 1000)
        if self.fault is not None:
            raise self.fault
        return self._make_film(np.zeros((8, 8), np.uint8), key=node.key, path=node.path, source_sha256=node.path.name)


@pytest.fixture
def bench(qtbot: QtBot, make_film: Callable[..., Radiograph]) -> Iterator[Bench]:
    made = Bench(make_film)
    yield made
    made.go_on.set()
    made.ahead.close()


def test_neighbours_are_scored_one_after_the_other_and_then_the_rest_is_used(qtbot: QtBot, bench: Bench) -> None:
    bench.ahead.touched()
    for number in (1, 2, 3):
        qtbot.waitUntil(lambda number=number: len(bench.models.asked) == number, timeout=WAIT_MS)  # type: ignore[misc]
        assert bench.read_nodes == list(NODES[1 : number + 1])
        bench.models.answer()
    assert [request.image.path for request in bench.models.asked] == [node.path for node in NODES[1:]]
    assert {(request.pane, request.model_id) for request in bench.models.asked} == {(-1, "adult")}
    qtbot.waitUntil(lambda: bench.models.rests == 1, timeout=WAIT_MS)
    bench.models.answer()
    qtbot.waitUntil(lambda: not bench.ahead.busy, timeout=WAIT_MS)
    bench.ahead.look()
    assert (len(bench.read_nodes), bench.models.rests) == (3, 1)  # once


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(lambda bench: bench.ahead.touched(), id="an event"),
        pytest.param(
            lambda bench: bench.ahead.eventFilter(
                bench.models,
                QMouseEvent(
                    QEvent.Type.MouseMove,
                    QPointF(),
                    QPointF(),
                    Qt.MouseButton.NoButton,
                    Qt.MouseButton.NoButton,
                    Qt.KeyboardModifier.NoModifier,
                ),
            ),
            id="the mouse",
        ),
        pytest.param(lambda bench: bench.ahead.close(), id="the end"),
    ],
)
def test_any_movement_ends_it_at_once(qtbot: QtBot, bench: Bench, stop: Callable[[Bench], object]) -> None:
    bench.go_on.clear()
    bench.ahead.look()
    qtbot.waitUntil(lambda: bool(bench.tokens), timeout=WAIT_MS)
    threading.Timer(0.2, bench.go_on.set).start()  # closing waits for the thread
    stop(bench)
    assert bench.tokens[0].cancelled
    assert not bench.ahead.busy
    bench.go_on.set()
    QApplication.processEvents()
    assert bench.models.asked == []  # the film that came all the same is not asked about


def test_painting_is_no_movement(qtbot: QtBot, bench: Bench) -> None:
    bench.go_on.clear()
    bench.ahead.look()
    assert not bench.ahead.eventFilter(bench.models, QPaintEvent(QApplication.primaryScreen().geometry()))
    assert bench.ahead.busy


def test_a_late_end_of_what_was_given_up_ends_nothing_else(qtbot: QtBot, bench: Bench) -> None:
    bench.ahead.look()
    qtbot.waitUntil(lambda: len(bench.models.asked) == 1, timeout=WAIT_MS)
    bench.ahead.touched()
    assert bench.models.given_up == 1
    bench.go_on.clear()
    bench.ahead.look()
    bench.models.answer(0)
    QApplication.processEvents()
    assert bench.ahead.busy
    bench.go_on.set()
    qtbot.waitUntil(lambda: len(bench.models.asked) == 2, timeout=WAIT_MS)
    assert [request.image.path for request in bench.models.asked] == [NODES[1].path] * 2  # it was not done yet


@pytest.mark.parametrize("change", [{"automatic": False}, {"model_id": ""}], ids=["run by hand", "no model"])
def test_only_where_every_film_is_scored(bench: Bench, change: dict[str, Any]) -> None:
    bench.state = replace(bench.state, **change)
    bench.ahead.look()
    assert not bench.ahead.busy


def test_not_while_something_is_under_way(qtbot: QtBot, bench: Bench) -> None:
    bench.resting = False
    bench.ahead.look()
    assert not bench.ahead.busy
    bench.resting = True
    qtbot.waitUntil(lambda: len(bench.models.asked) == 1, timeout=WAIT_MS)  # it looks again by itself


def test_films_no_model_looks_at_are_left_alone(qtbot: QtBot, bench: Bench) -> None:
    bench.neighbours = [replace(NODES[1], missing=True), replace(NODES[2], frames=3), NODES[3]]
    bench.ahead.look()
    qtbot.waitUntil(lambda: len(bench.models.asked) == 1, timeout=WAIT_MS)
    assert bench.read_nodes == [NODES[3]]


def test_a_film_that_cannot_be_read_is_passed_over(qtbot: QtBot, bench: Bench) -> None:
    bench.fault = ReadError("This is no film.")
    bench.ahead.look()
    qtbot.waitUntil(lambda: bench.models.rests == 1, timeout=WAIT_MS)
    assert bench.read_nodes == list(NODES[1:])
    assert bench.models.asked == []


def test_another_model_looks_at_all_of_them_again(qtbot: QtBot, bench: Bench) -> None:
    bench.neighbours = [NODES[1]]
    bench.ahead.look()
    qtbot.waitUntil(lambda: len(bench.models.asked) == 1, timeout=WAIT_MS)
    bench.models.answer()
    qtbot.waitUntil(lambda: bench.models.rests == 1, timeout=WAIT_MS)
    bench.models.answer()
    bench.state = replace(bench.state, method="LayerCAM")
    bench.ahead.touched()
    qtbot.waitUntil(lambda: len(bench.models.asked) == 2, timeout=WAIT_MS)
    assert bench.models.asked[1].method == "LayerCAM"


# ---------------------------------------------------------------- real films


def test_a_reading_process_of_its_own_that_is_gone_when_given_up(need_data: Callable[[str], Path]) -> None:
    path = need_data("dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm")
    reader = SandboxReader()
    try:
        node = reader.describe(path, CancelToken()).image
        usual = reader.read(node, CancelToken())
        ahead = reader.read_ahead(node, CancelToken())
        assert ahead.source_sha256 == usual.source_sha256
        assert np.array_equal(ahead.stored, usual.stored)
        spare = reader._spare
        assert spare is not None
        (pid,) = spare.processes
        assert psutil.Process(pid).nice() > psutil.Process().nice()
        token = CancelToken()
        token.cancel()
        with pytest.raises(CancelledError):
            reader.read_ahead(node, token)
        assert np.array_equal(reader.read_ahead(node, CancelToken()).stored, usual.stored)
    finally:
        reader.close()
    with pytest.raises(CancelledError):
        reader.read_ahead(node, CancelToken())


def test_the_next_film_is_answered_before_it_opens(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need_data: Callable[[str], Path]
) -> None:
    monkeypatch.setenv("CXR_VIEWER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("dx_nih_00000001_000_pa_cardiomegaly.dcm", "dx_nih_00002527_nodule_f37.dcm"):
        shutil.copy(need_data(f"dicom/{name}"), folder)
    program = Program((1280, 800))
    qtbot.addWidget(program.workbench.window)
    try:
        program.start([folder])
        bench = program.workbench
        qtbot.waitUntil(lambda: bench.settled and bench.controller.state.pane.result is not None, timeout=WAIT_MS)
        assert bench.controller.state.pane.result is not None
        qtbot.waitUntil(lambda: len(bench.inference._answers) == 2, timeout=WAIT_MS)
        here = bench.controller.state.pane.key
        bench.actions["next_study"].trigger()
        if bench.controller.state.pane.key == here:  # it was the last of the list
            bench.actions["previous_study"].trigger()
        assert bench.controller.state.pane.key != here
        with qtbot.waitSignal(
            bench.controller.happened, timeout=WAIT_MS, check_params_cb=lambda event: isinstance(event, ev.ImageLoaded)
        ):
            pass
        pane = bench.controller.state.pane
        assert pane.analysis is AnalysisStatus.READY
        assert pane.result is not None
        assert pane.result.kept
    finally:
        bench.window.close()
        program.close()
