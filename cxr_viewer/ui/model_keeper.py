"""Installs, checks and removes models on a thread of its own, and tells the window what is there afterwards."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from cxr_viewer.core.errors import CancelledError, ModelError
from cxr_viewer.core.findings import ModelCard, SiteCalibration
from cxr_viewer.core.jobs import CancelToken, failure_from
from cxr_viewer.core.offers import Damaged, InstallProgress, Offer
from cxr_viewer.services.ports import ModelCatalog, ModelStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The models that are installed and those that can be.

    Attributes:
        cards: the installed ones, by name.
        offers: the published ones, the recommended first.
        problems: a sentence for each bundle that cannot be used.
        damaged: those among them that lie in the user's own folder and can be removed.
        fault: why the offers could not be listed, empty where they could.
        calibrations: those made on this site's films, each with whether it is in use, by the model's id.
        own: ids of the installed ones that do not travel with the program.
    """

    cards: tuple[ModelCard, ...] = ()
    offers: tuple[Offer, ...] = ()
    problems: tuple[str, ...] = ()
    fault: str = ""
    damaged: tuple[Damaged, ...] = ()
    calibrations: Mapping[str, tuple[SiteCalibration, bool]] = field(default_factory=dict)
    own: frozenset[str] = frozenset()

    def idle(self, card: ModelCard) -> bool:
        """Whether another model does what this one would do beside every other: the reader's own go first."""
        alike = [one for one in self.cards if one.serves == card.serves]
        first = next((one for one in alike if one.model_id in self.own), next(iter(alike), card))
        return bool(card.serves) and first.model_id != card.model_id

    def calibration_of(self, card: ModelCard | None) -> tuple[SiteCalibration, bool] | None:
        """The calibration made on this site's films, and whether it is in use; None where there is none."""
        return self.calibrations.get(card.model_id) if card is not None else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How something the reader asked for has ended.

    Attributes:
        kind: ``"install"``, ``"add"``, ``"verify"``, ``"remove"`` or ``"calibration"``.
        model_id: of the model it was about; empty where none came of it.
        sentence: for the reader; empty where it was cancelled.
        code: of the fault, where there was one.
    """

    kind: str
    model_id: str
    sentence: str
    failed: bool = False
    cancelled: bool = False
    code: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An offer that is to be installed.

    Attributes:
        file: its published file; None to fetch it.
        unproven: the reader takes it without proof.
        changed: the reader takes it though the published file is another one than at the first installation.
    """

    offer: Offer
    file: Path | None = None
    unproven: bool = False
    changed: bool = False


