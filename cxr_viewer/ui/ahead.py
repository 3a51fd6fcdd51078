"""While the reader looks, the films that are likely to come next are read and scored.

One film at a time, in a reading process of its own that makes way for everything else; its pixels go as soon as the
model has looked, and only the answer is kept. Whatever the reader does ends it at once.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import QApplication

from cxr_viewer.core.errors import CancelledError, CxrError
from cxr_viewer.core.findings import AnalysisRequest, ModelCard
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken, failure_from
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.choice import choose_model
from cxr_viewer.services.state import ViewerState
from cxr_viewer.ui.inference import InferenceThread

_log = logging.getLogger(__name__)

REST_MS = 800
"""How long nothing is touched before the program looks ahead."""
_REMEMBERED = 500
_HANDS = frozenset(
    {
        QEvent.Type.MouseMove,
        QEvent.Type.MouseButtonPress,
        QEvent.Type.MouseButtonDblClick,
        QEvent.Type.Wheel,
        QEvent.Type.KeyPress,
        QEvent.Type.ShortcutOverride,
        QEvent.Type.TouchBegin,
        QEvent.Type.TabletPress,
    }
)

File = tuple[ImageKey, Path, str]
Settings = tuple[tuple[ModelCard, ...], str, str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where :class:`Ahead` learns what it needs.

    Attributes:
        state: the window's.
        resting: nothing is being scanned, read, scored or waited for.
        neighbours: the films the reader may open next, likeliest first.
        read: reads a film without being in anybody's way; called on a thread of its own.
    """

    state: Callable[[], ViewerState]
    resting: Callable[[], bool]
    neighbours: Callable[[], Iterable[ImageNode]]
    read: Callable[[ImageNode, CancelToken], Radiograph]


class Ahead(QObject):
    """Looks ahead while nobody touches anything; lives on the window's thread."""

    _was_read = Signal(object, object)
    _not_read = Signal(object)

    def __init__(self, sources: Sources, inference: InferenceThread, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sources = sources
        self._inference = inference
        self._pool = ThreadPoolExecutor(1, "loader-ahead")
        self._token: CancelToken | None = None
        self._work: CancelToken | None = None
        self._doing: File | None = None
        self._done: OrderedDict[File, None] = OrderedDict()
        self._settings: Settings | None = None
        self._rest_used = False
        self._closed = False
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self.look)
        queued = Qt.ConnectionType.QueuedConnection
        self._was_read.connect(self._score, queued)
        self._not_read.connect(self._over, queued)
        inference.at_rest.connect(self._scored, queued)

    @property
    def busy(self) -> bool:
        """A film is being read or scored ahead, or the runner uses the rest."""
        return self._token is not None

    @Slot(object)
    def touched(self, event: object = None) -> None:
        """The reader has done something, or ``event`` has happened: give up, and rest anew before going on."""
        self._give_up()
        if isinstance(event, ev.AnalysisArrived) and not event.result.kept:
            self._rest_used = False  # a model has run that may be new to the runner
        if not self._closed:
            self._timer.start(REST_MS)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Sees every move of the reader's hands; takes none of them."""
        if event.type() in _HANDS:
            self.touched()
        return False

    def look(self) -> None:
        """Begin the next thing, if there is one and nobody would feel it."""
        state = self._sources.state()
        if self._closed or self._token is not None or not (state.automatic and state.model_id):
            return
        hands = QApplication.mouseButtons() != Qt.MouseButton.NoButton
        if hands or QApplication.activeModalWidget() or QApplication.activePopupWidget() or not self._sources.resting():
            self._timer.start(REST_MS)
            return
        settings = (state.cards, state.model_id, state.method, state.device)
        if settings != self._settings:
            self._settings = settings
            self._done.clear()
        for pane in state.panes:
            if pane.node is not None:
                self._remember(_file(pane.node))
        node = next((node for node in self._sources.neighbours() if self._is_worth_it(node)), None)
        if node is not None:
            self._doing, self._token = _file(node), CancelToken()
            self._pool.submit(self._read, node, self._token)
        elif not self._rest_used:
            self._rest_used, self._token = True, CancelToken()
            self._work = self._inference.use_rest()

    def close(self) -> None:
        """Give up and wait for the thread. Safe to call twice."""
        self._closed = True
        self._timer.stop()
        self._give_up()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------ one film

    def _read(self, node: ImageNode, token: CancelToken) -> None:
        try:
            token.raise_if_cancelled()
            self._was_read.emit(self._sources.read(node, token), token)
        except CancelledError:
            pass
        except CxrError as error:  # told when the reader opens it
            _log.info("a film could not be read ahead: %s", error.summary)
            self._not_read.emit(token)
        except Exception as error:
            failure_from(error, job="read ahead")
            self._not_read.emit(token)

    @Slot(object, object)
    def _score(self, image: Radiograph, token: CancelToken) -> None:
        """Here, not on the thread that read it: what was given up meanwhile is not asked about."""
        if token is not self._token:
            return
        state = self._sources.state()
        choice = choose_model(state.cards, state.model_id, image)
        if choice is None:
            self._over(token)
            return
        request = AnalysisRequest(-1, 0, image, choice.model_id, state.method, state.device)
        self._work = self._inference.ask_ahead(request)

    @Slot(object)
    def _scored(self, work: CancelToken) -> None:
        if self._token is not None and work is self._work:  # not one that was given up and ends only now
            self._over(self._token)

    @Slot(object)
    def _over(self, token: CancelToken) -> None:
        if token is not self._token:
            return
        if self._doing is not None:
            self._remember(self._doing)
            self._rest_used = False
        self._doing = self._token = self._work = None
        if not self._closed:
            self._timer.start(0)  # the next one

    def _give_up(self) -> None:
        if self._token is None:
            return
        if self._doing is None:
            self._rest_used = False
        self._token.cancel()
        self._doing = self._token = self._work = None
        self._inference.give_up_rest()

    def _is_worth_it(self, node: ImageNode) -> bool:
        return not node.missing and node.frames == 1 and _file(node) not in self._done

    def _remember(self, file: File) -> None:
        self._done[file] = None
        self._done.move_to_end(file)
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)


def _file(node: ImageNode) -> File:
    return node.key, node.path, node.member
