"""The model card for people, as Markdown (after Mitchell et al., FAT* 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cxr_viewer.core.findings import Metric, ModelCard, ScoreKind
from cxr_viewer.training.evaluate import Evaluation

DATA_CREDIT = (
    "Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for "
    "Classification. Mendeley Data, 2018, doi:10.17632/rscbjbr9sj (CC BY 4.0); described in Kermany et al., Cell 172 "
    "(2018) 1122-1131."
)


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What the two cards tell, beyond the figures of the test.

    Attributes:
        counts: films used, as (training, validation, test, left out).
        patients: patients in the same parts.
        best_epoch: the epoch whose weights were kept, and how many were run.
        calibration_losses: held-out log loss of each candidate calibration on validation.
        make_auc: AUC, on validation, of the label told from the make of a film alone.
        outside: figures on films of another kind.
        disjoint: figures on test films of patients without any film in the published training part.
        command: how to make it again.
    """

    counts: tuple[int, int, int, int]
    patients: tuple[int, int, int, int]
    train_share: float
    best_epoch: tuple[int, int]
    calibration_losses: dict[str, float]
    make_auc: float
    validation: tuple[Metric, ...]
    outside: tuple[Metric, ...]
    disjoint: tuple[Metric, ...]
    parameters: int
    command: str


def model_card_text(card: ModelCard, evaluation: Evaluation, facts: BundleFacts, plots: Sequence[str]) -> str:
    """The whole card; ``plots`` are picture files beside it."""
    sections = [
        f"# {card.name} {card.version}",
        card.intended_use,
        "Not a medical device. Not for primary diagnosis.",
        "## What it is",
        _network_text(card, facts),
        "## Data",
        _data_text(evaluation, facts),
        "## How good it is",
        _figures_text(card, evaluation, facts, plots),
        "## What it leans on",
        _probes_text(evaluation, facts),
        "## Limits",
        "\n".join(f"- {caution}" for caution in card.cautions),
        _table([*facts.outside], "On films it was not made for") if facts.outside else "",
        "## Make it again",
        f"```\n{facts.command}\n```",
        f"Weights: {card.licence}, sha256 `{card.sha256}`. Data: {DATA_CREDIT}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _network_text(card: ModelCard, facts: BundleFacts) -> str:
    kind = (
        "a calibrated probability, shown in %"
        if card.score_kind is ScoreKind.CALIBRATED
        else "an uncalibrated score between 0 and 1, not a probability"
    )
    lines = [
        f"- One output, “{card.labels[0].name}”: {kind}; operating point {card.labels[0].threshold:.3f}.",
        (
            f"- Network `{card.network}`: {facts.parameters / 1e6:.2f} million parameters, one grey channel, "
            f"{card.input.size_px} x {card.input.size_px} pixels, ReLU > global average pooling > linear, so the heat "
            "map comes from the same pass as the score."
        ),
        (
            "- It is given the exposed area of the film (dark and blank borders cut away), squeezed to a square, from "
            "the stored pixel values; the window on screen does not change the score."
        ),
    ]
    if card.intended_ages is not None:
        youngest, oldest = card.intended_ages
        lines.append(
            f"- Meant for: frontal films ({', '.join(card.intended_views)}) of children from {youngest:g} to "
            f"{oldest:g} years. For any other age, an unknown age or a lateral film the program greys the score and "
            "says why."
        )
    return "\n".join(lines)


def _figures_text(card: ModelCard, evaluation: Evaluation, facts: BundleFacts, plots: Sequence[str]) -> str:
    (tn, fp), (fn, tp) = evaluation.confusion
    losses = ", ".join(f"{name} {value:.4f}" for name, value in facts.calibration_losses.items())
    confusion = (
        "|  | said normal | said pneumonia |\n|---|---|---|\n"
        f"| is normal | {tn} | {fp} |\n| is pneumonia | {fn} | {tp} |"
    )
    choice = (
        f"Held-out log loss of the calibrations tried on validation: {losses}. Kept: temperature "
        f"{card.temperature:.3f}, bias {card.bias:+.3f}. Operating point: the largest sensitivity + specificity "
        "(Youden), in the middle of the gap between two films. For both, films are weighted so that their make does "
        "not tell the label (see below) and half of them show pneumonia."
    )
    parts = [
        _table([*evaluation.metrics], "On the official test films"),
        "Intervals are 95 % bootstrap intervals that draw patients, not films.",
        confusion,
        "```\n" + evaluation.report.rstrip() + "\n```",
        " ".join(f"![{name.removesuffix('.png')}]({name})" for name in plots),
    ]
    if facts.disjoint:
        parts.append(_table([*facts.disjoint], "On test films of patients without any published training film"))
    parts += [_table([*facts.validation], "On validation, where calibration and operating point were chosen"), choice]
    return "\n\n".join(parts)


def _probes_text(evaluation: Evaluation, facts: BundleFacts) -> str:
    reason = (
        "In this data the make of a film tells much of the answer: from the outer eighth of the picture and its "
        f"sharpness alone, normal and pneumonia can be told apart with an AUC of {facts.make_auc:.2f}. Training moves, "
        "blanks and exchanges the frame and the distribution of greys, and draws films so that their make does not "
        "tell the label. This is what is left:"
    )
    meaning = (
        "“Centre blanked 70 %”: the middle square of 70 % of the side is black, only the rest is seen. “Frame of "
        "another film”: the outer tenth of each side comes from a film drawn by chance; the AUC should stay. “The "
        "frame's own label”: in those mixed films, how well the score tells the label of the film that only gave the "
        "frame; it should be 0.5."
    )
    return "\n\n".join([reason, _table([*evaluation.probes], "0.5 is chance"), meaning])


def _data_text(evaluation: Evaluation, facts: BundleFacts) -> str:
    train, validation, test, left_out = facts.counts
    left = (
        f" {left_out} published training films of {facts.patients[3]} patients whose number also occurs among the test "
        "films were left out, so no test patient was learned from."
        if left_out
        else ""
    )
    return (
        f"{DATA_CREDIT}\n\nThe official split is kept: {test} test films ({evaluation.positives} with pneumonia) were "
        "not learned from, and neither weights, calibration nor operating point were fitted on them. The rest is "
        f"split by patient into {train} training and {validation} validation films; early stopping, calibration "
        f"and operating point were chosen on validation.{left} Pneumonia: {facts.train_share:.0%} of the "
        f"training films, {evaluation.positives / evaluation.films:.0%} of the test films. The weights are those "
        f"of epoch {facts.best_epoch[0]} of {facts.best_epoch[1]}."
    )


def _table(metrics: list[Metric], title: str) -> str:
    lines = [f"| {title} | value | 95 % interval | films |", "|---|---|---|---|"]
    for metric in metrics:
        interval = "" if metric.low is None or metric.high is None else f"{metric.low:.3f} to {metric.high:.3f}"
        lines.append(f"| {metric.name} | {metric.value:.3f} | {interval} | {metric.count or ''} |")
    return "\n".join(lines)
