"""A bar per finding with its operating point marked, most urgent first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from cxr_viewer.core.findings import Finding
from cxr_viewer.core.wording import finding_sentence, score_text
from cxr_viewer.ui import theme

_ROW_PX = 52
_BADGE_ROW_PX = 22
_BAR_PX = 10
_NARROW_ROW_PX, _NARROW_BAR_PX = 25, 8
_FEW = 6
_WIDEST_SCORE = "> 0.99"


@dataclass(frozen=True, slots=True)
class MapNote:
    """What has to be said of the map of a finding.

    Attributes:
        badge: written in the row while the map is shown; empty for maps that may be believed.
        words: why, with figures, for the tooltip.
    """

    badge: str
    words: str


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
        self._notes: dict[str, MapNote] = {}
        self._tips: dict[str, str] = {}
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Findings")

    def show_findings(
        self,
        findings: tuple[Finding, ...],
        selected: str | None,
        *,
        greyed: bool,
        map_shown: str | None,
        notes: Mapping[str, MapNote] | None = None,
        tips: Mapping[str, str] | None = None,
    ) -> None:
        """Draw these, in this order.

        Args:
            greyed: the scores do not hold for this film.
            notes: of maps, by label.
            tips: what is known of the operating points, by label, for the tooltip.
        """
        self._tips = dict(tips or {})
        wanted = (findings, selected, greyed, map_shown, dict(notes or {}))
        if wanted == (self._findings, self._selected, self._greyed, self._map_shown, self._notes):
            return
        self._findings, self._selected, self._greyed, self._map_shown, self._notes = wanted
        badge = f" {map_shown}: {self._badge(map_shown)}." if map_shown is not None and self._badge(map_shown) else ""
        self.setAccessibleDescription(" ".join(finding_sentence(finding) for finding in findings) + badge)
        self.updateGeometry()
        self.update()

    def _badge(self, label: str) -> str:
        """What is written in a row: the badge of the map that is shown."""
        note = self._notes.get(label)
        return note.badge if note is not None and label == self._map_shown else ""

    def _row_px(self, finding: Finding) -> int:
        row = _ROW_PX if self._roomy else _NARROW_ROW_PX
        return row + (_BADGE_ROW_PX if self._badge(finding.label) else 0)

    @property
    def _roomy(self) -> bool:
        """Few findings have two lines each; many have one, so that they are seen together."""
        return len(self._findings) <= _FEW

    def place_of(self, label: str) -> QRect:
        """Where the row of a finding is; empty where there is none."""
        top = 0
        for finding in self._findings:
            height = self._row_px(finding)
            if finding.label == label:
                return QRect(0, top, self.width(), height)
            top += height
        return QRect()

    def sizeHint(self) -> QSize:
        rows = sum(self._row_px(finding) for finding in self._findings)
        if self._findings and self._roomy and any(note.badge for note in self._notes.values()):
            # Room for one badge, shown or not: what stands below must not move when a map comes on.
            rows = len(self._findings) * _ROW_PX + _BADGE_ROW_PX
        return QSize(240, rows)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    # ------------------------------------------------------------ drawing

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = 0
        for finding in self._findings:
            rect = QRect(0, top, self.width(), self._row_px(finding))
            top += rect.height()
            if rect.intersects(event.rect()):
                self._paint_row(painter, rect, finding)
        painter.end()

    def _paint_row(self, painter: QPainter, rect: QRect, finding: Finding) -> None:
        if finding.label == self._selected:
            painter.fillRect(rect, QColor(theme.RAISED))
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height()), QColor(theme.ACCENT))
        margin = 6 if self._roomy else 4
        inner = rect.adjusted(theme.SPACE_PX + 4, margin, -theme.SPACE_PX - 4, -margin)
        quiet = QColor(theme.DISABLED)
        words = quiet if self._greyed else QColor(theme.TEXT)
        font = self.font()
        font.setBold(finding.positive and not self._greyed)
        painter.setFont(font)
        metrics = QFontMetrics(font)
        score = score_text(finding.score, finding.kind)
        score_px = metrics.horizontalAdvance(score) if self._roomy else _widest_score_px(self.font())
        line = QRect(inner.left(), inner.top(), inner.width(), metrics.height())
        bar = QRectF(inner.left(), line.bottom() + 7, inner.width(), _BAR_PX)
        room = line.width() - score_px - theme.SPACE_PX
        if not self._roomy:
            room = room * 3 // 5
            left = inner.left() + room + theme.SPACE_PX
            bar = QRectF(left, line.center().y() - 3, line.right() - score_px - theme.SPACE_PX - left, _NARROW_BAR_PX)
        mark = "  \N{BLACK CIRCLE} map" if self._roomy else "  \N{BLACK CIRCLE}"
        mark = mark if self._map_shown == finding.label else ""
        room -= metrics.horizontalAdvance(mark)
        name = metrics.elidedText(finding.label, Qt.TextElideMode.ElideRight, room) + mark
        painter.setPen(words)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)
        painter.drawText(line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, score)
        self._paint_bar(painter, bar, finding)
        badge = self._badge(finding.label)
        if badge:
            below = bar.bottom() + 6 if self._roomy else line.bottom() + 4.0
            self._paint_badge(painter, QPointF(inner.left(), below), badge)

    def _paint_badge(self, painter: QPainter, corner: QPointF, badge: str) -> None:
        """Words in a frame: they are read in grey print and whatever colours the reader sees."""
        font = self.font()
        font.setBold(True)
        font.setPointSizeF(max(7.0, font.pointSizeF() - 1.5))
        painter.setFont(font)
        text = f"\N{WARNING SIGN} {badge}"
        metrics = QFontMetricsF(font)
        frame = QRectF(corner.x() + 0.5, corner.y() + 0.5, metrics.horizontalAdvance(text) + 12, metrics.height() + 2)
        painter.setPen(QPen(QColor(theme.CAUTION), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(frame, 3, 3)
        painter.drawText(frame, Qt.AlignmentFlag.AlignCenter, text)

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
        bottom = 0
        for finding in self._findings:
            bottom += self._row_px(finding)
            if 0 <= y < bottom:
                return finding
        return None

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
                points = self._tips.get(finding.label)
                text += f"\n{points}" if points else ""
                note = self._notes.get(finding.label)
                text += f"\n{note.words}" if note is not None else ""
                QToolTip.showText(event.globalPos(), text, self)
                return True
        return super().event(event)


def _widest_score_px(font: QFont) -> int:
    """Room for any score, so that the bars of all rows begin and end at the same place."""
    bold = QFont(font)
    bold.setBold(True)
    return QFontMetrics(bold).horizontalAdvance(_WIDEST_SCORE)
