"""A pool of warm reader processes: foreign files are parsed there, never in the window's process.

Each process has a memory limit, each request a time limit. A process that dies, hangs or outgrows its limit is killed
and replaced, and whoever asked gets one sentence. Urgent requests (a film was clicked) never wait behind the others
(scans, small pictures), because one process is kept free of those.

The processes are started by command line with two pipes, not through ``multiprocessing``: its spawn would import the
program's own start-up module, with Qt, into the child. Pixels come through the pipe as well, at about 2 ms for a large
film; shared memory would save one of them and leave segments behind whenever a reader dies.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import typing
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, TypeVar

from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.sources import faults, wire

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
main(int(sys.argv[2]))
"""
_PIPE_BYTES = 1 << 20
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1")
T = TypeVar("T")
_Process = subprocess.Popen[bytes]


@dataclass(slots=True, eq=False)
class _Request:
    words: dict[str, Any]
    time_limit_s: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=dict)
    blocks: wire.Blocks = field(default_factory=list)
    error: ReadError | None = None
    deadline: float = 0.0
    process: _Process | None = None
    fate: ReadError | None = None


class Sandbox:
    """Reader processes and the threads that talk to them. Safe to use from any thread.

    Args:
        size: number of processes; one of them is kept for urgent requests where there are several.
    """

    def __init__(
        self, size: int = 2, *, memory_limit_bytes: int = MEMORY_LIMIT_BYTES, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        if size < 1:
            raise ValueError("a sandbox needs at least one process")
        self._size = size
        self._memory_limit_bytes = memory_limit_bytes
        self._time_limit_s = time_limit_s
        self._urgent: deque[_Request] = deque()
        self._background: deque[_Request] = deque()
        self._background_running = 0
        self._state = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []
        self._processes: set[_Process] = set()

    def warm(self) -> None:
        """Start the processes in the background; returns at once. Asking for anything does the same."""
        with self._state:
            if self._closed or self._threads:
                return
            self._threads = [
                threading.Thread(target=self._serve, name=f"reader-{number}", daemon=True)
                for number in range(self._size)
            ]
            for thread in self._threads:
                thread.start()

    @property
    def processes(self) -> tuple[int, ...]:
        """Process numbers of the readers there are now."""
        with self._state:
            return tuple(process.pid for process in self._processes)

    def ask(
        self,
        kind: type[T],
        job: str,
        cancel: CancelToken,
        *,
        urgent: bool = False,
        time_limit_s: float | None = None,
        **words: Any,
    ) -> T:
        """Have a reader process do ``job`` and wait for its answer, a value of type ``kind``.

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
        self._wait(request, cancel)
        if request.error is not None:
            raise request.error
        try:
            return wire.from_plain(kind, request.answer["ok"], request.blocks)
        except (wire.WireError, KeyError) as error:
            raise faults.reader_crashed(f"answer without form: {error}") from error

    def _wait(self, request: _Request, cancel: CancelToken) -> None:
        while not request.done.wait(_POLL_S):
            if cancel.cancelled:
                self._abandon(request)
                raise CancelledError()
            if request.deadline and time.monotonic() > request.deadline:
                self._kill(request, faults.took_too_long(request.time_limit_s))
        cancel.raise_if_cancelled()

    def _abandon(self, request: _Request) -> None:
        with self._state:
            for queue in (self._urgent, self._background):
                if request in queue:
                    queue.remove(request)
                    return
        timer = threading.Timer(ABANDON_AFTER_S, self._kill, (request, faults.reader_closed()))
        timer.daemon = True
        timer.start()

    def _kill(self, request: _Request, fate: ReadError) -> None:
        with self._state:
            if request.done.is_set() or request.process is None or request.fate is not None:
                return
            request.fate = fate
            request.process.kill()

    # ------------------------------------------------------------ one thread per process

    def _serve(self) -> None:
        process = self._start()
        while (taken := self._next()) is not None:
            request, urgent = taken
            try:
                process = self._exchange(process, request)
            except Exception as error:  # a defect here must not leave the asker waiting for ever
                _log.exception("unexpected fault beside a reader process")
                request.error = faults.reader_crashed(repr(error))
            with self._state:
                request.done.set()
                self._background_running -= not urgent
                self._state.notify_all()
        if process is not None:
            self._end(process)

    def _next(self) -> tuple[_Request, bool] | None:
        """(request, it is urgent); waits for one, None once closed."""
        allowed = max(1, self._size - 1)
        with self._state:
            while not self._closed:
                if self._urgent:
                    return self._urgent.popleft(), True
                if self._background and self._background_running < allowed:
                    self._background_running += 1
                    return self._background.popleft(), False
                self._state.wait()
        return None

    def _exchange(self, process: _Process | None, request: _Request) -> _Process | None:
        """Hand the request over and wait for the answer; returns the process that lives afterwards."""
        if process is None or process.poll() is not None:
            process = self._replace(process)
        if process is None:
            request.error = faults.reader_will_not_start("the process could not be created")
            return None
        with self._state:
            request.process = process
            request.deadline = time.monotonic() + request.time_limit_s
        try:
            wire.send(_pipe(process.stdin), request.words, [])
            request.answer, request.blocks = wire.receive(_pipe(process.stdout))
            request.error = _error_in(request.answer)
        except (EOFError, OSError, wire.WireError, MemoryError) as error:
            process.kill()
            request.error = request.fate or _death(process, error)
        with self._state:
            request.done.set()  # from here on _kill leaves the process alone
        return process if request.fate is None and process.poll() is None else self._replace(process)

    def _replace(self, process: _Process | None) -> _Process | None:
        if process is not None:
            self._end(process)
        return self._start()

    def _start(self) -> _Process | None:
        if self._closed:
            return None
        try:
            process = start_reader(self._memory_limit_bytes)
        except OSError as error:
            _log.error("a reader process could not be started: %s", error)
            return None
        with self._state:
            self._processes.add(process)
            closed_meanwhile: bool = self._closed
        if closed_meanwhile:
            process.kill()
        return process

    def _end(self, process: _Process) -> None:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()
        with self._state:
            self._processes.discard(process)

    def close(self) -> None:
        """End every process and wait until they are gone. Safe to call twice."""
        with self._state:
            self._closed = True
            for request in (*self._urgent, *self._background):
                request.error = faults.reader_closed()
                request.done.set()
            self._urgent.clear()
            self._background.clear()
            for process in self._processes:
                process.kill()
            self._state.notify_all()
            threads = self._threads
        for thread in threads:
            thread.join()


def start_reader(memory_limit_bytes: int) -> _Process:
    """Start one reader process: this interpreter, isolated from the folder and environment it is started in.

    Raises:
        OSError: the system would not start it.
    """
    package_root = str(Path(__file__).resolve().parents[2])
    search = [package_root, *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOT, json.dumps(search), str(memory_limit_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        cwd=tempfile.gettempdir(),  # not the reader's folder: a process that stands in it keeps a disc from ejecting
        env={**os.environ, **_ONE_THREAD},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only: fewer, larger gulps
        import fcntl

        fcntl.fcntl(_pipe(process.stdout).fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


def _pipe(stream: IO[bytes] | None) -> BinaryIO:
    assert stream is not None
    return typing.cast(BinaryIO, stream)


def _error_in(answer: dict[str, Any]) -> ReadError | None:
    error = answer.get("error")
    if not isinstance(error, dict):
        return None
    summary, hint, detail, code = (str(error.get(name, ""))[:1000] for name in ("summary", "hint", "detail", "code"))
    return ReadError(summary, hint=hint, detail=detail, code=code)


def _death(process: _Process, error: Exception) -> ReadError:
    """What to say of a process that went away by itself."""
    status = process.wait()
    if isinstance(error, MemoryError):
        return faults.too_large_for_memory("in the window's process")
    cause = f"exit status {status}" if status >= 0 else signal.Signals(-status).name
    return faults.reader_crashed(f"{cause}; {type(error).__name__}")
