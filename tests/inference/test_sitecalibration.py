"""A site's own calibration: kept beside the model, bound to its weights, used or not."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import Metric, OperatingPoint, ScoreKind, SiteCalibration, SiteLabel
from cxr_viewer.inference import sitecalibration
from cxr_viewer.inference.cards import card_to_dict
from cxr_viewer.inference.catalog import BundleCatalog, calibrations_dir
from cxr_viewer.inference.store.local import LocalStore

LABEL = SiteLabel(
    "Pneumonia",
    threshold=0.31,
    temperature=1.7,
    bias=-0.4,
    score_kind=ScoreKind.CALIBRATED,
    fitted="temperature and bias",
    positives=61,
    point="Youden",
    points=(OperatingPoint("Youden", 0.31, 0.9, 0.8, "films of St. Anna"),),
)
SITE = SiteCalibration(
    "St. Anna",
    "2026-11-22",
    films=412,
    patients=388,
    labels=(LABEL,),
    metrics=(Metric("log loss", 0.31, 0.25, 0.4, "films of St. Anna", 412, "Pneumonia", "with it", 61),),
)


@pytest.fixture
def installed(tmp_path, bundle, random_network):
    """A folder of data with one model in it: (catalogue, store, card)."""
    _, card = bundle(tmp_path / "models", random_network())
    site = dataclasses.replace(SITE, labels=(dataclasses.replace(LABEL, name=card.labels[0].name),))
    site = dataclasses.replace(site, metrics=())
    catalog = BundleCatalog([tmp_path / "models"], calibrations=calibrations_dir(tmp_path))
    store = LocalStore(catalog, tmp_path / "models", tmp_path / "cache", read_film=None, entries=())
    return catalog, store, card, site


def test_what_is_written_is_read(tmp_path: Path, card) -> None:
    model = card()
    site = dataclasses.replace(SITE, labels=(dataclasses.replace(LABEL, name=model.labels[0].name),))
    path = sitecalibration.write(tmp_path / "new" / "calibrations", model, site, in_use=True)
    assert sitecalibration.read(path.parent, model) == sitecalibration.Kept(site, in_use=True)
    assert [file.name for file in path.parent.iterdir()] == [f"{model.model_id}.toml"]
    assert sitecalibration.read(tmp_path, model) is None


def test_the_site_and_the_factory_are_both_kept(installed, tmp_path) -> None:
    catalog, store, card, site = installed
    assert store.calibration(card.model_id) == (None, False)
    sitecalibration.write(calibrations_dir(tmp_path), card, site, in_use=True)
    catalog.refresh()
    assert catalog.card(card.model_id).site == site
    assert store.calibration(card.model_id) == (site, True)
    store.use_calibration(card.model_id, site=False)
    assert catalog.card(card.model_id).site is None
    assert store.calibration(card.model_id) == (site, False)
    store.use_calibration(card.model_id, site=True)
    assert catalog.card(card.model_id).site == site
    assert dataclasses.replace(catalog.card(card.model_id), site=None) == card


def test_without_one_there_is_nothing_to_use(installed) -> None:
    _, store, card, _ = installed
    with pytest.raises(ModelError, match="no calibration of this site") as caught:
        store.use_calibration(card.model_id, site=True)
    assert "cxr-viewer calibrate" in caught.value.hint


def test_a_calibration_for_other_weights_is_not_used_and_named(installed, tmp_path) -> None:
    catalog, store, card, site = installed
    sitecalibration.write(calibrations_dir(tmp_path), dataclasses.replace(card, sha256="0" * 64), site, in_use=True)
    assert catalog.card(card.model_id).site is None
    assert [note for note in catalog.problems() if "made for other weights" in note] == list(catalog.problems())
    assert catalog.damaged() == ()  # the model itself is whole
    assert store.calibration(card.model_id) == (None, False)
    with pytest.raises(ModelError) as caught:
        store.use_calibration(card.model_id, site=True)
    assert caught.value.code == "other-weights"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("temperature = 1.7", "temperature = 0.0"),
        ("bias = -0.4", "bias = nan"),
        ("threshold = 0.31", "threshold = 1.5"),
        ('fitted = "temperature and bias"', 'fitted = "by eye"'),
        ('score_kind = "calibrated"', 'score_kind = "logit"'),
        ('score_kind = "calibrated"', 'score_kind = "certain"'),
        ("schema = 1", "schema = 2"),
        ("in_use = true", "in_use = 1"),
        ("in_use = true", 'in_use = true\nowner = "x"'),
        ("patients = 388", "patients = 500"),
        ('site = "St. Anna"', f'site = "{"x" * 61}"'),
        ("schema = 1", "schema = "),
    ],
)
def test_a_faulty_file_is_not_used_and_named(installed, tmp_path, old: str, new: str) -> None:
    catalog, _, card, site = installed
    path = sitecalibration.write(calibrations_dir(tmp_path), card, site, in_use=True)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert catalog.card(card.model_id).site is None
    assert any("cannot be used" in note and "as shipped" in note for note in catalog.problems())


def test_a_finding_of_another_model_is_refused(tmp_path: Path, card) -> None:
    with pytest.raises(ModelError) as caught:
        sitecalibration.write(
            tmp_path,
            card(),
            dataclasses.replace(SITE, labels=(dataclasses.replace(LABEL, name="Gout"),)),
            in_use=True,
        )
    assert "no finding 'Gout'" in caught.value.detail
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are needed")
def test_a_pipe_in_its_place_holds_nobody_up(installed, tmp_path) -> None:
    catalog, _, card, _ = installed
    calibrations_dir(tmp_path).mkdir()
    os.mkfifo(sitecalibration.file_of(calibrations_dir(tmp_path), card.model_id))
    assert catalog.card(card.model_id).site is None
    assert any("cannot be used" in note for note in catalog.problems())


def test_the_bundle_says_nothing_of_a_site(card) -> None:
    assert card_to_dict(dataclasses.replace(card(), site=SITE)) == card_to_dict(card())


def test_what_it_is_called_on_the_screen() -> None:
    assert SITE.text == "St. Anna, 412 films, 2026-11-22"
