"""The window's composition root: parses arguments, builds every part, wires it, runs."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Slot
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

from cxr_viewer import __version__
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.catalog import BundleCatalog, bundle_dirs, calibrations_dir
from cxr_viewer.inference.devices import devices
from cxr_viewer.inference.explain import METHODS, methods_of
from cxr_viewer.inference.store.bundles import sweep
from cxr_viewer.services.audit import AuditTrail
from cxr_viewer.services.library import Library
from cxr_viewer.services.ports import ModelRunner, ModelStore, ReportWriter
from cxr_viewer.services.records import Log, Redactor
from cxr_viewer.services.settings import BrowserSort, Paths, Settings, SettingsStore, WindowPlace, WindowStore
from cxr_viewer.services.state import AUTO, ViewerState
from cxr_viewer.sources.reader import SandboxReader
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner
from cxr_viewer.ui import theme
from cxr_viewer.ui.housekeeping import Housekeeper
from cxr_viewer.ui.recorder import Recorder
from cxr_viewer.ui.workbench import Parts, Workbench, when_settled

_log = logging.getLogger(__name__)

_SCREENSHOT_AFTER_MS = 120_000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cxr-viewer",
        description="Read chest films with a model beside them. Research use only. Not for primary diagnosis.",
        epilog="Commands without a window: cxr-viewer render | analyse | report | models | train | evaluate --help",
    )
    parser.add_argument("paths", nargs="*", type=Path, help="files, folders or a DICOMDIR to open")
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="save the window's picture when settled, quit")
    parser.add_argument("--size", metavar="WxH", help="size of the window, e.g. 1280x800")
    parser.add_argument("--version", action="version", version=f"cxr-viewer {__version__}")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 640 and int(height) >= 480):
        raise ValueError(f"--size is WIDTHxHEIGHT, at least 640x480, not {text!r}.")
    return int(width), int(height)


def main(argv: Sequence[str]) -> int:
    """Open the window; ``argv`` without the program's name. Returns the exit status."""
    parser = _parser()
    arguments = parser.parse_args(list(argv[1:] if argv[:1] == ["open"] else argv))
    size = None
    if arguments.size is not None:
        try:
            size = _size(arguments.size)
        except ValueError as error:
            parser.error(str(error))
    return run_window(arguments.paths, screenshot=arguments.screenshot, size=size)


def run_window(paths: Sequence[Path], *, screenshot: Path | None = None, size: tuple[int, int] | None = None) -> int:
    """Show the window and stay until it is closed.

    Args:
        paths: what to open; the bundled sample study when empty.
        screenshot: save a picture of the window here once everything is shown, and quit.
        size: (width, height) of the window.

    Returns:
        0, or 1 when the screenshot could not be taken.
    """
    application = QApplication(sys.argv[:1])
    dress(application)
    program = Program(size, offer=screenshot is None)
    status = 0

    def save(settled: bool) -> None:
        nonlocal status
        assert screenshot is not None
        status = program.save_picture(screenshot.expanduser().absolute(), settled)
        application.quit()

    def start() -> None:
        program.start(list(paths))
        if screenshot is not None:
            when_settled(program.workbench, save, _SCREENSHOT_AFTER_MS)

    QTimer.singleShot(0, start)  # the window is painted before anything slow begins
    try:
        code = application.exec()
    finally:
        program.close()
    if program.workbench.inference.isRunning():
        _leave(status or code)
    return status or code


