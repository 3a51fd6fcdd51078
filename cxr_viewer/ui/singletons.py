"""Keeps ``None`` alive under a PySide6 that forgets to count it."""

from __future__ import annotations

import ctypes
import sys

_SPARE = 1 << 48
"""More references than a program loses in years, fewer than make the counter overflow."""


def spare_singletons() -> None:
    """Give ``None``, ``True``, ``False`` and ``NotImplemented`` references to lose. Once per process is enough.

    PySide6 6.12.0 is built with the headers of a Python in which these objects are immortal, so that every method
    without a result takes one reference to ``None`` too many. Python 3.12 and later do not count them (PEP 683); on
    3.11 the program aborts with "deallocating None" after some thousand calls. 6.10.3 and 6.11.3 count rightly.
    """
    if sys.version_info >= (3, 12) or sys.implementation.name != "cpython":
        return
    for singleton in (None, True, False, NotImplemented):
        count = ctypes.c_ssize_t.from_address(id(singleton))  # ob_refcnt, the first field of every object
        if count.value < _SPARE:
            count.value += _SPARE
