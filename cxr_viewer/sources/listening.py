"""What a decoding library says only to the standard error stream of its process.

The IJG code in gdcm decodes damaged JPEG without an error and prints "Corrupt JPEG data" instead; nothing else in it
tells. Runs in the reader process only, one decoding at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

_MOST = 1 << 16
_STDERR = 2


class Heard:
    """``text`` is filled when the listening ends."""

    text = ""


@contextlib.contextmanager
def listening() -> Iterator[Heard]:
    """Catches what is written to file descriptor 2 meanwhile; hears nothing where the system does not allow it.

    Neither end of the pipe ever blocks: a library that says more than the pipe holds loses the rest.
    """
    heard = Heard()
    try:
        kept = os.dup(_STDERR)
    except OSError:  # started without a standard error stream
        yield heard
        return
    source, sink = os.pipe()
    try:
        for end in (source, sink):
            os.set_blocking(end, False)
        os.dup2(sink, _STDERR)
        try:
            yield heard
        finally:
            os.dup2(kept, _STDERR)
        with contextlib.suppress(BlockingIOError):
            heard.text = os.read(source, _MOST).decode("utf-8", "replace")
    finally:
        for end in (kept, source, sink):
            os.close(end)
