"""Puts the window together: panels, threads, actions, and the wires between them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QPoint, Qt, QTimer, Slot
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QMenu

from cxr_viewer.core.report import Report
from cxr_viewer.core.study import ImageNode, ReadStatus, StudyNode
from cxr_viewer.services import events as ev
from cxr_viewer.services.choice import expect_model
from cxr_viewer.services.library import Library
from cxr_viewer.services.ports import ImageReader, ModelCatalog, ModelRunner, ModelStore, ReportWriter, Scanner
from cxr_viewer.services.settings import BrowserSort
from cxr_viewer.services.state import AUTO, AnalysisStatus, NoticeLevel, PaneStatus, ViewerState
from cxr_viewer.ui.action_states import show_on_actions
from cxr_viewer.ui.actions import VOI_KEYS, Actions
from cxr_viewer.ui.ahead import Ahead, Sources
from cxr_viewer.ui.anatomy_commands import AnatomyCommands
from cxr_viewer.ui.browser_panel import BrowserPanel
from cxr_viewer.ui.calibration_commands import CalibrationCommands, line_to_calibrate_by
from cxr_viewer.ui.canvas import CanvasGrid
from cxr_viewer.ui.commands import FilmCommands
from cxr_viewer.ui.controller import Controller
from cxr_viewer.ui.display_panel import DisplayPanel
from cxr_viewer.ui.exporter import Exporter
from cxr_viewer.ui.file_commands import FileCommands
from cxr_viewer.ui.findings_panel import FindingsPanel
from cxr_viewer.ui.inference import InferenceThread
from cxr_viewer.ui.inspector_dock import InspectorDock
from cxr_viewer.ui.main_window import MainWindow
from cxr_viewer.ui.model_keeper import ModelKeeper
from cxr_viewer.ui.models_desk import ModelsDesk
from cxr_viewer.ui.navigation import Navigation
from cxr_viewer.ui.notices import NoticeBar
from cxr_viewer.ui.offer_bar import OfferBar
from cxr_viewer.ui.opener import Opener
from cxr_viewer.ui.overlay_controls import MethodsOf
from cxr_viewer.ui.qt_types import make_qt_types
from cxr_viewer.ui.saw_window import SawWindow
from cxr_viewer.ui.study_view import THUMBNAIL_PX
from cxr_viewer.ui.unlocker import Unlocker
from cxr_viewer.ui.workers import Loaders

_log = logging.getLogger(__name__)

_FOR_MARKS = ("calibrate", "file_millimetres")
"""In the menu of a film only where they would do something."""
_LAYERS = ("film_overlays", "film_shutter", "film_padding")
_ANATOMY = ("zoom_lungs", "window_lungs", "reset_callipers")
_FILM_MENU = (
    ("window_auto", "window_file", "window_lungs", "invert"),
    ("fit", "zoom_lungs", "actual_size", "turn_right", "turn_left", "flip_horizontal", "flip_vertical", "reset"),
    ("tool_length", "tool_angle", "tool_arrow", "tool_text", "delete_mark", *_FOR_MARKS),
    _LAYERS,
    ("callipers", "reset_callipers", "lung_outlines"),
    ("heat_map", "contour", "show_seen", "run_model"),
    ("inspector", "export_report", "save_view", "copy_view", "close_film"),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the window is made from; ``app`` supplies the real ones.

    Attributes:
        make_runner, make_writer: build what runs models and what writes reports, on the threads that do so.
        notes: sentences to show once at the start (a damaged setting, a broken bundle).
        catalog: the installed models.
        methods, methods_of: of heat maps; those a model can be explained by.
        make_store: builds what installs models, for the address of a proxy, on the thread that does so.
        proxy: address of the proxy for downloads, empty for the system's own.
        samples: folder of the bundled sample study.
        browser_sort, thumbnail_px: how the study list starts.
    """

    library: Library
    reader: ImageReader
    scanner: Scanner
    make_runner: Callable[[], ModelRunner]
    make_writer: Callable[[], ReportWriter]
    catalog: ModelCatalog
    make_store: Callable[[str], ModelStore]
    devices: tuple[str, ...]
    methods: tuple[str, ...]
    methods_of: MethodsOf
    samples: Path
    log_file: Path
    proxy: str = ""
    browser_sort: BrowserSort = BrowserSort.DATE
    thumbnail_px: int = THUMBNAIL_PX
    notes: tuple[str, ...] = ()


