"""The models on this computer: what is offered, installed, added, checked, removed."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cxr_viewer.core.errors import CxrError, ModelError
from cxr_viewer.core.findings import ModelCard, Proof, SiteCalibration
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.offers import Damaged, InstallProgress, Offer
from cxr_viewer.inference import sitecalibration
from cxr_viewer.inference.cards import (
    CARD_NAME,
    WEIGHTS_NAME,
    file_sha256,
    read_card,
    verify_weights,
    weights_name,
    write_card,
)
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.kept import kept_for
from cxr_viewer.inference.registry import (
    NONE_PUBLISHED,
    UNPROVEN_CAUTION,
    Entry,
    Published,
    entry_of,
    registry,
    unusable,
)
from cxr_viewer.inference.store import bundles, faults
from cxr_viewer.inference.store.process import run_job
from cxr_viewer.inference.store.proving import ReadFilm, prove
from cxr_viewer.inference.store.readme import readme_text
from cxr_viewer.inference.store.records import Records

_log = logging.getLogger(__name__)

Report = Callable[[InstallProgress], None]

READING_LIMIT_S = 300.0
CONVERTING_LIMIT_S = 600.0


class LocalStore:
    """Implements ``services.ports.ModelStore``. Nothing is fetched but by :meth:`install` without a file.

    Used on one thread at a time.

    Args:
        catalog: told to look again after each change.
        models_folder: where models are installed; calibrations made by this site lie beside it.
        cache_folder: the program's cache; downloads that broke off are kept below it.
        proxy: address of the proxy; empty for the system's own.
        read_film: reads a film as the program does, for the proof.
        entries: published models, by default those that travel with the program.
        schemes: of addresses that may be fetched from, redirects included.
    """

    def __init__(
        self,
        catalog: BundleCatalog,
        models_folder: Path,
        cache_folder: Path,
        proxy: str = "",
        *,
        read_film: ReadFilm,
        entries: Sequence[Entry] | None = None,
        schemes: tuple[str, ...] = ("https",),
    ) -> None:
        self.proxy = proxy
        self._catalog = catalog
        self._models = models_folder
        self._calibrations = models_folder.with_name(sitecalibration.FOLDER)
        self._cache = cache_folder
        self._read_film = read_film
        self._entries = None if entries is None else tuple(entries)
        self._schemes = schemes

    # -------------------------------------------------------- what there is

    def offers(self) -> tuple[Offer, ...]:
        """The published models this program knows, the recommended first."""
        installed = {card.model_id for card in self._catalog.cards()}
        return tuple(entry.offer(installed=entry.model_id in installed) for entry in self._known())

    def verify(self, model_id: str) -> str:
        """Check an installed model's weights against its card; a sentence that says it is whole. Raises ModelError."""
        card = self._card(model_id)
        verify_weights(self._catalog.folder(model_id), card)
        why = unusable(card, self._known())
        if why:
            raise ModelError(why, code="unproven")
        whole = f"The model “{card.name}” is whole: its weights are those of its card (sha256 {card.sha256})."
        return whole + _proven(card)

    def calibration(self, model_id: str) -> tuple[SiteCalibration | None, bool]:
        """The calibration made on this site's films, and whether it is in use; one that is faulty counts as none.

        Raises:
            ModelError: no such model.
        """
        card = self._card(model_id)
        try:
            kept = sitecalibration.read(self._calibrations, card)
        except ModelError:  # told among the catalogue's problems
            return None, False
        return (None, False) if kept is None else (kept.calibration, kept.in_use)

    def use_calibration(self, model_id: str, site: bool) -> None:
        """Score with the site's calibration or as shipped; both are kept.

        Raises:
            ModelError: there is none for these weights.
        """
        with _told_of_disk():
            sitecalibration.use(self._calibrations, self._card(model_id), site=site)
        self._catalog.refresh()

    def damaged(self) -> tuple[Damaged, ...]:
        """The bundles in the user's own folder that cannot be used."""
        found = self._catalog.damaged()
        return tuple(Damaged(folder.name, why) for folder, why in found if folder.parent == self._models)

    def own(self) -> frozenset[str]:
        """Ids of the models in use from the user's own folder; all others travel with the program."""
        known = [card.model_id for card in self._catalog.cards()]
        return frozenset(one for one in known if self._catalog.folder(one).parent == self._models)

    # -------------------------------------------------------- installing

    def install(
        self,
        offer_id: str,
        cancel: CancelToken,
        report: Report,
        *,
        file: Path | None = None,
        unproven: bool = False,
        changed: bool = False,
    ) -> ModelCard:
        """Fetch a published model (or take its published file from ``file``), convert it and prove it.

        Args:
            unproven: install also where the publisher prints no outputs to hold it against.
            changed: install also where the published file is not the one that was installed here first.

        Raises:
            ModelError: with a sentence, whatever went wrong; nothing half-installed stays.
            CancelledError: ``cancel`` was set; what was downloaded is kept for the next time.
        """
        entry = self._entry(offer_id)
        if entry.published is None and not unproven:
            raise faults.none_published(entry.name)
        with _told_of_disk():
            published = file if file is not None else self._fetch(entry, cancel, report)
            try:
                card = self._install(entry, published, cancel, report, changed=changed)
            except ModelError as error:
                if file is None and error.code != "changed-file":
                    self._forget(published)  # fetched again next time: the fault may have been in the file
                raise
            if file is None:
                self._forget(published)
        return card

    def _install(
        self, entry: Entry, published: Path, cancel: CancelToken, report: Report, *, changed: bool
    ) -> ModelCard:
        report(InstallProgress("Checking the published file"))
        digest = bundles.digest(published, entry.most_bytes)
        records = Records(self._models)
        first = records.first_digest(entry.model_id)
        if first is not None and first != digest and not changed:
            raise faults.changed_file(entry.name, first, digest)
        cancel.raise_if_cancelled()
        with bundles.work_folder(self._models) as work:
            bundle = work / entry.model_id
            bundle.mkdir()
            self._convert(entry, published, digest, work, bundle / WEIGHTS_NAME, cancel, report)
            source = f"{entry.address} (published file: sha256 {digest})"
            card = entry.card(file_sha256(bundle / WEIGHTS_NAME), source, None)
            proof = self._prove(entry, card, bundle, cancel, report)
            card = entry.card(card.sha256, source, proof)
            (bundle / "README.md").write_text(readme_text(card, entry), encoding="utf-8")
            write_card(card, bundle / CARD_NAME)
            cancel.raise_if_cancelled()
            records.note(entry.model_id, digest)
            self._move_in(bundle, card)
        report(InstallProgress("Installed"))
        return card

    def _convert(
        self,
        entry: Entry,
        published: Path,
        digest: str,
        work: Path,
        weights: Path,
        cancel: CancelToken,
        report: Report,
    ) -> None:
        report(InstallProgress("Reading the published file"))
        scratch = work / "read"
        scratch.mkdir()
        asked = {"path": str(published.absolute()), "scratch": str(scratch), "sha256": digest}
        told = run_job("read", {**asked, "most_bytes": entry.most_bytes}, cancel, limit_s=READING_LIMIT_S)
        if missing := told.get("missing_protections"):
            _log.warning("a published file was read without protection of: %s", ", ".join(map(str, missing)))
        report(InstallProgress("Converting the weights"))
        state = scratch / "state.safetensors"
        given = {"state": str(state), "weights": str(weights), "network": entry.network, "rows": list(entry.rows)}
        run_job("convert", given, cancel, limit_s=CONVERTING_LIMIT_S)
        shutil.rmtree(scratch)

    def _prove(self, entry: Entry, card: ModelCard, bundle: Path, cancel: CancelToken, report: Report) -> Proof:
        report(InstallProgress("Trying the model on a sample film"))
        write_card(card, bundle / CARD_NAME)
        return self._tried(bundle, card, entry.published, cancel)

    def _tried(self, bundle: Path, card: ModelCard, published: Published | None, cancel: CancelToken) -> Proof:
        """The proof; what was made for it is kept, so that the first film does not wait, but only if it passed."""
        before = kept_for(self._cache, card.model_id)
        try:
            return prove(bundle, card, published, self._cache, self._read_film, cancel)
        except CxrError:
            for folder in kept_for(self._cache, card.model_id) - before:
                shutil.rmtree(folder, ignore_errors=True)
            raise

    def _fetch(self, entry: Entry, cancel: CancelToken, report: Report) -> Path:
        folder = self._cache / "downloads"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stage = "Downloading"
        report(InstallProgress(stage, 0, entry.about_bytes))
        given = {
            "address": entry.address,
            "target": str(folder / entry.file_name),
            "most_bytes": entry.most_bytes,
            "proxy": self.proxy,
            "schemes": list(self._schemes),
        }
        answer = run_job("download", given, cancel, lambda done, total: report(InstallProgress(stage, done, total)))
        return Path(answer["path"])

    # -------------------------------------------------------- bundles

    def add(self, folder: Path, cancel: CancelToken, report: Report) -> ModelCard:
        """Install a bundle (a folder with ``card.toml`` and weights) that lies somewhere. Raises like install."""
        report(InstallProgress("Checking the model's folder"))
        with _told_of_disk():
            card = bundles.check(folder)
            with bundles.work_folder(self._models) as work:
                bundle = work / card.model_id
                report(InstallProgress("Copying the model"))
                bundles.copy(folder, bundle, cancel)
                if read_card(bundle) != card:
                    raise faults.bad_folder("it was changed while it was copied")
                verify_weights(bundle, card)
                entry = entry_of(card, self._known())
                why = unusable(card, self._known())
                if why:
                    raise ModelError(why, hint="Install it from its publisher instead.", code="unproven")
                report(InstallProgress("Trying the model on a sample film"))
                published = None if entry is None else entry.published
                proof = self._tried(bundle, card, published, cancel)
                if card.proof is not None:  # what its card claims is not believed: what was found here stands in it
                    card = replace(card, proof=proof, cautions=_cautions(card, proof))
                    write_card(card, bundle / CARD_NAME)
                cancel.raise_if_cancelled()
                self._move_in(bundle, card)
        if not (self._models / card.model_id / "README.md").is_file():
            report(InstallProgress("It has no README.md: nobody says what it was trained and measured on"))
        report(InstallProgress("Installed"))
        return card

    def remove(self, model_id: str) -> None:
        """Remove an installed model, or one that cannot be used, by its id or the name of its folder.

        Raises:
            ModelError: also for a model that travels with the program.
        """
        folder = self._own_folder(model_id)
        if folder is None:
            self._catalog.card(model_id)  # raises where there is none
            raise faults.travels(model_id)
        self._remove(folder)

    def remove_damaged(self, folder: str) -> None:
        """Remove a bundle that cannot be used, by the name of its folder. Raises ModelError."""
        if folder not in {found.folder for found in self.damaged()}:
            raise faults.not_damaged(folder)
        self._remove(self._models / folder)

    def _remove(self, folder: Path) -> None:
        """``folder`` lies in the user's own; where it is a link, the link goes and what it leads to stays."""
        model_id = _id_of(folder)
        with _told_of_disk():
            going = Path(tempfile.mkdtemp(prefix=bundles.GOING, dir=self._models))
            folder.rename(going / folder.name)
            self._catalog.refresh()
            shutil.rmtree(going, ignore_errors=True)
        if model_id and all(card.model_id != model_id for card in self._catalog.cards()):
            for made in kept_for(self._cache, model_id):  # by engines, of its weights
                shutil.rmtree(made, ignore_errors=True)

    def _own_folder(self, name: str) -> Path | None:
        """The folder of a model the user installed, also of one that cannot be used; None where there is none."""
        with contextlib.suppress(ModelError):
            folder = self._catalog.folder(name)
            if folder.parent == self._models:
                return folder
        own = [self._models / found.folder for found in self.damaged()]
        return next((folder for folder in own if folder.name == name or _id_of(folder) == name), None)

    def _card(self, model_id: str) -> ModelCard:
        """The card of a model that can be used. Raises ModelError, with the reason where it cannot."""
        try:
            return self._catalog.card(model_id)
        except ModelError:
            for folder, why in self._catalog.damaged():
                if model_id in (folder.name, _id_of(folder)):
                    raise ModelError(why, code="cannot-be-used") from None
            raise

    # -------------------------------------------------------- helpers

    def _known(self) -> tuple[Entry, ...]:
        return registry() if self._entries is None else self._entries

    def _entry(self, offer_id: str) -> Entry:
        found = next((entry for entry in self._known() if entry.model_id == offer_id), None)
        if found is None:
            raise faults.no_such_offer(offer_id, [entry.model_id for entry in self._known()])
        return found

    def _move_in(self, bundle: Path, card: ModelCard) -> None:
        """Take the place of an older version in one step each, so that at no time half a model lies there."""
        if not (bundle / weights_name(card)).is_file():
            raise faults.no_weights(card.name)
        place = self._models / card.model_id
        old = bundles.replaced(bundle.parent, place)
        if os.path.lexists(place):  # a link that leads nowhere, too
            place.rename(old)
        try:
            bundle.rename(place)
        except OSError:
            if os.path.lexists(old):
                old.rename(place)
            raise
        self._catalog.refresh()

    def _forget(self, published: Path) -> None:
        with contextlib.suppress(OSError):
            published.unlink()


def _id_of(folder: Path) -> str:
    """What the card of a bundle calls it; empty where that cannot be read."""
    try:
        return read_card(folder).model_id
    except ModelError:
        return ""


def _cautions(card: ModelCard, proof: Proof) -> tuple[str, ...]:
    """The card's, the first that it was not proven where that is so."""
    others = tuple(caution for caution in card.cautions if caution != UNPROVEN_CAUTION)
    return (UNPROVEN_CAUTION, *others) if proof.kind == NONE_PUBLISHED else others


def _proven(card: ModelCard) -> str:
    """What was found at installation, as a further sentence."""
    if card.proof is None:
        return ""
    if card.proof.kind == NONE_PUBLISHED:
        return " Its publisher prints no outputs, so it was not proven."
    return f" At its installation it reproduced the outputs known for {card.proof.film}."


@contextmanager
def _told_of_disk() -> Iterator[None]:
    """A full or closed disk as a sentence."""
    try:
        yield
    except OSError as error:
        raise faults.disk(error) from error
