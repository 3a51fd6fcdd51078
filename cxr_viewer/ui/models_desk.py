"""Between the keeper of the models and the window: the dialog, the first offer, and telling what has changed."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QWidget

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.services import events as ev
from cxr_viewer.services.state import NoticeLevel
from cxr_viewer.ui.model_keeper import Inventory, ModelKeeper, Outcome, Wanted
from cxr_viewer.ui.models_dialog import ModelsDialog
from cxr_viewer.ui.offer_bar import OfferBar

_SCHEMES = ("http", "https")


class ModelsDesk(QObject):
    """What the reader does with models, from the window's side.

    Args:
        window: the dialog stands over it.
        bar: where the first offer is made.

    Signals:
        sends(object): ModelsChanged; Tell where the dialog is closed.
        problems(object): a sentence for each bundle that cannot be used, after a change.
        preference(str, object): a choice to keep for the next start.
    """

    sends = Signal(object)
    problems = Signal(object)
    preference = Signal(str, object)

    def __init__(self, window: QWidget, keeper: ModelKeeper, bar: OfferBar, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._window, self.keeper, self.bar = window, keeper, bar
        self._dialog: ModelsDialog | None = None
        self._offering = False
        self._inventory = Inventory()
        queued = Qt.ConnectionType.QueuedConnection
        keeper.changed.connect(self._changed, queued)
        keeper.found.connect(self._found, queued)
        keeper.ended.connect(self._ended, queued)
        keeper.progressed.connect(self._progressed, queued)
        bar.answered.connect(self._offer_answered)

    @property
    def dialog(self) -> ModelsDialog | None:
        """The dialog, once it was asked for."""
        return self._dialog

    def table(self) -> dict[str, Callable[[], object]]:
        """Commands by action name."""
        return {"models": self.show}

    def offer(self) -> None:
        """Offer the recommended model, unless it is installed."""
        self._offering = True
        self.keeper.look()

    @Slot()
    def show(self) -> ModelsDialog:
        """Open the dialog, or bring it to the front."""
        if self._dialog is None:
            self._dialog = self._made()
        if not self._dialog.isVisible():
            self._dialog.set_proxy(self.keeper.proxy)
            self.keeper.look(check=True)
        self._dialog.show()
        self._dialog.activateWindow()
        return self._dialog

    def _made(self) -> ModelsDialog:
        dialog, keeper = ModelsDialog(self._window), self.keeper
        queued = Qt.ConnectionType.QueuedConnection
        keeper.found.connect(dialog.show_inventory, queued)
        keeper.checked.connect(dialog.show_checked, queued)
        dialog.install_wanted.connect(self._install)
        dialog.add_wanted.connect(self._add)
        dialog.verify_wanted.connect(keeper.verify)
        dialog.remove_wanted.connect(keeper.remove)
        dialog.remove_damaged_wanted.connect(keeper.remove_damaged)
        dialog.cancel_wanted.connect(keeper.cancel)
        dialog.proxy_given.connect(self._use_proxy)
        dialog.calibration_wanted.connect(keeper.use_calibration)
        dialog.show_inventory(self._inventory)
        return dialog

    def close(self) -> None:
        """Close the dialog, stop what is under way and wait for it. Safe to call twice."""
        if self._dialog is not None:
            self._dialog.hide()
        self.keeper.close()

    # ------------------------------------------------------------ what the reader asks for

    @Slot(object)
    def _install(self, wanted: Wanted) -> None:
        self._begin("Starting")
        self.keeper.install(wanted)

    @Slot(object)
    def _add(self, folder: object) -> None:
        self._begin("Reading the bundle")
        self.keeper.add(folder)  # type: ignore[arg-type]  # a Path

    def _begin(self, stage: str) -> None:
        if self._dialog is not None:
            self._dialog.begin(stage)

    @Slot(str)
    def _use_proxy(self, text: str) -> None:
        assert self._dialog is not None
        proxy = proxy_address(text)
        if proxy is None:
            self._dialog.say("This is no address of a proxy. Give it as http://host:port.", failed=True)
            return
        self.keeper.use_proxy(proxy)
        self._dialog.set_proxy(proxy)
        self._dialog.say(f"Downloads go through {shown_proxy(proxy)}." if proxy else "The system's own proxy is used.")
        self.preference.emit("proxy", proxy)

    @Slot(str, str)
    def _offer_answered(self, offer_id: str, answer: str) -> None:
        self.preference.emit("offered", True)
        if answer == "later":
            return
        dialog = self.show()
        dialog.choose(offer_id)
        if answer == "install":
            dialog.install_chosen()
        elif answer == "file":
            dialog.install_from_file()

    # ------------------------------------------------------------ what the keeper tells

    @Slot(object, object)
    def _changed(self, cards: tuple[ModelCard, ...], problems: tuple[str, ...]) -> None:
        self.problems.emit(problems)
        self.sends.emit(ev.ModelsChanged(cards))

    @Slot(object)
    def _found(self, inventory: Inventory) -> None:
        self._inventory = inventory
        if not self._offering:
            return
        self._offering = False
        offer = next((offer for offer in inventory.offers if offer.recommended), None)
        installed = {card.model_id for card in inventory.cards}
        if offer is not None and not offer.installed and offer.offer_id not in installed:
            self.bar.show_offer(offer)

    @Slot()
    def _progressed(self) -> None:
        progress = self.keeper.progress()
        if progress is not None and self._dialog is not None:
            self._dialog.show_progress(progress)

    @Slot(object)
    def _ended(self, outcome: Outcome) -> None:
        if self._dialog is not None:
            self._dialog.show_outcome(outcome)
        if outcome.sentence and (self._dialog is None or not self._dialog.isVisible()):
            level = NoticeLevel.ERROR if outcome.failed else NoticeLevel.INFO
            self.sends.emit(ev.Tell(level, outcome.sentence))


def proxy_address(text: str) -> str | None:
    """What was typed as the address of a proxy; empty for none, None where it cannot be one."""
    typed = text.strip()
    if not typed:
        return ""
    address = typed if "://" in typed else f"http://{typed}"
    try:
        parts = urlsplit(address)
        valid = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number
        return None
    return address if valid and not any(c.isspace() for c in address) else None


def shown_proxy(proxy: str) -> str:
    """The address without the password that may be in it."""
    parts = urlsplit(proxy)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
