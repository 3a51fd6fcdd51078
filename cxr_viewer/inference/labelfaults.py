"""What a card may say of one finding."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from cxr_viewer.core.findings import LabelSpec, ModelCard, OperatingPoint, ScoreKind, Task
from cxr_viewer.core.image import View

DIGEST = re.compile("[0-9a-f]{64}")
VIEWS = frozenset(view.value for view in View if view.value)
_SAME = 1e-6  # a threshold and the operating point it is said to be


def label_faults(card: ModelCard) -> Iterable[str]:
    """What is wrong with the labels, one sentence fragment per fault."""
    if not card.labels:
        yield "labels are missing"
    names = [label.name for label in card.labels]
    if len(set(names)) != len(names):
        yield "two labels have the same name"
    for label in card.labels:
        if not label.name:
            yield "labels.name is empty"
        yield from _score_faults(card, label)
        yield from _point_faults(card, label)
        yield from _view_faults(card, label)
        if label.ratio is not None:
            yield from _ratio_faults(card, label)
        yield from _view_term_faults(card, label)


def tried_faults(card: ModelCard) -> Iterable[str]:
    """What is wrong with the findings that were only tried."""
    names = [label.name for label in card.tried]
    if len(set(names)) != len(names):
        yield "tried: two findings have the same name"
    offered = {label.name for label in card.labels}
    for tried in card.tried:
        if not tried.name or not tried.reason:
            yield "tried: a finding has no name or no reason"
        if tried.name in offered:
            yield f"tried: {tried.name!r} is among the labels, too"


def _score_faults(card: ModelCard, label: LabelSpec) -> Iterable[str]:
    if not _threshold_good(card, label, label.threshold):
        yield f"the threshold of {label.name!r} is {label.threshold}, not between 0 and 1"
    if label.temperature is not None and not 0 < label.temperature < math.inf:
        yield f"the temperature of {label.name!r} is {label.temperature}, not above 0"
    if label.bias is not None and not math.isfinite(label.bias):
        yield f"the bias of {label.name!r} is {label.bias}"


def _point_faults(card: ModelCard, label: LabelSpec) -> Iterable[str]:
    names = [point.name for point in label.points]
    if len(set(names)) != len(names):
        yield f"two points of {label.name!r} have the same name"
    for point in label.points:
        if not _threshold_good(card, label, point.threshold):
            yield f"the threshold of the point {point.name!r} of {label.name!r} is {point.threshold}"
        yield from _share_faults(label, point)
    chosen = next((point for point in label.points if point.name == label.point), None)
    if label.point and label.points and chosen is None:
        yield f"the point of {label.name!r} is {label.point!r}, which is not among its points"
    if chosen is not None and abs(chosen.threshold - label.threshold) > _SAME:
        yield f"the threshold of {label.name!r} is {label.threshold}, its point {label.point!r} is {chosen.threshold}"


def _share_faults(label: LabelSpec, point: OperatingPoint) -> Iterable[str]:
    for name in ("sensitivity", "specificity"):
        if not 0 <= getattr(point, name) <= 1:
            yield f"the {name} of the point {point.name!r} of {label.name!r} is {getattr(point, name)}"


def _view_faults(card: ModelCard, label: LabelSpec) -> Iterable[str]:
    for view in label.views:
        if view not in VIEWS:
            yield f"the views of {label.name!r} name {view!r}"
        elif card.intended_views and view not in card.intended_views:
            yield f"the views of {label.name!r} name {view!r}, and intended.views does not"


def _ratio_faults(card: ModelCard, label: LabelSpec) -> Iterable[str]:
    term = label.ratio
    if term is not None and not (math.isfinite(term.weight) and 0 < term.centre < 1):
        yield f"the ratio of {label.name!r} has weight {term.weight} and centre {term.centre}"
    if card.task is not Task.CLASSIFY:
        yield f"the ratio of {label.name!r} belongs to a model that gives findings"


def _view_term_faults(card: ModelCard, label: LabelSpec) -> Iterable[str]:
    for term in label.view_terms:
        if term.view not in VIEWS or not math.isfinite(term.shift):
            yield f"the view_terms of {label.name!r} have view {term.view!r} and shift {term.shift}"
    if len({term.view for term in label.view_terms}) != len(label.view_terms):
        yield f"the view_terms of {label.name!r} name a view twice"
    if label.view_terms and card.task is not Task.CLASSIFY:
        yield f"the view_terms of {label.name!r} belong to a model that gives findings"


def _threshold_good(card: ModelCard, label: LabelSpec, threshold: float) -> bool:
    bounded = card.kind_of(label) is not ScoreKind.LOGIT
    return math.isfinite(threshold) and (not bounded or 0 <= threshold <= 1)
