"""Passwords of ZIP archives, in memory only and until the program ends."""

from __future__ import annotations

import threading
from pathlib import Path

_MOST_PER_ARCHIVE = 8
_MOST_TRIED = 12


class Passwords:
    """What readers have typed, by archive. Safe to use from any thread; shows nothing of itself."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def add(self, archive: Path, password: str) -> None:
        """Keep a password that opens something in ``archive``; the newest is tried first."""
        with self._lock:
            others = [known for known in self._known.get(_name(archive), ()) if known != password]
            self._known[_name(archive)] = (password, *others[: _MOST_PER_ARCHIVE - 1])

    def of(self, archive: Path) -> tuple[str, ...]:
        """What may open ``archive``: its own passwords, then those of other archives, which often share one."""
        with self._lock:
            own = self._known.get(_name(archive), ())
            others = (password for known in reversed(self._known.values()) for password in known)
            return tuple(dict.fromkeys((*own, *others)))[:_MOST_TRIED]

    def __repr__(self) -> str:
        return f"Passwords({len(self._known)} archives)"


def _name(archive: Path) -> str:
    return str(archive.absolute())
