"""The models that work beside every other one: is this a film to be read, and where do lungs and heart lie?

Both are asked once per film, whatever model gives the findings, and what they said of the last films is kept. The
guard looks first, then the anatomy model at the film as the guard would turn it; what it found has a say in the guard's
answer (:mod:`cxr_viewer.inference.guard`). Where either cannot run the film is scored all the same, with a caution.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np

from cxr_viewer.core.anatomy import HEART, LUNGS, Anatomy
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.findings import ModelCard
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import Caution, ImageKey, PixelSpacing, Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference import guard
from cxr_viewer.inference.anatomy import anatomy_of
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.engines.supply import EngineSupply, Report
from cxr_viewer.inference.lungbox import lungs_box
from cxr_viewer.inference.preprocess import FilmGreys, see
from cxr_viewer.inference.turning import WayBack, upright

ANATOMY, GUARD = "anatomy", "guard"
"""What a model may be used for beside every other; ``ModelCard.serves``."""

_MOST_KEPT = 8
_DEVICE = "cpu"
"""Both networks are small: they are done before a graphics card would have begun."""

_Key = tuple[ImageKey, str, int, ModelCard | None, ModelCard | None]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What was said of one film, in the pixels of the film as it is stored.

    Attributes:
        check: None where no guard is installed or it could not run.
        anatomy: None where no anatomy model is installed or it could not run.
        lungs: the box around both lungs for models that read nothing else.
        cautions: which of the models could not run.
    """

    check: FilmCheck | None = None
    anatomy: Anatomy | None = None
    lungs: ImageRect | None = None
    cautions: tuple[Caution, ...] = ()

    def ratio(self, spacing: PixelSpacing | None) -> float | None:
        """The cardiothoracic ratio where it may be built on."""
        if self.anatomy is None or not self.anatomy.trusted or self.anatomy.callipers is None:
            return None
        ratio = self.anatomy.callipers.ratio(spacing)
        return ratio if math.isfinite(ratio) else None


@dataclass(frozen=True, slots=True, eq=False)
class _Outlined:
    """What the anatomy model's network said of a film, in that film's pixels."""

    card: ModelCard
    film: Radiograph
    probabilities: Floats
    seen: ImageRect

    def anatomy(self, view: View) -> Anatomy:
        return anatomy_of(self.film, self.probabilities, self.seen, view, self.card)

    @property
    def lungs(self) -> ImageRect | None:
        places = [label.name for label in self.card.labels]
        lungs, heart = (self.probabilities[places.index(name)] for name in (LUNGS, HEART))
        return lungs_box(lungs, heart, self.seen)


def serving(catalog: BundleCatalog, use: str) -> ModelCard | None:
    """The model in use for ``"anatomy"`` or ``"guard"``: one that was installed goes before the program's own."""
    cards = [card for card in catalog.cards() if card.serves == use]
    own = [card for card in cards if not catalog.folder(card.model_id).is_relative_to(resources_dir())]
    return next(iter(own or cards), None)


