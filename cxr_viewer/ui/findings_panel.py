"""The right dock: what the model says of the film in the active pane, and how far that may be believed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer.core.findings import AnalysisResult, ModelCard
from cxr_viewer.core.measuring import cautions_beside, limits_beside
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AnalysisStatus, Pane, ViewerState, sorted_findings
from cxr_viewer.ui import theme
from cxr_viewer.ui.answer_box import AnswerBox
from cxr_viewer.ui.answer_words import NOT_HELD, awaits, map_notes, point_tips, reason, status_words, took
from cxr_viewer.ui.check_strip import CheckStrip
from cxr_viewer.ui.finding_bars import FindingBars
from cxr_viewer.ui.fold_line import WithheldLine
from cxr_viewer.ui.model_bar import ModelBar
from cxr_viewer.ui.overlay_controls import MethodsOf, OverlayControls
from cxr_viewer.ui.ratio_section import RatioSection
from cxr_viewer.ui.saw_section import SawSection
from cxr_viewer.ui.structure_list import StructureList
from cxr_viewer.ui.widgets import named, panel_label

_BUSY_AFTER_MS = 300  # fast answers do not flicker


def _line() -> QFrame:
    line = QFrame()
    line.setFixedHeight(1)
    line.setStyleSheet(f"background: {theme.LINE};")
    return line


class _Column(QScrollArea):
    """Scrolls up and down only, and is never narrower than what it holds: no word may be cut off at the side."""

    def __init__(self, body: QWidget) -> None:
        super().__init__(widgetResizable=True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(body)

    def minimumSizeHint(self) -> QSize:
        body = self.widget()
        needed = body.minimumSizeHint().width() if body is not None else 0
        width = needed + self.verticalScrollBar().sizeHint().width()
        return QSize(width, super().minimumSizeHint().height())


class FindingsPanel(QWidget):
    """Draws the analysis of the active pane; emits choices of model, finding, map and comment.

    Args:
        problems: a sentence for each model that cannot be used.

    Signals:
        sends(object): events.
        models_wanted(): the reader asks for the dialog of the models.
        large_wanted(): the reader asks for what the model saw beside the film.
    """

    sends = Signal(object)
    models_wanted = Signal()
    large_wanted = Signal()

    def __init__(
        self,
        problems: Sequence[str],
        devices: Sequence[str],
        methods: Sequence[str],
        methods_of: MethodsOf,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._cards: dict[str, ModelCard] = {}
        self._problems = tuple(problems)
        self._pane_index = 0
        self._pane: Pane | None = None
        self._state: ViewerState | None = None
        self._bars_at: str | None = None
        self._model_bar = ModelBar(devices)
        self._model_bar.sends.connect(self.sends)
        self._model_bar.models_wanted.connect(self.models_wanted)
        self._make_controls()
        self._overlay = OverlayControls(methods, methods_of)
        self.check, self.ratio = CheckStrip(), RatioSection()
        self.structures, self.saw = StructureList(), SawSection()
        for part in (self.check, self.ratio, self._overlay, self.structures, self.saw):
            part.sends.connect(self.sends)
        self.saw.large_wanted.connect(self.large_wanted)
        self._busy_timer = QTimer(self, singleShot=True, interval=_BUSY_AFTER_MS)
        self._busy_timer.timeout.connect(self._show_busy)
        self._lay_out()
        self._connect()

    # ------------------------------------------------------------ building

    def _make_controls(self) -> None:
        self._status, self._hint = panel_label("title"), panel_label("muted")
        self._busy = named(QProgressBar(), "The model is working")
        self._busy.setRange(0, 0)
        self._busy.setTextVisible(False)
        self._busy.setFixedHeight(4)
        self._bars = FindingBars()
        self._limits, self._cautions = panel_label("caution"), panel_label("muted")
        self.withheld = WithheldLine()
        self._intended, self._about, self._reason = panel_label("muted"), panel_label("muted"), panel_label("muted")
        self._opinion = named(
            QPlainTextEdit(placeholderText="Comment for the report", tabChangesFocus=True),
            "Comment for the report",
            "Your comment; it goes into the report of this film",
        )
        self._opinion.setFixedHeight(64)
        self._disclaimer = panel_label("caution")
        self._disclaimer.setText(DISCLAIMER)

    def _lay_out(self) -> None:
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, theme.SPACE_PX, 0, theme.SPACE_PX)
        column.setSpacing(theme.SPACE_PX)
        column.addWidget(self._model_bar)
        column.addWidget(_line())
        words = (self._busy, self._status, self._hint, self._limits)
        after = (self.withheld, self._cautions, self._reason)
        # The check and the ratio stand above the findings: however many those are, they are seen without scrolling.
        self._answer = AnswerBox((self.check, self.ratio, *words, self._bars, *after))
        self._seen = AnswerBox((self.saw,))
        for part in (self._answer, self.structures, self._overlay, self._seen):
            column.addWidget(part)
        comment = QHBoxLayout()
        comment.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        comment.addWidget(self._opinion)
        column.addLayout(comment)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, theme.SPACE_PX)
        outer.setSpacing(theme.SPACE_PX - 2)
        self._column = _Column(body)
        outer.addWidget(self._column, 1)
        outer.addWidget(_line())
        for widget in (self._about, self._intended, self._disclaimer):  # always in view, whatever is scrolled
            outer.addWidget(widget)

    def _connect(self) -> None:
        self._bars.chosen.connect(lambda label: self.sends.emit(ev.SelectFinding(self._pane_index, label)))
        self._bars.map_wanted.connect(self._switch_map)
        self._opinion.textChanged.connect(
            lambda: self.sends.emit(ev.SetOpinion(self._pane_index, self._opinion.toPlainText()))
        )

    def _switch_map(self, label: str) -> None:
        pane = self._pane
        shown = pane is not None and pane.display.overlay.label == label
        self.sends.emit(ev.SelectFinding(self._pane_index, label))
        self.sends.emit(ev.SetOverlay(self._pane_index, visible=not shown))

    # ------------------------------------------------------------ drawing

    def show_state(self, state: ViewerState) -> None:
        pane = state.pane
        self._overlay.show_state(state)
        self._overlay.setVisible(pane.result is None or not pane.result.structures)
        for part in (self.check, self.ratio, self.structures):
            part.show_state(state)
        self.saw.show_state(state)
        if self._state is not None and state.show_seen and not self._state.show_seen:
            QTimer.singleShot(0, self, self._bring_saw_into_sight)  # once it has its place
        same_pane = pane is self._pane and state.active == self._pane_index
        before = self._state
        self._state, self._pane, self._pane_index = state, pane, state.active
        self._model_bar.show_state(state)
        if same_pane and before is not None and before.cards == state.cards and before.model_id == state.model_id:
            return
        self._cards = {card.model_id: card for card in state.cards}
        for box in (self._answer, self._seen):
            box.wait(awaits(pane))
        self._show_status(pane)
        self._show_result(pane)
        self._show_about(pane.model.model_id if pane.model else state.model_id, pane)
        if self._opinion.toPlainText() != pane.opinion:
            with QSignalBlocker(self._opinion):
                self._opinion.setPlainText(pane.opinion)
        self._opinion.setEnabled(pane.image is not None)

    @Slot()
    def _bring_finding_into_sight(self) -> None:
        """Of many findings the chosen one is seen, also where Tab has led to it; the first ones only at the top."""
        row, body = self._bars.place_of(self._bars_at or ""), self._column.widget()
        if row.isValid() and body is not None:
            middle = self._bars.mapTo(body, row.center())
            self._column.ensureVisible(middle.x(), middle.y(), 0, row.height())

    @Slot()
    def _bring_saw_into_sight(self) -> None:
        """A section that opens below the edge would look like a key that does nothing."""
        self._column.ensureWidgetVisible(self.saw.words, 0, theme.SPACE_PX)
        self._column.ensureWidgetVisible(self.saw.header, 0, theme.SPACE_PX)

    @Slot(object)
    def set_problems(self, problems: tuple[str, ...]) -> None:
        """Other models cannot be used now."""
        self._problems = problems
        if self._pane is not None:
            self._show_status(self._pane)

    def _show_about(self, model_id: str, pane: Pane) -> None:
        """Model, device, seconds and intended use: always in view, whatever is scrolled."""
        card = self._cards.get(model_id)
        self._reason.setText(reason(pane, card))
        self._reason.setVisible(bool(self._reason.text()))
        if card is None:
            self._about.setText("" if self._cards else "No model is installed.")
            self._intended.setText("")
            return
        self._about.setText(f"{card.name} {card.version}, weights {card.sha256[:8]}\n{took(pane.result, card)}")
        self._about.setToolTip(f"Trained on: {card.trained_on}\nWeights sha256: {card.sha256}")
        self._intended.setText(card.intended_use)

    def _show_status(self, pane: Pane) -> None:
        installed = any(not card.serves for card in self._cards.values())
        busy = self._busy.isVisible()
        status, hint, role = status_words(pane, installed=installed, problems=self._problems, busy=busy)
        if pane.analysis is AnalysisStatus.RUNNING and pane.stage:  # without one it only waits for the reader to stay
            if not self._busy.isVisible() and not self._busy_timer.isActive():
                self._busy_timer.start()
        else:
            self._busy_timer.stop()
            self._busy.hide()
        self._status.setText(status)
        self._hint.setText(hint)
        if self._status.property("role") != role:
            self._status.setProperty("role", role)
            self._status.style().polish(self._status)
        self._status.setVisible(bool(status))
        self._hint.setVisible(bool(hint))

    def _show_busy(self) -> None:
        if self._pane is not None and self._pane.analysis is AnalysisStatus.RUNNING:
            self._busy.show()
            self._show_status(self._pane)

    def _show_result(self, pane: Pane) -> None:
        result = pane.result
        if result is None:
            self._bars.show_findings((), None, greyed=False, map_shown=None)
            self.withheld.show_result(None)
            for label in (self._limits, self._cautions):
                label.hide()
            return
        self._bars.show_findings(
            sorted_findings(result),
            pane.selected,
            greyed=bool(result.limits),
            map_shown=pane.heatmap.label if pane.heatmap is not None else None,
            notes=map_notes(result, self._card_of(result)),
            tips=point_tips(self._card_of(result)),
        )
        if pane.selected is not None and pane.selected != self._bars_at:
            QTimer.singleShot(0, self, self._bring_finding_into_sight)  # once the rows have their place
        self._bars_at = pane.selected
        limits = [caution.text for caution in limits_beside(result)]
        if result.limits:
            whose = "The model was not made for this film." if result.structures else NOT_HELD
            limits.insert(0, whose)
        self._limits.setText("\n".join(limits))
        self._limits.setVisible(bool(limits))
        cautions = cautions_beside(result)
        self._cautions.setText("\n".join(caution.text for caution in cautions))
        self._cautions.setVisible(bool(cautions))
        self.withheld.show_result(result)

    def _card_of(self, result: AnalysisResult) -> ModelCard | None:
        """The card of the weights that gave the answer."""
        card = self._cards.get(result.model_id)
        return card if card is not None and card.sha256 == result.model_sha256 else None
