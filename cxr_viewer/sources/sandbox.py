"""A pool of warm reader processes: foreign files are parsed there, never in the window's process.

Each process has a memory limit and gives up what it does not need (see ``cage``), each request has a time limit. A
process that dies, hangs, is stopped or outgrows its limit is killed and replaced, and whoever asked gets one sentence.
A request is handed to one process only: a film that killed a reader would kill the next one too. Urgent requests (a
film was clicked) never wait behind the others (scans, small pictures), because one process is kept free of those.

Pixels come through a pipe, at about 2 ms for a large film; shared memory would save one of them and leave segments
behind whenever a reader dies.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cxr_viewer.core.cage import Protections
from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import faults, wire
from cxr_viewer.sources.passwords import Passwords
from cxr_viewer.sources.readerprocess import LOWEST_PRIORITY, ReaderProcess, ScratchRoot

_log = logging.getLogger(__name__)

MEMORY_LIMIT_BYTES = 3 << 30
TIME_LIMIT_S = 30.0
ABANDON_AFTER_S = 0.3
"""How long a reader may go on with a request nobody waits for before it is killed; restarting one costs more."""
_POLL_S = 0.02

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.sources.worker import main
main(int(sys.argv[2]), sys.argv[3])
"""
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Request:
    words: dict[str, Any] = field(repr=False)  # may hold a password
    time_limit_s: float
    done: threading.Event = field(default_factory=threading.Event)
    news: threading.Event = field(default_factory=threading.Event)
    interim: tuple[Any, wire.Blocks] | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    blocks: wire.Blocks = field(default_factory=list)
    error: ReadError | None = None
    deadline: float = 0.0
    process: ReaderProcess | None = None
    fate: ReadError | None = None

    def finish(self) -> None:
        self.done.set()
        self.news.set()


