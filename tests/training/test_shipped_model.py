"""The findings models that travel with the program are those that their cards speak of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxr_viewer.core.findings import ModelCard, ScoreKind
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.inference.calibrate import Calibration
from cxr_viewer.inference.cards import WEIGHTS_NAME, file_sha256, read_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines.torch import load_bundle
from cxr_viewer.inference.networks import CamNetwork
from cxr_viewer.inference.preprocess import see
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.inference.scoring import scale_of
from cxr_viewer.training.asking import informed, request
from cxr_viewer.training.commands import DEFAULT_MODEL
from cxr_viewer.training.films import FilmReader, FilmSet, load_films, prepared
from cxr_viewer.training.heartratio import ratios_of
from cxr_viewer.training.index import FilmRecord, read_index
from cxr_viewer.training.leaning import PROBES
from cxr_viewer.training.lessons.classify import score_labels
from cxr_viewer.training.lungs import LungFinder, anatomy_bundle
from cxr_viewer.training.measure import AUC, Values
from cxr_viewer.training.offering import (
    LEAST_AUC,
    LEAST_LOWER_BOUND,
    MOST_CALIBRATION_ERROR,
    NEVER,
    may_be_probability,
)
from cxr_viewer.training.recipe import Recipe, read_recipe
from cxr_viewer.training.terms import with_terms

ADULTS = "adult-findings"
MOST_BYTES = {DEFAULT_MODEL: 6_000_000, ADULTS: 10_000_000}
Shipped = tuple[ModelCard, CamNetwork]


def _shipped(model_id: str) -> Shipped:
    folder = BundleCatalog().folder(model_id)
    card = read_card(folder)
    network = load_bundle(card, folder)
    assert isinstance(network, CamNetwork)
    return card, network.eval()


@pytest.fixture(scope="module")
def children() -> Shipped:
    return _shipped(DEFAULT_MODEL)


@pytest.fixture(scope="module")
def adults() -> Shipped:
    return _shipped(ADULTS)


@pytest.fixture(scope="module")
def adult_tests(need_data: Callable[[str], Path]) -> list[FilmRecord]:
    """The 1,031 test films of adults; targets are the findings that are offered, in the card's order."""
    need_data("images/nih128_index.csv")
    index = read_index(_adult_recipe(read_card(BundleCatalog().folder(ADULTS))), [need_data("images/nih128")])
    tests = [record for record in index.records if record.split == "test" and record.age >= 18]
    assert len(tests) == 1031
    return tests


def _adult_recipe(card: ModelCard) -> Recipe:
    recipe = replace(read_recipe(ADULTS), input=card.input)
    offered = tuple(next(one for one in recipe.labels if one.name == label.name) for label in card.labels)
    return replace(recipe, labels=offered)


# ---------------------------------------------------------------- the bundles


def test_all_findings_models_of_the_program_are_tested_here() -> None:
    assert {card.model_id for card in BundleCatalog().cards() if not card.serves} == set(MOST_BYTES)


