"""Qt's types are all there before a loader thread imports pyqtgraph."""

from __future__ import annotations

import json
import subprocess
import sys

_LOOK = """
import json, sys
from PySide6 import QtCore, QtGui, QtWidgets
from cxr_viewer.ui.qt_types import make_qt_types
made = make_qt_types()
before = {module.__name__: dict(vars(module)) for module in (QtCore, QtGui, QtWidgets)}
import pyqtgraph
new = [f"{name}.{key}" for name, known in before.items() for key in vars(sys.modules[name]) if key not in known]
modules = [name for name in sys.modules if name.startswith("PySide6.Qt")]
print(json.dumps({"made": made, "new": new, "modules": modules}))
"""


def test_pyqtgraph_makes_no_qt_type_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["made"] > 500
    assert seen["new"] == []
    known = {"QtCore", "QtGui", "QtWidgets", "QtSvg", "QtOpenGL", "QtOpenGLWidgets", "QtTest"}
    assert {name.removeprefix("PySide6.") for name in seen["modules"]} <= known
