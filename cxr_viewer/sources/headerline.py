"""The line of files in a scan: looked up, read in batches by several processes at once, handed on in their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from types import TracebackType

from cxr_viewer.core.errors import CancelledError, ReadError
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FileStamp, KnownFile, LookUp, member_stamp_ns
from cxr_viewer.sources import faults
from cxr_viewer.sources.answers import Header, Headers
from cxr_viewer.sources.listing import Candidate
from cxr_viewer.sources.sandbox import Sandbox

FIRST_BATCH, BATCH = 4, 32
LOOKED_UP_AT_ONCE = 256
LARGEST_STEP = 256
"""Files told about at once; the slower the one who is told, the more he gets, and the less each costs him."""
LONGEST_LINE = 64
"""Batches read ahead of a slow one."""
PATIENCE_S = 5.0
"""How long a slow batch keeps those behind it waiting."""
BATCH_LIMIT_S, SINGLE_LIMIT_S = 30.0, 10.0
_WAITING_AHEAD = 2  # requests in the queue, so that no process waits for its next one
_MOST_THREADS = 8
_NO_READER = ("reader-closed", "reader-not-started")  # the fault of no file


@dataclass(frozen=True, slots=True)
class Looked:
    """A file and what became of it: as known before, or as read now."""

    candidate: Candidate
    stamp: FileStamp
    outcome: KnownFile | Header


@dataclass(slots=True, eq=False)
class _Batch:
    files: list[tuple[Candidate, FileStamp, KnownFile | None]] = field(default_factory=list)
    headers: Future[tuple[Header, ...]] | None = None

    @property
    def unread(self) -> list[Candidate]:
        return [candidate for candidate, _, known in self.files if known is None]

    @property
    def done(self) -> bool:
        return self.headers is None or self.headers.done()

    def looked(self) -> Iterator[Looked]:
        """Raises what the reading raised."""
        read = iter(self.headers.result() if self.headers is not None else ())
        for candidate, stamp, known in self.files:
            yield Looked(candidate, stamp, next(read) if known is None else known)


class HeaderLine:
    """Files go in with :meth:`add` and come out of :meth:`take`. Used on one thread, within a ``with`` block.

    At most a few requests are under way and ``LONGEST_LINE`` batches kept, however slow whoever takes them is.

    Args:
        known: asked before a file is read; those it knows are not.
    """

    def __init__(self, sandbox: Sandbox, known: LookUp | None, cancel: CancelToken) -> None:
        self._sandbox = sandbox
        self._known = known
        self._cancel = _Stop(cancel)
        self._pool = ThreadPoolExecutor(_MOST_THREADS, "scan-headers")
        self._waiting: deque[Candidate] = deque()
        self._prepared: deque[_Batch] = deque()
        self._line: deque[_Batch] = deque()
        self._size = FIRST_BATCH
        self._front: tuple[_Batch | None, float] = (None, 0.0)
        self.added = 0
        self.read = 0

    def __enter__(self) -> HeaderLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Give up what is under way; returns once nothing of it runs."""
        self._cancel.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def waiting(self) -> int:
        """Files nobody has looked at yet."""
        return len(self._waiting) + sum(len(batch.files) for batch in self._prepared)

    @property
    def empty(self) -> bool:
        """Nothing is waiting, under way, or ready to be taken."""
        return not (self._waiting or self._prepared or self._line)

    def add(self, candidate: Candidate) -> None:
        """Put a file at the end of the line."""
        self.added += 1
        self._waiting.append(candidate)

    # ------------------------------------------------------------ in

    def fill(self) -> None:
        """Keep the processes busy; looks up no more files than that takes."""
        while self._under_way() < self._sandbox.in_background + _WAITING_AHEAD and len(self._line) < LONGEST_LINE:
            if not self._prepared:
                self._prepare()
            if not self._prepared:
                return
            batch = self._prepared.popleft()
            unread = batch.unread
            if unread:
                self.read += len(unread)
                batch.headers = self._pool.submit(self._headers, unread)
            self._line.append(batch)
            if self._line[0].done:
                return  # something can be told already

    def _under_way(self) -> int:
        return sum(not batch.done for batch in self._line)

    def _prepare(self) -> None:
        """Look up the next files; a batch ends where so many have to be read."""
        count = min(LOOKED_UP_AT_ONCE if self._size == BATCH else FIRST_BATCH, len(self._waiting))
        if not count:
            return
        candidates = [self._waiting.popleft() for _ in range(count)]
        stamps = [_stamp(candidate) for candidate in candidates]
        known = self._known(stamps) if self._known is not None else [None] * count
        batch, unread = _Batch(), 0
        for file in zip(candidates, stamps, known, strict=True):
            batch.files.append(file)
            unread += file[2] is None
            if unread == self._size:
                self._prepared.append(batch)
                batch, unread, self._size = _Batch(), 0, BATCH
        if batch.files:
            self._prepared.append(batch)
            self._size = BATCH

    # ------------------------------------------------------------ out

    def take(self, wait_s: float) -> list[Looked]:
        """What is ready in the order of the line, after ``wait_s`` at most; empty where nothing is.

        Raises:
            CancelledError: the scan was cancelled.
            ReadError: there is no reader process; no file is to blame.
        """
        if not self._line:
            return []
        if not self._line[0].done:
            running = [batch.headers for batch in self._line if batch.headers is not None and not batch.done]
            wait(running, wait_s, return_when=FIRST_COMPLETED)
        ready = self._ready_in_front() or self._ready_behind_a_slow_one()
        return [looked for batch in ready for looked in batch.looked()]

    def _ready_in_front(self) -> list[_Batch]:
        ready: list[_Batch] = []
        while self._line and self._line[0].done and sum(len(batch.files) for batch in ready) < LARGEST_STEP:
            ready.append(self._line.popleft())
        return ready

    def _ready_behind_a_slow_one(self) -> list[_Batch]:
        front, since = self._front
        if front is not self._line[0]:
            self._front = (self._line[0], time.monotonic())
            return []
        if time.monotonic() - since < PATIENCE_S:
            return []
        ready = [batch for batch in self._line if batch.done]
        for batch in ready:
            self._line.remove(batch)
        return ready

    # ------------------------------------------------------------ headers, on the threads of the pool

    def _headers(self, files: list[Candidate]) -> tuple[Header, ...]:
        """One header per file; where a batch kills its reader, each file is tried alone, so that one is blamed."""
        if len(files) > 1:
            try:
                return self._ask(files, BATCH_LIMIT_S)
            except ReadError as error:
                if error.code in _NO_READER:
                    raise
        return tuple(self._header(file) for file in files)

    def _header(self, file: Candidate) -> Header:
        try:
            return self._ask([file], SINGLE_LIMIT_S)[0]
        except ReadError as error:
            if error.code in _NO_READER:
                raise
            return Header(None, error.code, error.summary, error.hint)

    def _ask(self, files: Sequence[Candidate], limit_s: float) -> tuple[Header, ...]:
        named = [(str(file.path), file.member) for file in files]
        archives = {file.path for file in files if file.member}
        passwords = {str(path): list(self._sandbox.passwords.of(path)) for path in archives}
        answer = self._sandbox.ask(
            Headers, "headers", self._cancel, time_limit_s=limit_s, files=named, passwords=passwords
        )
        if len(answer.files) != len(files):
            raise faults.reader_crashed("a batch came back with another number of headers")
        for file, header in zip(files, answer.files, strict=True):
            image = header.found.image if header.found is not None else None
            if image is not None and (image.path, image.member) != (file.path, file.member):
                raise faults.reader_crashed("a header came back for another file")
        return answer.files


class _Stop(CancelToken):
    """Set when the scan is cancelled, and when nobody takes what it finds any more."""

    def __init__(self, scan: CancelToken) -> None:
        super().__init__()
        self._scan = scan

    @property
    def cancelled(self) -> bool:
        return self._event.is_set() or self._scan.cancelled

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise CancelledError()


def _stamp(file: Candidate) -> FileStamp:
    """The file before it is read: should it change meanwhile, the next scan finds it changed."""
    try:
        status = file.path.stat()
    except (OSError, ValueError):
        return FileStamp(file.path, file.member, None, -1)
    if file.member:
        return FileStamp(file.path, file.member, None, member_stamp_ns(status.st_size, status.st_mtime_ns))
    return FileStamp(file.path, "", status.st_size, status.st_mtime_ns)
