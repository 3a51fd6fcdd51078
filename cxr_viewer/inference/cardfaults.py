"""What a card may say: the values of a :class:`~cxr_viewer.core.findings.ModelCard` held against each other."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cxr_viewer.core.anatomy import HEART, LUNGS
from cxr_viewer.core.findings import InputSpec, MapEvidence, Metric, ModelCard, OnnxSpec, Proof, Task
from cxr_viewer.core.image import View
from cxr_viewer.inference.cardtables import ONNX
from cxr_viewer.inference.denoise import DENOISES, STRENGTHS
from cxr_viewer.inference.labelfaults import DIGEST, label_faults, tried_faults

FITS = ("pad", "crop", "stretch")
INTENSITIES = ("stretched", "presented")
RESIZES = ("area", "gaussian")
CROPS = ("", "lungs")
ACTIVATIONS = ("none", "sigmoid", "softmax")
LAYOUTS = ("NCHW", "NHWC")
SERVING = {"anatomy": Task.SEGMENT, "guard": Task.GUARD}
"""What a model may do beside every other, and the task it then has."""
STRUCTURES = (LUNGS, HEART)
"""What an anatomy model outlines at least."""
PROOFS = ("published-outputs", "own-outputs", "none-published")
SIZES_PX = (16, 2048)
MOST_MARGIN = 0.5
"""A lungs' box widened by more than half of itself is a film again."""


def card_faults(card: ModelCard) -> list[str]:
    """What is wrong with a card, one sentence fragment per fault; empty for a good one."""
    faults = []
    if not card.model_id or not all(c.isascii() and (c.isalnum() or c in "-_.") for c in card.model_id):
        faults.append(f"id {card.model_id!r} may hold only letters, digits, '-', '_' and '.'")
    if not DIGEST.fullmatch(card.sha256):
        faults.append("sha256 is not a digest of 64 lower-case hexadecimal digits")
    faults += label_faults(card)
    faults += tried_faults(card)
    faults += _input_faults(card.input)
    if not (card.temperature > 0 and math.isfinite(card.temperature) and math.isfinite(card.bias)):
        faults.append(f"calibration has temperature {card.temperature} and bias {card.bias}")
    if card.intended_ages is not None and not 0 <= card.intended_ages[0] <= card.intended_ages[1]:
        faults.append(f"intended.ages_years is {list(card.intended_ages)}, not [youngest, oldest]")
    known = {view.value for view in View if view.value}
    faults += [f"intended.views names {view!r}" for view in card.intended_views if view not in known]
    faults += _onnx_faults(card, card.onnx)
    faults += [] if card.proof is None else _proof_faults(card.proof)
    faults += _evidence_faults(card)
    faults += _serving_faults(card)
    faults += (fault for metric in card.metrics for fault in _metric_faults(metric, card))
    return faults


def _serving_faults(card: ModelCard) -> Iterable[str]:
    if card.serves and card.serves not in SERVING:
        yield f"serves is {card.serves!r}, not one of {', '.join(SERVING)}"
    elif card.serves and card.task is not SERVING[card.serves]:
        yield f"task is {card.task.value}, and a model that serves as {card.serves} has {SERVING[card.serves].value}"
    if card.task is Task.GUARD and card.serves != "guard":
        yield 'task is guard, and serves is not "guard"'
    names = {label.name for label in card.labels}
    if card.serves == "anatomy":
        yield from (f"labels: an anatomy model outlines {name}" for name in STRUCTURES if name not in names)
        if not 0 < card.ratio_error < 0.5:
            yield f"ratio_error is {card.ratio_error}, not between 0 and 0.5"
        for error in card.view_ratio_errors:
            if not 0 < error.sure <= error.unsure < 0.5:
                yield f"view_ratio_errors: {error.sure} and {error.unsure} are not between 0 and 0.5, the larger last"
            if error.view not in {view.value for view in View if view.value}:
                yield f"view_ratio_errors.view is {error.view!r}, which is no view"
    elif card.ratio_error or card.view_ratio_errors:
        yield "ratio_error belongs to a model that serves as anatomy"
    if card.reference is not None:
        if not DIGEST.fullmatch(card.reference.sha256):
            yield "reference.sha256 is not a digest of 64 lower-case hexadecimal digits"
        if not 0 < card.reference.limit < math.inf:
            yield f"reference.limit is {card.reference.limit}, not above 0"
        if not 0 < card.reference.share <= 1:
            yield f"reference.share is {card.reference.share}, not between 0 and 1"


