"""Words on a film: the line in which the note of an arrow or a text is written, where it will stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QPointF
from PySide6.QtWidgets import QWidget

from cxr_viewer.core.annotations import MarkKind
from cxr_viewer.core.geometry import Point
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui.placement import Placement
from cxr_viewer.ui.tools import Drawn, NoteEditor

_NOTED = (MarkKind.TEXT, MarkKind.ARROW)


class Paper(Protocol):
    """The pane that is written on."""

    @property
    def index(self) -> int: ...
    @property
    def state(self) -> ViewerState: ...
    @property
    def placement(self) -> Placement | None: ...
    def viewport(self) -> QWidget: ...
    def send(self, event: ev.Event) -> None: ...


class NoteHand:
    """Adds marks that are drawn, and asks for their words where they have some."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self._note: NoteEditor | None = None

    @property
    def _pane(self) -> Pane:
        return self._paper.state.panes[self._paper.index]

    def add(self, drawn: Drawn) -> None:
        """Words are asked for where they belong to the mark; a text without words is no mark."""
        paper = self._paper
        if drawn.kind is MarkKind.TEXT:
            self._write(
                drawn.points, "", lambda text: paper.send(ev.AddMark(paper.index, drawn.kind, drawn.points, text))
            )
            return
        number = self._pane.next_mark_id
        paper.send(ev.AddMark(paper.index, drawn.kind, drawn.points))
        if drawn.kind is MarkKind.ARROW:
            self._write(drawn.points, "", lambda text: paper.send(ev.ChangeMark(paper.index, number, None, text)))

    def edit(self, mark_id: int) -> None:
        """Let the words of an arrow or text be changed."""
        paper = self._paper
        mark = next((mark for mark in self._pane.marks if mark.mark_id == mark_id), None)
        if mark is not None and mark.kind in _NOTED:
            self._write(
                mark.points, mark.text, lambda text: paper.send(ev.ChangeMark(paper.index, mark_id, None, text))
            )

    def _write(self, points: tuple[Point, ...], text: str, then: Callable[[str], None]) -> None:
        """Open a line for a note where it will stand; ``then`` is called with words, if any and if changed."""
        self.close()
        placement = self._paper.placement
        if placement is None:
            return
        port = self._paper.viewport()
        note = NoteEditor(port, text)
        self._note = note

        def written(words: str) -> None:
            if self._note is note:
                self._note = None
            if words and words != text:
                then(words)

        note.written.connect(written)
        note.open_at(QPointF(*placement.to_widget(points[-1])), port.size())

    def close(self) -> bool:
        """Give up an open line; whether there was one."""
        note, self._note = self._note, None
        if note is None or not note.isVisible():
            return False
        note.drop()
        return True
