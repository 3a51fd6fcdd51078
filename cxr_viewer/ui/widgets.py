"""Small things every panel needs of its controls."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtWidgets import QWidget

WidgetT = TypeVar("WidgetT", bound=QWidget)


def named(control: WidgetT, name: str, tip: str = "") -> WidgetT:
    """The control with the name a screen reader says and a tooltip (the name, where there is nothing to add)."""
    control.setAccessibleName(name)
    control.setToolTip(tip or name)
    return control
