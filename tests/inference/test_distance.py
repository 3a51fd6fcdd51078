"""How far a film lies from the training films."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.filmcheck import Severity
from cxr_viewer.core.modelcard import InputSpec, LabelSpec, ModelCard, ReferenceSpec, ScoreKind
from cxr_viewer.inference.cards import card_faults
from cxr_viewer.inference.distance import (
    REFERENCE_NAME,
    fit_reference,
    read_reference,
    unlike_training,
    write_reference,
)

WIDTH = 12


def pooled(count: int, seed: int, shift: float = 0.0) -> NDArray[np.float32]:
    """Features as of films: never below 0, not independent of each other, some far out."""
    chance = np.random.default_rng(seed)
    mix = np.random.default_rng(7).standard_normal((WIDTH, WIDTH)) / WIDTH
    roots = 1 + chance.standard_normal((count, WIDTH)) * 0.2 @ (np.eye(WIDTH) + mix) + shift
    return np.asarray(np.maximum(roots, 0) ** 2, dtype=np.float32)


@pytest.fixture
def card() -> ModelCard:
    return ModelCard(
        model_id="model",
        name="Model",
        version="1.0.0",
        network="cxr-tiny",
        sha256="0" * 64,
        licence="Apache-2.0",
        labels=(LabelSpec("Finding", 0.5),),
        score_kind=ScoreKind.UNCALIBRATED,
        input=InputSpec(32, "stretch", True, 0.5, 0.25),
        temperature=1.0,
        bias=0.0,
        intended_ages=None,
        intended_views=("PA",),
        intended_use="Research use only.",
        trained_on="Films.",
    )


def test_ordinary_films_are_near_and_others_far() -> None:
    reference = fit_reference(pooled(600, 0))
    near, far = reference.distances(pooled(300, 1)), reference.distances(pooled(300, 2, shift=0.5))
    assert np.median(near) == pytest.approx(1, abs=0.15)
    assert far.min() > np.quantile(near, 0.9)
    assert (far > np.quantile(near, 0.99)).mean() > 0.8


def test_the_distance_is_that_of_mahalanobis() -> None:
    films = pooled(5000, 0)
    reference = fit_reference(films)
    roots = np.sqrt(films.astype(np.float64))
    one = roots[3] - roots.mean(axis=0)
    expected = np.sqrt(one @ np.linalg.inv(np.cov(roots.T)) @ one / WIDTH)
    assert reference.distances(films)[3] == pytest.approx(expected, rel=0.02)


def test_maps_are_pooled_and_other_widths_refused() -> None:
    reference = fit_reference(pooled(100, 0))
    maps = np.repeat(pooled(4, 1)[:, :, None, None], 6, axis=2)
    assert np.allclose(reference.distances(maps), reference.distances(pooled(4, 1)), atol=1e-5)
    with pytest.raises(ValueError, match="features"):
        reference.distances(np.ones((1, WIDTH + 1), dtype=np.float32))
    with pytest.raises(ValueError, match="two films"):
        fit_reference(pooled(1, 0))


def test_fewer_films_than_features_still_give_distances() -> None:
    reference = fit_reference(pooled(WIDTH - 4, 0))
    assert np.isfinite(reference.distances(pooled(50, 1))).all()


def test_a_reference_is_read_as_it_was_written(tmp_path: Path, card: ModelCard) -> None:
    reference, validation = fit_reference(pooled(600, 0)), pooled(1000, 1)
    spec = write_reference(reference, validation, tmp_path, "1000 validation films")
    assert spec.sha256 == hashlib.sha256((tmp_path / REFERENCE_NAME).read_bytes()).hexdigest()
    assert (reference.distances(validation) <= spec.limit).mean() == pytest.approx(0.99, abs=0.002)
    card = replace(card, reference=spec)
    assert card_faults(card) == []
    again = read_reference(tmp_path, card)
    assert again is not None
    assert np.array_equal(again.distances(validation), reference.distances(validation))
    assert read_reference(tmp_path, replace(card, reference=None)) is None


def test_a_film_unlike_the_others_is_told(tmp_path: Path, card: ModelCard) -> None:
    reference = fit_reference(pooled(600, 0))
    card = replace(card, reference=write_reference(reference, pooled(400, 1), tmp_path, "films"))
    middle = np.square(reference.mean)[None].astype(np.float32)
    assert unlike_training(card, reference, middle) is None
    sign = unlike_training(card, reference, pooled(1, 3, shift=2.0))
    assert sign is not None
    assert (sign.code, sign.severity) == ("unlike-training", Severity.CAUTION)
    assert sign.text == ("This film differs from the films the model was trained on more than 99 of 100 of them do.")
    assert unlike_training(replace(card, reference=None), reference, pooled(1, 3, shift=2.0)) is None


@pytest.mark.parametrize("fault", ["missing", "torn", "another"])
def test_a_reference_that_is_not_the_card_s_is_refused(tmp_path: Path, card: ModelCard, fault: str) -> None:
    reference = fit_reference(pooled(100, 0))
    spec = write_reference(reference, pooled(100, 1), tmp_path, "films")
    path = tmp_path / REFERENCE_NAME
    if fault == "missing":
        path.unlink()
    elif fault == "torn":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        spec = ReferenceSpec("1" * 64, spec.limit)
    with pytest.raises(ModelError) as refused:
        read_reference(tmp_path, replace(card, reference=spec))
    assert refused.value.code == "reference-damaged"


def test_a_file_of_the_right_digest_and_the_wrong_content_is_refused(tmp_path: Path, card: ModelCard) -> None:
    path = tmp_path / REFERENCE_NAME
    path.write_bytes(b"no tensors")
    spec = ReferenceSpec(hashlib.sha256(b"no tensors").hexdigest(), 1.0)
    with pytest.raises(ModelError):
        read_reference(tmp_path, replace(card, reference=spec))
