"""From the outputs of the guard model to signs: is this a frontal chest film, which way up, of which view?

The guard looks at the pixels alone; what the file says about itself stands in :mod:`cxr_viewer.inference.guards`.
Where both speak of the same thing the file is believed for the view (PA or AP: the network's threshold does not carry
from one hospital to the next), the pixels for all else, and a contradiction is told.

Whether a film is a frontal chest film is asked twice: the network of the guard, and the anatomy model, which has to
find two lungs with the heart between them. A film passes that the network is sure of, or that it finds likely and on
which lungs and heart look right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.anatomy import LUNGS, Anatomy
from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, Severity, Sign, ViewSource
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.heatmaps import Heatmap
from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.modelcard import ModelCard

GROUPS: dict[str, tuple[str, ...]] = {
    "kind": ("frontal", "lateral", "other"),
    "turn": ("0", "90", "180", "270"),
    "polarity": ("normal", "inverted"),
    "view": ("PA", "AP"),
}
"""The outputs of a guard, ``"kind/frontal"`` and so on in this order, one choice of each group. ``turn`` is by how much
the film was turned clockwise from upright. Thresholds of the card are the least chance (softmax within the group) at
which the guard says so."""

LABELS = tuple(f"{group}/{name}" for group, names in GROUPS.items() for name in names)

SUPPORTED = "with lungs and heart"
"""Name of the operating point of ``kind/frontal`` for films on which the anatomy model found lungs and heart."""

MIRRORED_SIDE = -0.1
"""``Anatomy.heart_side`` below which the heart lies on the wrong side; docs/models.md says what that catches."""

_PERHAPS_LATERAL = 0.2
"""Chance of a lateral film from which on an image is not said to be no chest film at all."""

VIEW_TOLD_FROM_YEARS = 16.0
"""Age from which PA and AP are told by their looks: hardly any film of a child with its view was learned from, and of
films of small children, all taken AP, the network calls some PA."""

CUT_SHARE = 0.04
"""Share of the lungs' outline at the edge of the film above which they are cut away; docs/models.md, too."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the guard's network says of one film.

    Attributes:
        chances: of every output within its group, 0..1.
        upright_turns: quarter turns clockwise that would make the film upright; 0 also where that is not sure.
    """

    chances: Mapping[str, float]
    upright_turns: int


def look(card: ModelCard, logits: NDArray[np.float32]) -> Look:
    """The network's outputs as chances.

    Args:
        card: of a guard.
        logits: float32 (k,), one per output of :data:`LABELS`.

    Raises:
        ModelError: the model's outputs are not those of a guard (``not-a-guard``).
    """
    if tuple(label.name for label in card.labels) != LABELS or logits.shape != (len(LABELS),):
        raise ModelError(
            f"The model “{card.name}” does not have the outputs of a film check.",
            hint="Install the model again.",
            detail=f"labels {[label.name for label in card.labels]}, logits {logits.shape}",
            code="not-a-guard",
        )
    chances: dict[str, float] = {}
    start = 0
    for group, names in GROUPS.items():
        part = logits[start : start + len(names)].astype(np.float64)
        share = np.exp(part - part.max())
        share /= share.sum()
        chances |= {f"{group}/{name}": float(one) for name, one in zip(names, share, strict=True)}
        start += len(names)
    thresholds = _thresholds(card)
    turned = 0
    if chances["kind/lateral"] < 0.5 and _least_frontal(card) <= chances["kind/frontal"]:
        turned = next(
            (n for n, name in enumerate(GROUPS["turn"]) if n and chances[f"turn/{name}"] >= thresholds[f"turn/{name}"]),
            0,
        )
    return Look(chances, -turned % 4)


def check(card: ModelCard, seen: Look, image: Radiograph, anatomy: Anatomy | None = None) -> FilmCheck:
    """The signs of one film.

    Args:
        anatomy: of the film turned upright by ``seen.upright_turns``; without it the network alone decides, and
            nothing is said of mirrored or cut lungs.
    """
    chances, thresholds = seen.chances, _thresholds(card)
    kind = _kind(card, chances, anatomy, image.view)
    signs: list[Sign] = []
    if kind is FilmKind.FRONTAL:
        signs += _turned(seen, image)
        if chances["polarity/inverted"] >= thresholds["polarity/inverted"]:
            signs.append(_inverted(chances["polarity/inverted"]))
        if anatomy is not None and anatomy.trusted:
            signs += _anatomical(anatomy, image, seen.upright_turns)
    else:
        signs.append(_refused(kind, chances, image.view))
    view, source = _view(chances, thresholds, kind, image)
    signs += _contradictions(chances, thresholds, kind, image)
    signs.sort(key=lambda sign: -sign.severity)  # stable: what was found first stays first
    turns = seen.upright_turns if kind is FilmKind.FRONTAL else 0
    return FilmCheck(kind, view, source, turns, tuple(signs), card.model_id, card.version, card.sha256)


def _thresholds(card: ModelCard) -> dict[str, float]:
    return {label.name: label.threshold for label in card.labels}


def _least_frontal(card: ModelCard) -> float:
    """The chance below which a film is not taken for a frontal one whatever the anatomy model found."""
    label = card.labels[LABELS.index("kind/frontal")]
    return min([label.threshold, *(point.threshold for point in label.points if point.name == SUPPORTED)])


def _kind(card: ModelCard, chances: Mapping[str, float], anatomy: Anatomy | None, stated: View) -> FilmKind:
    """Frontal, lateral or something else; a film refused all the same is lateral where file and looks say so."""
    likely = chances["kind/frontal"]
    supported = anatomy is not None and anatomy.trusted
    if likely >= _thresholds(card)["kind/frontal"] or (supported and likely >= _least_frontal(card)):
        return FilmKind.FRONTAL
    needed = _PERHAPS_LATERAL if stated is View.LATERAL else _thresholds(card)["kind/lateral"]
    return FilmKind.LATERAL if chances["kind/lateral"] >= needed else FilmKind.OTHER


def _refused(kind: FilmKind, chances: Mapping[str, float], stated: View) -> Sign:
    share = 1 - chances["kind/frontal"]
    if kind is FilmKind.LATERAL:
        text = "This is a lateral film; the model reads frontal films."
        if stated in (View.PA, View.AP):
            text = f"This looks like a lateral film, although the file says {stated.value}."
        return Sign("lateral", text, Severity.BLOCK, "Open the frontal film of the study.", share)
    frontal = "frontal " if chances["kind/lateral"] >= _PERHAPS_LATERAL else ""
    return Sign(
        "not-chest",
        f"This does not look like a {frontal}chest film.",
        Severity.BLOCK,
        "The model reads frontal films of the chest only. If this is one, a score can be asked for all the same.",
        share,
    )


_TURNED = ("", "by 90 degrees to the right", "by 180 degrees", "by 90 degrees to the left")


def _turned(seen: Look, image: Radiograph) -> list[Sign]:
    turned = -seen.upright_turns % 4
    if not turned:
        return []
    text = f"This film is turned {_TURNED[turned]}."
    if _stated_turns(image) == 0:
        text = f"This film is turned {_TURNED[turned]}, although the file says it is upright."
    share = seen.chances[f"turn/{GROUPS['turn'][turned]}"]
    return [Sign("turned", text, Severity.BLOCK, "Turn the film so that the head is on top.", share)]


def _inverted(share: float) -> Sign:
    return Sign(
        "inverted",
        "Black and white look inverted.",
        Severity.BLOCK,
        "If bone is dark here, Photometric Interpretation (0028,0004) is wrong; the model needs bone white.",
        share,
    )


def _anatomical(anatomy: Anatomy, image: Radiograph, turns: int) -> list[Sign]:
    """What lungs and heart tell beyond the network: a mirrored film, lungs that reach over the edge."""
    signs = []
    side = anatomy.heart_side
    if side is not None and side < MIRRORED_SIDE:
        text = "The film may be mirrored: the heart lies on the right side."
        if image.patient_orientation is not None and image.patient_orientation[0][:1].upper() == "R":
            text = "The film is mirrored, as its file says: the heart lies on the right side."
        hint = "Compare the side letter; a heart on the right (situs inversus) looks the same."
        signs.append(Sign("mirrored", text, Severity.CAUTION, hint))
    lungs = next((one for one in anatomy.outlines if one.label == LUNGS), None)
    if lungs is not None:
        sideways = turns % 2 == 1  # the outlines are those of the film made upright
        rows, columns = (image.columns, image.rows) if sideways else (image.rows, image.columns)
        cut = share_at_edge(lungs, ImageRect(0, 0, columns, rows))
        if cut > CUT_SHARE:
            text = "A part of the lungs is cut away or lies outside the film."
            hint = "What lies there is in no score; areas and ratios are too small."
            signs.append(Sign("cut-away", text, Severity.CAUTION, hint, min(1.0, cut)))
    return signs


def share_at_edge(outline: Heatmap, film: ImageRect) -> float:
    """Share of a structure's border, 0..1, that is the edge of the film: there the structure goes on outside of it.

    Args:
        outline: a segmenter's map, at or above 0.5 inside; it may reach beyond the film.
        film: all of the film, in image pixels.
    """
    rows, columns = outline.values.shape
    extent = outline.extent
    down, across = rows / extent.height, columns / extent.width
    top, left = max(0, round((film.y - extent.y) * down)), max(0, round((film.x - extent.x) * across))
    bottom, right = round((film.bottom - extent.y) * down), round((film.right - extent.x) * across)
    inside = outline.values[top : max(bottom, top + 1), left : max(right, left + 1)] >= 0.5
    if not inside.any():
        return 0.0
    framed = np.pad(inside, 1)
    changes = np.count_nonzero(framed[1:] != framed[:-1]) + np.count_nonzero(framed[:, 1:] != framed[:, :-1])
    edge = sum(np.count_nonzero(line) for line in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
    return float(edge / changes)


def _view(
    chances: Mapping[str, float], thresholds: Mapping[str, float], kind: FilmKind, image: Radiograph
) -> tuple[View, ViewSource]:
    if image.view is not View.UNKNOWN:
        return image.view, ViewSource.FILE
    if kind is FilmKind.LATERAL:
        return View.LATERAL, ViewSource.NETWORK
    sure = _sure_view(chances, thresholds, image) if kind is FilmKind.FRONTAL else View.UNKNOWN
    return sure, ViewSource.NOWHERE if sure is View.UNKNOWN else ViewSource.NETWORK


def _sure_view(chances: Mapping[str, float], thresholds: Mapping[str, float], image: Radiograph) -> View:
    """PA or AP by the looks of the film; ``UNKNOWN`` where they are not sure, and of a patient known to be a child."""
    age = image.patient.age_years
    if age is not None and age < VIEW_TOLD_FROM_YEARS:
        return View.UNKNOWN
    sure = [view for view in (View.PA, View.AP) if chances[f"view/{view.value}"] >= thresholds[f"view/{view.value}"]]
    return sure[0] if len(sure) == 1 else View.UNKNOWN


def _contradictions(
    chances: Mapping[str, float], thresholds: Mapping[str, float], kind: FilmKind, image: Radiograph
) -> list[Sign]:
    """Where the file says something else than the pixels, and no other sign says so already."""
    signs = []
    if kind is FilmKind.FRONTAL:
        sure = _sure_view(chances, thresholds, image)
        if image.view is View.LATERAL:
            text = "The file says this is a lateral film; it looks like a frontal one."
            signs.append(Sign("view-contradicted", text, Severity.CAUTION, "Check View Position (0018,5101)."))
        elif image.view in (View.PA, View.AP) and sure not in (View.UNKNOWN, image.view):
            text = f"The file says {image.view.value}; the film looks like {sure.value}. The file is believed."
            signs.append(Sign("view-contradicted", text, Severity.NOTE, "Check View Position (0018,5101)."))
        turned = chances["turn/0"] < thresholds["turn/0"]
        if _stated_turns(image) not in (None, 0) and not turned:
            text = "The file says the film lies turned; it looks upright."
            signs.append(Sign("view-contradicted", text, Severity.NOTE, "Check Patient Orientation (0020,0020)."))
    return signs


def _stated_turns(image: Radiograph) -> int | None:
    """Quarter turns clockwise from upright by Patient Orientation (PS3.3 C.7.6.1.1.1); None where it does not say."""
    if image.patient_orientation is None:
        return None
    right, bottom = (letters[:1].upper() for letters in image.patient_orientation)
    for turns, (letter, foot) in enumerate(((bottom, "F"), (right, "H"), (bottom, "H"), (right, "F"))):
        if letter == foot:
            return turns
    return None
