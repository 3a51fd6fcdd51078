"""Takes events to ``reduce`` and carries out the effects it asks for."""

from __future__ import annotations

import logging
from collections import deque
from typing import Protocol

from PySide6.QtCore import QObject, Signal, Slot

from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.study import ReadStatus
from cxr_viewer.services import events as ev
from cxr_viewer.services.session import reduce
from cxr_viewer.services.state import ViewerState

_log = logging.getLogger(__name__)


class LoadsImages(Protocol):
    def load(self, effect: ev.LoadImage) -> None: ...
    def cancel(self, pane: int) -> None: ...
    def set_status(self, study_uid: str, status: ReadStatus) -> None: ...
    def save_calibration(self, effect: ev.SaveCalibration) -> None: ...


class AnswersRequests(Protocol):
    def follow(self, state: ViewerState) -> None: ...
    def ask(self, request: AnalysisRequest, *, at_once: bool) -> ev.AnalysisArrived | ev.AnalysisRefused | None: ...
    def cancel(self, pane: int) -> None: ...


class Controller(QObject):
    """Holds the state of the window. Lives on the window's thread; everything else hands it events.

    Signals:
        state_changed(object): the new ViewerState, after its effects were started.
        happened(object): every event, after it has taken effect (for the audit trail).
        preference(str, object): a choice to keep for the next start.
        overrode(object): the reader wanted a score the guard had blocked, a RecordOverride.
    """

    state_changed = Signal(object)
    happened = Signal(object)
    preference = Signal(str, object)
    overrode = Signal(object)

    def __init__(
        self, state: ViewerState, loaders: LoadsImages, inference: AnswersRequests, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._state = state
        self._loaders = loaders
        self._inference = inference
        self._waiting: deque[ev.Event] = deque()
        self._busy = False
        inference.follow(state)

    @property
    def state(self) -> ViewerState:
        return self._state

    @Slot(object)
    def dispatch(self, event: ev.Event) -> None:
        """Let one event take effect. Events raised meanwhile wait for their turn."""
        self._waiting.append(event)
        if self._busy:
            return
        self._busy = True
        try:
            while self._waiting:
                self._take(self._waiting.popleft())
        finally:
            self._busy = False

    def _take(self, event: ev.Event) -> None:
        before = self._state
        self._state, effects = reduce(before, event)
        self._inference.follow(self._state)  # before its effects: what they ask is about the models of this state
        for effect in effects:
            self._perform(effect)
        if self._state is not before:
            self.state_changed.emit(self._state)
        self.happened.emit(event)

    def _perform(self, effect: ev.Effect) -> None:
        match effect:
            case ev.LoadImage():
                self._loaders.load(effect)
            case ev.CancelLoad(pane):
                self._loaders.cancel(pane)
            case ev.StartAnalysis(request, at_once):
                given = self._inference.ask(request, at_once=at_once)
                if given is not None:  # in the same step as the film, before anything is painted
                    self._waiting.append(given)
            case ev.CancelAnalysis(pane):
                self._inference.cancel(pane)
            case ev.SaveStatus(study_uid, status):
                self._loaders.set_status(study_uid, status)
            case ev.SaveCalibration():
                self._loaders.save_calibration(effect)
            case ev.RecordOverride():
                self.overrode.emit(effect)
            case ev.SavePreference(name, value):
                self.preference.emit(name, value)
