"""Making Qt's Python types before any other thread asks for them.

PySide6 makes the Python type of a class when somebody first looks at its name. pyqtgraph looks at all of them as it is
imported, and that happens on a loader thread, because it takes 0.3 s. Where the window's thread makes a type at the
same moment, the process crashes (seen twice in some hundred starts on a busy machine, in pyqtgraph's ``_copy_attrs``).
*Measured*: making them all takes 0.09 s, once, and the import of pyqtgraph is shorter by it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

_MODULES = ("QtCore", "QtGui", "QtWidgets", "QtSvg", "QtOpenGL", "QtOpenGLWidgets", "QtTest")


@cache
def make_qt_types() -> int:
    """Make every type of the modules that pyqtgraph uses; on the window's thread, before threads start.

    Returns:
        how many names were looked at.
    """
    count = 0
    for name in _MODULES:
        try:
            module = import_module(f"PySide6.{name}")
        except ImportError:  # pyqtgraph does without, and so can we
            continue
        for attribute in dir(module):
            getattr(module, attribute)
            count += 1
    return count
