"""Which of the installed models looks at a film, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cxr_viewer.core import suitability
from cxr_viewer.core.findings import ModelCard, ModelChoice, ScoreKind, Task
from cxr_viewer.core.image import Caution, PatientInfo, Radiograph
from cxr_viewer.core.study import ImageNode
from cxr_viewer.services.state import AUTO


def choose_model(cards: Sequence[ModelCard], wanted: str, image: Radiograph) -> ModelChoice | None:
    """The model for a film: the reader's own choice, or with ``AUTO`` the one whose card fits the film best.

    Fitting means, in this order: nothing in the file speaks against it (age, view, part of the body); fewer years
    between the patient and the ages of the card; the narrower range of ages, as a model made for few is meant more than
    one made for all, but the wider one where the age is not known, as it is the likelier to hold; calibrated scores;
    more findings; the name, so that the same film always gets the same model. Outlines of anatomy are only drawn when
    asked for; models that work beside every other (the film check, the program's own anatomy) are not among those to
    choose from, and a film check that is named gives no findings, so that it counts as not named.

    Returns:
        None where no model is installed.
    """
    if wanted != AUTO and not any(card.model_id == wanted and card.task is Task.GUARD for card in cards):
        return ModelChoice(wanted, "You chose this model.") if wanted else None
    classifiers = [card for card in cards if card.task is Task.CLASSIFY and not card.serves]
    if not classifiers:
        return None
    against = {card.model_id: suitability.limits(card, image) for card in classifiers}
    best = min(classifiers, key=lambda card: _order(card, against[card.model_id], image))
    return ModelChoice(best.model_id, _reason(best, against[best.model_id], len(classifiers)))


def expect_model(cards: Sequence[ModelCard], wanted: str, node: ImageNode, patient: PatientInfo) -> ModelChoice | None:
    """The model that :func:`choose_model` is likely to name for a film that is still being read, by its header."""
    film = Radiograph(
        node.key,
        node.path,
        np.zeros((1, 1), np.uint8),
        8,
        "MONOCHROME2",
        node.modality,
        view=node.view,
        body_part=node.body_part,
        is_dicom=node.is_dicom,
        patient=patient,
    )
    return choose_model(cards, wanted, film)


def _order(card: ModelCard, limits: tuple[Caution, ...], image: Radiograph) -> tuple[object, ...]:
    years = float("inf") if card.intended_ages is None else card.intended_ages[1] - card.intended_ages[0]
    unknown = _age_unknown(limits)
    away, breadth = (0.0, -years) if unknown else (_years_away(card, image), years)
    uncalibrated = card.score_kind is not ScoreKind.CALIBRATED
    findings = -len(card.labels)
    return len(limits), away, breadth, uncalibrated, findings, card.name.casefold(), card.model_id


def _years_away(card: ModelCard, image: Radiograph) -> float:
    """How many years lie between the patient and the ages the card is meant for; 0 within them."""
    age = image.patient.age_years
    if card.intended_ages is None or age is None:
        return 0.0
    youngest, oldest = card.intended_ages
    return max(youngest - age, age - (oldest + 1), 0.0)


def _age_unknown(limits: tuple[Caution, ...]) -> bool:
    return any(limit.code == "age-unknown" for limit in limits)


def _reason(card: ModelCard, limits: tuple[Caution, ...], count: int) -> str:
    if limits:
        if count == 1:
            return "It is the only installed model that gives findings."
        if len(limits) == 1 and _age_unknown(limits):
            return f"The patient's age is not known; of the {count} installed models this one is made for most ages."
        return f"None of the {count} installed models is meant for this film; this one comes nearest."
    meant = suitability.population_text(card)
    return f"It is meant for {meant}." if meant else "Nothing in the file speaks against it."
