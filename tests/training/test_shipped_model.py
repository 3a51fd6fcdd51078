"""The model that travels with the program is the one its card speaks of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxr_viewer.core.findings import ModelCard, ScoreKind
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import WEIGHTS_NAME, file_sha256, read_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.torch import load_bundle
from cxr_viewer.inference.networks import CamNetwork
from cxr_viewer.inference.scoring import scale_of
from cxr_viewer.training.commands import DEFAULT_MODEL
from cxr_viewer.training.films import load_films, prepared
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.leaning import PROBES
from cxr_viewer.training.lessons.classify import score_labels
from cxr_viewer.training.lungs import LungFinder, anatomy_bundle
from cxr_viewer.training.offering import MOST_CALIBRATION_ERROR, may_be_probability
from cxr_viewer.training.recipe import read_recipe


def _folder() -> Path:
    return BundleCatalog().folder(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def shipped() -> tuple[ModelCard, CamNetwork]:
    card = read_card(_folder())
    network = load_bundle(card, _folder())
    assert isinstance(network, CamNetwork)
    return card, network


def test_weights_and_card_belong_together(shipped: tuple[ModelCard, CamNetwork]) -> None:
    folder = _folder()
    assert shipped[0].sha256 == file_sha256(folder / WEIGHTS_NAME)
    assert (folder / WEIGHTS_NAME).stat().st_size < 6_000_000
    assert shipped[0].sha256 in (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_claims_a_probability_only_where_the_test_bears_it(shipped: tuple[ModelCard, CamNetwork]) -> None:
    card = shipped[0]
    (label,) = card.labels
    claimed = card.kind_of(label) is ScoreKind.CALIBRATED
    error = next(metric for metric in card.metrics if metric.name == "calibration error (ECE)")
    assert not claimed or error.value <= MOST_CALIBRATION_ERROR
    if error.label:  # since 0.3.0 by the upper bound, too
        assert claimed == may_be_probability([one for one in card.metrics if one.data == error.data], label.name)


def test_the_card_says_what_it_is_for(shipped: tuple[ModelCard, CamNetwork]) -> None:
    card = shipped[0]
    assert card.intended_ages == (1, 5)
    assert card.intended_views == ("PA", "AP")
    assert "Research use only" in card.intended_use
    assert "CC BY 4.0" in card.trained_on
    for metric in card.metrics:
        if metric.name in PROBES and metric.low is None:
            continue  # all scores alike: nothing of the answer is left
        assert metric.low is not None
        assert metric.high is not None


def test_every_tenth_test_film_gives_what_the_card_says(
    shipped: tuple[ModelCard, CamNetwork], records: list[FilmRecord]
) -> None:
    card, network = shipped
    recipe = replace(read_recipe(DEFAULT_MODEL), input=card.input)
    tests = [record for record in records if record.split == "test"][::10]
    lungs = LungFinder(anatomy_bundle()).box if card.input.crop else None
    films = load_films(tests, recipe, "test", lungs=lungs, quiet=True)
    scale = scale_of(card, card.labels[0])
    logits = score_labels(network.eval(), prepared(films, card.input))[:, 0]
    said = Calibration(scale.temperature, scale.bias).probability(logits)
    assert len(films) > 60
    assert roc_auc_score(films.labels, said) > 0.9
    right = np.mean((said >= card.labels[0].threshold) == (films.labels == 1))
    accuracy = next(metric.value for metric in card.metrics if metric.name == "accuracy")
    assert right == pytest.approx(accuracy, abs=0.12)
