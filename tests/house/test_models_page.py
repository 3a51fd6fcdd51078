"""docs/models.md speaks of the model that travels with the program, and of no map that nobody looked at."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cxr_viewer.core.findings import ModelCard
from cxr_viewer.inference.cards import read_card


@pytest.fixture(scope="module")
def bundled(repository: Path) -> ModelCard:
    return read_card(repository / "resources/models/paediatric-pneumonia")


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


def test_the_page_tells_of_the_model_that_travels_with_the_program(repository: Path, bundled: ModelCard) -> None:
    page = (repository / "docs/models.md").read_text(encoding="utf-8")
    assert f"`{bundled.model_id}` {bundled.version} (weights {bundled.sha256[:8]})" in page
    chief = next(metric for metric in bundled.metrics if metric.name == "AUC")
    assert f"AUC {chief.value:.3f} (95 % {chief.low:.3f} to {chief.high:.3f})" in page
    assert "not looked at" not in page


def test_words_about_a_map_hold_for_its_weights_and_heat_only(survey: Any, bundled: ModelCard) -> None:
    looked = tomllib.loads(survey.LOOKED_AT.read_text(encoding="utf-8"))["looked"]
    entry = next(each for each in looked if each["model"] == bundled.model_id)
    film = entry["films"][0]
    assert survey.holds(entry, film, bundled, {film: entry["hottest"]})
    assert not survey.holds(entry, film, bundled, {film: entry["hottest"] + 2 * survey.SAME_HEAT})
    assert not survey.holds(entry | {"sha256": "0" * 64}, film, bundled, {film: entry["hottest"]})
    assert not survey.holds(entry, film, bundled, {})
