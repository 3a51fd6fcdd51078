"""Reads the attributes of a file for the tag browser, on a thread that waits for the reading process."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from PySide6.QtCore import QObject, Signal

from cxr_viewer.core.errors import CancelledError
from cxr_viewer.core.jobs import CancelToken, Failure, failure_from
from cxr_viewer.core.study import ImageNode
from cxr_viewer.core.tags import TagList
from cxr_viewer.services.ports import ImageReader


@dataclass(frozen=True, slots=True)
class TagRequest:
    """The attributes of this file, for the film opened as ``generation`` in ``pane``."""

    pane: int
    generation: int
    node: ImageNode


@dataclass(frozen=True, slots=True)
class TagAnswer:
    """``tags`` or ``failure``, never both."""

    request: TagRequest
    tags: TagList | None = field(default=None, repr=False)
    failure: Failure | None = None


class TagLoader(QObject):
    """One file at a time; a newer wish replaces the one before.

    A thread of its own, so that a file that hangs holds up no film; it starts with the first wish.

    Signals:
        read(object): TagAnswer; the slot decides whether anybody still waits for it.
    """

    read = Signal(object)

    def __init__(self, reader: ImageReader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader = reader
        self._pool = ThreadPoolExecutor(1, "loader-tags")
        self._token = CancelToken()
        self._newest: Future[None] | None = None

    @property
    def busy(self) -> bool:
        """A wish is waiting or being answered."""
        return self._newest is not None and not self._newest.done()

    def want(self, request: TagRequest) -> None:
        """Answer this wish and no earlier one."""
        self.cancel()
        self._newest = self._pool.submit(self._answer, request, self._token)

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._token.cancel()
        self._token = CancelToken()

    def _answer(self, request: TagRequest, token: CancelToken) -> None:
        try:
            token.raise_if_cancelled()
            self.read.emit(TagAnswer(request, self._reader.tags(request.node, token)))
        except CancelledError:
            pass
        except Exception as error:
            failure = failure_from(error, job="tags", pane=request.pane, generation=request.generation)
            self.read.emit(TagAnswer(request, failure=failure))

    def close(self) -> None:
        """Cancel and wait for the thread."""
        self._token.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)