def _metric_faults(metric: Metric, card: ModelCard) -> Iterable[str]:
    known = {label.name for label in card.labels} | {label.name for label in card.tried}
    if metric.label and metric.label not in known:
        yield f"metrics.label is {metric.label!r}, which is neither among the labels nor among those tried"
    if metric.positives is not None and not 0 <= metric.positives <= (metric.count or 0):
        yield f"metrics.positives is {metric.positives} of {metric.count or 0} films"
    if metric.positive_patients is not None and not 0 <= metric.positive_patients <= (metric.positives or 0):
        yield f"metrics.positive_patients is {metric.positive_patients} for {metric.positives or 0} films"


def _input_faults(spec: InputSpec) -> Iterable[str]:
    least, most = SIZES_PX
    if not least <= spec.size_px <= most:
        yield f"input.size_px is {spec.size_px}, at least {least} is needed and at most {most} are possible"
    choices = (("fit", FITS), ("intensity", INTENSITIES), ("resize", RESIZES), ("crop", CROPS), ("denoise", DENOISES))
    for name, words in choices:
        if getattr(spec, name) not in words:
            yield f"input.{name} is {getattr(spec, name)!r}, not one of {', '.join(filter(None, words))}"
    if not 0 <= spec.margin <= MOST_MARGIN or (spec.margin and not spec.crop):
        yield f"input.margin is {spec.margin}; it may be up to {MOST_MARGIN} where input.crop is set"
    if not STRENGTHS[0] <= spec.denoise_strength <= STRENGTHS[1]:
        yield f"input.denoise_strength is {spec.denoise_strength}, not between {STRENGTHS[0]:g} and {STRENGTHS[1]:g}"
    if not math.isfinite(spec.mean):
        yield f"input.mean is {spec.mean}"
    if not 0 < spec.std < math.inf:
        yield f"input.std is {spec.std}, not above 0"
    if spec.channels not in (1, 3):
        yield f"input.channels is {spec.channels}, not 1 or 3"
    counts = (len(spec.channel_means), len(spec.channel_stds))
    if counts not in ((0, 0), (spec.channels, spec.channels)):
        yield f"input has {counts[0]} channel_means and {counts[1]} channel_stds for {spec.channels} channels"
    if not all(math.isfinite(mean) for mean in spec.channel_means):
        yield f"input.channel_means is {list(spec.channel_means)}"
    if not all(0 < std < math.inf for std in spec.channel_stds):
        yield f"input.channel_stds is {list(spec.channel_stds)}, not all above 0"


def _onnx_faults(card: ModelCard, spec: OnnxSpec | None) -> Iterable[str]:
    if (card.network == ONNX) != (spec is not None):
        yield 'the section [onnx] belongs to the network "onnx", and to no other'
    if spec is None:
        return
    if card.task is not Task.CLASSIFY:
        yield "task is not classify, and the network is onnx"
    if spec.activation not in ACTIVATIONS:
        yield f"onnx.activation is {spec.activation!r}, not one of {', '.join(ACTIVATIONS)}"
    if spec.layout not in LAYOUTS:
        yield f"onnx.layout is {spec.layout!r}, not one of {', '.join(LAYOUTS)}"
    columns = spec.columns
    if columns and (len(columns) != len(card.labels) or len(set(columns)) != len(columns) or min(columns) < 0):
        yield f"onnx.columns is {list(columns)}, not one place for each of {len(card.labels)} labels"


def _proof_faults(proof: Proof) -> Iterable[str]:
    if proof.kind not in PROOFS:
        yield f"proof.kind is {proof.kind!r}, not one of {', '.join(PROOFS)}"
    if not 0 <= proof.worst < math.inf:
        yield f"proof.worst is {proof.worst}"


def _evidence_faults(card: ModelCard) -> Iterable[str]:
    names = {label.name for label in card.labels}
    seen = set()
    for item in card.map_evidence:
        what = f"map_evidence of {item.label!r} by {item.method}"
        if item.label not in names:
            yield f"{what}: there is no such label"
        if (item.label, item.method) in seen:
            yield f"{what} stands there twice"
        seen.add((item.label, item.method))
        yield from (f"{what}: {fault}" for fault in _share_faults(item))


def _share_faults(item: MapEvidence) -> Iterable[str]:
    for name in ("pointing", "low", "high", "fixed_point", "iou", "fixed_iou"):
        if not 0 <= getattr(item, name) <= 1:
            yield f"{name} is {getattr(item, name)}, not between 0 and 1"
    if not item.low <= item.pointing <= item.high:
        yield f"pointing {item.pointing} does not lie between low {item.low} and high {item.high}"
    if item.count < 1:
        yield f"count is {item.count}"
