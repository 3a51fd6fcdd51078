"""The right dock: what the model says of the film in the active pane, and how far that may be believed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer.core.findings import AnalysisResult, ModelCard
from cxr_viewer.core.report import DISCLAIMER
from cxr_viewer.core.seeing import trust_badge, trust_words
from cxr_viewer.core.suitability import population_text
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import AUTO, AnalysisStatus, Pane, PaneStatus, ViewerState, sorted_findings
from cxr_viewer.ui import theme
from cxr_viewer.ui.answer_box import AnswerBox
from cxr_viewer.ui.finding_bars import FindingBars, MapNote
from cxr_viewer.ui.overlay_controls import MethodsOf, OverlayControls
from cxr_viewer.ui.saw_section import SawSection
from cxr_viewer.ui.structure_list import StructureList
from cxr_viewer.ui.widgets import ElidingBox, named

_NO_MODEL_HINT = "Films can be read without one. “Models…” above installs one."
_MODEL_TIP = (
    "The model that looks at the films. Automatic: for each film the installed model that is meant for it, by age, "
    "view and part of the body; of several the one made for the narrowest range of ages, then one with calibrated "
    "scores, then one with more findings. A model you choose stays chosen."
)
_MODELS_TIP = "Install, check and remove models (Ctrl+Shift+M)"
_NOT_HELD = "The score does not hold for this film."
_BUSY_AFTER_MS = 300  # fast answers do not flicker


def _label(role: str = "") -> QLabel:
    label = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    if role:
        label.setProperty("role", role)
    return label


def _line() -> QFrame:
    line = QFrame()
    line.setFixedHeight(1)
    line.setStyleSheet(f"background: {theme.LINE};")
    return line


def _choices(state: ViewerState) -> tuple[object, ...]:
    return state.model_id, state.device, state.automatic, state.cards


def _reason(pane: Pane, card: ModelCard | None) -> str:
    """Which model looked at this film, and why this one."""
    if pane.model is None or card is None or pane.analysis is AnalysisStatus.NONE:
        return ""
    unproven = card.proof is not None and card.proof.kind == "none-published"
    return f"{card.name}{', unproven' if unproven else ''}. {pane.model.reason}"


def _awaits(pane: Pane) -> bool:
    """An answer is under way, or a film that will be asked about."""
    preview = pane.image is not None and pane.image.preview
    return preview or pane.status is PaneStatus.LOADING or pane.analysis is AnalysisStatus.RUNNING


def _took(result: AnalysisResult | None) -> str:
    """Where the model ran, and how long; the line keeps its place while there is no answer."""
    if result is None:
        return "\N{NO-BREAK SPACE}"
    return f"{result.device}, " + ("kept from before" if result.kept else f"{result.elapsed_s:.2f} s")


def _map_notes(result: AnalysisResult, card: ModelCard | None) -> dict[str, MapNote]:
    """What has to be said of each finding's map."""
    return {
        one.label: MapNote(trust_badge(one.trust), trust_words(card, one.label, one.method, one.trust))
        for one in result.heatmaps
    }


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
        self._make_controls(devices)
        self._overlay = OverlayControls(methods, methods_of)
        self.structures, self.saw = StructureList(), SawSection()
        for part in (self._overlay, self.structures, self.saw):
            part.sends.connect(self.sends)
        self.saw.large_wanted.connect(self.large_wanted)
        self._busy_timer = QTimer(self, singleShot=True, interval=_BUSY_AFTER_MS)
        self._busy_timer.timeout.connect(self._show_busy)
        self._lay_out()
        self._connect()

    # ------------------------------------------------------------ building

    def _make_controls(self, devices: Sequence[str]) -> None:
        self._model = named(ElidingBox(placeholderText="No model"), "Model", _MODEL_TIP)
        self._models = named(QPushButton("Models\N{HORIZONTAL ELLIPSIS}"), "Models", _MODELS_TIP)
        self._device = named(QComboBox(), "Device", "Where the model runs")
        for device in devices:
            self._device.addItem({"auto": "Auto", "cpu": "CPU", "cuda": "GPU"}.get(device, device), device)
        # A long name must not make the panel wider than its dock.
        self._model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._model.setMinimumContentsLength(4)
        self._device.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._automatic = named(
            QCheckBox("Run on every film"), "Run automatically", "Run the model as soon as a film opens"
        )
        self._run = named(QPushButton("Run"), "Run the model", "Run the model on this film (Ctrl+R)")
        self._status, self._hint = _label("title"), _label("muted")
        self._busy = named(QProgressBar(), "The model is working")
        self._busy.setRange(0, 0)
        self._busy.setTextVisible(False)
        self._busy.setFixedHeight(4)
        self._bars = FindingBars()
        self._limits, self._cautions = _label("caution"), _label("muted")
        self._intended, self._about, self._reason = _label("muted"), _label("muted"), _label("muted")
        self._opinion = named(
            QPlainTextEdit(placeholderText="Comment for the report", tabChangesFocus=True),
            "Comment for the report",
            "Your comment; it goes into the report of this film",
        )
        self._opinion.setFixedHeight(64)
        self._disclaimer = _label("caution")
        self._disclaimer.setText(DISCLAIMER)

    def _lay_out(self) -> None:
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, theme.SPACE_PX, 0, theme.SPACE_PX)
        column.setSpacing(theme.SPACE_PX)
        row = QHBoxLayout()
        row.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        row.addWidget(self._automatic, 1)
        row.addWidget(self._device)
        row.addWidget(self._run)
        choice = QHBoxLayout()
        choice.setContentsMargins(theme.SPACE_PX + 4, 0, theme.SPACE_PX + 4, 0)
        choice.addWidget(self._model, 1)
        choice.addWidget(self._models)
        column.addLayout(choice)
        column.addLayout(row)
        column.addWidget(_line())
        self._answer = AnswerBox(
            (self._reason, self._busy, self._status, self._hint, self._limits, self._bars, self._cautions)
        )
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
        self._model.activated.connect(lambda _: self.sends.emit(ev.ChooseModel(self._model.currentData())))
        self._models.clicked.connect(lambda: self.models_wanted.emit())
        self._device.activated.connect(lambda _: self.sends.emit(ev.SetDevice(self._device.currentData())))
        self._automatic.toggled.connect(lambda on: self.sends.emit(ev.SetAutomatic(on)))
        self._run.clicked.connect(lambda: self.sends.emit(ev.AskModel(self._pane_index)))
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
        self.structures.show_state(state)
        self.saw.show_state(state)
        if self._state is not None and state.show_seen and not self._state.show_seen:
            QTimer.singleShot(0, self, self._bring_saw_into_sight)  # once it has its place
        same_pane = pane is self._pane and state.active == self._pane_index
        before = self._state
        self._state, self._pane, self._pane_index = state, pane, state.active
        if before is None or _choices(before) != _choices(state):
            self._show_choices(state)
        elif same_pane:
            return
        for box in (self._answer, self._seen):
            box.wait(_awaits(pane))
        self._show_status(pane)
        self._show_result(pane)
        self._show_about(pane.model.model_id if pane.model else state.model_id, pane)
        if self._opinion.toPlainText() != pane.opinion:
            with QSignalBlocker(self._opinion):
                self._opinion.setPlainText(pane.opinion)
        self._opinion.setEnabled(pane.image is not None)
        self._run.setEnabled(pane.image is not None and bool(state.model_id))

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

    def _show_choices(self, state: ViewerState) -> None:
        with QSignalBlocker(self._model), QSignalBlocker(self._device), QSignalBlocker(self._automatic):
            self._fill_models(state.cards)
            self._model.setCurrentIndex(self._model.findData(state.model_id))
            self._device.setCurrentIndex(max(0, self._device.findData(state.device)))
            self._automatic.setChecked(state.automatic)
        self._model.setEnabled(bool(self._cards))

    def _fill_models(self, cards: tuple[ModelCard, ...]) -> None:
        if tuple(self._cards.values()) == cards and self._model.count():
            return
        self._cards = {card.model_id: card for card in cards}
        self._model.clear()
        self._model.addItem("Automatic", AUTO)
        for place, card in enumerate(cards, 1):
            self._model.addItem(card.name, card.model_id)
            tip = " ".join(part for part in (population_text(card), card.intended_use) if part)
            self._model.setItemData(place, tip, Qt.ItemDataRole.ToolTipRole)

    @Slot(object)
    def set_problems(self, problems: tuple[str, ...]) -> None:
        """Other models cannot be used now."""
        self._problems = problems
        if self._pane is not None:
            self._show_status(self._pane)

    def _show_about(self, model_id: str, pane: Pane) -> None:
        """Model, device, seconds and intended use: always in view, whatever is scrolled."""
        card = self._cards.get(model_id)
        self._reason.setText(_reason(pane, card))
        self._reason.setVisible(bool(self._reason.text()))
        if card is None:
            self._about.setText("" if self._cards else "No model is installed.")
            self._intended.setText("")
            return
        self._about.setText(f"{card.name} {card.version}, weights {card.sha256[:8]}\n{_took(pane.result)}")
        self._about.setToolTip(f"Trained on: {card.trained_on}\nWeights sha256: {card.sha256}")
        self._intended.setText(card.intended_use)

    def _show_status(self, pane: Pane) -> None:
        status, hint, role = self._status_words(pane)
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

    def _status_words(self, pane: Pane) -> tuple[str, str, str]:
        """(sentence, hint, style role) for the state the analysis is in."""
        if not self._cards:
            hint = self._problems[0] if self._problems else _NO_MODEL_HINT
            return "No model is installed.", hint, "caution"
        if pane.status is PaneStatus.EMPTY:
            return "No film is open.", "", "muted"
        if pane.image is None:
            return "", "", "muted"
        match pane.analysis:
            case AnalysisStatus.NONE if pane.image.preview:
                return "The whole film is being read.", "The model looks at nothing less.", "muted"
            case AnalysisStatus.NONE:
                return "The model has not looked at this film.", "Press Run to ask it.", "muted"
            case AnalysisStatus.RUNNING:
                return (f"{pane.stage}\N{HORIZONTAL ELLIPSIS}" if self._busy.isVisible() else ""), "", "muted"
            case AnalysisStatus.REFUSED if pane.refusal is not None:
                return pane.refusal.summary, pane.refusal.hint, "caution"
            case AnalysisStatus.FAILED if pane.analysis_failure is not None:
                return pane.analysis_failure.summary, pane.analysis_failure.hint, "error"
        return "", "", "muted"

    def _show_busy(self) -> None:
        if self._pane is not None and self._pane.analysis is AnalysisStatus.RUNNING:
            self._busy.show()
            self._show_status(self._pane)

    def _show_result(self, pane: Pane) -> None:
        result = pane.result
        if result is None:
            self._bars.show_findings((), None, greyed=False, map_shown=None)
            for label in (self._limits, self._cautions):
                label.hide()
            return
        self._bars.show_findings(
            sorted_findings(result),
            pane.selected,
            greyed=bool(result.limits),
            map_shown=pane.heatmap.label if pane.heatmap is not None else None,
            notes=_map_notes(result, self._card_of(result)),
        )
        if pane.selected is not None and pane.selected != self._bars_at:
            QTimer.singleShot(0, self, self._bring_finding_into_sight)  # once the rows have their place
        self._bars_at = pane.selected
        limits = [caution.text for caution in result.limits]
        if limits:
            whose = "The model was not made for this film." if result.structures else _NOT_HELD
            limits.insert(0, whose)
        self._limits.setText("\n".join(limits))
        self._limits.setVisible(bool(limits))
        self._cautions.setText("\n".join(caution.text for caution in result.cautions))
        self._cautions.setVisible(bool(result.cautions))

    def _card_of(self, result: AnalysisResult) -> ModelCard | None:
        """The card of the weights that gave the answer."""
        card = self._cards.get(result.model_id)
        return card if card is not None and card.sha256 == result.model_sha256 else None
