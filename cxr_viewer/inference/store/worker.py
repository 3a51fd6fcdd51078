"""The other side of ``process``: what runs in the child. Answers are lines of JSON on standard output."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from cxr_viewer.core.errors import CxrError, ModelError

Tell = Callable[[dict[str, Any]], None]


def serve(job: str) -> None:
    """Do one job and answer; whatever goes wrong becomes an answer too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is handled by the one who waits
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries may print; nothing of that may come between the answers

    def tell(word: dict[str, Any]) -> None:
        answers.write(json.dumps(word) + "\n")
        answers.flush()

    arguments = json.loads(sys.stdin.buffer.read())
    with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
        try:
            tell({"answer": _do(job, arguments, tell)})
        except CxrError as error:
            tell({"error": _words(error)})
        except MemoryError as error:
            tell({"error": _words(_too_large(repr(error)))})
        except Exception as error:
            tell({"error": _words(_failed("".join(traceback.format_exception(error))))})


def _do(job: str, arguments: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Only what the job needs is imported: neither torch for reading, nor the network for anything but fetching."""
    if job == "download":
        from cxr_viewer.inference.store.downloading import run

        return run(arguments, lambda done, total: tell({"done": done, "total": total}))
    if job == "read":
        from cxr_viewer.inference.store.reading import run as read

        return read(arguments)
    from cxr_viewer.inference.store.converting import run as convert

    return convert(arguments)


def _words(error: CxrError) -> dict[str, str]:
    return {"summary": error.summary, "hint": error.hint, "detail": error.detail, "code": error.code}


def _too_large(detail: str) -> ModelError:
    return ModelError(
        "The published file asks for more memory than such a model can need, so it was given up.",
        hint="Fetch the file again from its publisher.",
        detail=detail,
        code="too-large",
    )


def _failed(detail: str) -> ModelError:
    return ModelError(
        "Something went wrong while the model was installed.", hint="Try again.", detail=detail, code="install-failed"
    )
