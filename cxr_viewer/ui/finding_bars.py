"""A bar per finding with its operating point marked, most urgent first."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from cxr_viewer.core.findings import Finding
from cxr_viewer.core.wording import finding_sentence, score_text
from cxr_viewer.ui import theme

_ROW_PX = 52
_BAR_PX = 10


class FindingBars(QWidget):
    """Draws findings in the order given. Arrow keys and clicks choose one, double click or Return asks for its map.

    Signals:
        chosen(str): label of the finding the reader wants to look at.
        map_wanted(str): label of the finding whose map is to be switched.
    """

    chosen = Signal(str)
    map_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._findings: tuple[Finding, ...] = ()
        self._selected: str | None = None
        self._greyed = False
        self._map_shown: str | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Findings")

    def show_findings(
        self, findings: tuple[Finding, ...], selected: str | None, *, greyed: bool, map_shown: str | None
    ) -> None:
        """Draw these, in this order. ``greyed``: the scores do not hold for this film."""
        if (findings, selected, greyed, map_shown) == (
            self._findings,
            self._selected,
            self._greyed,
            self._map_shown,
        ):
            return
        self._findings, self._selected, self._greyed, self._map_shown = findings, selected, greyed, map_shown
        self.setAccessibleDescription(" ".join(finding_sentence(finding) for finding in findings))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, max(1, len(self._findings)) * _ROW_PX if self._findings else 0)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    # ------------------------------------------------------------ drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, finding in enumerate(self._findings):
            rect = QRect(0, row * _ROW_PX, self.width(), _ROW_PX)
            if rect.intersects(event.rect()):
                self._paint_row(painter, rect, finding)
        painter.end()

    def _paint_row(self, painter: QPainter, rect: QRect, finding: Finding) -> None:
        if finding.label == self._selected:
            painter.fillRect(rect, QColor(theme.RAISED))
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), QColor(theme.ACCENT))
        inner = rect.adjusted(theme.SPACE_PX + 4, 6, -theme.SPACE_PX - 4, -6)
        quiet = QColor(theme.DISABLED)
        words = quiet if self._greyed else QColor(theme.TEXT)
        font = self.font()
        font.setBold(finding.positive and not self._greyed)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        score = score_text(finding.score, finding.kind)
        score_px = metrics.horizontalAdvance(score)
        line = QRect(inner.left(), inner.top(), inner.width(), metrics.height())
        name = finding.label + ("  \N{BLACK CIRCLE} map" if self._map_shown == finding.label else "")
        name = metrics.elidedText(name, Qt.TextElideMode.ElideRight, line.width() - score_px - theme.SPACE_PX)
        painter.setPen(words)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, score)
        self._paint_bar(painter, QRectF(inner.left(), line.bottom() + 7, inner.width(), _BAR_PX), finding)

    def _paint_bar(self, painter: QPainter, track: QRectF, finding: Finding) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.WINDOW))
        painter.drawRoundedRect(track, 3, 3)
        filled = QRectF(track)
        filled.setWidth(track.width() * min(1.0, max(0.0, finding.score)))
        colour = theme.ACCENT if finding.positive else theme.MUTED
        painter.setBrush(QColor(theme.DISABLED if self._greyed else colour))
        painter.drawRoundedRect(filled, 3, 3)
        at = track.left() + track.width() * finding.threshold
        painter.setPen(QPen(QColor(theme.MUTED if self._greyed else theme.TEXT), 2))
        painter.drawLine(QPointF(at, track.top() - 3), QPointF(at, track.bottom() + 3))

    # ------------------------------------------------------------ mouse and keys

    def _at(self, y: float) -> Finding | None:
        row = int(y // _ROW_PX)
        return self._findings[row] if 0 <= row < len(self._findings) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        finding = self._at(event.position().y())
        if finding is not None and event.button() is Qt.MouseButton.LeftButton:
            self.chosen.emit(finding.label)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        finding = self._at(event.position().y())
        if finding is not None and event.button() is Qt.MouseButton.LeftButton:
            self.map_wanted.emit(finding.label)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
        labels = [finding.label for finding in self._findings]
        if step is not None and labels:
            place = labels.index(self._selected) if self._selected in labels else -step
            self.chosen.emit(labels[min(len(labels) - 1, max(0, place + step))])
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._selected:
            self.map_wanted.emit(self._selected)
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            finding = self._at(event.pos().y())
            if finding is not None:
                text = finding_sentence(finding) + "\nThe line across the bar is the operating point."
                QToolTip.showText(event.globalPos(), text, self)
                return True
        return super().event(event)