class Sandbox:
    """Reader processes and the threads that talk to them. Safe to use from any thread.

    Args:
        size: number of processes; one of them is kept for urgent requests where there are several.
        abandon_after_s: how long a process may go on with a request that was given up before it is killed.
        gentle: the processes make way for all others.

    Attributes:
        passwords: of archives, shared by all who ask; handed to a process with each request that needs them.
    """

    def __init__(
        self,
        size: int = 2,
        *,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        time_limit_s: float = TIME_LIMIT_S,
        abandon_after_s: float = ABANDON_AFTER_S,
        gentle: bool = False,
    ) -> None:
        if size < 1:
            raise ValueError("a sandbox needs at least one process")
        self._abandon_after_s = abandon_after_s
        self._gentle = gentle
        self.passwords = Passwords()
        self._size = size
        self._memory_limit_bytes = memory_limit_bytes
        self._time_limit_s = time_limit_s
        self._urgent: deque[_Request] = deque()
        self._background: deque[_Request] = deque()
        self._background_running = 0  # without what helpers do: one process stays free whether they are up or not
        self._allowed = max(1, size - 1)
        self._helping = 0
        self._state = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._helpers: list[threading.Thread] = []
        self._processes: set[ReaderProcess] = set()
        self._scratch: ScratchRoot | None = None
        self._protections: Protections | None = None

    def warm(self) -> None:
        """Start the processes in the background; returns at once. Asking for anything does the same."""
        with self._state:
            if self._closed or self._threads:
                return
            self._scratch = ScratchRoot()
            self._threads = [
                threading.Thread(target=self._serve, name=f"reader-{number}", daemon=True)
                for number in range(self._size)
            ]
            for thread in self._threads:
                thread.start()

    @contextlib.contextmanager
    def reinforced(self, helpers: int) -> Iterator[None]:
        """As long as the block lasts there are ``helpers`` more processes for what is not urgent.

        They are started when the block begins, which takes none of the caller's time, and cost no memory after it.
        """
        leave = threading.Event()
        threads = [
            threading.Thread(target=self._serve, args=(leave,), name=f"reader-helper-{number}", daemon=True)
            for number in range(helpers)
        ]
        with self._state:
            begun = not self._closed
            if begun:
                self._helping += helpers
                self._helpers = [thread for thread in self._helpers if thread.is_alive()] + threads
                for thread in threads:
                    thread.start()
        try:
            yield
        finally:
            if begun:
                with self._state:
                    self._helping -= helpers
                    leave.set()
                    self._state.notify_all()

    @property
    def in_background(self) -> int:
        """How many requests that are not urgent are worked on at once."""
        return self._allowed + self._helping

    @property
    def processes(self) -> tuple[int, ...]:
        """Process numbers of the readers there are now."""
        with self._state:
            return tuple(process.pid for process in self._processes)

    @property
    def protections(self) -> Protections | None:
        """What the readers cannot do on this system; None until one of them has answered for the first time."""
        return self._protections

    def ask(
        self,
        kind: type[T],
        job: str,
        cancel: CancelToken,
        *,
        urgent: bool = False,
        time_limit_s: float | None = None,
        interim: Callable[[T], None] | None = None,
        **words: Any,
    ) -> T:
        """Have a reader process do ``job`` and wait for its answer, a value of type ``kind``.

        Args:
            urgent: somebody waits for it.
            interim: given, on the calling thread and at most once, what the reader can answer before it has done.

        Raises:
            ReadError: with a sentence, whatever happened to the file or the process.
            CancelledError: ``cancel`` was set; the request is dropped.
        """
        limit = self._time_limit_s if time_limit_s is None else time_limit_s
        request = _Request({"job": job, "seconds": limit, **words}, limit)
        self.warm()
        with self._state:
            if self._closed:
                raise faults.reader_closed()
            (self._urgent if urgent else self._background).append(request)
            self._state.notify_all()
        self._wait(request, cancel, None if interim is None else lambda early: interim(wire.from_plain(kind, *early)))
        if request.error is not None:
            raise request.error
        try:
            return wire.from_plain(kind, request.answer["ok"], request.blocks)
        except (wire.WireError, KeyError) as error:
            raise faults.reader_crashed(f"answer without form: {error}") from error

    def _wait(
        self, request: _Request, cancel: CancelToken, interim: Callable[[tuple[Any, wire.Blocks]], None] | None
    ) -> None:
        while not request.done.is_set():
            if request.news.wait(_POLL_S):
                request.news.clear()
            if cancel.cancelled:
                self._abandon(request)
                raise CancelledError()
            if request.deadline and time.monotonic() > request.deadline:
                self._kill(request, faults.took_too_long(request.time_limit_s))
            early, request.interim = request.interim, None
            if early is not None and interim is not None and not request.done.is_set():
                try:
                    interim(early)
                except wire.WireError as error:
                    _log.warning("an early answer without form: %s", error)
        cancel.raise_if_cancelled()

    def _abandon(self, request: _Request) -> None:
        with self._state:
            for queue in (self._urgent, self._background):
                if request in queue:
                    queue.remove(request)
                    return
        timer = threading.Timer(self._abandon_after_s, self._kill, (request, faults.reader_closed()))
        timer.daemon = True
        timer.start()

    def _kill(self, request: _Request, fate: ReadError) -> None:
        with self._state:
            if request.done.is_set() or request.process is None or request.fate is not None:
                return
            request.fate = fate
            request.process.kill()

    # ------------------------------------------------------------ one thread per process

    def _serve(self, leave: threading.Event | None = None) -> None:
        """Takes what comes; one that may ``leave`` is a helper, takes nothing urgent and makes way for the others."""
        process = self._start()
        if leave is not None and process is not None:
            process.make_way()
        while (taken := self._next(leave)) is not None:
            request, urgent = taken
            try:
                process = self._exchange(process, request)
            except Exception as error:  # a defect here must not leave the asker waiting for ever
                _log.exception("unexpected fault beside a reader process")
                request.error = faults.reader_crashed(repr(error))
            with self._state:
                request.finish()
                self._background_running -= not urgent and leave is None
                self._state.notify_all()
            del taken, request  # a waiting thread must not keep the last film alive, nor a password
        if process is not None:
            self._end(process)

    def _next(self, leave: threading.Event | None) -> tuple[_Request, bool] | None:
        """(request, it is urgent); waits for one, None once closed or asked to leave."""
        with self._state:
            while not self._closed and not (leave is not None and leave.is_set()):
                if leave is not None and self._background:
                    return self._background.popleft(), False
                if leave is None and self._urgent:
                    return self._urgent.popleft(), True
                if leave is None and self._background and self._background_running < self._allowed:
                    self._background_running += 1
                    return self._background.popleft(), False
                self._state.wait()
        return None

    def _exchange(self, process: ReaderProcess | None, request: _Request) -> ReaderProcess | None:
        """Hand the request over and wait for the answer; returns the process that lives afterwards."""
        process = self._handed_over(process, request)
        if process is None:
            request.error = request.fate or faults.reader_will_not_start("the process could not be created")
            return None
        try:
            request.answer, request.blocks = self._answer(process, request)
            request.error = _error_in(request.answer)
        except (EOFError, OSError, wire.WireError, MemoryError) as error:
            death = process.cause_of_death(error)
            request.error = request.fate or death
        with self._state:
            request.finish()  # from here on _kill leaves the process alone
        if request.fate is None and process.alive:
            return process
        if self._gentle:  # started again when it is wanted again: whoever gave it up has the processor now
            self._end(process)
            return None
        return self._replace(process)

    def _handed_over(self, process: ReaderProcess | None, request: _Request) -> ReaderProcess | None:
        """The process that has taken the request; one that died while nobody asked it anything is replaced first."""
        for _ in range(2):
            if process is None or not process.alive:
                process = self._replace(process)
            if process is None:
                return None
            with self._state:
                request.process = process
                request.deadline = time.monotonic() + request.time_limit_s
            with contextlib.suppress(OSError):  # it has gone since; what was not taken has done no harm
                wire.send(process.requests, request.words, [])
                return process
            if request.fate is not None:
                return process
            process.kill()
            process = self._replace(process)
        return process

    def _answer(self, process: ReaderProcess, request: _Request) -> tuple[dict[str, Any], wire.Blocks]:
        """The final answer; at most one comes before it."""
        answer, blocks = wire.receive(process.answers)
        if "interim" in answer:
            request.interim = answer["interim"], blocks
            request.news.set()
            answer, blocks = wire.receive(process.answers)
        if not answer.keys() & {"ok", "error"}:
            raise wire.WireError("neither a value nor a reason")
        if "cage" in answer:
            self._note(answer["cage"])
        return answer, blocks

    def _note(self, told: Any) -> None:
        protections = wire.from_plain(Protections, told, [])
        if protections != self._protections:
            self._protections = protections
            missing = f"; this system does not offer: {', '.join(protections.missing)}" if protections.missing else ""
            _log.info("readers are caged%s", missing)

    def _replace(self, process: ReaderProcess | None) -> ReaderProcess | None:
        if process is not None:
            self._end(process)
        return self._start()

    def _start(self) -> ReaderProcess | None:
        if self._closed:
            return None
        folder = None if self._scratch is None else self._scratch.folder()
        try:
            process = ReaderProcess(_BOOT, self._memory_limit_bytes, folder)
        except OSError as error:
            _log.error("a reader process could not be started: %s", error)
            return None
        with self._state:
            self._processes.add(process)
            if self._gentle:
                process.make_way(LOWEST_PRIORITY)
            closed_meanwhile: bool = self._closed
        if closed_meanwhile:
            process.kill()
        return process

    def _end(self, process: ReaderProcess) -> None:
        process.end()
        with self._state:
            self._processes.discard(process)

    def close(self) -> None:
        """End every process and wait until they are gone. Safe to call twice."""
        with self._state:
            self._closed = True
            for request in (*self._urgent, *self._background):
                request.error = faults.reader_closed()
                request.finish()
            self._urgent.clear()
            self._background.clear()
            for process in self._processes:
                process.kill()
            self._state.notify_all()
            threads = (*self._threads, *self._helpers)
        for thread in threads:
            thread.join()
        if self._scratch is not None:
            self._scratch.remove()


def _error_in(answer: dict[str, Any]) -> ReadError | None:
    error = answer.get("error")
    if not isinstance(error, dict):
        return None
    summary, hint, detail, code = (str(error.get(name, ""))[:1000] for name in ("summary", "hint", "detail", "code"))
    return ReadError(summary, hint=hint, detail=detail, code=code)
