"""Draws an inspection as one text that wraps, can be selected and scrolled."""

from __future__ import annotations

from PySide6.QtGui import QColor, QFont, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextOption
from PySide6.QtWidgets import QFrame, QTextEdit, QWidget

from cxr_viewer.services.inspection import InspectedLine, Inspection, LineKind, line_text
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named

_COLOURS = {
    LineKind.RULE: theme.TEXT,
    LineKind.REFERENCE: theme.MUTED,
    LineKind.TAG: theme.MUTED,
    LineKind.PASSED_OVER: theme.MUTED,
    LineKind.CAUTION: theme.CAUTION,
    LineKind.NOTE: theme.MUTED,
}
_INDENTED = (LineKind.TAG, LineKind.REFERENCE, LineKind.PASSED_OVER)


class WhyView(QTextEdit):
    """The text of one :class:`Inspection`. Values of a file are written as they are, never read as markup."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        named(self, "Why does it look like this?", "How the film came to look like this, step by step")
        self.setToolTip("")  # it would cover the text
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDocumentMargin(theme.SPACE_PX + 4)
        self._shown: Inspection | None = None

    def show_inspection(self, inspection: Inspection | None) -> None:
        """Draw it; the place on screen stays where the text below it stays the same film's."""
        if inspection == self._shown:
            return
        before, self._shown = self._shown, inspection
        bar = self.verticalScrollBar()
        place = bar.value() if before is not None and inspection is not None and before.title == inspection.title else 0
        self.clear()
        if inspection is not None:
            cursor = QTextCursor(self.document())
            cursor.beginEditBlock()
            for number, section in enumerate(inspection.sections):
                if section.title:
                    self._write(cursor, section.title, _heading(), top=theme.SPACE_PX * 2 if number else 0)
                for line in section.lines:
                    self._write_line(cursor, line)
            cursor.endEditBlock()
        bar.setValue(place)

    def _write_line(self, cursor: QTextCursor, line: InspectedLine) -> None:
        plain = _format(_COLOURS[line.kind])
        left = theme.SPACE_PX * 2 if line.kind in _INDENTED else 0
        if not line.name:
            mark = "\N{WARNING SIGN} " if line.kind is LineKind.CAUTION else ""
            self._write(cursor, mark + line_text(line), plain, left=left)
            return
        self._write(cursor, f"{line.name} = ", plain, left=left)
        cursor.insertText(line.text, _format(theme.TEXT))

    @staticmethod
    def _write(cursor: QTextCursor, text: str, look: QTextCharFormat, *, left: int = 0, top: int = 3) -> None:
        block = QTextBlockFormat()
        block.setLeftMargin(left)
        block.setTopMargin(top)
        if cursor.position() == 0:
            cursor.setBlockFormat(block)
        else:
            cursor.insertBlock(block)
        cursor.insertText(text, look)


def _format(colour: str) -> QTextCharFormat:
    look = QTextCharFormat()
    look.setForeground(QColor(colour))
    return look


def _heading() -> QTextCharFormat:
    look = _format(theme.ACCENT)
    look.setFontWeight(QFont.Weight.DemiBold)
    return look
