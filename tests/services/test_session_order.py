"""The one place where the state changes: for any order of events, what is on screen belongs together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.display import OverlayMode
from cxr_viewer.core.findings import AnalysisRequest, Heatmap, MapScale, ModelCard, Refusal
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import Caution, PixelSpacing, SpacingSource, VoiWindow
from cxr_viewer.core.jobs import Failure, Progress
from cxr_viewer.core.study import StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.answers import Answers
from cxr_viewer.services.state import PANE_COUNT, AnalysisStatus, Layout, NoticeLevel, PaneStatus

panes = st.sampled_from((0, 0, 0, 1, 1, 2, PANE_COUNT - 1))  # mostly where something is
films = st.integers(0, 3)
score = st.floats(0, 1)
points = st.builds(Point, st.floats(0, 4), st.floats(0, 4))
windows = st.builds(VoiWindow, st.integers(0, 3).map(float), st.integers(1, 3).map(float))
LABELS = ("Pneumonia", "Effusion")
ANATOMY = ("Heart", "Left Lung")
KEPT = PixelSpacing(0.3, 0.3, SpacingSource.USER)
AGE = Caution("age", "Trained on children of 1 to 5 years.")
MakeStudy = Callable[..., StudyNode]


def about(request: AnalysisRequest) -> tuple[Any, ...]:
    """What the answer to a request depends on."""
    return request.image.key, request.image.source_sha256, request.model_id, request.method, request.device


def outline_of(label: str) -> Heatmap:
    values = np.ones((2, 2), np.float32)
    return Heatmap(label, values, ImageRect(0, 0, 4, 4), "Segmentation", MapScale.PROBABILITY)


class AnyOrder(RuleBasedStateMachine):
    """Hands, loaders and models in any order; answers early, late, twice, and from another film."""

    def __init__(self, window: Any, make_study: MakeStudy, make_card: Callable[..., ModelCard]) -> None:
        super().__init__()
        self.answers = Answers(most_kept=4)
        self.answers.installed((make_card("paediatric"), make_card("adult")))
        self.said: dict[Any, set[tuple[Any, ...]]] = {}
        self.window = window
        self.make_study = make_study
        self.before = self.window.state

    def do(self, event: ev.Event) -> None:
        self.before = self.window.state
        self.window.do(event)

    # -------------------------------------------------------- opening

    @rule(film=films, pane=st.one_of(st.none(), panes))
    def open_image(self, film: int, pane: int | None) -> None:
        self.do(ev.OpenImage(self.window.nodes[film], pane))
        index = self.window.state.active if pane is None else pane
        opened = self.window.state.panes[index]
        assert (opened.image, opened.result, opened.heatmap, opened.opinion) == (None, None, None, "")
        assert index in self.window.state.visible

    @rule(hung=st.lists(films, unique=True))
    def open_study(self, hung: list[int]) -> None:
        self.do(ev.OpenStudy(self.make_study(*(self.window.nodes[film] for film in hung))))
        if hung:
            assert all(pane.image is None and pane.result is None for pane in self.window.state.panes)

    @precondition(lambda self: bool(self.window.loads))
    @rule(
        data=st.data(),
        film=st.one_of(st.none(), films),
        preview=st.booleans(),
        calibration=st.sampled_from((None, None, KEPT)),
    )
    def image_arrives(
        self, data: st.DataObject, film: int | None, preview: bool, calibration: PixelSpacing | None
    ) -> None:
        load = data.draw(st.sampled_from(self.window.loads))
        node = load.node if film is None else self.window.nodes[film]
        self.before = self.window.state
        self.window.arrive(load, node, calibration, preview=preview)
        old = self.before.panes[load.pane]
        awaited = (old.generation, old.pending_generation if old.pending else None)
        whole_is_there = old.image is not None and not old.image.preview
        if load.generation not in awaited or node.key != load.node.key or (preview and whole_is_there):
            assert self.window.state is self.before

    @precondition(lambda self: any(pane.status is PaneStatus.LOADING for pane in self.window.state.panes))
    @rule(preview=st.booleans())
    def what_is_read_arrives(self, preview: bool) -> None:
        """As it goes most of the time; without it most runs would never show a film."""
        for load in tuple(self.window.loads):
            if self.window.state.panes[load.pane].generation == load.generation:
                if preview:
                    self.window.arrive(load, preview=True)
                self.window.arrive(load)

    @rule(pane=panes, step=st.sampled_from((1, 1, -1, -99, 99)))
    def step_frame(self, pane: int, step: int) -> None:
        old = self.window.state.panes[pane]
        self.do(ev.StepFrame(pane, step))
        new = self.window.state.panes[pane]
        if old.node is None or old.node.frames == 1:
            assert self.window.state is self.before
        elif old.image is not None:
            assert (new.image, new.result, new.marks) == (old.image, old.result, old.marks)

    @precondition(lambda self: any(pane.pending for pane in self.window.state.panes))
    @rule()
    def the_frame_arrives(self) -> None:
        for load in tuple(self.window.loads):
            old = self.window.state.panes[load.pane]
            if old.pending is not None and old.pending_generation == load.generation:
                self.window.arrive(load)
                new = self.window.state.panes[load.pane]
                assert new.image is not None
                assert new.image.key == load.node.key
                assert new.pending is None or new.pending == old.pending

    @precondition(lambda self: any(pane.image for pane in self.window.state.panes))
    @rule(data=st.data(), mm=st.sampled_from((10.0, 25.0, float("nan"), 0.0, None)))
    def calibrate(self, data: st.DataObject, mm: float | None) -> None:
        state = self.window.state
        index = data.draw(st.sampled_from([n for n, pane in enumerate(state.panes) if pane.image is not None]))
        self.do(ev.AddMark(index, MarkKind.LENGTH, (Point(0, 0), Point(4, 4))))
        marked = self.window.state.panes[index]
        self.do(ev.Calibrate(index, marked.selected_mark, mm))
        pane = self.window.state.panes[index]
        assert pane.image is not None
        assert marked.image is not None
        if marked.image.preview or (mm is not None and not mm > 0):
            assert self.window.state is self.before
        else:
            assert pane.calibrated == (mm is not None)

    @precondition(lambda self: any(pane.analysis is AnalysisStatus.RUNNING for pane in self.window.state.panes))
    @rule(first=score, second=score)
    def the_model_answers(self, first: float, second: float) -> None:
        for request in self.window.requests:
            if self.window.state.panes[request.pane].question == request.generation:
                result = self.window.answer(dict(zip(LABELS, (first, second), strict=True)), request)
                self.answers.keep(self.answers.question(request), result)
                self.said.setdefault(about(request), set()).add(result.findings)

    @precondition(lambda self: any(pane.analysis is AnalysisStatus.RUNNING for pane in self.window.state.panes))
    @rule()
    def kept_answers_come(self) -> None:
        """What was said of a film before is said of it again, and of no other film."""
        for request in self.window.requests:
            kept, pane = self.answers.given(request), self.window.state.panes[request.pane]
            waiting = pane.analysis is AnalysisStatus.RUNNING and pane.question == request.generation
            if kept is None or not waiting:
                continue
            self.do(ev.AnalysisArrived(kept))
            assert self.window.state.panes[request.pane].result is kept
            assert kept.findings in self.said[about(request)]

    @precondition(lambda self: bool(self.window.loads))
    @rule(data=st.data())
    def load_fails(self, data: st.DataObject) -> None:
        load = data.draw(st.sampled_from(self.window.loads))
        self.do(ev.LoadFailed(Failure(load.pane, load.generation, "load", "no-pixel-data", "No pixels.")))
        old, new = self.before.panes[load.pane], self.window.state.panes[load.pane]
        whole_is_there = old.image is not None and not old.image.preview
        if load.generation == old.generation and old.image is not None and not whole_is_there:
            assert new.image is None
        if old.pending is None and (load.generation != old.generation or whole_is_there):
            assert self.window.state is self.before

    @rule(pane=panes)
    def close(self, pane: int) -> None:
        self.do(ev.ClosePane(pane))

    @rule(pane=panes)
    def activate(self, pane: int) -> None:
        self.do(ev.ActivatePane(pane))

    @rule(layout=st.sampled_from(Layout))
    def lay_out(self, layout: Layout) -> None:
        self.do(ev.SetLayout(layout))

    # -------------------------------------------------------- model

    @precondition(lambda self: bool(self.window.requests))
    @rule(data=st.data(), scores=st.dictionaries(st.sampled_from(LABELS), score), limits=st.sampled_from(((), (AGE,))))
    def result_arrives(self, data: st.DataObject, scores: dict[str, float], limits: tuple[Caution, ...]) -> None:
        request = data.draw(st.sampled_from(self.window.requests))
        self.before = self.window.state
        self.window.answer(scores, request, limits=limits)
        if self.before.panes[request.pane].question != request.generation:
            assert self.window.state is self.before

    @precondition(lambda self: bool(self.window.requests))
    @rule(data=st.data(), labels=st.sampled_from((ANATOMY, ANATOMY[:1], ANATOMY[1:])))
    def outlines_arrive(self, data: st.DataObject, labels: tuple[str, ...]) -> None:
        """A segmenter gives no findings."""
        request = data.draw(st.sampled_from(self.window.requests))
        self.before = self.window.state
        self.window.answer({}, request, heatmaps=tuple(outline_of(label) for label in labels))

    @precondition(lambda self: bool(self.window.requests))
    @rule(data=st.data(), film=films)
    def result_of_another_film_arrives(self, data: st.DataObject, film: int) -> None:
        """Never sent by a sound runner; the session does not believe it all the same."""
        request, node = data.draw(st.sampled_from(self.window.requests)), self.window.nodes[film]
        self.before = self.window.state
        self.window.answer({"Pneumonia": 0.9}, request, key=node.key)
        if node.key != self.before.panes[request.pane].key:
            assert self.window.state is self.before

    @precondition(lambda self: bool(self.window.requests))
    @rule(data=st.data(), what=st.sampled_from(("refused", "failed", "progress")))
    def another_answer_arrives(self, data: st.DataObject, what: str) -> None:
        request = data.draw(st.sampled_from(self.window.requests))
        pane, number = request.pane, request.generation
        if what == "refused":
            self.do(ev.AnalysisRefused(Refusal(pane, number, request.image.key, request.model_id, "colour", "No.")))
        elif what == "failed":
            self.do(ev.AnalysisFailed(Failure(pane, number, "analyse", "engine", "It failed.")))
        else:
            self.do(ev.AnalysisProgressed(Progress(pane, number, "Scoring")))
        if self.before.panes[pane].question != number:
            assert self.window.state is self.before

    @rule(pane=panes)
    def ask(self, pane: int) -> None:
        self.do(ev.AskModel(pane))

    @rule(model_id=st.sampled_from(("paediatric", "paediatric", "adult", "adult", "")))
    def choose_model(self, model_id: str) -> None:
        self.do(ev.ChooseModel(model_id))
        if model_id != self.before.model_id:
            assert all(pane.result is None for pane in self.window.state.panes)

    @rule(
        event=st.one_of(
            st.builds(ev.SetAutomatic, st.booleans()),
            st.builds(ev.SetDevice, st.sampled_from(("auto", "cpu"))),
            st.builds(ev.SetMethod, st.sampled_from(("Grad-CAM", "EigenCAM"))),
            st.builds(ev.SetShowMaps, st.booleans()),
            st.builds(ev.SelectFinding, panes, st.sampled_from((*LABELS, "Unicorn"))),
            st.builds(ev.StepFinding, panes, st.sampled_from((1, -1))),
            st.builds(ev.ShowStructure, panes, st.sampled_from((*ANATOMY, "Unicorn", *LABELS)), st.booleans()),
            st.builds(ev.SetShowSeen, st.booleans()),
            st.builds(
                ev.SetOverlay,
                panes,
                st.one_of(st.none(), st.booleans()),
                st.one_of(st.none(), st.floats(-1, 2)),
                st.one_of(st.none(), st.floats(-1, 2)),
                st.one_of(st.none(), st.sampled_from(OverlayMode)),
            ),
        )
    )
    def set_about_the_model(self, event: ev.Event) -> None:
        self.do(event)

    # -------------------------------------------------------- display and marks

    @rule(
        event=st.one_of(
            st.builds(ev.SetVoi, panes, st.one_of(st.none(), windows), gesture=st.integers(0, 2)),
            st.builds(ev.SetInverted, panes, st.booleans()),
            st.builds(ev.SetOrientation, panes, st.builds(Orientation, st.integers(0, 3), st.booleans())),
            st.builds(ev.SetView, panes, st.one_of(st.none(), st.floats(0.1, 9)), st.one_of(st.none(), points)),
            st.builds(ev.ResetDisplay, panes),
            st.builds(ev.SetLayers, panes, *(st.one_of(st.none(), st.booleans()) for _ in range(3))),
            st.builds(ev.AddMark, panes, st.just(MarkKind.ARROW), st.tuples(points, points), st.just("nodule")),
            st.builds(ev.ChangeMark, panes, st.integers(1, 3), text=st.sampled_from("ab"), gesture=st.integers(0, 2)),
            st.builds(ev.RemoveMark, panes, st.integers(1, 3)),
            st.builds(ev.SelectMark, panes, st.one_of(st.none(), st.integers(1, 3))),
            st.builds(ev.SetOpinion, panes, st.just("clear")),
            st.builds(ev.Undo, panes),
            st.builds(ev.Redo, panes),
            st.builds(ev.Tell, st.just(NoticeLevel.INFO), st.just("A sentence.")),
        )
    )
    def set_about_a_film(self, event: ev.Event) -> None:
        self.do(event)
        if isinstance(event, ev.Tell | ev.Undo | ev.Redo):
            return
        old, new = self.before.panes[event.pane], self.window.state.panes[event.pane]
        place = {"zoom": None, "center": None}
        if (old.marks, replace(old.display, **place)) != (new.marks, replace(new.display, **place)):
            assert new.redo == ()
            assert new.undo

    @rule(pane=panes)
    def undo_and_redo(self, pane: int) -> None:
        start = self.window.state.panes[pane]
        self.do(ev.Undo(pane))
        if self.window.state is self.before:
            assert not start.undo
            return
        self.do(ev.Redo(pane))
        end = self.window.state.panes[pane]
        assert end.marks == start.marks
        assert replace(end.display, center=None) == replace(start.display, center=None)
        assert len(end.undo) == len(start.undo)
        assert end.redo == start.redo

    # -------------------------------------------------------- what always holds

    @invariant()
    def what_is_on_screen_belongs_together(self) -> None:
        state = self.window.state
        assert len(state.panes) == PANE_COUNT
        assert state.active in state.visible
        for pane in state.panes:
            if pane.image is not None:
                assert pane.image.key == pane.key
            assert (pane.image is not None) == (pane.status is PaneStatus.SHOWN)
            assert (pane.node is None) == (pane.status is PaneStatus.EMPTY)
            assert (pane.failure is not None) == (pane.status is PaneStatus.FAILED)
        assert not any(request.image.preview for request in self.window.requests)

    @invariant()
    def a_frame_that_is_waited_for_is_of_the_file_on_screen(self) -> None:
        for index, pane in enumerate(self.window.state.panes):
            if pane.pending is None:
                continue
            assert pane.image is not None
            assert pane.node is not None
            assert replace(pane.pending.key, frame=0) == replace(pane.node.key, frame=0)
            assert 0 <= pane.pending.key.frame < pane.node.frames
            assert pane.pending.key != pane.key or pane.image.preview
            being_read = [load for load in self.window.loads if load.pane == index][-1]
            assert (being_read.generation, being_read.node.key.frame) == (pane.pending_generation, pane.pending_frame)

    @invariant()
    def notes_wait_for_other_frames_only(self) -> None:
        for pane in self.window.state.panes:
            frames = [notes.frame for notes in pane.kept]
            assert len(set(frames)) == len(frames)
            assert all(frame < pane.frames for frame in frames)
            assert pane.image is None or pane.image.key.frame not in frames

    @invariant()
    def a_film_has_one_measure_in_all_panes(self) -> None:
        measures: dict[Any, PixelSpacing | None] = {}
        for pane in self.window.state.panes:
            if pane.image is None:
                assert not pane.calibrated
                continue
            spacing = pane.image.spacing
            assert pane.calibrated == (spacing is not None and spacing.source is SpacingSource.USER)
            assert pane.file_spacing is None or pane.file_spacing.source is SpacingSource.DETECTOR
            if not pane.image.preview:
                assert measures.setdefault(pane.image.key, spacing) == spacing

    @invariant()
    def every_word_of_a_model_is_about_the_film_and_the_question(self) -> None:
        state = self.window.state
        for pane in state.panes:
            labels = {finding.label for finding in pane.result.findings} if pane.result else set()
            if pane.result is not None:
                assert pane.image is not None
                assert pane.result.key == pane.key
                assert pane.result.generation == pane.question
                assert pane.result.model_id == state.model_id
            if pane.refusal is not None:
                assert (pane.refusal.key, pane.refusal.generation) == (pane.key, pane.question)
            if pane.analysis_failure is not None:
                assert pane.analysis_failure.generation == pane.question
            if pane.heatmap is not None:
                assert pane.result is not None
                assert any(pane.heatmap is one for one in pane.result.heatmaps)
            outlines = pane.outlines
            if pane.result is None or pane.result.findings:
                assert outlines == ()
            else:
                assert set(outlines) <= set(pane.result.heatmaps)
                assert all(one.scale is MapScale.PROBABILITY for one in outlines)
                assert {one.label for one in outlines} == set(pane.display.overlay.structures or ()) & {
                    one.label for one in pane.result.heatmaps
                }
            assert pane.display.overlay.label is None or pane.display.overlay.label in labels
            assert pane.selected is None or pane.selected in labels
            told = {
                AnalysisStatus.READY: pane.result,
                AnalysisStatus.REFUSED: pane.refusal,
                AnalysisStatus.FAILED: pane.analysis_failure,
            }
            for status, words in told.items():
                assert (words is not None) == (pane.analysis is status)

    @invariant()
    def who_waits_has_asked(self) -> None:
        state = self.window.state
        asked = {(request.pane, request.generation): request for request in self.window.requests}
        loading = {(load.pane, load.generation): load for load in self.window.loads}
        for index, pane in enumerate(state.panes):
            if pane.analysis is AnalysisStatus.RUNNING:
                assert pane.image is not None
                if pane.image.preview:
                    assert (index, pane.question) not in asked
                    continue
                request = asked[(index, pane.question)]
                assert request.image.stored is pane.image.stored
                assert (request.model_id, request.device, request.method) == (
                    state.model_id,
                    state.device,
                    state.method,
                )
            if pane.status is PaneStatus.LOADING:
                assert loading[(index, pane.generation)].node is pane.node

    @invariant()
    def numbers_and_marks_are_sound(self) -> None:
        assert self.window.state.counter >= self.before.counter
        for pane in self.window.state.panes:
            ids = [mark.mark_id for mark in pane.marks]
            assert len(set(ids)) == len(ids)
            assert all(number < pane.next_mark_id for number in ids)
            assert pane.selected_mark is None or pane.selected_mark in ids
            assert 0 <= pane.display.overlay.alpha <= 1
            assert 0 <= pane.display.overlay.threshold <= 1
            if pane.image is None:
                assert (pane.marks, pane.undo, pane.redo, pane.opinion) == ((), (), (), "")


def test_any_order_of_events(
    new_window: Callable[..., Any], make_study: MakeStudy, make_card: Callable[..., ModelCard]
) -> None:
    run_state_machine_as_test(
        lambda: AnyOrder(new_window(), make_study, make_card),
        settings=settings(max_examples=100, stateful_step_count=60, deadline=None),
    )
