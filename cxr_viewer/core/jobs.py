"""What crosses threads: progress, failures as text, cancelling, and the waiting place for the newest request."""

from __future__ import annotations

import logging
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from cxr_viewer.core.errors import CancelledError, CxrError

_log = logging.getLogger(__name__)

RequestT = TypeVar("RequestT")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come. ``total`` is 0 while it is unknown."""

    pane: int
    generation: int
    stage: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A fault as text only: an exception object would keep the arrays of its frames alive across threads."""

    pane: int
    generation: int
    job: str
    code: str
    summary: str
    hint: str = ""
    detail: str = field(default="", repr=False)


def failure_from(error: BaseException, *, job: str, pane: int = -1, generation: int = -1) -> Failure:
    """Turn an exception into text; anything that is not a :class:`CxrError` is logged with its traceback."""
    if isinstance(error, CxrError):
        return Failure(pane, generation, job, error.code, error.summary, error.hint, error.detail)
    detail = "".join(traceback.format_exception(error))
    _log.error("unexpected fault in job %s\n%s", job, detail)
    return Failure(
        pane,
        generation,
        job,
        "internal",
        "Something went wrong inside the program.",
        "Try again; the log (Help > Show log) holds the details.",
        detail,
    )


class CancelToken:
    """Asks work to stop at its next stage. Safe to use from any thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises CancelledError once :meth:`cancel` was called."""
        if self._event.is_set():
            raise CancelledError()


class LatestSlot(Generic[RequestT]):
    """One waiting place per name: a newer request replaces the waiting one and cancels the running one.

    Producers call :meth:`put` and :meth:`discard` from any thread, one consumer calls :meth:`take`.

    Args:
        rank: names with the lowest number are served first, those of one rank in turn; asked at each :meth:`take`.
    """

    def __init__(self, rank: Callable[[Hashable], int] | None = None) -> None:
        self._rank = rank
        self._waiting: OrderedDict[Hashable, tuple[RequestT, CancelToken]] = OrderedDict()
        self._running: dict[Hashable, CancelToken] = {}
        self._ready = threading.Condition()
        self._closed = False

    def put(self, name: Hashable, request: RequestT) -> CancelToken:
        """Queue ``request`` under ``name`` and return the token it will run with."""
        token = CancelToken()
        with self._ready:
            self._cancel(name)
            if self._closed:
                token.cancel()
                return token
            self._waiting[name] = (request, token)
            self._ready.notify()
        return token

    def discard(self, name: Hashable) -> None:
        """Drop what waits under ``name`` and cancel what runs."""
        with self._ready:
            self._cancel(name)

    def _cancel(self, name: Hashable) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None:
            waiting[1].cancel()
        if name in self._running:
            self._running[name].cancel()

    def take(self, timeout_s: float | None = None) -> tuple[Hashable, RequestT, CancelToken] | None:
        """The next request, within a rank the oldest name first.

        Returns:
            None after :meth:`close`, or when ``timeout_s`` has passed.
        """
        with self._ready:
            self._ready.wait_for(lambda: self._closed or bool(self._waiting), timeout_s)
            if self._closed or not self._waiting:
                return None
            name = next(iter(self._waiting)) if self._rank is None else min(self._waiting, key=self._rank)
            request, token = self._waiting.pop(name)
            self._running[name] = token
            return name, request, token

    def done(self, name: Hashable, token: CancelToken) -> None:
        """The consumer has finished the request it took with ``token``."""
        with self._ready:
            if self._running.get(name) is token:
                del self._running[name]

    def close(self) -> None:
        """Cancel everything and wake the consumer, which then gets None."""
        with self._ready:
            self._closed = True
            for _, token in self._waiting.values():
                token.cancel()
            for token in self._running.values():
                token.cancel()
            self._waiting.clear()
            self._ready.notify_all()

    @property
    def busy(self) -> bool:
        """Something waits or runs."""
        with self._ready:
            return bool(self._waiting or self._running)

    @property
    def closed(self) -> bool:
        return self._closed
