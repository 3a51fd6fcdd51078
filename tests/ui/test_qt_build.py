"""The Qt binding in use counts references rightly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_MANY_CALLS = """
import cxr_viewer.ui
from PySide6.QtCore import QObject

thing = QObject()
for _ in range(100_000):
    thing.setObjectName("x")
print("alive")
"""


def test_a_hundred_thousand_calls_of_qt_leave_none_alive(repository: Path) -> None:
    """Under PySide6 6.12.0 a Python 3.11 process aborts here; the lock keeps to 6.11.3."""
    done = subprocess.run(
        [sys.executable, "-c", _MANY_CALLS], cwd=repository, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr
