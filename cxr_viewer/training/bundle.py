"""Writing a model bundle: weights, card, and a model card for people."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from cxr_viewer.core.findings import LabelSpec, ModelCard, ScoreKind
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, write_card
from cxr_viewer.training.evaluate import Evaluation
from cxr_viewer.training.fit import FitConfig
from cxr_viewer.training.model_card import DATA_CREDIT, BundleFacts, model_card_text

LABEL = "Pneumonia"
MOST_CALIBRATION_ERROR = 0.05
INTENDED_USE = (
    "Research use only: pneumonia against normal on frontal chest films of children of 1 to 5 years; "
    "it says nothing about other findings, adults or lateral films."
)


def make_card(
    weights: Path,
    config: FitConfig,
    calibration: Calibration,
    evaluation: Evaluation,
    facts: BundleFacts,
    *,
    version: str,
    notes: Sequence[str] = (),
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
        cautions=(*_cautions(evaluation, facts, calibrated=calibrated), *notes),
    )


def _cautions(evaluation: Evaluation, facts: BundleFacts, *, calibrated: bool) -> tuple[str, ...]:
    error = evaluation.metric("calibration error (ECE)")
    interval = f"{error.value:.3f} (95 % {error.low:.3f} to {error.high:.3f})"
    test_share = evaluation.positives / evaluation.films
    score = (
        "The percentage is made for films of which half show pneumonia; where it is rarer the percentage is too high. "
        f"It held on the test films (calibration error {interval}), of which {test_share:.0%} show pneumonia; of the "
        f"training films {facts.train_share:.0%} do."
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
