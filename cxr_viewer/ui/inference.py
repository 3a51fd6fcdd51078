"""The thread that asks models: the film the reader stays on first, what may be wanted next last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QThread, QTimer, Signal

from cxr_viewer.core.errors import CancelledError, CxrError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, Refusal
from cxr_viewer.core.jobs import CancelToken, LatestSlot, Progress, failure_from
from cxr_viewer.services import events as ev
from cxr_viewer.services.answers import Answers, Question, refusal_of
from cxr_viewer.services.ports import ModelRunner
from cxr_viewer.services.state import ViewerState

_log = logging.getLogger(__name__)

DWELL_MS = 250
"""How long the reader stays on a film before a model is asked about it."""
_FORGET, _WARM_UP, _AHEAD, _IDLE = "forget", "warm-up", "ahead", "idle"
_RANKS: dict[Hashable, int] = {_FORGET: 2, _WARM_UP: 2, _AHEAD: 3, _IDLE: 4}


@dataclass(frozen=True, slots=True)
class _WarmUp:
    """Load this model while nobody waits for it."""

    model_id: str
    device: str


@dataclass(frozen=True, slots=True)
class _Forget:
    """Give back what is held for models that were removed."""


@dataclass(frozen=True, slots=True)
class _Idle:
    """Do what the runner puts off until nobody waits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A film and what its answer can be kept under, by the models installed when it was asked about."""

    request: AnalysisRequest
    question: Question | None


_Work = _Asked | _WarmUp | _Forget | _Idle


class InferenceThread(QThread):
    """Builds, uses and closes the model runner on itself; the newest question of each pane is answered.

    Signals:
        sends(object): AnalysisProgressed, AnalysisArrived, AnalysisRefused or AnalysisFailed.
        at_rest(object): the token of what :meth:`ask_ahead` or :meth:`use_rest` was given and has ended, done or
            given up.
    """

    sends = Signal(object)
    at_rest = Signal(object)

    def __init__(self, make_runner: Callable[[], ModelRunner], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("inference")
        self._make_runner = make_runner
        self._slot: LatestSlot[_Work] = LatestSlot(self._rank)
        self._answers = Answers()
        self._active = 0
        self._state: ViewerState | None = None
        self._dwelling: dict[int, QTimer] = {}

    # ------------------------------------------------------------ on the window's thread

    def follow(self, state: ViewerState) -> None:
        """Know which models are installed and which pane the reader looks at. Cheap; called at every change."""
        if self._state is None or state.cards is not self._state.cards:
            self._answers.installed(state.cards)
            if self._state is not None:
                self._slot.put(_FORGET, _Forget())
        self._active = state.active
        self._state = state

    def ask(self, request: AnalysisRequest, *, at_once: bool = True) -> ev.AnalysisArrived | ev.AnalysisRefused | None:
        """Answer this request; an earlier one of the same pane is dropped.

        Args:
            at_once: take it up now; otherwise when nothing else was asked of the pane for ``DWELL_MS``.

        Returns:
            The answer, where it was given before and kept; None where it comes through ``sends``.
        """
        self.cancel(request.pane)
        kept = self._answers.given(request)
        if kept is not None:
            return _event(kept)
        if at_once:
            self._take_up(request)
            return None
        timer = QTimer(self, singleShot=True, interval=DWELL_MS)
        timer.timeout.connect(lambda: self._stayed(request))
        self._dwelling[request.pane] = timer
        timer.start()
        return None

    def cancel(self, pane: int) -> None:
        timer = self._dwelling.pop(pane, None)
        if timer is not None:
            timer.stop()
            timer.deleteLater()
        self._slot.discard(pane)

    def warm_up(self, model_id: str, device: str) -> None:
        """Load a model ahead of the first film. What goes wrong is told when a film asks for it."""
        self._slot.put(_WARM_UP, _WarmUp(model_id, device))

    def ask_ahead(self, request: AnalysisRequest) -> CancelToken:
        """Keep the answer to a film nobody waits for; all that somebody waits for goes first."""
        return self._slot.put(_AHEAD, _Asked(request, self._answers.question(request)))

    def use_rest(self) -> CancelToken:
        """Let the runner do what it puts off until nobody waits (finding out which engine is fastest here)."""
        return self._slot.put(_IDLE, _Idle())

    def give_up_rest(self) -> None:
        """The reader is back: drop what nobody waits for."""
        self._slot.discard(_AHEAD)
        self._slot.discard(_IDLE)

    def stop(self, timeout_ms: int = 10_000) -> bool:
        """Cancel everything and wait for the thread to end. False when it did not end in time."""
        for pane in list(self._dwelling):
            self.cancel(pane)
        self._slot.close()
        return self.wait(timeout_ms) if self.isRunning() else True

    def _stayed(self, request: AnalysisRequest) -> None:
        timer = self._dwelling.pop(request.pane, None)
        if timer is not None:
            timer.deleteLater()
            self._take_up(request)

    def _take_up(self, request: AnalysisRequest) -> None:
        if self._slot.busy:
            self._tell_stage(request, "Waiting for the model")
        self._slot.put(request.pane, _Asked(request, self._answers.question(request)))

    def _rank(self, name: Hashable) -> int:
        return 0 if name == self._active else _RANKS.get(name, 1)

    # ------------------------------------------------------------ on itself

    def run(self) -> None:
        """The thread's own loop."""
        runner: ModelRunner | None = None
        while (taken := self._slot.take()) is not None:
            name, work, token = taken
            try:
                if runner is not None or not isinstance(work, _Forget):
                    runner = runner or self._make_runner()
                    self._do(runner, work, token)
            except CancelledError:
                pass
            except Exception as error:
                self._fail(work, error)
            finally:
                self._slot.done(name, token)
            if name in (_AHEAD, _IDLE):
                self.at_rest.emit(token)
            del taken, work  # a waiting thread must not keep the last film alive
        if runner is not None:
            runner.close()

    def _do(self, runner: ModelRunner, work: _Work, token: CancelToken) -> None:
        match work:
            case _WarmUp():
                _warm_up(runner, work)
            case _Forget():
                runner.forget_removed()
            case _Idle():
                while runner.settle(token):
                    token.raise_if_cancelled()
            case _Asked():
                answer = self._answer(runner, work, token)
                if work.request.pane >= 0:
                    self.sends.emit(_event(answer))

    def _answer(self, runner: ModelRunner, asked: _Asked, token: CancelToken) -> AnalysisResult | Refusal:
        request = asked.request
        given = self._answers.given(request)  # another pane may have asked meanwhile
        if given is not None:
            return given
        answer: AnalysisResult | Refusal
        try:
            answer = runner.analyse(request, token, lambda stage: self._tell_stage(request, stage))
        except RefusalError as error:
            answer = refusal_of(request, error)
        self._answers.keep(asked.question, answer)
        return answer

    def _tell_stage(self, request: AnalysisRequest, stage: str) -> None:
        if request.pane >= 0:
            self.sends.emit(ev.AnalysisProgressed(Progress(request.pane, request.generation, stage)))

    def _fail(self, work: _Work, error: Exception) -> None:
        pane, generation = -1, -1
        if isinstance(work, _Asked):
            pane, generation = work.request.pane, work.request.generation
        failure = failure_from(error, job="analysis", pane=pane, generation=generation)
        if pane >= 0:
            self.sends.emit(ev.AnalysisFailed(failure))
        else:
            _log.warning("what nobody waits for failed: %s", failure.summary)


def _warm_up(runner: ModelRunner, work: _WarmUp) -> None:
    try:
        runner.warm_up(work.model_id, work.device)
    except CxrError as error:
        _log.warning("the model could not be loaded ahead: %s %s", error.summary, error.detail)


def _event(answer: AnalysisResult | Refusal) -> ev.AnalysisArrived | ev.AnalysisRefused:
    return ev.AnalysisRefused(answer) if isinstance(answer, Refusal) else ev.AnalysisArrived(answer)
