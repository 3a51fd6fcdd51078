"""The reader process: takes one request after another, reads foreign files, answers with plain values.

Nothing from here runs in the window's process. It imports neither Qt nor torch, gives up what it does not need (see
``cage``), and whatever goes wrong while a file is read becomes an answer; what kills the process becomes a sentence on
the other side (see ``sandbox``).
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from cxr_viewer.core import cage
from cxr_viewer.core.errors import CxrError
from cxr_viewer.sources import faults, jobs, wire

RECURSION_LIMIT = 6000  # sequences nested 300 deep are read, 5000 deep are refused
_GRACE_S = 5.0


def main(memory_limit_bytes: int, scratch: str = "") -> None:
    """Serve until the other end closes. Requests come on standard input, answers go to what was standard output.

    Args:
        scratch: the one folder that may be written to; empty for none.
    """
    requests, answers = _private_streams()
    _settle()
    protections = cage.shut(Path(scratch) if scratch else None, memory_limit_bytes)
    jobs.warm_up()
    extra: dict[str, Any] = {"cage": wire.to_plain(protections, [])}  # told once, with the first answer

    def interim(value: object) -> None:
        blocks: wire.Blocks = []
        with contextlib.suppress(wire.TooLargeError):
            wire.send(answers, {"interim": wire.to_plain(value, blocks)}, blocks)

    while True:
        try:
            words, _ = wire.receive(requests)
        except EOFError:
            return
        # If the window's process dies while this one hangs, nobody is left to end it: so it ends itself.
        faulthandler.dump_traceback_later(float(words.get("seconds", 30.0)) + _GRACE_S, exit=True)
        try:
            answer, blocks = _serve(words, interim)
            try:
                wire.send(answers, {**answer, **extra}, blocks)
            except wire.TooLargeError as error:
                wire.send(answers, {**_refusal(faults.answer_too_large(str(error))), **extra}, [])
        except BrokenPipeError:
            return
        extra = {}
        faulthandler.cancel_dump_traceback_later()


def _serve(words: dict[str, Any], interim: jobs.Interim) -> tuple[dict[str, Any], wire.Blocks]:
    blocks: wire.Blocks = []
    try:
        value = jobs.run(str(words.get("job")), words, interim)
        return {"ok": wire.to_plain(value, blocks)}, blocks
    except BrokenPipeError:
        raise
    except BaseException as error:  # a panic in a Rust decoder is a BaseException
        return _refusal(error if isinstance(error, CxrError) else faults.from_exception(error)), []


def _refusal(error: CxrError) -> dict[str, Any]:
    text = {"summary": error.summary, "hint": error.hint, "detail": error.detail, "code": error.code}
    return {"error": text}


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes of the parent, taken away from what libraries may print or read."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    return requests, _Unbroken(answers)  # type: ignore[return-value]


class _Unbroken:
    """A raw pipe may take less than it is given; this writes on until all is gone."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._raw.write(view) :]

    def flush(self) -> None:
        """Nothing is held back."""


def _settle() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is meant for the program
    sys.setrecursionlimit(RECURSION_LIMIT)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)  # decoders log header values, which are patient data
