"""The threads that wait for reading processes.

Signals carry frozen values to slots of objects that live on the window's thread, over queued connections.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from PySide6.QtCore import QObject, Signal

from cxr_viewer.core.errors import CancelledError, CxrError, ReadError
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken, failure_from
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.library import Library
from cxr_viewer.services.ports import ImageReader, Scanner
from cxr_viewer.ui.calibrations import Calibrations
from cxr_viewer.ui.film_layer import make_ready
from cxr_viewer.ui.library_loader import LibraryLoader
from cxr_viewer.ui.thumbnails import FileFrame, file_frame

_log = logging.getLogger(__name__)

THUMBNAIL_PX = 96
_THUMBNAILS_KEPT_WAITING = 200


class Loaders(LibraryLoader):
    """Reads films, scans folders and makes thumbnails on a few threads that wait for the reading processes.

    Signals, beside those of ``LibraryLoader``:
        sends(object): ImageLoaded or LoadFailed as well.
        thumbnail_ready(object, object): ImageNode and PNG bytes.
        prepared(): what :meth:`prepare` was given is done.
    """

    thumbnail_ready = Signal(object, object)
    prepared = Signal()

    def __init__(self, reader: ImageReader, scanner: Scanner, library: Library, parent: QObject | None = None) -> None:
        super().__init__(scanner, library, parent)
        self._reader = reader
        # Films, scans and thumbnails wait on pools of their own, so that none of them holds up another.
        self._films = ThreadPoolExecutor(2, "loader-film")
        self._thumbnails = ThreadPoolExecutor(1, "loader-thumbnail")
        self._calibrations = Calibrations(library, lambda error: self._tell(failure_from(error, job="calibration")))
        self._loads: dict[int, CancelToken] = {}
        self._wishes = threading.Lock()
        self._wanted: dict[FileFrame, ImageNode] = {}
        self._making = False
        self._prepared: Future[object] | None = None

    # -------------------------------------------------------- films

    def prepare(self, work: Callable[[], object]) -> None:
        """Do ``work`` (loading what draws films) away from the window; films are handed out once it is done."""

        def run() -> None:
            try:
                work()
            finally:
                self.prepared.emit()

        self._prepared = self._films.submit(run)

    def load(self, effect: ev.LoadImage) -> None:
        """Read a film for a pane; an earlier load of that pane is cancelled."""
        self.cancel(effect.pane)
        token = self._loads[effect.pane] = CancelToken()
        self._films.submit(self._load, effect, token)

    def cancel(self, pane: int) -> None:
        token = self._loads.pop(pane, None)
        if token is not None:
            token.cancel()

    def _load(self, effect: ev.LoadImage, token: CancelToken) -> None:
        try:
            token.raise_if_cancelled()
            self._hand_out(effect, self._reader.read(effect.node, token, lambda early: self._hand_out(effect, early)))
        except CancelledError:
            pass
        except Exception as error:
            failure = failure_from(error, job="read", pane=effect.pane, generation=effect.generation)
            self.sends.emit(ev.LoadFailed(failure))
            if failure.code == "file-changed" or not effect.node.path.exists():
                self.check_missing(effect.node.path)

    def _hand_out(self, effect: ev.LoadImage, image: Radiograph) -> None:
        make_ready(image)
        if self._prepared is not None:
            self._prepared.result()
        calibration = self._calibrations.of(image)
        self.sends.emit(ev.ImageLoaded(effect.pane, effect.generation, image, calibration))

    def save_calibration(self, effect: ev.SaveCalibration) -> None:
        """Keep the reader's own millimetres for a film, or forget them."""
        self._calibrations.save(effect)

    # -------------------------------------------------------- thumbnails

    def want_thumbnail(self, node: ImageNode) -> None:
        """Make (or take from the library) a thumbnail; the newest wish is served first, the oldest are dropped."""
        if self._closing.cancelled:
            return
        with self._wishes:
            self._wanted.pop(file_frame(node), None)
            self._wanted[file_frame(node)] = node
            if len(self._wanted) > _THUMBNAILS_KEPT_WAITING:
                del self._wanted[next(iter(self._wanted))]
        self._thumbnails.submit(self._next_thumbnail)

    @property
    def thumbnails_waiting(self) -> bool:
        with self._wishes:
            return bool(self._wanted) or self._making

    def _next_thumbnail(self) -> None:
        with self._wishes:
            if self._closing.cancelled or not self._wanted:
                return
            _, node = self._wanted.popitem()
            self._making = True
        try:
            self._thumbnail(node)
        except (ReadError, CancelledError) as error:
            _log.info("no thumbnail: %s", error.summary)
        except Exception as error:
            failure_from(error, job="thumbnail")
        finally:
            with self._wishes:
                self._making = False

    def _thumbnail(self, node: ImageNode) -> None:
        png = self._library.thumbnail(node)
        if png is None:
            if node.missing:
                return
            png = self._reader.thumbnail(node, THUMBNAIL_PX, self._closing)
            self._library.save_thumbnail(node, png)
        self.thumbnail_ready.emit(node, png)

    # -------------------------------------------------------- ends

    def close(self) -> None:
        """Cancel everything, stop the reading processes and wait for the threads."""
        self._closing.cancel()
        self.cancel_scan()
        for pane in list(self._loads):
            self.cancel(pane)
        try:
            self._reader.close()
        except CxrError as error:
            _log.warning("closing the reader: %s", error.summary)
        for pool in (self._films, self._scans, self._thumbnails):
            pool.shutdown(wait=True, cancel_futures=True)
        self._calibrations.close()
