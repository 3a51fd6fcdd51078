"""Writing a model bundle: weights, card, and a model card for people."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cxr_viewer.core.findings import LabelSpec, Metric, ModelCard, ScoreKind
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, write_card
from cxr_viewer.training.evaluate import Evaluation
from cxr_viewer.training.fit import FitConfig

LABEL = "Pneumonia"
MOST_CALIBRATION_ERROR = 0.05
DATA_CREDIT = (
    "Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images for "
    "Classification. Mendeley Data, 2018, doi:10.17632/rscbjbr9sj (CC BY 4.0); described in Kermany et al., Cell 172 "
    "(2018) 1122-1131."
)
INTENDED_USE = (
    "Research use only: pneumonia against normal on frontal chest films of children of 1 to 5 years; "
    "it says nothing about other findings, adults or lateral films."
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


def make_card(
    weights: Path,
    config: FitConfig,
    calibration: Calibration,
    evaluation: Evaluation,
    facts: BundleFacts,
    *,
    version: str,
) -> ModelCard:
    """The card of trained weights. The score is called a probability only if the calibration survived the test."""
    error = evaluation.metric("calibration error (ECE)")
    calibrated = error.value <= MOST_CALIBRATION_ERROR
    return ModelCard(
        model_id="paediatric-pneumonia",
        name="Paediatric pneumonia",
        version=version,
        network=config.network,
        sha256=file_sha256(weights),
        licence="Apache-2.0",
        labels=(
            LabelSpec(
                LABEL,
                round(evaluation.threshold, 4),
                "Film read as viral or bacterial pneumonia by two physicians, against a film read as normal.",
            ),
        ),
        score_kind=ScoreKind.CALIBRATED if calibrated else ScoreKind.UNCALIBRATED,
        input=config.input,
        temperature=round(calibration.temperature, 5),
        bias=round(calibration.bias, 5),
        intended_ages=(1, 5),
        intended_views=("PA", "AP"),
        intended_use=INTENDED_USE,
        trained_on=(
            f"{facts.counts[0]} films of {facts.patients[0]} children of 1 to 5 years from one hospital "
            f"(Guangzhou), {facts.train_share:.0%} with pneumonia. Data: {DATA_CREDIT}"
        ),
        metrics=(*evaluation.metrics, *evaluation.probes, *facts.disjoint, *facts.outside),
        cautions=_cautions(evaluation, facts, calibrated=calibrated),
    )


def _cautions(evaluation: Evaluation, facts: BundleFacts, *, calibrated: bool) -> tuple[str, ...]:
    error = evaluation.metric("calibration error (ECE)")
    interval = f"{error.value:.3f} (95 % {error.low:.3f} to {error.high:.3f})"
    test_share = evaluation.positives / evaluation.films
    score = (
        f"The percentage held on the test films (calibration error {interval}) and only where pneumonia is about as "
        f"common as there: {facts.train_share:.0%} of the training films, {test_share:.0%} of the test films. Where it "
        "is rarer the percentage is too high."
        if calibrated
        else f"The score is not a probability: on the test films it was off by {interval} on average."
    )
    blanked = evaluation.metric("AUC, centre blanked 70%")
    out = [
        score,
        "Every film was either normal or pneumonia; what it says of any other disease was never tested.",
        "All films come from one hospital; other detectors and other processing may move the score.",
        (
            f"It still reads a little from the edges: with the middle 70 % of each side blanked its AUC is "
            f"{blanked.value:.2f} instead of 0.50."
        ),
    ]
    out += [f"Films of another kind: {m.name} {m.value:.2f} ({m.data})." for m in facts.outside if m.name == "AUC"]
    return tuple(out)


def write_bundle(
    folder: Path,
    weights: Path,
    card: ModelCard,
    evaluation: Evaluation,
    facts: BundleFacts,
    plots: Sequence[Path] = (),
) -> Path:
    """Write ``weights.safetensors``, ``card.toml``, ``README.md`` and the plots into ``folder``; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(weights, folder / WEIGHTS_NAME)
    for plot in plots:
        shutil.copyfile(plot, folder / plot.name)
    (folder / "README.md").write_text(
        model_card_text(card, evaluation, facts, [plot.name for plot in plots]), encoding="utf-8"
    )
    write_card(card, folder / CARD_NAME)  # last: a bundle without a card is not looked at
    return folder


