"""The reader's own millimetres on their way between the films and the library."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cxr_viewer.core.image import PixelSpacing, Radiograph
from cxr_viewer.services import events as ev
from cxr_viewer.services.library import Library


class Calibrations:
    """Reads and writes calibrations. ``failed`` is told, on any thread, what went wrong.

    Writing has a thread of its own: behind a long scan the program might be closed before its turn. Until something is
    written, or where it cannot be, it is remembered here, so that a film that is opened again has its measure.
    """

    def __init__(self, library: Library, failed: Callable[[Exception], None]) -> None:
        self._library, self._failed = library, failed
        self._writer = ThreadPoolExecutor(1, "loader-calibration")
        self._lock = threading.Lock()
        self._unwritten: dict[tuple[str, int], ev.SaveCalibration] = {}

    def of(self, image: Radiograph) -> PixelSpacing | None:
        """What the reader has measured on this film before. May wait for the disk."""
        with self._lock:
            waiting = self._unwritten.get((image.source_sha256, image.key.frame))
        if waiting is not None:
            return waiting.spacing
        try:
            return self._library.calibration(image.key, image.source_sha256)
        except Exception as error:  # the film is shown all the same, with the millimetres of its file
            self._failed(error)
            return None

    def save(self, effect: ev.SaveCalibration) -> None:
        """Keep or forget a calibration; returns at once."""
        with self._lock:
            self._unwritten[effect.source_sha256, effect.key.frame] = effect
        self._writer.submit(self._write, effect)

    def _write(self, effect: ev.SaveCalibration) -> None:
        try:
            self._library.save_calibration(effect.key, effect.source_sha256, effect.spacing)
        except Exception as error:
            self._failed(error)
            return
        film = (effect.source_sha256, effect.key.frame)
        with self._lock:
            if self._unwritten.get(film) is effect:
                del self._unwritten[film]

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.shutdown(wait=True)
