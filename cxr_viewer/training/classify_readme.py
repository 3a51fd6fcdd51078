"""The card of a classifier for people, as Markdown (after Mitchell et al., FAT* 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cxr_viewer.core.modelcard import LabelSpec, Metric, ModelCard, ScoreKind
from cxr_viewer.training.evaluating import Measured
from cxr_viewer.training.leaning import PROBES
from cxr_viewer.training.viewshift import BASE, LEVEL


@dataclass(frozen=True, slots=True)
class Counts:
    """(films, patients) of each part.

    Attributes:
        left_out: training films of patients who also have test films.
    """

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]
    left_out: tuple[int, int]


def readme(
    card: ModelCard,
    losses: Mapping[str, Mapping[str, float]],
    figures: Measured,
    counts: Counts,
    plots: Sequence[str],
    command: str,
    history: str = "",
) -> str:
    """The whole page.

    Args:
        losses: of each finding, the held-out log loss of every calibration tried on the validation films.
        figures: of the films that the card's figures come from.
        plots: pictures beside the page.
        command: how to make it again.
        history: what was tried while the recipe was made, as Markdown.
    """
    inside = [one for one in card.metrics if one.data == figures.data]
    outside = [one for one in card.metrics if one.data != figures.data]
    probes = [one for one in inside if one.name in PROBES]
    parts = [
        f"# {card.name} {card.version}",
        card.intended_use,
        "Not a medical device. Not for primary diagnosis.",
        "## What it is",
        _what(card),
        "## Data",
        _data(card, counts),
        "## How good it is",
        _table([one for one in inside if one.name not in PROBES], figures.data),
        "Intervals are 95 % bootstrap intervals that draw patients, not films.",
        _matrices(card, figures),
        "\n".join(f"![{plot}]({plot})" for plot in plots),
        "## Calibration and operating points",
        _points(card, losses),
    ]
    if probes:
        parts += ["## What it leans on", _LEANING, _table(probes, "0.5 is chance")]
    if card.tried:
        parts += ["## Tried and not offered", "\n".join(f"- {one.name}: {one.reason}" for one in card.tried)]
    if outside:
        parts += ["## Films it was not made for", _table(outside, "figure", with_data=True)]
    parts += ["## Limits", "\n".join(f"- {caution}" for caution in card.cautions)] if card.cautions else []
    parts += ["## What was tried", history.strip()] if history else []
    parts += ["## Make it again", f"```\n{command}\n```"] if command else []
    parts += [f"Weights: {card.licence}, sha256 `{card.sha256}`."]
    return "\n\n".join(part for part in parts if part) + "\n"


_LEANING = (
    "Where ill and well people are filmed on different units, the frame of a film may tell the answer. “Centre blanked "
    "70%”: the middle square of 70 % of the side of the input is black, only the rest is seen; where the input is cut "
    "to the lungs, the rest still holds their edges. “Frame of another film”: the outer tenth of each side comes from "
    "a film drawn by chance; the AUC should stay. “The frame's own label”: in those mixed films, how well the score "
    "tells the label of the film that only gave the frame; it should be 0.5. “Cut moved”: every film moved by 5 % of "
    "the side, as where the cut is not quite right."
)


def _what(card: ModelCard) -> str:
    spec = card.input
    given = (
        f"the box around both lungs that the anatomy model finds, widened by {spec.margin:.0%} of its side"
        if spec.crop == "lungs"
        else "the exposed area of the film (dark and blank borders cut away)"
        if spec.crop_border
        else "the whole film"
    )
    given += f", noise taken from the film first ({spec.denoise})" if spec.denoise else ""
    lines = [
        f"- Findings: {', '.join(f'{label.name} ({_kind(card, label)})' for label in card.labels)}.",
        f"- Network `{card.network}` at {spec.size_px} x {spec.size_px} pixels, grey.",
        f"- It is given {given}, from the stored pixel values; the window on screen does not change the score.",
    ]
    if card.intended_ages is not None:
        youngest, oldest = card.intended_ages
        lines.append(
            f"- Meant for people from {youngest:g} to {oldest:g} years; the program greys the score elsewhere."
        )
    if card.intended_views:
        lines.append(f"- Meant for the views {', '.join(card.intended_views)}.")
    return "\n".join(lines)


def _kind(card: ModelCard, label: LabelSpec) -> str:
    if (label.score_kind or card.score_kind) is ScoreKind.CALIBRATED:
        return "a calibrated probability, shown in %"
    return "a score between 0 and 1 that is not a probability"


def _data(card: ModelCard, counts: Counts) -> str:
    def of(part: tuple[int, int]) -> str:
        return f"{part[0]} films of {part[1]} patients"

    text = f"{card.trained_on}\n\nTraining: {of(counts.train)}. Validation: {of(counts.validation)}; the epoch, the "
    text += "calibration and the operating points were chosen there. "
    if counts.test[0]:
        text += f"Test: {of(counts.test)}; nothing was chosen on them. "
    if counts.left_out[0]:
        text += f"Left out: {of(counts.left_out)} who also have test films. "
    return text + "No patient is in two parts."


def _matrices(card: ModelCard, figures: Measured) -> str:
    kept = {label.name for label in card.labels}
    out = []
    for label in figures.labels:
        if label.name in kept:
            (tn, fp), (fn, tp) = label.confusion
            out.append(
                f"| {label.name} at {label.threshold:.3f} | said no | said yes |\n|---|---|---|\n"
                f"| is not there | {tn} | {fp} |\n| is there | {fn} | {tp} |\n\n```\n{label.report.rstrip()}\n```"
            )
    return "\n\n".join(out)


def _points(card: ModelCard, losses: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        "| finding | operating point | threshold | sensitivity | specificity |",
        "|---|---|---|---|---|",
    ]
    data = ""
    for label in card.labels:
        for point in label.points:
            used = f"**{point.name}** (used)" if point.name == label.point else point.name
            lines.append(
                f"| {label.name} | {used} | {point.threshold:.4f} | {point.sensitivity:.3f} | {point.specificity:.3f} |"
            )
            data = point.data
    tried = [
        f"{label.name}: temperature {label.temperature or 1.0:.3f}, bias {label.bias or 0.0:+.3f}; held-out log loss "
        f"of what was tried: {', '.join(f'{name} {value:.4f}' for name, value in losses[label.name].items())}."
        for label in card.labels
    ]
    return "\n\n".join(
        ["\n".join(lines), f"Chosen on {data}.", *tried, *_ratio_terms(card), _view_terms(card)]
    ).rstrip()


def _ratio_terms(card: ModelCard) -> list[str]:
    return [
        f"To the logit of {label.name} is added, before calibration, {label.ratio.weight:.3f} x (r - "
        f"{label.ratio.centre:.3f}), r being the cardiothoracic ratio that the anatomy model measures, chosen on the "
        "validation films. Where it cannot be measured nothing is added, and a caution says so."
        for label in card.labels
        if label.ratio is not None
    ]


def _view_terms(card: ModelCard) -> str:
    """What the view adds, and what that does not do; empty where it adds nothing."""
    shifts = [
        f"{label.name} {term.shift:+.3f} on {term.view} films" for label in card.labels for term in label.view_terms
    ]
    if not shifts:
        return ""
    return (
        f"By the view of a film is added to the logit, before calibration: {', '.join(shifts)}. It was chosen on the "
        f"validation films: with it {LEVEL:.0%} of the films without the finding lie below the same score as of "
        f"{BASE} films. Neither the sensitivity nor how common the finding is becomes alike by that, so such a score "
        "is never called a probability. Where the view is not known nothing is added, and a caution says so."
    )


def _table(metrics: Iterable[Metric], title: str, *, with_data: bool = False) -> str:
    lines = [f"| {title} | value | 95 % interval | films |", "|---|---|---|---|"]
    for one in metrics:
        interval = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
        name = ", ".join(part for part in (one.label, one.group, one.name) if part)
        name += f" ({one.data})" if with_data else ""
        lines.append(f"| {name} | {one.value:.3f} | {interval} | {one.count or ''} |")
    return "\n".join(lines)