def model_card_text(card: ModelCard, evaluation: Evaluation, facts: BundleFacts, plots: Sequence[str]) -> str:
    """The model card for people, as Markdown (after Mitchell et al., FAT* 2019)."""
    (tn, fp), (fn, tp) = evaluation.confusion
    probability = (
        "a calibrated probability, shown in %"
        if card.score_kind is ScoreKind.CALIBRATED
        else "an uncalibrated score between 0 and 1, not a probability"
    )
    losses = ", ".join(f"{name} {value:.4f}" for name, value in facts.calibration_losses.items())
    parts = [
        f"# {card.name} {card.version}",
        card.intended_use,
        "Not a medical device. Not for primary diagnosis.",
        "## What it is",
        f"- One output, “{LABEL}”: {probability}; operating point {card.labels[0].threshold:.3f}.\n"
        f"- Network `{card.network}`: {facts.parameters / 1e6:.2f} million parameters, one grey channel, "
        f"{card.input.size_px} x {card.input.size_px} pixels, ReLU > global average pooling > linear, so the heat map "
        "comes from the same pass as the score.\n"
        "- It is given the exposed area of the film (dark and blank borders cut away), squeezed to a square, from the "
        "stored pixel values; the window on screen does not change the score.\n"
        f"- Meant for: frontal films ({', '.join(card.intended_views)}) of children from {card.intended_ages[0]:g} to "
        f"{card.intended_ages[1]:g} years. For any other age, an unknown age or a lateral film the program greys the "
        "score and says why."
        if card.intended_ages
        else "",
        "## Data",
        _data_text(card, evaluation, facts),
        "## How good it is",
        _table([*evaluation.metrics], "On the official test films"),
        (
            "|  | said normal | said pneumonia |\n|---|---|---|\n"
            f"| is normal | {tn} | {fp} |\n| is pneumonia | {fn} | {tp} |"
        ),
        "```\n" + evaluation.report.rstrip() + "\n```",
        "Intervals are 95 % bootstrap intervals that draw patients, not films.",
        " ".join(f"![{name.removesuffix('.png')}]({name})" for name in plots),
        "On validation, where the calibration and the operating point were chosen:",
        _table([*facts.validation], "On validation"),
        (
            f"Held-out log loss of the calibrations tried on validation: {losses}. Kept: temperature "
            f"{card.temperature:.3f}, bias {card.bias:+.3f}. Operating point: the largest sensitivity + specificity "
            "(Youden), in the middle of the gap between the films. For both, films are weighted as in training (see "
            "below), so that their make does not tell the label."
        ),
        _table([*facts.disjoint], "On test films of patients without any published training film")
        if facts.disjoint
        else "",
        "## What it leans on",
        (
            "In this data the make of a film tells much of the answer: from the outer eighth of the picture and its "
            f"sharpness alone, normal and pneumonia can be told apart with an AUC of {facts.make_auc:.2f}. Training "
            "moves, blanks and exchanges the frame and the distribution of greys, and draws films so that their make "
            "does not tell the label. This is what is left:"
        ),
        _table([*evaluation.probes], "0.5 is chance"),
        "## Limits\n\n" + "\n".join(f"- {caution}" for caution in card.cautions),
        _table([*facts.outside], "On films it was not made for") if facts.outside else "",
        "## Make it again",
        f"```\n{facts.command}\n```",
        f"Weights: Apache-2.0, sha256 `{card.sha256}`. Data: {DATA_CREDIT}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _data_text(card: ModelCard, evaluation: Evaluation, facts: BundleFacts) -> str:
    train, validation, test, left_out = facts.counts
    left = (
        f" {left_out} published training films of {facts.patients[3]} patients whose number also occurs among the test "
        "films were left out, so no test patient was learned from."
        if left_out
        else ""
    )
    return (
        f"{DATA_CREDIT}\n\nThe official split is kept: {test} test films ({evaluation.positives} with pneumonia) were "
        "used for nothing but the figures below. The rest is split by patient into "
        f"{train} training and {validation} validation films; early stopping, calibration and operating point were "
        f"chosen on validation.{left} Pneumonia: {facts.train_share:.0%} of the training films, "
        f"{evaluation.positives / evaluation.films:.0%} of the test films. The weights are those of epoch "
        f"{facts.best_epoch[0]} of {facts.best_epoch[1]}."
    )


def _table(metrics: list[Metric], title: str) -> str:
    lines = [f"| {title} | value | 95 % interval | films |", "|---|---|---|---|"]
    for metric in metrics:
        interval = "" if metric.low is None or metric.high is None else f"{metric.low:.3f} to {metric.high:.3f}"
        lines.append(f"| {metric.name} | {metric.value:.3f} | {interval} | {metric.count or ''} |")
    return "\n".join(lines)
