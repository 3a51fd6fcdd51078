"""The model card for people of a model that others published, as Markdown."""

from __future__ import annotations

from cxr_viewer.core.findings import ModelCard, ScoreKind
from cxr_viewer.core.suitability import population_text
from cxr_viewer.inference.registry import PUBLISHED_OUTPUTS, Entry


def readme_text(card: ModelCard, entry: Entry) -> str:
    """What it is, what it was learned from, what its publisher says of it, what was checked here."""
    sections = [
        f"# {card.name}",
        card.intended_use,
        "Not a medical device. Not for primary diagnosis.",
        f"Meant for: {population_text(card) or 'any film'}.",
        "## Data",
        card.trained_on,
        "## How good it is",
        _figures(entry),
        "## What was checked at installation",
        _proof(card, entry),
        "## Outputs",
        _outputs(card),
        "## Limits",
        "\n".join(f"- {caution}" for caution in card.cautions),
        "## Licence and source",
        f"{card.licence}\n\nSource: {card.source}\n\nWeights in this folder: sha256 `{card.sha256}`.",
        f"Make it again: `cxr-viewer models install {card.model_id}`",
    ]
    return "\n\n".join(sections) + "\n"


def _figures(entry: Entry) -> str:
    if not entry.figures:
        return "Its publisher's figures are not recorded here, and nothing was measured here."
    return "As published, not measured here:\n\n" + "\n".join(f"- {figure}" for figure in entry.figures)


def _proof(card: ModelCard, entry: Entry) -> str:
    if card.proof is not None and card.proof.kind == PUBLISHED_OUTPUTS and entry.published is not None:
        outputs = ", ".join(f"{label} {value:.5f}" for label, value in entry.published.outputs.items())
        return (
            f"The outputs its publisher prints for {card.proof.film} ({outputs}) were reproduced; the largest "
            f"difference was {card.proof.worst:.5f} (allowed: {entry.published.tolerance:g})."
        )
    return "Its publisher prints no outputs. Only its structure was checked, and that it gives an answer for a film."


def _outputs(card: ModelCard) -> str:
    if card.score_kind is not ScoreKind.OPERATING_POINT:
        return "\n".join(f"- {label.name}. {label.description}" for label in card.labels)
    lines = [
        f"- {label.name}: published operating point {label.threshold:g}. {label.description}" for label in card.labels
    ]
    return "Shown on a scale on which 0.5 is the operating point; not a probability.\n\n" + "\n".join(lines)
