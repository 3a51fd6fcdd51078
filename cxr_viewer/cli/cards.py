"""The card of a model and an offer as plain lines."""

from __future__ import annotations

from cxr_viewer.core.findings import LabelSpec, MapEvidence, Metric, ModelCard, Proof, ScoreKind, Task
from cxr_viewer.core.offers import Offer
from cxr_viewer.core.wording import score_text

_SCORES = {Task.SEGMENT: "none; it outlines structures", Task.GUARD: "none; it checks films"}
_HEADS = {Task.CLASSIFY: "Findings:", Task.SEGMENT: "Structures:", Task.GUARD: "Outputs:"}
_SERVES = {"anatomy": "lungs, heart and cardiothoracic ratio", "guard": "the film check"}


def card_text(card: ModelCard) -> str:
    """The card as plain lines."""
    ages = "any" if card.intended_ages is None else f"{card.intended_ages[0]:g} to {card.intended_ages[1]:g} years"
    lines = [
        f"{card.name} ({card.model_id}), version {card.version}",
        f"Intended use: {card.intended_use}",
        f"Ages:         {ages}",
        f"Views:        {', '.join(card.intended_views) or 'any'}",
        f"Trained on:   {card.trained_on}",
        f"Network:      {card.network}, input {card.input.size_px} x {card.input.size_px} px",
        f"Scores:       {_SCORES.get(card.task, card.score_kind.value)}",
        f"Weights:      sha256 {card.sha256}",
        f"Licence:      {card.licence}",
    ]
    if card.serves:
        lines.append(f"Used for:     {_SERVES.get(card.serves, card.serves)}, beside every model that gives findings")
    if card.source:
        lines.append(f"Source:       {card.source}")
    lines.append(f"Proof:        {proof_text(card.proof)}")
    if card.site is not None:
        lines.append(f"Calibration:  of this site ({card.site.text}); below stands what was shipped")
    lines.append(_HEADS[card.task])
    for label in card.labels:
        lines += _label_lines(card, label)
    if card.tried:
        lines += ["Tried and not offered:", *(f"  {tried.name}. {tried.reason}" for tried in card.tried)]
    if card.metrics:
        lines += ["Measured:", *(f"  {metric_text(metric)}" for metric in card.metrics)]
    if card.map_evidence:
        lines += ["Heat maps:", *(f"  {evidence_text(evidence)}" for evidence in card.map_evidence)]
    if card.cautions:
        lines += ["Cautions:", *(f"  {caution}" for caution in card.cautions)]
    return "\n".join(lines)


def serving_text(card: ModelCard) -> str:
    """What a model is used for beside every other: ``"the film check"``; empty for one that can be chosen."""
    return _SERVES.get(card.serves, card.serves)


def _label_lines(card: ModelCard, label: LabelSpec) -> list[str]:
    if card.task is not Task.CLASSIFY:
        return [f"  {label.name}. {label.description}".rstrip()]
    kind = card.kind_of(label)
    named = f" ({label.point})" if label.point else ""
    only = f", on {' and '.join(label.views)} films only" if label.views else ""
    other = f", {kind.value}" if kind is not card.score_kind else ""
    point = f"operating point {_point(kind, label.threshold)}{named}"
    ratio = " Goes by the cardiothoracic ratio, too." if label.ratio is not None else ""
    views = "".join(f" On {term.view} films {term.shift:+.2f} is added to its logit." for term in label.view_terms)
    lines = [f"  {label.name}, {point}{other}{only}. {label.description}".rstrip() + ratio + views]
    for found in label.points:
        data = f" ({found.data})" if found.data else ""
        rates = f"sensitivity {found.sensitivity:.2f}, specificity {found.specificity:.2f}{data}"
        lines.append(f"    {found.name}: {_point(kind, found.threshold)}, {rates}")
    return lines


def _point(kind: ScoreKind, threshold: float) -> str:
    if kind is ScoreKind.OPERATING_POINT:  # its publisher's, on the scale of the network's own output
        return f"{threshold:.4g}, shown as 0.5"
    return score_text(threshold, kind)


def proof_text(proof: Proof | None) -> str:
    """What shows that the weights do what their publisher says."""
    if proof is None:
        return "made by this program, or added from a folder"
    if proof.kind == "none-published":
        return "none: its publisher prints no outputs, only its structure was checked"
    whose = "published outputs" if proof.kind == "published-outputs" else "outputs in its folder"
    return f"{whose} reproduced on {proof.film}, largest difference {proof.worst:.5f}"


def metric_text(metric: Metric) -> str:
    """A figure with its interval, the data it was measured on and their number."""
    interval = "" if metric.low is None or metric.high is None else f" ({metric.low:.3f} to {metric.high:.3f})"
    count = "" if metric.count is None else f", n = {metric.count}"
    positives = "" if metric.positives is None else f", {metric.positives} with it"
    what = ", ".join(part for part in (metric.label, metric.group) if part)
    name = f"{what}: {metric.name}" if what else metric.name
    return f"{name} {metric.value:.3f}{interval}, {metric.data}{count}{positives}"


def evidence_text(evidence: MapEvidence) -> str:
    """How well the maps of a finding show the place, beside the best fixed point."""
    told = "shows the place" if evidence.beats_fixed else "MAP NOT RELIABLE"
    return (
        f"{evidence.label}, {evidence.method}: {told}; pointing game {evidence.pointing:.2f} "
        f"({evidence.low:.2f} to {evidence.high:.2f}), fixed point {evidence.fixed_point:.2f}; IoU {evidence.iou:.2f}, "
        f"fixed box {evidence.fixed_iou:.2f}; {evidence.data}, n = {evidence.count}"
    )


def offer_text(offer: Offer) -> str:
    """An offer as plain lines."""
    marks = [text for text, true in (("recommended", offer.recommended), ("installed", offer.installed)) if true]
    marked = f" ({', '.join(marks)})" if marks else ""
    size = "size not known" if offer.size_bytes is None else f"about {offer.size_bytes / 1e6:.0f} MB"
    proof = (
        "its publisher prints outputs; the installation is held against them"
        if offer.proven
        else "its publisher prints no outputs; needs --unproven"
    )
    return "\n".join(
        [
            f"{offer.offer_id}{marked}: {offer.name}, {size}",
            f"  {offer.summary}",
            *(f"  {figure}" for figure in offer.figures),
            f"  Proof: {proof}.",
            f"  Licence: {offer.licence}",
            f"  File: {offer.address}",
        ]
    )
