"""What is told of one film beside its scores: why they do not hold, what to know, what is not offered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from cxr_viewer.core import suitability
from cxr_viewer.core.anatomy import Anatomy
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, Severity, Sign
from cxr_viewer.core.findings import AnalysisRequest, Finding, Heatmap, InputSpec, ModelCard, Task, Withheld
from cxr_viewer.core.image import Caution, Radiograph, View
from cxr_viewer.inference import anatomy, guards, scoring
from cxr_viewer.inference.beside import Beside
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.distance import Reference, read_reference, unlike_training
from cxr_viewer.inference.engines import Floats
from cxr_viewer.inference.preprocess import ModelInput

_MOST_OUTSIDE = 0.5
_FAINT = 0.1  # hottest cell on the common scale


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """See :class:`cxr_viewer.core.findings.AnalysisResult`."""

    findings: tuple[Finding, ...]
    limits: tuple[Caution, ...]
    cautions: tuple[Caution, ...]
    check: FilmCheck | None
    overridden: tuple[str, ...]
    withheld: tuple[Withheld, ...]

    def shown(self, heatmaps: Iterable[Heatmap]) -> tuple[Heatmap, ...]:
        """The maps of findings that are offered."""
        without = {one.label for one in self.withheld}
        return tuple(heatmap for heatmap in heatmaps if heatmap.label not in without)


def told_of(
    card: ModelCard,
    request: AnalysisRequest,
    beside: Beside,
    logits: Floats,
    unlike: tuple[Sign | None, Caution | None],
) -> Told:
    """All that is told of a film.

    Args:
        logits: of the film, float32 (k,) of a classifier.
        unlike: from :meth:`Distances.sign`.
    """
    image, check = request.image, beside.check
    sign, unmeasured = unlike
    signs = (*(check.signs if check is not None else ()), *((sign,) if sign is not None else ()))
    if check is not None:
        check = replace(check, signs=tuple(sorted(signs, key=lambda one: -one.severity)))
    overridden = tuple(one.code for one in check.blocking) if check is not None else ()
    withheld = _withheld(card, request, check)
    found: tuple[Finding, ...] = ()
    cautions = list(guards.cautions(card, image, check))
    if card.task is Task.CLASSIFY:
        ratio = beside.ratio(image.spacing)
        without = {one.label for one in withheld}
        view = suitability.view_of(image, check)
        found = scoring.findings(card, logits, ratio=ratio, view=view, without=without)
        cautions += scoring.without_ratio(card, found) if ratio is None else ()
        cautions += _unsure_cut(card, beside)
        cautions += scoring.without_view(card, found) if view is View.UNKNOWN else ()
    cautions += [one.caution for one in signs if one.severity is Severity.CAUTION]
    cautions += [unmeasured] if unmeasured is not None else []
    against = [one.caution for one in signs if one.severity >= Severity.GREY]
    limits = (*suitability.limits(card, image, check), *against)
    return Told(found, limits, (*cautions, *beside.cautions), check, overridden, withheld)


def _unsure_cut(card: ModelCard, beside: Beside) -> tuple[Caution, ...]:
    """A caution where a model reads nothing but the lungs, and their outlines are not trusted."""
    if not card.input.crop or beside.anatomy is None or beside.anatomy.trusted:
        return ()
    text = "The model reads only the box around both lungs, and their outlines are not trusted on this film."
    return (Caution("cut-not-trusted", f"{text} See what the model saw."),)


def enlarged(spec: InputSpec, image: Radiograph, given: ModelInput) -> tuple[Caution, ...]:
    """A caution where what the network reads had to be enlarged for it.

    What counts is the cut, not the film: the lungs of a film of 300 pixels may fill 150.

    Args:
        image: the film that ``given`` was made from.
    """
    if min(given.seen.width, given.seen.height) >= spec.size_px:
        return ()
    part = given.saw.given or given.seen  # without what was filled up
    whole = (part.width, part.height) == (image.columns, image.rows)
    what = "The film has" if whole else "The part of the film that the model reads has"
    size = f"{part.width:.0f} x {part.height:.0f} pixels"
    text = f"{what} {size} and is enlarged to {spec.size_px} x {spec.size_px}: fine detail is missing."
    return (Caution("few-pixels", text),)


def outside_lungs(
    shown: tuple[Finding, ...], heatmaps: tuple[Heatmap, ...], found: Anatomy | None
) -> tuple[Caution, ...]:
    """A caution for each finding whose map lies for the most part outside lungs and heart.

    Of findings below their operating point only where the map is more than faint: a share of next to nothing says
    nothing.

    Args:
        heatmaps, found: both in the pixels of one film.
    """
    if found is None:
        return ()
    maps = {heatmap.label: heatmap for heatmap in heatmaps}
    told = []
    for finding in shown:
        heatmap = maps.get(finding.label)
        if heatmap is None or not (finding.positive or heatmap.values.max() >= _FAINT):
            continue
        share = anatomy.outside_lungs(heatmap.values, heatmap.extent, found)
        if share is not None and share > _MOST_OUTSIDE:
            text = f"Map of “{finding.label}”: {100 * share:.0f} % of its heat lies outside lungs and heart."
            told.append(Caution("map-outside-lungs", text))
    return tuple(told)


def _withheld(card: ModelCard, request: AnalysisRequest, check: FilmCheck | None) -> tuple[Withheld, ...]:
    """Who wants a score of a film that is no frontal one gets all of them, greyed: no view has figures for it."""
    if card.task is not Task.CLASSIFY:
        return ()
    if request.override and check is not None and check.blocking and check.kind is not FilmKind.FRONTAL:
        return ()
    return scoring.withheld(card, request.image, check)


class Distances:
    """How far films lie from what each model was trained on; what that is is read once. Used on one thread."""

    def __init__(self, catalog: BundleCatalog) -> None:
        self._catalog = catalog
        self._references: dict[str, Reference | None] = {}

    def sign(self, card: ModelCard, features: Floats | None) -> tuple[Sign | None, Caution | None]:
        """The sign of a film that is unlike the training films, and a caution where that could not be told.

        Args:
            features: post-ReLU maps (1, c, h, w); without them, or where the card has no reference, nothing is said.
        """
        if card.reference is None or features is None:
            return None, None
        try:
            reference = self._reference(card)
            return (None if reference is None else unlike_training(card, reference, features)), None
        except (ModelError, ValueError) as error:
            why = error.summary if isinstance(error, ModelError) else "Its reference belongs to another network."
            return None, Caution(
                "distance-unknown", f"Whether this film is like the training films is not known. {why}"
            )

    def _reference(self, card: ModelCard) -> Reference | None:
        known = card.reference.sha256 if card.reference is not None else ""
        if known not in self._references:
            self._references[known] = read_reference(self._catalog.folder(card.model_id), card)
        return self._references[known]
