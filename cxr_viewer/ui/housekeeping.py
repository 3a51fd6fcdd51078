"""Garbage is searched for while nothing is under way, never in the middle of something.

Python looks through every object of the program for circles nobody holds whenever enough new ones have come: 60 to 140
ms in a window with 10,000 films, at a moment of its own choosing, and found next to nothing. So only young objects are
searched on the way; the whole is searched when the program rests, and what a long list is made of is then left out.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

_LOOK_EVERY_MS = 3000
_NEVER = 1_000_000
_WORTH_IT = 10
"""Searches of the middle generation since the last whole one: Python's own number for a whole one."""
_GROWN = 1000


class Housekeeper(QObject):
    """Takes the garbage out while ``resting()``; ``listed()`` tells how long the list is that need not be searched."""

    def __init__(self, resting: Callable[[], bool], listed: Callable[[], int], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._resting, self._listed = resting, listed
        self._left_out: int | None = None
        young, middle, _ = gc.get_threshold()
        self._before = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)
        gc.freeze()  # what the program is made of is never garbage
        self._timer = QTimer(self, interval=_LOOK_EVERY_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def look(self) -> None:
        """Search if it is worth it and nobody would feel it."""
        if gc.get_count()[2] < _WORTH_IT or not self._resting():
            return
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton or QApplication.activeModalWidget() is not None:
            return
        gc.collect()
        listed = self._listed()
        if self._left_out is None or listed > self._left_out + _GROWN:
            self._left_out = listed
            gc.freeze()

    def stop(self) -> None:
        """Leave it to Python again. Safe to call twice."""
        self._timer.stop()
        gc.set_threshold(*self._before)
