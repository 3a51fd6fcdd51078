"""The only threads of the program: one for models, a few that wait for reading processes.

Signals carry frozen values to slots of objects that live on the window's thread, over queued connections.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from PySide6.QtCore import QObject, QThread, Signal

from cxr_viewer.core.errors import CancelledError, CxrError, ReadError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, Refusal
from cxr_viewer.core.image import Radiograph
from cxr_viewer.core.jobs import CancelToken, LatestSlot, Progress, failure_from
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.library import Library
from cxr_viewer.services.ports import ImageReader, ModelRunner, Scanner
from cxr_viewer.ui.calibrations import Calibrations
from cxr_viewer.ui.film_layer import make_ready
from cxr_viewer.ui.library_loader import LibraryLoader
from cxr_viewer.ui.thumbnails import FileFrame, file_frame

_log = logging.getLogger(__name__)

THUMBNAIL_PX = 96
_THUMBNAILS_KEPT_WAITING = 200


@dataclass(frozen=True, slots=True)
class _WarmUp:
    """Load this model while nobody waits for it."""

    model_id: str
    device: str


class InferenceThread(QThread):
    """Builds, uses and closes the model runner on itself; the newest question of each pane is answered.

    Signals:
        sends(object): AnalysisProgressed, AnalysisArrived, AnalysisRefused or AnalysisFailed.
    """

    sends = Signal(object)

    def __init__(self, make_runner: Callable[[], ModelRunner], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("inference")
        self._make_runner = make_runner
        self._slot: LatestSlot[AnalysisRequest | _WarmUp] = LatestSlot()

    def ask(self, request: AnalysisRequest) -> None:
        """Answer this request; an earlier one of the same pane is dropped."""
        self._slot.put(request.pane, request)

    def cancel(self, pane: int) -> None:
        self._slot.discard(pane)

    def warm_up(self, model_id: str, device: str) -> None:
        """Load a model ahead of the first film. What goes wrong is told when a film asks for it."""
        self._slot.put("warm-up", _WarmUp(model_id, device))

    def stop(self, timeout_ms: int = 10_000) -> bool:
        """Cancel everything and wait for the thread to end. False when it did not end in time."""
        self._slot.close()
        return self.wait(timeout_ms) if self.isRunning() else True

    def run(self) -> None:
        """The thread's own loop."""
        runner: ModelRunner | None = None
        while (taken := self._slot.take()) is not None:
            name, request, token = taken
            try:
                runner = runner or self._make_runner()
                if isinstance(request, _WarmUp):
                    _warm_up(runner, request)
                else:
                    self._answer(runner, request, token)
            except Exception as error:
                self._fail(request, error)
            finally:
                self._slot.done(name, token)
            del taken, request  # a waiting thread must not keep the last film alive
        if runner is not None:
            runner.close()

    def _answer(self, runner: ModelRunner, request: AnalysisRequest, token: CancelToken) -> None:
        try:
            self.sends.emit(ev.AnalysisArrived(self._analyse(runner, request, token)))
        except CancelledError:
            pass
        except RefusalError as error:
            self.sends.emit(ev.AnalysisRefused(_refusal(request, error)))

    def _fail(self, request: AnalysisRequest | _WarmUp, error: Exception) -> None:
        pane, generation = (-1, -1) if isinstance(request, _WarmUp) else (request.pane, request.generation)
        failure = failure_from(error, job="analysis", pane=pane, generation=generation)
        self.sends.emit(ev.AnalysisFailed(failure))

    def _analyse(self, runner: ModelRunner, request: AnalysisRequest, token: CancelToken) -> AnalysisResult:
        def report(stage: str) -> None:
            self.sends.emit(ev.AnalysisProgressed(Progress(request.pane, request.generation, stage)))

        return runner.analyse(request, token, report)


def _warm_up(runner: ModelRunner, request: _WarmUp) -> None:
    try:
        runner.warm_up(request.model_id, request.device)
    except CxrError as error:
        _log.warning("the model could not be loaded ahead: %s %s", error.summary, error.detail)


def _refusal(request: AnalysisRequest, error: RefusalError) -> Refusal:
    return Refusal(
        request.pane,
        request.generation,
        request.image.key,
        request.model_id,
        error.code,
        error.summary,
        error.hint,
    )


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
