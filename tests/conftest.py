"""What every test shares: the real films, a screenless Qt, and the rule that a test leaves nothing running behind."""

from __future__ import annotations

import datetime as dt
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import psutil
import pytest
import shiboken6
from hypothesis import settings
from PySide6.QtCore import QThread

from cxr_viewer.core.image import ImageKey, PatientInfo
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.study import FoundImage, ImageNode
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner

settings.register_profile("house", deadline=None)  # a busy machine is no defect of the program
settings.load_profile("house")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
LEFTOVER_GRACE_S = 5.0
"""How long a thread or child process that is already on its way out may take after the test's own teardown."""

# Helpers of Python itself that live until the interpreter ends: one per process, started by the first shared memory
# block or the first forkserver child.
_PYTHON_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once per reason how many tests were skipped for it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real films beside the checkout, ``../shared/data``; the test is skipped where it is missing.

    Every sub-folder has a README or a MANIFEST.csv. A test that needs one of them says so with ``need_data``.
    """
    return _need(SHARED_DATA)


@pytest.fixture(scope="session")
def need_data(shared_data: Path) -> NeedData:
    """``need_data("dicom/film.dcm")`` gives that path below the shared data, or skips the test and names it."""
    return NeedData(shared_data)


class NeedData:
    """Gives paths below the folder of real films and skips the test, naming the path, when one is missing."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, relative: str) -> Path:
        return _need(self.root / relative)


def _need(path: Path) -> Path:
    if not path.exists():
        shown = os.path.relpath(path, REPOSITORY)
        pytest.skip(f"needs the real films in {shown}, which is not there")
    return path


@pytest.fixture(scope="session")
def found_films(need_data: NeedData) -> tuple[FoundImage, ...]:
    """What a scan of the folder of real films finds, read once for all tests."""
    folder = need_data("dicom")
    sandbox = Sandbox()
    try:
        batches = list(FolderScanner(sandbox).scan([folder], CancelToken()))
    finally:
        sandbox.close()
    return tuple(found for batch in batches for found in batch.found)


@pytest.fixture(scope="session")
def make_found() -> Callable[..., FoundImage]:
    """Builds what a scan finds: ``make_found("/films/a.dcm", study="1", patient="P1", view=View.PA, ...)``."""

    def make(
        path: str | Path,
        *,
        study: str = "1",
        series: str = "1",
        sop: str = "",
        frame: int = 0,
        name: str = "Invented^Ida",
        patient: str = "P1",
        date: dt.date | None = dt.date(2024, 3, 5),
        description: str = "CHEST PA",
        size: int = 1000,
        modified: int = 1,
        **image: Any,
    ) -> FoundImage:
        key = ImageKey(f"1.2.{study}", f"1.2.{study}.{series}", sop or f"1.2.{study}.{series}.{path}", frame)
        node = ImageNode(key, Path(path), **{"rows": 2022, "columns": 1736, "modality": "DX", **image})
        who = PatientInfo(patient, name, dt.date(1960, 2, 29), "F", 64.0)
        return FoundImage(node, who, date, "101500", description, "", 1, size, modified)

    return make


@pytest.fixture(autouse=True)
def _user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings, index or log of the person who runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.delenv("CXR_VIEWER_HOME", raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home / name.lower()))


_started_qthreads: weakref.WeakSet[QThread] = weakref.WeakSet()


@pytest.fixture(scope="session", autouse=True)
def _watch_qthreads() -> Iterator[None]:
    """Remembers each ``QThread`` that is started: Qt keeps no list of them, and asking ``gc`` costs 0.1 s a test."""
    start = QThread.start

    def watched(thread: QThread, *priority: QThread.Priority) -> None:
        _started_qthreads.add(thread)
        start(thread, *priority)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(QThread, "start", watched)
        yield


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a thread, a running QThread or a child process behind.

    What fixtures of module or session scope own is alive before the test and is therefore not counted. A test that has
    to leave something running on purpose carries ``@pytest.mark.leaves_running("why")``.
    """
    threads_before = set(threading.enumerate())
    qthreads_before = _running_qthreads()
    children_before = _children()
    yield
    if request.node.get_closest_marker("leaves_running"):
        return

    def leftovers() -> list[str]:
        # A QThread that has run Python stays in this list as a dummy for ever; it is watched as a QThread.
        started = [t for t in threading.enumerate() if not isinstance(t, threading._DummyThread)]
        threads = [f"thread {t.name!r}" for t in started if t not in threads_before and t.is_alive()]
        qthreads = [text for ident, text in _running_qthreads().items() if ident not in qthreads_before]
        children = [text for pid, text in _children().items() if pid not in children_before]
        return threads + qthreads + children

    deadline = time.monotonic() + LEFTOVER_GRACE_S
    left = leftovers()
    while left and time.monotonic() < deadline:
        threading.Event().wait(0.02)  # polls: what is finishing by itself needs no more than a moment
        left = leftovers()
    if left:
        pytest.fail(f"the test left running: {', '.join(sorted(left))}", pytrace=False)


def _running_qthreads() -> dict[int, str]:
    """Running ``QThread`` objects, by identity."""
    return {
        id(thread): f"QThread {thread.objectName() or type(thread).__name__!r}"
        for thread in list(_started_qthreads)
        if shiboken6.isValid(thread) and thread.isRunning()
    }


def _children() -> dict[int, str]:
    """Living child processes by process number, without Python's own helpers."""
    found = {}
    for child in psutil.Process().children(recursive=True):
        try:
            command = " ".join(child.cmdline())
            if child.status() == psutil.STATUS_ZOMBIE or any(name in command for name in _PYTHON_HELPERS):
                continue
            found[child.pid] = f"process {child.pid} ({command[:120] or child.name()})"
        except psutil.NoSuchProcess:
            continue
    return found
