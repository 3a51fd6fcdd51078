"""docs/models.md speaks of the models that travel with the program, and of no map that nobody looked at."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cxr_viewer.core.findings import ModelCard, Task
from cxr_viewer.inference.cards import read_card


@pytest.fixture(scope="module", params=["paediatric-pneumonia", "adult-findings"])
def bundled(repository: Path, request: pytest.FixtureRequest) -> ModelCard:
    return read_card(repository / "resources/models" / request.param)


@pytest.fixture
def survey(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script that makes the tables."""
    folder = repository / "tests/reliability"
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(sys.modules, "driver", None)
    monkeypatch.delitem(sys.modules, "driver")
    spec = importlib.util.spec_from_file_location("models_survey", folder / "models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "models_survey", module)  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


def test_the_page_tells_of_a_model_that_travels_with_the_program(repository: Path, bundled: ModelCard) -> None:
    page = (repository / "docs/models.md").read_text(encoding="utf-8")
    assert f"`{bundled.model_id}` {bundled.version} (weights {bundled.sha256[:8]})" in page
    offered = ("", bundled.labels[0].name)  # a card with one finding leaves it out
    chief = next(metric for metric in bundled.metrics if metric.name == "AUC" and metric.label in offered)
    assert f"AUC {chief.value:.3f} (95 % {chief.low:.3f} to {chief.high:.3f})" in page
    assert "not looked at" not in page


def test_the_models_asked_are_those_of_findings_that_travel_with_the_program(repository: Path, survey: Any) -> None:
    cards = [read_card(path.parent) for path in sorted((repository / "resources/models").glob("*/card.toml"))]
    assert {card.model_id for card in cards if card.task is Task.CLASSIFY and not card.serves} == set(survey.BUNDLED)


def test_words_are_kept_of_no_other_model_and_no_other_weights(repository: Path, survey: Any) -> None:
    looked = tomllib.loads(survey.LOOKED_AT.read_text(encoding="utf-8"))["looked"]
    shipped = {(name, read_card(repository / "resources/models" / name).sha256) for name in survey.BUNDLED}
    assert {(entry["model"], entry["sha256"]) for entry in looked} == shipped


def test_words_about_a_map_hold_for_its_weights_and_heat_only(survey: Any, bundled: ModelCard) -> None:
    looked = tomllib.loads(survey.LOOKED_AT.read_text(encoding="utf-8"))["looked"]
    entry = next(each for each in looked if each["model"] == bundled.model_id)
    film = entry["films"][0]
    assert survey.holds(entry, film, bundled, {film: entry["hottest"]})
    assert not survey.holds(entry, film, bundled, {film: entry["hottest"] + 2 * survey.SAME_HEAT})
    assert not survey.holds(entry | {"sha256": "0" * 64}, film, bundled, {film: entry["hottest"]})
    assert not survey.holds(entry, film, bundled, {})
