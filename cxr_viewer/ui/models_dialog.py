"""The dialog of the models: what is installed, what can be, and the card of the chosen one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.offers import InstallProgress, Offer
from cxr_viewer.ui import model_text, theme
from cxr_viewer.ui.calibration_choice import CalibrationChoice
from cxr_viewer.ui.model_keeper import Inventory, Outcome, Wanted
from cxr_viewer.ui.model_list import ModelList, Row
from cxr_viewer.ui.progress_strip import ProgressStrip
from cxr_viewer.ui.question_strip import QuestionStrip
from cxr_viewer.ui.widgets import named

_DOTS = "\N{HORIZONTAL ELLIPSIS}"
_ROLES = {False: "muted", True: "error"}


class ModelsDialog(QDialog):
    """Stands beside the films, which can be read on. It asks for things, and shows what came of them.

    Signals:
        install_wanted(object): what is to be installed, a Wanted.
        add_wanted(object): folder of a bundle.
        verify_wanted(str), remove_wanted(str, str): id of an installed model; its name as well.
        remove_damaged_wanted(str): the folder of a bundle that cannot be used.
        cancel_wanted(): stop the installation.
        proxy_given(str): what the reader typed, as it stands.
        calibration_wanted(str, bool): id of a model; score with the calibration of this site, or as shipped.
    """

    install_wanted = Signal(object)
    add_wanted = Signal(object)
    verify_wanted = Signal(str)
    remove_wanted = Signal(str, str)
    remove_damaged_wanted = Signal(str)
    cancel_wanted = Signal()
    proxy_given = Signal(str)
    calibration_wanted = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.setModal(False)
        self.resize(980, 640)
        self._inventory = Inventory()
        self._checked: dict[str, tuple[bool, str]] = {}
        self._wanted = ""
        self._working = False
        self._drawing = False
        self._proxy = ""
        self._asked_about = ""
        self._last: Wanted | None = None
        self.list = ModelList()
        self.card = named(QTextBrowser(), "Card of the model")
        self.card.setOpenLinks(False)
        self.card.document().setDefaultStyleSheet(model_text.STYLE)
        self.card.setTabChangesFocus(True)
        self.question = QuestionStrip()
        self.calibration = CalibrationChoice()
        self._make_buttons()
        self._make_progress()
        self._lay_out()
        self._connect()
        self.list.show_inventory(self._inventory, {})
        self.list.setFocus()

    # ------------------------------------------------------------ building

    def _make_buttons(self) -> None:
        def button(text: str, tip: str) -> QPushButton:
            return named(QPushButton(text), text.rstrip(_DOTS), tip)

        self.install = button("Install", "Fetch this model and install it (Enter)")
        self.from_file = button(f"Install from file{_DOTS}", "Install from its published file, without the network")
        self.verify = button("Verify", "Hold the weights against the hash in the card")
        self.remove = button("Remove", "Remove this model from this computer")
        self.add = button(f"Add a bundle{_DOTS}", "Install a model from a folder with card.toml and weights")
        self.proxy = button(f"Proxy{_DOTS}", "The way to the network for downloads")
        self.close_button = button("Close", "Close this window; an installation goes on (Esc)")

    def _make_progress(self) -> None:
        self.progress = ProgressStrip()
        self.stage, self.bar, self.cancel = self.progress.stage, self.progress.bar, self.progress.cancel
        self.sentence = QLabel(wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.sentence.hide()

    def _lay_out(self) -> None:
        acts = QHBoxLayout()
        for act in (self.install, self.from_file, self.verify, self.remove):
            acts.addWidget(act)
        acts.addStretch(1)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(theme.SPACE_PX * 2, theme.SPACE_PX, theme.SPACE_PX, 0)
        column.addWidget(self.calibration)
        column.addWidget(self.card, 1)
        # What comes and goes takes its room from the card, so that no button moves from under the pointer.
        for widget in (self.progress, self.sentence, self.question):
            column.addWidget(widget)
        column.addLayout(acts)
        split = QSplitter(Qt.Orientation.Horizontal, childrenCollapsible=False)
        split.addWidget(self.list)
        split.addWidget(right)
        split.setSizes([360, 620])
        split.setStretchFactor(1, 1)
        below = QHBoxLayout()
        below.addWidget(self.add)
        below.addWidget(self.proxy)
        below.addStretch(1)
        below.addWidget(self.close_button)
        outer = QVBoxLayout(self)
        outer.setSpacing(theme.SPACE_PX)
        outer.addWidget(split, 1)
        outer.addLayout(below)
        order = (
            self.list, self.calibration.shipped, self.calibration.site, self.card, self.cancel,
            self.question.field, self.question.yes, self.question.no,
            self.install, self.from_file, self.verify, self.remove, self.add, self.proxy, self.close_button,
        )  # fmt: skip
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)

    def _connect(self) -> None:
        self.list.row_chosen.connect(self._show_row)
        self.list.row_chosen.connect(self._forget_sentence)
        self.install.clicked.connect(self.install_chosen)
        self.from_file.clicked.connect(self.install_from_file)
        self.verify.clicked.connect(self._verify)
        self.remove.clicked.connect(self._ask_to_remove)
        self.add.clicked.connect(self._add)
        self.proxy.clicked.connect(self._ask_for_proxy)
        self.cancel.clicked.connect(self._cancel)
        self.calibration.wanted.connect(self.calibration_wanted)
        self.close_button.clicked.connect(self.close)

    # ------------------------------------------------------------ what the keeper tells

    @Slot(object)
    def show_inventory(self, inventory: Inventory) -> None:
        """Draw these models; a check holds for the weights it was made of only."""
        kept = {(card.model_id, card.sha256) for card in self._inventory.cards}
        still = {card.model_id for card in inventory.cards if (card.model_id, card.sha256) in kept}
        self._checked = {key: value for key, value in self._checked.items() if key in still}
        self._inventory = inventory
        self._draw_list()
        if inventory.fault:
            self.say(inventory.fault, failed=True)

    @Slot(str, bool, str)
    def show_checked(self, model_id: str, whole: bool, sentence: str) -> None:
        """An installed model was held against its card."""
        self._checked[model_id] = (whole, sentence)
        self._draw_list()

    def show_progress(self, progress: InstallProgress) -> None:
        """How far the installation is."""
        if not self._working:
            return
        self.progress.show_progress(progress)

    @Slot(object)
    def show_outcome(self, outcome: Outcome) -> None:
        """Something the reader asked for has ended."""
        if outcome.kind in ("install", "add"):
            self._set_working(False)
        if outcome.cancelled:
            self.say("Cancelled. What was downloaded is kept for the next time.")
        else:
            self.say(outcome.sentence, failed=outcome.failed)
        if outcome.model_id and outcome.kind != "remove":
            self.choose(outcome.model_id)
        if outcome.kind == "install" and outcome.code == "changed-file":
            self._ask_about_change()

    def begin(self, stage: str) -> None:
        """An installation is under way."""
        self._set_working(True)
        self.say("")
        self.show_progress(InstallProgress(stage))

    def choose(self, key: str) -> None:
        """Show this model, now or as soon as it is in the list."""
        drawing, self._drawing = self._drawing, True
        self._wanted = "" if self.list.choose(key) else key
        self._drawing = drawing

    def set_proxy(self, proxy: str) -> None:
        """The proxy in use."""
        self._proxy = proxy

    def say(self, sentence: str, *, failed: bool = False) -> None:
        """One sentence below the models."""
        self.sentence.setText(sentence)
        self.sentence.setAccessibleName(sentence)
        self.sentence.setProperty("role", _ROLES[failed])
        self.sentence.style().polish(self.sentence)
        self.sentence.setVisible(bool(sentence))

    # ------------------------------------------------------------ drawing

    def _draw_list(self) -> None:
        self._drawing = True
        self.list.show_inventory(self._inventory, {key: whole for key, (whole, _) in self._checked.items()})
        self._drawing = False
        if self._wanted:
            self.choose(self._wanted)

    def _set_working(self, working: bool) -> None:
        held_focus = self.cancel.hasFocus()
        self._working = working
        self.progress.begin(working)
        if held_focus:
            self.list.setFocus()
        self._show_row(self.list.chosen())

    def _chosen_card(self) -> ModelCard | None:
        row = self.list.chosen()
        return next((card for card in self._inventory.cards if row and card.model_id == row.key), None)

    def _serving(self, card: ModelCard) -> str:
        words = model_text.serving_text(card, idle=self._inventory.idle(card)) if card.serves else ""
        return words and f"{words}. It is not chosen{'' if self._removable(card) else ' and not removed'}."

    def _removable(self, card: ModelCard | None) -> bool:
        """Without one that serves the program films go unchecked: the program's own stays, and takes over again."""
        return card is not None and (not card.serves or card.model_id in self._inventory.own)

    def _chosen_offer(self) -> Offer | None:
        """What can be installed under the chosen line: also again, in place of a damaged model."""
        row = self.list.chosen()
        offer = next((offer for offer in self._inventory.offers if row and offer.offer_id == row.key), None)
        damaged = row is not None and row.kind == "card" and self._checked.get(row.key, (True, ""))[0] is False
        return offer if row is not None and (row.kind == "offer" or damaged) else None

    @Slot(object)
    def _show_row(self, row: Row | None) -> None:
        card, offer = self._chosen_card(), self._chosen_offer()
        if self.question.isVisible() and (row.key if row is not None else "") != self._asked_about:
            self.question.take_back()
        if card is not None:
            whole, state = self._checked.get(card.model_id, (None, ""))
            self._show_html(model_text.card_html(card, state, whole=whole, serving=self._serving(card)))
        elif offer is not None:
            self._show_html(model_text.offer_html(offer))
        else:
            self._show_html(model_text.problem_html(row.key) if row is not None else "")
        self.calibration.show_card(card, self._inventory.calibration_of(card))
        for button, there in (
            (self.install, offer is not None),
            (self.from_file, offer is not None),
            (self.verify, card is not None),
            (self.remove, self._removable(card) or (row is not None and bool(row.folder))),
        ):
            button.setVisible(there)
            button.setEnabled(there and not self._working)
        self.add.setEnabled(not self._working)
        self.install.setText("Install again" if card is not None and offer is not None else "Install")
        # Return in the list installs what can be installed; of an installed model it does no more than check it.
        (self.install if offer is not None else self.verify).setDefault(True)

    @Slot(object)
    def _forget_sentence(self, _row: Row | None) -> None:
        """What was told of one model must not stand below another one that the reader chose."""
        if not self._drawing:
            self.say("")

    def _show_html(self, html: str) -> None:
        if html != self.card.property("html"):
            self.card.setProperty("html", html)
            self.card.setHtml(html)

    # ------------------------------------------------------------ what the reader does

    @Slot()
    def install_chosen(self) -> None:
        """Install the chosen offer, after a clear yes where nothing proves it."""
        self._install(None)

    @Slot()
    def install_from_file(self) -> None:
        """Ask for the published file of the chosen offer and install from it."""
        offer = self._chosen_offer()
        if offer is None or self._working:
            return
        chosen, _ = QFileDialog.getOpenFileName(self, f"The published file {offer.file_name}", str(Path.home()))
        if chosen:
            self._install(Path(chosen))

    def _install(self, file: Path | None) -> None:
        offer = self._chosen_offer()
        if offer is None or self._working:
            return
        if offer.proven:
            self._want(Wanted(offer, file))
            return
        self._ask(
            model_text.unproven_question(offer.name),
            "Install unproven",
            "Leave it",
            lambda _: self._want(Wanted(offer, file, unproven=True)),
        )

    def _want(self, wanted: Wanted) -> None:
        self._last = wanted
        self.install_wanted.emit(wanted)

    def _ask_about_change(self) -> None:
        """The offer whose file was just refused; it is chosen, so that what the question is about is in sight."""
        last = self._last
        if last is None:
            return
        self.choose(last.offer.offer_id)
        self._ask(
            model_text.changed_question(last.offer.name),
            "Install the changed file",
            "Leave it",
            lambda _: self._want(replace(last, changed=True)),
        )

    @Slot()
    def _verify(self) -> None:
        card = self._chosen_card()
        if card is not None:
            self.say(f"Checking {card.name}{_DOTS}")
            self.verify_wanted.emit(card.model_id)

    @Slot()
    def _ask_to_remove(self) -> None:
        card, row = self._chosen_card(), self.list.chosen()
        if card is not None and self._removable(card):
            text = model_text.remove_question(card)
            self._ask(text, "Remove", "Keep it", lambda _: self.remove_wanted.emit(card.model_id, card.name))
        elif row is not None and row.folder:
            text = model_text.remove_folder_question(row.folder)
            self._ask(text, "Remove", "Keep it", lambda _: self.remove_damaged_wanted.emit(row.folder))

    @Slot()
    def _add(self) -> None:
        title = "The folder of a model, with card.toml and weights"
        chosen = QFileDialog.getExistingDirectory(self, title, str(Path.home()))
        if chosen:
            self.add_wanted.emit(Path(chosen))

    @Slot()
    def _ask_for_proxy(self) -> None:
        self._ask(
            model_text.PROXY_QUESTION,
            "Use it",
            "Leave it",
            self.proxy_given.emit,
            field=("Address of the proxy", self._proxy),
        )

    def _ask(
        self, text: str, yes: str, no: str, then: Callable[[str], None], *, field: tuple[str, str] | None = None
    ) -> None:
        """Ask about the chosen model; choosing another one takes the question back."""
        row = self.list.chosen()
        self._asked_about = row.key if row is not None else ""
        self.question.ask(text, yes, no, then, field=field)

    @Slot()
    def _cancel(self) -> None:
        self.progress.stopping()
        self.cancel_wanted.emit()

    def reject(self) -> None:
        """Escape takes a question back first, then closes."""
        if self.question.isVisible():
            self.question.take_back()
        else:
            super().reject()
