"""One job in a process of its own, ended when it is cancelled or takes too long. See ``worker`` for the other side."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.jobs import CancelToken

_BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cxr_viewer.inference.store.worker import serve
serve(sys.argv[2])
"""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_POLL_S = 0.05  # how soon a cancelled job ends
_LONGEST_LINE = 1 << 20
_ENDING_S = 1.0  # what lies between the end of its answers and its own
_ENDED = object()

Heard = Callable[[int, int], None]
"""Told how far a job has come: done, total (0 where it is not known)."""


def run_job(
    job: str, arguments: dict[str, Any], cancel: CancelToken, heard: Heard | None = None, limit_s: float = 0.0
) -> dict[str, Any]:
    """Run a job of ``worker`` and wait for its answer.

    Args:
        job: ``"download"``, ``"read"`` or ``"convert"``.
        arguments: what it needs, as JSON.
        limit_s: the process is ended after so long, 0 for no limit.

    Raises:
        ModelError: what the job reported; ``too-slow``; ``job-died`` where the process went away.
        CancelledError: ``cancel`` was set; the process is gone then.
    """
    cancel.raise_if_cancelled()
    process = _start(job)
    said: queue.SimpleQueue[object] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(_pipe(process.stdout), said), name="store-job", daemon=True)
    listener.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # its end is told by the listener
            _pipe(process.stdin).write(json.dumps(arguments).encode())
            _pipe(process.stdin).close()
        return _answer(job, process, said, cancel, heard, limit_s)
    finally:
        process.kill()
        process.wait()
        listener.join()
        _pipe(process.stdout).close()
        with contextlib.suppress(OSError):
            _pipe(process.stdin).close()


def _answer(
    job: str,
    process: subprocess.Popen[bytes],
    said: queue.SimpleQueue[object],
    cancel: CancelToken,
    heard: Heard | None,
    limit_s: float,
) -> dict[str, Any]:
    until = time.monotonic() + limit_s
    while True:
        cancel.raise_if_cancelled()
        if limit_s and time.monotonic() > until:
            raise _too_slow(job)
        try:
            word = said.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if word is _ENDED:
            raise _died(job, _status(process))
        if not isinstance(word, dict):
            raise _died(job, -1)
        if "error" in word:
            raise _error(word["error"])
        if "answer" in word:
            return dict(word["answer"])
        if heard is not None:
            heard(int(word["done"]), int(word["total"]))


def _status(process: subprocess.Popen[bytes]) -> int:
    """Of a process that has ended, or is made to because nothing it says can be understood."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(_ENDING_S)
    process.kill()
    return process.wait()


def _start(job: str) -> subprocess.Popen[bytes]:
    """This interpreter, isolated from the folder and the Python settings it is started in."""
    package_root = str(Path(__file__).resolve().parents[3])
    search = [package_root, *(entry for entry in sys.path if entry and Path(entry).is_absolute())]
    return subprocess.Popen(
        [sys.executable, "-I", "-W", "ignore", "-c", _BOOT, json.dumps(search), job],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tempfile.gettempdir(),
        env={**os.environ, **_ONE_THREAD},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _listen(pipe: IO[bytes], said: queue.SimpleQueue[object]) -> None:
    """Pass lines on until the process ends; in a thread, because Windows cannot poll a pipe.

    A process that has looked at a foreign file may say anything: what is no line of JSON of this length ends it.
    """
    with contextlib.suppress(OSError, ValueError, RecursionError):
        while line := pipe.readline(_LONGEST_LINE):
            said.put(json.loads(line))
    said.put(_ENDED)


def _error(told: dict[str, Any]) -> ModelError:
    return ModelError(str(told["summary"]), hint=str(told["hint"]), detail=str(told["detail"]), code=str(told["code"]))


def _too_slow(job: str) -> ModelError:
    return ModelError(
        "The published file takes too long to read, so it was given up.",
        hint="Fetch the file again from its publisher.",
        detail=f"job {job}",
        code="too-slow",
    )


def _died(job: str, status: int) -> ModelError:
    return ModelError(
        "The process that works on the published file ended unexpectedly.",
        hint="Try again; if it happens again, fetch the file again from its publisher.",
        detail=f"job {job}, exit status {status}",
        code="job-died",
    )


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "the process is started with pipes"
    return pipe
