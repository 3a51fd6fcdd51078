"""``cxr-viewer models prepare``."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cxr_viewer.cli import parts, prepare
from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import AnalysisRequest
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, read_card, write_card
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.networks import build_network, build_segmenter
from cxr_viewer.sources.reader import SandboxReader

MODELS = resources_dir() / "models"
SIDE = 64


def small(bundled: str, folder: Path, network: torch.nn.Module, name: str) -> None:
    """A bundle with the card of a bundled model over a small network that has learned nothing."""
    folder.mkdir(parents=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / WEIGHTS_NAME)
    card = read_card(MODELS / bundled)
    spec = replace(card.input, size_px=SIDE, crop="", margin=0.0)
    card = replace(card, model_id=folder.name, name=folder.name, network=name, input=spec, reference=None)
    write_card(replace(card, sha256=file_sha256(folder / WEIGHTS_NAME)), folder / CARD_NAME)


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleCatalog:
    """A findings model and both that work beside it. What is done once per computer does not depend on their size."""
    models = tmp_path / "models"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        finder, unet = build_network("cxr-tiny", 1).eval(), build_segmenter("cxr-unet", 2).eval()
    small("paediatric-pneumonia", models / "finder", finder, "cxr-tiny")
    small("anatomy", models / "outlines", unet, "cxr-unet")
    shutil.copytree(MODELS / "guard", models / "guard")  # the film has to pass
    found = BundleCatalog([models])
    monkeypatch.setattr(parts, "catalog", lambda: found)
    return found


@pytest.mark.timeout(300)
def test_a_prepared_model_needs_no_conversion_any_more(
    capsys: pytest.CaptureFixture[str], catalog: BundleCatalog
) -> None:
    assert {card.serves for card in catalog.cards()} == {"", "anatomy", "guard"}
    assert prepare.prepare("finder") == 0
    assert capsys.readouterr().out == "finder: ready.\n"
    stages: list[str] = []
    with parts.sandbox(1) as processes, parts.runner(catalog) as runner:
        film = SandboxReader(processes).read_path(resources_dir() / "samples" / "child-1-normal.png", CancelToken())
        result = runner.analyse(AnalysisRequest(0, 1, film, "finder"), CancelToken(), stages.append)
    assert (result.check is not None, result.anatomy is not None) == (True, True)
    assert stages[:2] == ["Preparing the film", "Checking the film"]
    assert stages[-2:] == ["Scoring", "Explaining"]
    assert set(stages[2:-2]) == {"Loading the model"}  # nothing "only once", neither for this model nor those beside it


def test_a_model_nobody_knows_is_told() -> None:
    with pytest.raises(CxrError, match="There is no model “nobody”"):
        prepare.prepare("nobody")