def _leave(code: int) -> None:
    """End the process at once. A model is still being loaded by a library that nobody can interrupt, and Qt aborts a
    process whose threads run on; all that is to be kept is written by now."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError):  # a program without a console has none
            stream.flush()
    os._exit(code)


def dress(application: QApplication) -> None:
    """Give the application its name, font, colours and style sheet."""
    application.setApplicationName("cxr-viewer")
    application.setApplicationDisplayName("cxr_viewer")
    application.setDesktopFileName("cxr-viewer")
    application.setStyle("Fusion")
    font = QFont(application.font())
    font.setPointSizeF(10)
    application.setFont(font)
    palette = QPalette(QColor(theme.PANEL))
    application.setPalette(palette)
    application.setStyleSheet(theme.style_sheet(resources_dir() / "icons"))


class Program(QObject):
    """The workbench with what it keeps between sessions: settings, library, place of the window.

    Args:
        size: (width, height) of the window.
        offer: offer the recommended model, where that was not answered before.
    """

    def __init__(self, size: tuple[int, int] | None = None, *, offer: bool = False) -> None:
        super().__init__()
        # While other threads load libraries, the window waits for the interpreter at most this long (default 5 ms) at
        # every one of the many calls between Qt and Python that make up one repaint.
        sys.setswitchinterval(0.0002)
        self._paths = Paths.of_user()
        self._size = size
        self._offer = offer
        self._redactor = Redactor()
        self._log = Log(self._paths.log_file, self._redactor)
        self._log.start()
        self._store = SettingsStore(self._paths.settings_file)
        self._settings = self._store.load()
        self._window_store = WindowStore(self._paths.window_file)
        self._library = Library(self._paths.library_file)
        sweep(self._paths.models)
        catalog = BundleCatalog(bundle_dirs(self._paths.data), calibrations=calibrations_dir(self._paths.data))
        self._reader = SandboxReader(sandbox := Sandbox())
        self.workbench = Workbench(self._parts(catalog, sandbox), first_state(self._settings, catalog.cards()))
        self.workbench.controller.preference.connect(self._keep)
        self.workbench.models.preference.connect(self._keep)
        self.workbench.browser.sort_changed.connect(self._keep_sort)
        self._recorder = self._record()
        files = self.workbench.files
        files.open_folder_at = Path(self._settings.last_folder) if self._settings.last_folder else None
        files.export_folder = Path(self._settings.export_folder) if self._settings.export_folder else None
        place = self._window_store.load()
        self.workbench.window.place(place.geometry, place.layout, size)
        self.workbench.window.closing.connect(self._keep_places)
        self.workbench.window.show()
        self._closed = False
        model = self.workbench.browser.model
        self._housekeeper = Housekeeper(lambda: self.workbench.settled, lambda: model.total, self)

    def _parts(self, catalog: BundleCatalog, sandbox: Sandbox) -> Parts:
        return Parts(
            library=self._library,
            reader=self._reader,
            scanner=FolderScanner(sandbox),
            make_runner=lambda: _runner(catalog, self._paths.cache),
            make_writer=_writer,
            catalog=catalog,
            make_store=lambda proxy: _store(catalog, self._paths, self._reader, proxy),
            devices=devices(),
            methods=METHODS,
            methods_of=methods_of,
            samples=resources_dir() / "samples",
            log_file=self._paths.log_file,
            proxy=self._settings.proxy,
            browser_sort=self._settings.browser_sort,
            thumbnail_px=self._settings.thumbnail_px,
            notes=(*self._store.take_notices(), *self._library.take_notices(), *catalog.problems()),
        )

    def _record(self) -> Recorder:
        recorder = Recorder(AuditTrail(self._paths.audit_file), self._redactor, self)
        workbench = self.workbench
        workbench.controller.happened.connect(recorder.happened)
        workbench.controller.overrode.connect(recorder.overrode)
        workbench.exporter.exported.connect(recorder.exported, Qt.ConnectionType.QueuedConnection)
        workbench.loaders.scan_found.connect(recorder.found, Qt.ConnectionType.QueuedConnection)
        workbench.loaders.library_read.connect(recorder.listed, Qt.ConnectionType.QueuedConnection)
        return recorder

    def start(self, paths: Sequence[Path]) -> None:
        """Begin what is slow; without paths the bundled sample study is opened."""
        self._reader.warm()
        self.workbench.start(paths or [resources_dir() / "samples"])
        if self._offer and not self._settings.offered:
            self.workbench.models.offer()

    def _keep(self, name: str, value: object) -> None:
        self._settings = self._settings.with_preference(name, value)
        self._store.save(self._settings)

    @Slot(object)
    def _keep_sort(self, order: BrowserSort) -> None:
        self._keep("browser_sort", order)

    def _keep_places(self) -> None:
        window = self.workbench.window
        if self._size is None:  # a size given for one run is no habit of the reader
            geometry = bytes(window.saveGeometry().data())
            self._window_store.save(WindowPlace(geometry, bytes(window.saveState().data())))
        files = self.workbench.files
        if files.open_folder_at is not None:
            self._keep("last_folder", str(files.open_folder_at))
        if files.export_folder is not None:
            self._keep("export_folder", str(files.export_folder))

    def save_picture(self, path: Path, settled: bool) -> int:
        """Save what the window shows; returns the exit status."""
        if not settled:
            sys.stderr.write("The window did not come to rest in time; the picture was not taken." + "\n")
            return 1
        if not self.workbench.window.grab().save(str(path), "PNG"):
            sys.stderr.write(f"{path} could not be written. Choose another folder." + "\n")
            return 1
        return 0

    def close(self) -> None:
        """Stop threads and processes, then close library and log. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._housekeeper.stop()
            self.workbench.close()
            self._recorder.close()
            self._library.close()
            self._log.stop()


def _runner(catalog: BundleCatalog, cache: Path) -> ModelRunner:
    from cxr_viewer.inference.runner import LocalRunner  # on the inference thread, when the window is up

    return LocalRunner(catalog, cache)


def _store(catalog: BundleCatalog, paths: Paths, reader: SandboxReader, proxy: str) -> ModelStore:
    from cxr_viewer.inference.store.local import LocalStore  # on the keeper's thread, when models are looked at

    return LocalStore(catalog, paths.models, paths.cache, proxy, read_film=reader.read_path)


def _writer() -> ReportWriter:
    from cxr_viewer.outputs.png import PngReportWriter  # on the exporting thread, at the first report

    return PngReportWriter()


def first_state(settings: Settings, cards: Sequence[ModelCard]) -> ViewerState:
    """The state the window opens with: the reader's choices, as far as they still exist."""
    known = [card.model_id for card in cards]
    model_id = settings.model_id if settings.model_id in known else (AUTO if known else "")
    return ViewerState(
        model_id=model_id,
        cards=tuple(cards),
        automatic=settings.automatic,
        device=settings.device if settings.device in devices() else "auto",
        method=settings.method if settings.method in METHODS else METHODS[0],
        show_maps=settings.show_maps,
        show_seen=settings.show_seen,
        show_callipers=settings.show_callipers,
        invert_drag=settings.invert_drag,
        corner_text=settings.corner_text,
    )