class ModelKeeper(QObject):
    """One thing at a time, in the order asked for. Called on the window's thread.

    Args:
        make_store: builds the store for a proxy (empty: the system's own), on the keeper's thread.
        catalog: the installed models, as the model runner sees them; looked through anew after every change.
        proxy: address of the proxy to begin with.

    Signals (all from the keeper's thread, to be connected queued):
        changed(object, object): cards and problems, after a model was installed or removed.
        found(object): Inventory.
        checked(str, bool, str): id of an installed model, whether it is whole, and a sentence.
        progressed(): :meth:`progress` has something new.
        ended(object): Outcome.
    """

    changed = Signal(object, object)
    found = Signal(object)
    checked = Signal(str, bool, str)
    progressed = Signal()
    ended = Signal(object)

    def __init__(
        self,
        make_store: Callable[[str], ModelStore],
        catalog: ModelCatalog,
        proxy: str = "",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._make_store, self._catalog = make_store, catalog
        self._proxy = proxy
        self._store: tuple[str, ModelStore] | None = None
        self._pool = ThreadPoolExecutor(1, "loader-models")
        self._lock = threading.Lock()
        self._running = 0
        self._latest: InstallProgress | None = None
        self._token = CancelToken()
        self._closing = CancelToken()

    @property
    def busy(self) -> bool:
        """Something is under way or waits for its turn."""
        with self._lock:
            return self._running > 0

    @property
    def proxy(self) -> str:
        return self._proxy

    def use_proxy(self, proxy: str) -> None:
        """Go through this proxy from the next download on; empty for the system's own."""
        self._proxy = proxy

    def progress(self) -> InstallProgress | None:
        """How far the installation is, once for each ``progressed``; None where it was told already."""
        with self._lock:
            latest, self._latest = self._latest, None
        return latest

    # ------------------------------------------------------------ what the reader asks for

    def look(self, *, check: bool = False) -> None:
        """List what is installed and what can be; with ``check`` also hold each model's weights against its card."""
        self._submit(lambda: self._look(check))

    def install(self, wanted: Wanted) -> None:
        """Fetch a published model, or take its published file."""

        def work(token: CancelToken) -> ModelCard:
            return self._made().install(
                wanted.offer.offer_id,
                token,
                self._report,
                file=wanted.file,
                unproven=wanted.unproven,
                changed=wanted.changed,
            )

        self._start("install", work)

    def add(self, folder: Path) -> None:
        """Install the bundle in this folder."""
        self._start("add", lambda token: self._made().add(folder, token, self._report))

    def verify(self, model_id: str) -> None:
        """Hold the weights of an installed model against its card."""
        self._submit(lambda: self._verify(model_id))

    def remove(self, model_id: str, name: str) -> None:
        """Remove an installed model; ``name`` is what the reader knows it by."""
        self._submit(lambda: self._remove(model_id, name, lambda store: store.remove(model_id)))

    def remove_damaged(self, folder: str) -> None:
        """Remove a bundle that cannot be used, by the name of its folder."""
        self._submit(lambda: self._remove("", f"The folder {folder}", lambda store: store.remove_damaged(folder)))

    def use_calibration(self, model_id: str, site: bool) -> None:
        """Score with the calibration of this site, or as shipped; both are kept."""
        self._submit(lambda: self._use_calibration(model_id, site))

    def cancel(self) -> None:
        """Stop the installation under way; what was downloaded is kept for the next time."""
        self._token.cancel()

    def close(self) -> None:
        """Stop what is under way and wait for the thread. Safe to call twice."""
        self._closing.cancel()
        self._token.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # ------------------------------------------------------------ on the keeper's thread

    def _submit(self, work: Callable[[], None]) -> None:
        if self._closing.cancelled:
            return
        with self._lock:
            self._running += 1

        def run() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._running -= 1

        self._pool.submit(run)

    def _start(self, kind: str, work: Callable[[CancelToken], ModelCard]) -> None:
        self._token = token = CancelToken()
        self._submit(lambda: self._bring(kind, work, token))

    def _made(self) -> ModelStore:
        proxy = self._proxy
        if self._store is None or self._store[0] != proxy:
            self._store = (proxy, self._make_store(proxy))
        return self._store[1]

    def _report(self, progress: InstallProgress) -> None:
        with self._lock:
            told, self._latest = self._latest is None, progress
        if told:  # the window takes the newest when it comes to it: a fast download is not a thousand repaints
            self.progressed.emit()

    def _look(self, check: bool) -> None:
        cards = self._catalog.cards()
        self.found.emit(self._inventory(cards))
        for card in cards if check else ():
            if self._closing.cancelled:
                return
            self._check(card.model_id)

    def _inventory(self, cards: tuple[ModelCard, ...]) -> Inventory:
        try:
            store = self._made()
            made = {card.model_id: store.calibration(card.model_id) for card in cards}
            known = {model_id: (site, used) for model_id, (site, used) in made.items() if site is not None}
            return Inventory(cards, store.offers(), self._catalog.problems(), "", store.damaged(), known, store.own())
        except Exception as error:
            return Inventory(cards, (), self._catalog.problems(), _sentence(error))

    def _check(self, model_id: str) -> bool:
        try:
            sentence = self._made().verify(model_id)
        except Exception as error:
            self.checked.emit(model_id, False, _sentence(error))
            return False
        self.checked.emit(model_id, True, sentence)
        return True

    def _bring(self, kind: str, work: Callable[[CancelToken], ModelCard], token: CancelToken) -> None:
        card: ModelCard | None = None
        try:
            token.raise_if_cancelled()
            card = work(token)
        except CancelledError:
            outcome = Outcome(kind, "", "", cancelled=True)
        except Exception as error:
            code = error.code if isinstance(error, ModelError) else ""
            outcome = Outcome(kind, "", _sentence(error), failed=True, code=code)
        else:
            outcome = Outcome(kind, card.model_id, f"{card.name} is installed.")
            _log.info("the model %s, weights %s, was installed", card.model_id, card.sha256[:8])
        with self._lock:
            self._latest = None
        if card is not None:
            cards = self._tell_change()
            if all(other.model_id != card.model_id for other in cards):
                problems = " ".join(self._catalog.problems())
                outcome = Outcome(kind, "", f"{card.name} was installed and cannot be used. {problems}", failed=True)
            else:
                self._check(card.model_id)
        self.ended.emit(outcome)

    def _verify(self, model_id: str) -> None:
        try:
            outcome = Outcome("verify", model_id, self._made().verify(model_id))
        except Exception as error:
            outcome = Outcome("verify", model_id, _sentence(error), failed=True)
        self.checked.emit(model_id, not outcome.failed, outcome.sentence)
        self.ended.emit(outcome)

    def _remove(self, model_id: str, name: str, work: Callable[[ModelStore], None]) -> None:
        try:
            work(self._made())
        except Exception as error:
            self._tell_change()  # some of its files may be gone
            self.ended.emit(Outcome("remove", model_id, _sentence(error), failed=True))
            return
        _log.info("a model was removed: %s", model_id or name)
        self._tell_change()
        self.ended.emit(Outcome("remove", model_id, f"{name} was removed."))

    def _use_calibration(self, model_id: str, site: bool) -> None:
        try:
            self._made().use_calibration(model_id, site)
        except Exception as error:
            self._tell_change()  # the switch goes back to what is in use
            self.ended.emit(Outcome("calibration", model_id, _sentence(error), failed=True))
            return
        cards = self._tell_change()
        name = next((card.name for card in cards if card.model_id == model_id), model_id)
        whose = "the calibration of this site" if site else "the calibration it was shipped with"
        self.ended.emit(Outcome("calibration", model_id, f"{name} scores with {whose} now; open films are asked anew."))

    def _tell_change(self) -> tuple[ModelCard, ...]:
        self._catalog.refresh()
        cards = self._catalog.cards()
        self.changed.emit(cards, self._catalog.problems())
        self.found.emit(self._inventory(cards))
        return cards


def _sentence(error: Exception) -> str:
    failure = failure_from(error, job="models")
    if isinstance(error, ModelError) and error.detail:
        _log.warning("models: %s %s", error.summary, error.detail)
    return f"{failure.summary} {failure.hint}".strip()
