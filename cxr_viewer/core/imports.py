"""Loading large libraries without the parts of them that are not wanted."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_one_at_a_time = threading.RLock()


@contextmanager
def without_modules(*names: str) -> Iterator[None]:
    """Modules of these names cannot be imported meanwhile (``None`` in ``sys.modules`` is Python's own way to say so).

    For libraries that import them behind ``except ImportError``. What is loaded already stays loaded. One thread at a
    time: one that leaves would let in what another still keeps out.
    """
    with _one_at_a_time:
        absent = [name for name in names if name not in sys.modules]
        sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None is allowed, see the import system
        try:
            yield
        finally:
            for name in absent:
                sys.modules.pop(name, None)