@pytest.mark.parametrize("model_id", MOST_BYTES)
def test_weights_and_card_belong_together(model_id: str) -> None:
    folder = BundleCatalog().folder(model_id)
    card = read_card(folder)
    assert card.sha256 == file_sha256(folder / WEIGHTS_NAME)
    assert (folder / WEIGHTS_NAME).stat().st_size < MOST_BYTES[model_id]
    assert card.sha256 in (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_claims_a_probability_only_where_the_test_bears_it(children: Shipped) -> None:
    card = children[0]
    (label,) = card.labels
    claimed = card.kind_of(label) is ScoreKind.CALIBRATED
    error = next(metric for metric in card.metrics if metric.name == "calibration error (ECE)")
    assert not claimed or error.value <= MOST_CALIBRATION_ERROR
    if error.label:  # since 0.3.0 by the upper bound, too
        assert claimed == may_be_probability([one for one in card.metrics if one.data == error.data], label.name)


def test_the_card_says_what_it_is_for(children: Shipped) -> None:
    card = children[0]
    assert card.intended_ages == (1.0, 5.0)
    assert card.intended_views == ("PA", "AP")
    assert "Research use only" in card.intended_use
    assert "CC BY 4.0" in card.trained_on
    for metric in card.metrics:
        if metric.name in PROBES and metric.low is None:
            continue  # all scores alike: nothing of the answer is left
        assert metric.low is not None
        assert metric.high is not None


def test_the_adults_card_offers_what_its_figures_bear_and_calls_nothing_a_probability(adults: Shipped) -> None:
    card = adults[0]
    assert card.intended_ages == (18.0, 100.0)
    assert "Research use only" in card.intended_use
    offered = {label.name: label.views or card.intended_views for label in card.labels}
    assert offered == {
        "Cardiomegaly": ("PA", "AP"),
        "Effusion": ("PA", "AP"),
        "Pneumothorax": ("PA",),
        "Fibrosis": ("PA",),
    }
    assert len({*offered, *(one.name for one in card.tried)}) == 14
    assert not {*NEVER} & {*offered}
    for name, views in offered.items():
        for view in views:
            (auc,) = [one for one in card.metrics if (one.name, one.label, one.group) == (AUC, name, view)]
            assert auc.value >= LEAST_AUC
            assert auc.low is not None
            assert auc.low >= LEAST_LOWER_BOUND
    assert all(card.kind_of(label) is ScoreKind.UNCALIBRATED for label in card.labels)


# ---------------------------------------------------------------- their scores


def test_every_tenth_test_film_gives_what_the_card_says(children: Shipped, records: list[FilmRecord]) -> None:
    card, network = children
    recipe = replace(read_recipe(DEFAULT_MODEL), input=card.input)
    tests = [record for record in records if record.split == "test"][::10]
    lungs = LungFinder(anatomy_bundle()).box if card.input.crop else None
    films = load_films(tests, recipe, "test", lungs=lungs, quiet=True)
    scale = scale_of(card, card.labels[0])
    logits = score_labels(network, prepared(films, card.input))[:, 0]
    said = Calibration(scale.temperature, scale.bias).probability(logits)
    assert len(films) > 60
    assert roc_auc_score(films.labels, said) > 0.9
    right = np.mean((said >= card.labels[0].threshold) == (films.labels == 1))
    accuracy = next(metric.value for metric in card.metrics if metric.name == "accuracy")
    assert right == pytest.approx(accuracy, abs=0.12)


def _adult_films(card: ModelCard, records: list[FilmRecord]) -> FilmSet:
    return load_films(records, _adult_recipe(card), "test", quiet=True)


def _told(shipped: Shipped, films: FilmSet, inputs: NDArray[np.float32]) -> Values:
    """Logits (films, findings) as training measures them, the ratio and the view allowed for."""
    card, network = shipped
    logits, ratios = score_labels(network, inputs), ratios_of(films.records, anatomy_bundle(), quiet=True)
    return np.column_stack([with_terms(label, logits[:, at], films, ratios) for at, label in enumerate(card.labels)])


def test_a_quarter_of_the_adults_test_films_gives_what_the_card_says(
    adults: Shipped, adult_tests: list[FilmRecord]
) -> None:
    card = adults[0]
    chosen = adult_tests[::4]
    films = _adult_films(card, chosen)
    truth, logits = films.targets, _told(adults, films, prepared(films, card.input))
    views = np.array([record.view for record in chosen])
    for at, label in enumerate(card.labels):
        for view in label.views or card.intended_views:
            here = views == view
            (auc,) = [one for one in card.metrics if (one.name, one.label, one.group) == (AUC, label.name, view)]
            assert auc.low is not None
            assert auc.high is not None
            assert auc.low <= roc_auc_score(truth[here, at], logits[here, at]) <= auc.high, (label.name, view)


@pytest.mark.timeout(300)  # two models are converted, which takes its time on a busy machine
def test_a_film_has_the_same_scores_in_the_program_as_in_training(
    adults: Shipped, adult_tests: list[FilmRecord], tmp_path: Path
) -> None:
    """An AP film with a large heart: the ratio and the view both change what the network says."""
    card = adults[0]
    large = [one for one in adult_tests if one.view == "AP" and one.targets[0] == 1]
    measured = np.isfinite(ratios_of(large, anatomy_bundle(), quiet=True))
    chosen = large[int(np.argmax(measured))]
    assert measured.any()
    with FilmReader() as reader:
        film = informed(reader.read(chosen.path), chosen)
    for folder in (BundleCatalog().folder(ADULTS), anatomy_bundle()):  # the film check has no part in the scores
        shutil.copytree(folder, tmp_path / "models" / folder.name)
    runner = LocalRunner(BundleCatalog([tmp_path / "models"]), tmp_path / "cache")
    try:
        answer = runner.analyse(request(film, card), CancelToken(), lambda stage: None)
    finally:
        runner.close()
    assert answer.anatomy is not None
    assert answer.anatomy.trusted
    assert [finding.label for finding in answer.findings] == ["Cardiomegaly", "Effusion"]
    kept = _adult_films(card, [chosen])
    (expected,) = _told(adults, kept, see(film, card.input).film[None])
    (trained,) = _told(adults, kept, prepared(kept, card.input))
    for at, finding in enumerate(answer.findings):
        scale = scale_of(card, card.labels[at])
        assert finding.logit == pytest.approx(expected[at], abs=1e-3)
        assert finding.score == pytest.approx(
            float(Calibration(scale.temperature, scale.bias).probability(expected[at])), abs=1e-4
        )
        assert finding.logit == pytest.approx(trained[at], abs=0.05)  # training keeps films in 256 greys