class BesideModels:
    """Asks the guard and the anatomy model. Used on one thread, that of the engines."""

    def __init__(self, catalog: BundleCatalog, engines: EngineSupply) -> None:
        self._catalog, self._engines = catalog, engines
        self._kept: OrderedDict[_Key, Beside] = OrderedDict()

    def look(
        self, image: Radiograph, turns: int, upright_greys: FilmGreys, cancel: CancelToken, report: Report
    ) -> Beside:
        """What both say of a film, from memory where they were asked before.

        Args:
            image: as it is stored.
            turns: quarter turns clockwise that have made the film of ``upright_greys`` of it.

        Raises:
            RefusalError: the film is blank.
            CancelledError: ``cancel`` was set.
        """
        cards = serving(self._catalog, GUARD), serving(self._catalog, ANATOMY)
        if cards == (None, None):
            return Beside()
        key = (image.key, image.source_sha256, turns, *cards)
        kept = self._kept.get(key)
        if kept is not None and image.source_sha256:
            self._kept.move_to_end(key)
            return kept
        report("Checking the film")
        found = self._asked(image, turns, upright_greys, cards, cancel, report)
        if not found.cautions:
            self._kept[key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def warm_up(self, cancel: CancelToken) -> None:
        """Load both before the first film. Raises ModelError: one cannot be loaded, the other is."""
        faults = []
        for use in (GUARD, ANATOMY):
            card = serving(self._catalog, use)
            try:
                if card is not None:
                    folder = self._catalog.folder(card.model_id)
                    self._engines.prepared(card, folder, _DEVICE, cancel, lambda stage: None)
            except ModelError as error:
                faults.append(error)
        if faults:
            raise faults[0]

    def _asked(
        self,
        image: Radiograph,
        turns: int,
        greys: FilmGreys,
        cards: tuple[ModelCard | None, ModelCard | None],
        cancel: CancelToken,
        report: Report,
    ) -> Beside:
        by_guard, by_anatomy = cards
        cautions: list[Caution] = []
        seen, outlined, anatomy, check = None, None, None, None
        try:
            if by_guard is not None:
                seen = guard.look(by_guard, self._run(by_guard, greys, cancel, report)[0][0])
        except ModelError as error:
            cautions.append(Caution("film-not-checked", f"The film could not be checked. {error.summary}"))
        further = seen.upright_turns if seen is not None else 0
        try:
            if by_anatomy is not None:
                outlined = self._outlined(by_anatomy, greys, further, cancel, report)
        except ModelError as error:
            cautions.append(Caution("no-anatomy", f"Lungs and heart could not be looked for. {error.summary}"))
        if outlined is not None:
            anatomy = outlined.anatomy(_first_view(by_guard, seen, greys.image))
        if by_guard is not None and seen is not None:
            check = guard.check(by_guard, seen, greys.image, anatomy)
            if outlined is not None and check.view is not _first_view(by_guard, seen, greys.image):
                anatomy = outlined.anatomy(check.view)  # lungs and heart have made a frontal film of it
            check = replace(check, upright_turns=(turns + check.upright_turns) % 4)
        back = WayBack((turns + further) % 4, image.rows, image.columns)
        lungs = outlined.lungs if outlined is not None else None
        return Beside(
            check,
            None if anatomy is None else back.anatomy(anatomy),
            None if lungs is None else back.rect(lungs),
            tuple(cautions),
        )

    def _outlined(
        self, card: ModelCard, greys: FilmGreys, further: int, cancel: CancelToken, report: Report
    ) -> _Outlined:
        if further:
            greys = FilmGreys(upright(greys.image, further))
        logits, covered = self._run(card, greys, cancel, report)
        probabilities = Calibration(card.temperature, card.bias).probability(logits[0].astype(np.float64))
        return _Outlined(card, greys.image, probabilities.astype(np.float32), covered)

    def _run(self, card: ModelCard, greys: FilmGreys, cancel: CancelToken, report: Report) -> tuple[Floats, ImageRect]:
        """The network's answer (1, k, ...) and the part of the film it saw."""
        cancel.raise_if_cancelled()
        folder = self._catalog.folder(card.model_id)
        prepared = self._engines.prepared(card, folder, _DEVICE, cancel, report)
        given = see(greys.image, card.input, greys=greys)
        logits, _ = prepared.engine.run(given.film[None])
        if not np.isfinite(logits).all():
            raise ModelError(f"The model “{card.name}” gave no usable answer for this film.", code="no-score")
        cancel.raise_if_cancelled()
        return logits, given.seen


def _first_view(card: ModelCard | None, seen: guard.Look | None, film: Radiograph) -> View:
    """The view before anything is known of lungs and heart."""
    if film.view is not View.UNKNOWN or card is None or seen is None:
        return film.view
    return guard.check(card, seen, film).view
