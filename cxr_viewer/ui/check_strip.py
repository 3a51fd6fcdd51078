"""What the film check says, at the head of the findings: quiet where nothing is wrong, plain where it stops a score."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from cxr_viewer.core.filmcheck import FilmCheck, Severity, Sign
from cxr_viewer.core.measuring import OVERRIDDEN, check_words
from cxr_viewer.services import events as ev
from cxr_viewer.services.session.checking import check_of
from cxr_viewer.services.state import Pane, ViewerState
from cxr_viewer.ui import theme
from cxr_viewer.ui.widgets import named, panel_label

_ICON_PX = 16
_COLOURS = {
    Severity.NOTE: theme.MUTED,
    Severity.CAUTION: theme.CAUTION,
    Severity.GREY: theme.CAUTION,
    Severity.BLOCK: theme.ERROR,
}
_MEANING = {
    Severity.NOTE: "for your information",
    Severity.CAUTION: "caution",
    Severity.GREY: "the scores do not hold",
    Severity.BLOCK: "no score",
}
_OVERRIDE_TIP = (
    "Have the model score this film although the film check stops it. What the check says stays beside the score and "
    "goes into the report, and the audit trail records that you asked for it."
)


class CheckStrip(QFrame):
    """Draws the film check of the active pane.

    Signals:
        sends(object): Override, TurnUpright.
    """

    sends = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("check")
        self._pane_index = 0
        self._drawn: tuple[object, ...] | None = None
        self.badge = panel_label("caution")
        self.badge.setText(OVERRIDDEN)
        self.quiet = panel_label("muted")
        self.hint = panel_label("muted")
        for label in (self.badge, self.quiet, self.hint):
            label.setContentsMargins(0, 0, 0, 0)
        self.badge.setStyleSheet(f"border: 1px solid {theme.CAUTION}; border-radius: 3px; padding: 2px 6px;")
        self.turn = named(QPushButton("Turn upright"), "Turn upright", "Turn the film, and have it looked at that way")
        self.override = named(QPushButton("Score all the same"), "Score all the same", _OVERRIDE_TIP)
        self.turn.clicked.connect(lambda: self.sends.emit(ev.TurnUpright(self._pane_index)))
        self.override.clicked.connect(lambda: self.sends.emit(ev.Override(self._pane_index)))
        self._signs = QGridLayout()
        self._signs.setHorizontalSpacing(theme.SPACE_PX)
        self._signs.setVerticalSpacing(4)
        self._signs.setColumnStretch(1, 1)
        self._lay_out()
        self.hide()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.turn)
        buttons.addWidget(self.override)
        buttons.addStretch(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(theme.SPACE_PX + 4, 4, theme.SPACE_PX + 4, 4)
        column.setSpacing(6)
        column.addWidget(self.badge)
        column.addLayout(self._signs)
        column.addWidget(self.hint)
        column.addLayout(buttons)
        column.addWidget(self.quiet)

    def show_state(self, state: ViewerState) -> None:
        """Follow the active pane."""
        pane = state.pane
        self._pane_index = state.active
        check = check_of(pane)
        overridden = pane.result is not None and bool(pane.result.overridden)
        drawn = (check, pane.turns, overridden, pane.refusal is not None)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.setVisible(check is not None)
        if check is not None:
            self._show_check(check, pane, overridden=overridden)

    def _show_check(self, check: FilmCheck, pane: Pane, *, overridden: bool) -> None:
        blocked = pane.refusal is not None and pane.refusal.check is not None
        heaviest = max((sign.severity for sign in check.signs), default=Severity.NOTE)
        edge = f"border-left: 4px solid {_COLOURS[heaviest]};" if heaviest > Severity.NOTE else ""
        plate = f"background: {theme.RAISED};" if blocked or overridden else ""
        self.setStyleSheet(f"#check {{ {plate} {edge} }}")
        self._show_signs(check.signs)
        self.badge.setVisible(overridden)
        hints = dict.fromkeys(sign.hint for sign in check.blocking if sign.hint)
        self.hint.setText(" ".join(hints))
        self.hint.setVisible(blocked and bool(hints))  # elsewhere it is in the tooltip of its sentence
        self.turn.setVisible(check.upright_turns != pane.turns)
        self.turn.setToolTip(_turn_tip(check.upright_turns - pane.turns))
        self.override.setVisible(blocked)
        self.quiet.setText(check_words(check, pane.turns))
        self.quiet.setToolTip(_about(check))
        said = [OVERRIDDEN] if overridden else []
        said += [f"{sign.text} ({_MEANING[sign.severity]})" for sign in check.signs]
        self.setAccessibleName("Film check")
        self.setAccessibleDescription(" ".join([*said, self.quiet.text()]))

    def _show_signs(self, signs: tuple[Sign, ...]) -> None:
        while (item := self._signs.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()  # it lives until the next turn of the event loop
                old.deleteLater()
        for row, sign in enumerate(signs):
            icon = QLabel()
            icon.setPixmap(severity_icon(sign.severity))
            icon.setFixedWidth(_ICON_PX)
            icon.setToolTip(_MEANING[sign.severity].capitalize())
            icon.setAccessibleName(_MEANING[sign.severity])
            words = panel_label("muted" if sign.severity is Severity.NOTE else "")
            words.setContentsMargins(0, 0, 0, 0)
            words.setText(sign.text)
            words.setToolTip(f"{sign.hint or sign.text}\nThe check is {sign.share:.0%} sure.")
            self._signs.addWidget(icon, row, 0, Qt.AlignmentFlag.AlignTop)
            self._signs.addWidget(words, row, 1)
            icon.show()
            words.show()


def _turn_tip(quarter_turns: int) -> str:
    way = {1: "a quarter clockwise", 2: "half around", 3: "a quarter anticlockwise"}.get(quarter_turns % 4, "")
    return f"Turn the film {way}, and have the models look at it that way. Ctrl+Z turns the display back."


def _about(check: FilmCheck) -> str:
    by = f" by the film check {check.model_id} {check.model_version}, weights {check.model_sha256[:8]}"
    return f"Looked at{by if check.model_id else ''}."


def severity_icon(severity: Severity) -> QPixmap:
    """A ring for a note, a triangle for a caution, a filled one where scores do not hold, a bar where none is given:
    told apart by their form, whatever colours the reader sees."""
    ratio = 2.0
    picture = QPixmap(QSize(int(_ICON_PX * ratio), int(_ICON_PX * ratio)))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    colour = QColor(_COLOURS[severity])
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(colour, 1.4))
    ink = colour
    if severity in (Severity.CAUTION, Severity.GREY):
        filled = severity is Severity.GREY
        painter.setBrush(colour if filled else Qt.BrushStyle.NoBrush)
        painter.drawPolygon(QPolygonF([QPointF(8, 1.5), QPointF(15, 14), QPointF(1, 14)]))
        ink = QColor(theme.PANEL) if filled else colour
        painter.setPen(QPen(ink, 1.6))
        painter.drawLine(QPointF(8, 6), QPointF(8, 9.5))
        painter.drawPoint(QPointF(8, 12))
    elif severity is Severity.BLOCK:
        painter.setBrush(colour)
        painter.drawEllipse(QRectF(1.5, 1.5, 13, 13))
        painter.setPen(QPen(QColor(theme.PANEL), 2.4))
        painter.drawLine(QPointF(4.8, 8), QPointF(11.2, 8))
    else:
        painter.drawEllipse(QRectF(1.5, 1.5, 13, 13))
        painter.drawLine(QPointF(8, 7.5), QPointF(8, 11.5))
        painter.drawPoint(QPointF(8, 4.8))
    painter.end()
    return picture
