"""Gaps in the window's event loop while a folder of 10,000 films streams into the study list, and how soon it shows.

    python tests/benchmarks/streaming.py [--files 10000]

The real program, without a screen; a 5 ms timer on the window's thread as in ``responsiveness``. Three times in one
run: the first scan, the same folder again, and a scan that is cancelled. The peer is the same timer in a window of Qt
that does nothing, while the program's scan runs in a process of its own beside it: what the machine itself costs.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]

from responsiveness import Ticker, line
from scanning import make_films

GOAL_MS = 50.0
_BESIDE = """
import sys
from pathlib import Path
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.services.library import Library
from cxr_viewer.services.scanning import scan_into
from cxr_viewer.sources.sandbox import Sandbox
from cxr_viewer.sources.scan import FolderScanner
sandbox, library = Sandbox(), Library(Path(sys.argv[2]))
for taken in scan_into(library, FolderScanner(sandbox), [Path(sys.argv[1])], CancelToken()):
    pass
library.close()
sandbox.close()
"""


def measure(folder: Path, home: Path) -> None:
    from PySide6.QtWidgets import QApplication

    from cxr_viewer.app import Program, dress

    application = QApplication(sys.argv[:1])
    dress(application)
    idle(application, folder, home / "beside.sqlite")
    program = Program((1280, 800))
    workbench = program.workbench
    ticker = Ticker()
    gc.collect()
    gc.freeze()  # what made the films is no part of the program

    def settle() -> None:
        started = time.perf_counter()
        while time.perf_counter() - started < 1.0 or not workbench.settled:
            application.processEvents()
            time.sleep(0.0005)

    program.start([])
    settle()

    def scan(name: str, cancel_after: int | None = None) -> None:
        listed = workbench.browser.model.total
        ticker.start()
        started, first_s, asked_s = time.perf_counter(), 0.0, 0.0
        workbench.opener.open([folder])
        while workbench.opener.busy:
            application.processEvents()
            time.sleep(0.0005)
            if not first_s and workbench.browser.model.total > listed:
                first_s = time.perf_counter() - started
            state = workbench.controller.state.scan
            if cancel_after and not asked_s and state is not None and state.found > cancel_after:
                asked_s = time.perf_counter()
                workbench.loaders.cancel_scan()
        ended = time.perf_counter()
        gaps = ticker.stop()
        print(line(name, gaps, ended - started) + f", {int((gaps > GOAL_MS).sum())} above {GOAL_MS:.0f} ms")
        if first_s:
            print(f"{'':42s} first studies in the list after {1000 * first_s:.0f} ms")
        if asked_s:
            print(f"{'':42s} stopped {1000 * (ended - asked_s):.0f} ms after the wish to stop")
        settle()

    scan("first scan")
    print(f"{'':42s} {workbench.browser.model.total:,} studies in the list")
    scan("the same folder again")
    for path in folder.rglob("*.dcm"):
        os.utime(path)
    scan("cancelled after 2,000 films", cancel_after=2000)
    program.close()


def idle(application: object, folder: Path, library: Path) -> None:
    """A window of Qt with nothing to do, while the same scan runs in another process."""
    from PySide6.QtWidgets import QMainWindow

    window = QMainWindow()
    window.show()
    ticker = Ticker()
    beside = subprocess.Popen([sys.executable, "-c", _BESIDE, str(folder), str(library)], cwd=Path(__file__).parents[2])
    ticker.start()
    started = time.perf_counter()
    while beside.poll() is None:
        application.processEvents()  # type: ignore[attr-defined]
        time.sleep(0.0005)
    print(line("an idle window beside the same scan", ticker.stop(), time.perf_counter() - started))
    window.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, home = Path(name) / "films", Path(name) / "home"
        folder.mkdir()
        home.mkdir()
        os.environ["CXR_VIEWER_HOME"] = str(home)
        make_films(folder, arguments.files)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
        print(f"{arguments.files:,} files, {os.cpu_count()} processors, load {load:.1f}")
        measure(folder, home)


if __name__ == "__main__":
    main()