class Workbench(QObject):
    """The whole program behind its window."""

    def __init__(self, parts: Parts, state: ViewerState) -> None:
        super().__init__()
        make_qt_types()
        self._parts = parts
        self.loaders = Loaders(parts.reader, parts.scanner, parts.library, self)
        self.inference = InferenceThread(parts.make_runner, self)
        self.controller = Controller(state, self.loaders, self.inference, self)
        self.exporter = Exporter(parts.make_writer, self)
        self.opener = Opener(self.loaders, self._study_of, self)
        self.browser = BrowserPanel(parts.browser_sort, parts.thumbnail_px)
        self.canvas = CanvasGrid()
        self.display = DisplayPanel()
        self.findings = FindingsPanel(parts.catalog.problems(), parts.devices, parts.methods, parts.methods_of)
        self.notices = NoticeBar()
        offer = OfferBar()
        self.window = MainWindow(self.browser, self.display, self.canvas, (self.notices, offer), self.findings)
        keeper = ModelKeeper(parts.make_store, parts.catalog, parts.proxy, self)
        self.models = ModelsDesk(self.window, keeper, offer, self)
        self.saw = SawWindow(self.window)
        self.inspector = InspectorDock(self.window, parts.reader, self.canvas, self.canvas.zoom_shown, self)
        self.files = FileCommands(
            self.window,
            self.controller,
            self.exporter,
            self.opener.open,
            self.canvas.grab_view,
            parts.samples,
            parts.log_file,
        )
        self.unlocker = Unlocker(self.window, parts.reader, self.opener.open, lambda: self.controller.state, self)
        self.film_commands = FilmCommands(self.controller, self.canvas.zoom_shown, self.canvas.cancel_tool)
        self.anatomy_commands = AnatomyCommands(self.controller, self.canvas.closer, self.canvas.choose_calliper)
        self.calibration = CalibrationCommands(self.window, self.controller)
        self.navigation = Navigation(self.controller, self._study_of, self.browser.step_study)
        sources = Sources(
            lambda: self.controller.state, lambda: self.settled, self.navigation.neighbours, parts.reader.read_ahead
        )
        self.ahead = Ahead(sources, self.inference, self)
        self._films_can_be_drawn = False
        self._unfinished: tuple[Path, ...] = ()
        self.actions = self._make_actions()
        self._connect()
        self._closed = False
        self.window.take_drops_everywhere()
        self._show_state(state)

    # ------------------------------------------------------------ building

    def _make_actions(self) -> Actions:
        commands: dict[str, Callable[[], object]] = {
            **self.film_commands.table(),
            **self.anatomy_commands.table(),
            **self.calibration.table(),
            **self.navigation.table(),
            **self.files.table(),
            **self.models.table(),
            "find": self.browser.focus_search,
            "full_screen": self._switch_full_screen,
            "compare_seen": self.saw.switch,
            "inspector": self.inspector.switch,
            "mark_read": self._switch_read,
            "continue_scan": self._continue_scan,
            "quit": self.window.close,
        }
        actions = Actions(self.window, self.canvas, commands)
        menus = self.window.install(actions)
        self.inspector.shown.connect(actions["inspector"].setChecked)
        actions["continue_scan"].setEnabled(False)
        self._recent_menu = QMenu("Open recent", self.window)
        menus["File"].insertMenu(actions["open_sample"], self._recent_menu)
        self._recent_menu.aboutToShow.connect(self._fill_recent)
        for place, key in enumerate(VOI_KEYS, 2):
            shortcut = QShortcut(key, self.window)
            shortcut.activated.connect(lambda place=place: self.film_commands.file_window(place))
        return actions

    def _connect(self) -> None:
        queued = Qt.ConnectionType.QueuedConnection
        for panel in (
            self.browser,
            self.canvas,
            self.display,
            self.findings,
            self.notices,
            self.opener,
            self.inspector,
            self.unlocker,
            self.models,
        ):
            panel.sends.connect(self.controller.dispatch)
        for thread in (self.loaders, self.inference, self.exporter):
            thread.sends.connect(self.controller.dispatch, queued)
        self.controller.state_changed.connect(self._show_state)
        self.controller.happened.connect(self._after)
        self.controller.happened.connect(self.unlocker.happened)
        self.controller.happened.connect(self.ahead.touched)
        self.loaders.scan_locked.connect(self.unlocker.locked, queued)
        self.loaders.library_read.connect(self.browser.set_studies, queued)
        self.loaders.studies_changed.connect(self.browser.update_studies, queued)
        self.loaders.scans_unfinished.connect(self._offer_to_continue, queued)
        self.loaders.prepared.connect(self._warm_up_model, queued)
        self.loaders.thumbnail_ready.connect(self.browser.set_thumbnail, queued)
        self.browser.thumbnail_wanted.connect(self.loaders.want_thumbnail)
        self.browser.cancel_scan.connect(self.loaders.cancel_scan)
        self.browser.search.left.connect(self.canvas.setFocus)
        self.browser.remove_wanted.connect(self._remove_study)
        self.exporter.exported.connect(self._exported, queued)
        self.findings.models_wanted.connect(self.models.show)
        self.models.problems.connect(self.findings.set_problems)
        self.findings.large_wanted.connect(self.saw.switch)
        self.canvas.image_step.connect(self.navigation.image)
        self.canvas.context_menu_requested.connect(self._show_film_menu)
        self.window.paths_dropped.connect(self.opener.open)
        self.opener.opened.connect(self._remember_path)

    # ------------------------------------------------------------ running

    def start(self, paths: Sequence[Path]) -> None:
        """Begin the slow things once the window is up: library, threads, the films asked for."""
        self.loaders.prepare(self.canvas.warm_up)
        self.inference.start()
        self.loaders.read_library()
        for note in self._parts.notes:
            self.controller.dispatch(ev.Tell(NoticeLevel.CAUTION, note))
        self.opener.open(paths)
        self.canvas.setFocus()
        if (handle := self.window.windowHandle()) is not None:
            handle.installEventFilter(self.ahead)
        self.ahead.touched()

    @Slot()
    def _warm_up_model(self) -> None:
        """Load the model the film on its way is likely to need, after what draws films: two things loading at once make
        the window stumble."""
        self._films_can_be_drawn = True
        state = self.controller.state
        node = state.pane.node
        study = self._study_of(node) if node is not None else None
        if not state.cards or not state.automatic:
            return
        if node is not None and study is not None:
            choice = expect_model(state.cards, state.model_id, node, study.patient)
            first = choice.model_id if choice is not None else ""
        else:
            likely = next((card.model_id for card in state.cards if not card.serves), "")  # those that serve come along
            first = state.model_id if state.model_id != AUTO else likely
        if first:
            self.inference.warm_up(first, state.device)

    @property
    def settled(self) -> bool:
        """Nothing is being scanned, read, scored or waited for."""
        state = self.controller.state
        panes = [state.panes[index] for index in state.visible]
        return (
            not self.opener.busy
            and state.scan is None
            and all(pane.status is not PaneStatus.LOADING and pane.pending is None for pane in panes)
            and not any(pane.image is not None and pane.image.preview for pane in panes)
            and all(pane.analysis is not AnalysisStatus.RUNNING for pane in panes)
            and not self.loaders.thumbnails_waiting
            and not self.inspector.busy
        )

    def close(self) -> None:
        """Stop loaders, then inference, then exports; waits for each. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self.inspector.close()
        self.models.close()
        self.unlocker.close()
        self.ahead.close()
        self.loaders.close()
        if not self.inference.stop():
            _log.error("the inference thread did not stop in time")
        self.exporter.close()

    # ------------------------------------------------------------ slots

    @Slot(object)
    def _show_state(self, state: ViewerState) -> None:
        for panel in (
            self.canvas,
            self.display,
            self.findings,
            self.browser,
            self.notices,
            self.window,
            self.inspector,
            self.saw,
        ):
            panel.show_state(state)
        show_on_actions(self.actions, state)

    @Slot(object)
    def _after(self, event: ev.Event) -> None:
        """What follows an event that is no change of the window's state."""
        if isinstance(event, (ev.OpenImage, ev.OpenStudy)):
            self.canvas.setFocus()
            if self._films_can_be_drawn:
                self._warm_up_model()

    def _study_of(self, node: ImageNode) -> StudyNode | None:
        return self.browser.study_of(node)

    @Slot(object)
    def _remember_path(self, path: Path) -> None:
        if path != self._parts.samples:
            self.loaders.remember(path)

    @Slot(object)
    def _offer_to_continue(self, folders: tuple[Path, ...]) -> None:
        self._unfinished = folders
        self.actions["continue_scan"].setEnabled(bool(folders))

    def _continue_scan(self) -> None:
        reading = any(pane.node is not None for pane in self.controller.state.panes)
        for folder in self._unfinished:
            self.opener.open([folder], show=not reading)  # the film on screen stays

    def _fill_recent(self) -> None:
        recent = tuple(self._parts.library.recent())
        self.window.fill_recent(self._recent_menu, recent, lambda path: self.opener.open([path]))

    @Slot(str)
    def _remove_study(self, study_uid: str) -> None:
        self.browser.remove_study(study_uid)
        self.loaders.remove_study(study_uid)

    @Slot(int, QPoint)
    def _show_film_menu(self, pane: int, position: QPoint) -> None:
        self.controller.dispatch(ev.ActivatePane(pane))
        menu = QMenu(self.window)
        shown = self.controller.state.pane
        hidden = [] if shown.calibrated else ["file_millimetres"]
        hidden += [] if line_to_calibrate_by(shown) is not None else ["calibrate"]
        hidden += [name for name in (*_LAYERS, *_ANATOMY) if not self.actions[name].isEnabled()]
        for group in _FILM_MENU:
            for name in group:
                if name not in hidden:
                    menu.addAction(self.actions[name])
            menu.addSeparator()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(position)

    def _switch_read(self) -> None:
        node = self.controller.state.pane.node
        study = self._study_of(node) if node is not None else None
        if study is not None:
            read = study.status is ReadStatus.READ
            self.controller.dispatch(ev.MarkStudy(study.study_uid, ReadStatus.NEW if read else ReadStatus.READ))

    @Slot(object, object)
    def _exported(self, report: Report, path: Path) -> None:
        """Whoever leaves with a report has read the study."""
        self.controller.dispatch(ev.MarkStudy(report.image.key.study_uid, ReadStatus.READ))

    def _switch_full_screen(self) -> None:
        full = not self.window.isFullScreen()
        self.window.showFullScreen() if full else self.window.showNormal()
        self.actions["full_screen"].setChecked(full)


def when_settled(workbench: Workbench, then: Callable[[bool], None], timeout_ms: int) -> None:
    """Call ``then(True)`` once nothing has been under way for a moment, or ``then(False)`` when time is up."""
    quiet, waited = 0, 0
    timer = QTimer(workbench, interval=50)

    def look() -> None:
        nonlocal quiet, waited
        waited += timer.interval()
        quiet = quiet + 1 if workbench.settled else 0
        if quiet >= 6 or waited >= timeout_ms:
            timer.stop()
            then(quiet >= 6)

    timer.timeout.connect(look)
    timer.start()
