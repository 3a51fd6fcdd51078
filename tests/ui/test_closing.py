"""Closing the window in the middle of something: the program ends, with nothing printed and nothing left running."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# The real program; ``when`` is a condition on the workbench, looked at every 5 ms, at which its window is closed.
_CLOSED_WHEN = """
import sys, threading
from pathlib import Path
from PySide6.QtCore import QTimer
from cxr_viewer import app
from cxr_viewer.ui.inference import InferenceThread
when, first = sys.argv[1:3]
building = threading.Event()
exec(first)
start = app.Workbench.start
def begin(bench, paths):
    start(bench, paths)
    timer = QTimer(bench, interval=5)
    def look():
        if eval(when, globals(), {"bench": bench, "state": bench.controller.state}):
            timer.stop()
            bench.window.close()
    timer.timeout.connect(look)
    timer.start()
app.Workbench.start = begin
sys.exit(app.main(sys.argv[3:]))
"""
_HANGING_MODEL = """
def hang(*_):
    building.set()
    threading.Event().wait()
app._runner = hang
stop = InferenceThread.stop
InferenceThread.stop = lambda thread: stop(thread, 50)
"""


_WITHOUT_MODEL = """
from dataclasses import replace
usual = app.first_state
app.first_state = lambda settings, cards: replace(usual(settings, cards), automatic=False)
"""


@pytest.mark.parametrize(
    ("what", "when", "first"),
    [
        pytest.param("dicom", "state.scan is not None", _WITHOUT_MODEL, id="scan"),
        pytest.param(
            "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm",
            "state.pane.image is not None",
            _WITHOUT_MODEL,
            id="preview",
        ),
        pytest.param("zipcrypto.zip", "bench.unlocker.dialog is not None", _WITHOUT_MODEL, id="password"),
        pytest.param(
            "dicom/dx_canon_pa_mono1_12bit_j2klossless.dcm",
            "bench.inspector.busy or (bench.inspector.switch(), bench.inspector.panel.tabs.setCurrentIndex(1)) == 0",
            _WITHOUT_MODEL,
            id="attributes",
        ),
        pytest.param("", "building.is_set()", _HANGING_MODEL, id="a model that never finishes loading"),
    ],
)
def test_closing_in_the_middle(
    what: str, when: str, first: str, need_data: Callable[[str], Path], repository: Path, tmp_path: Path
) -> None:
    paths = []
    if what:
        own = repository / "tests" / "sources" / "archives" / what
        paths = [str(own if own.is_file() else need_data(what))]
    done = subprocess.run(
        [sys.executable, "-c", _CLOSED_WHEN, when, first, *paths],
        cwd=repository,
        env={**os.environ, "CXR_VIEWER_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = [line for line in done.stderr.splitlines() if "propagateSizeHints" not in line]
    assert (done.returncode, said, done.stdout) == (0, [], "")
