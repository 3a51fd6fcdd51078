"""Training finds the lungs as reading does, once per film."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cxr_viewer.core.errors import ModelError
from cxr_viewer.core.findings import InputSpec, LabelSpec, ModelCard, ScoreKind, Task
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, write_card
from cxr_viewer.inference.networks import build_segmenter
from cxr_viewer.training import lungs
from cxr_viewer.training.lungs import KEPT_NAME, LungFinder, anatomy_bundle

CARD = ModelCard(
    model_id="outlines",
    name="Outlines",
    version="1.0.0",
    network="cxr-unet",
    sha256="0" * 64,
    licence="Apache-2.0",
    labels=(LabelSpec("Heart", 0.5), LabelSpec("Lungs", 0.5)),
    score_kind=ScoreKind.UNCALIBRATED,
    input=InputSpec(64, "stretch", False, 0.0, 1.0),
    temperature=1.0,
    bias=0.0,
    intended_ages=None,
    intended_views=("PA",),
    intended_use="Tests only.",
    trained_on="nothing",
    task=Task.SEGMENT,
)


class DarkIsLung(nn.Module):
    """What is dark is lung, and no heart is anywhere; counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, film: torch.Tensor) -> torch.Tensor:
        self.asked += 1
        return torch.cat([torch.full_like(film, -9.0), 40 * (0.35 - film)], dim=1)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> DarkIsLung:
    network = DarkIsLung()
    monkeypatch.setattr(lungs, "load_segmenter", lambda name, outputs, state: network)
    return network


def bundle(folder: Path, **changes: object) -> Path:
    torch.manual_seed(0)
    folder.mkdir()
    save_file(build_segmenter("cxr-unet", 2).state_dict(), folder / WEIGHTS_NAME)
    card = dataclasses.replace(CARD, sha256=file_sha256(folder / WEIGHTS_NAME), **changes)  # type: ignore[arg-type]
    write_card(card, folder / CARD_NAME)
    return folder


def film(folder: Path, *boxes: tuple[int, int, int, int]) -> Radiograph:
    """A grey film of 200 x 240 pixels with dark lungs, (left, top, right, bottom) each; its file is written once."""
    grey = np.full((240, 200), 160, np.uint8)
    grey[::7] += 40
    for left, top, right, bottom in boxes:
        grey[top:bottom, left:right] = 10
    path = folder / f"film{len(boxes)}.png"
    if not path.exists():
        cv2.imwrite(str(path), grey)
    return Radiograph(ImageKey("", "", path.name), path, grey, 8, "MONOCHROME2", "", is_dicom=False)


TWO = ((30, 40, 90, 180), (110, 40, 170, 180))


def test_the_box_is_in_pixels_of_the_film(tmp_path: Path, network: DarkIsLung) -> None:
    box = LungFinder(bundle(tmp_path / "model")).box(film(tmp_path, *TWO))
    assert box is not None
    assert (box.x, box.y, box.right, box.bottom) == pytest.approx((30, 40, 170, 180), abs=240 / 64)


def test_a_film_is_looked_at_once_and_again_when_it_changed(tmp_path: Path, network: DarkIsLung) -> None:
    model, kept = bundle(tmp_path / "model"), tmp_path / "run"
    first = LungFinder(model, kept)
    boxes = [first.box(film(tmp_path, *TWO)), first.box(film(tmp_path))]
    assert boxes[1] is None
    assert network.asked == 2
    first.save()
    again = LungFinder(model, kept)
    assert [again.box(film(tmp_path, *TWO)), again.box(film(tmp_path))] == boxes
    assert network.asked == 2
    (tmp_path / "film2.png").write_bytes((tmp_path / "film0.png").read_bytes())
    assert again.box(dataclasses.replace(film(tmp_path), path=tmp_path / "film2.png")) is None
    assert network.asked == 3


def test_boxes_of_other_weights_or_a_torn_file_are_not_used(tmp_path: Path, network: DarkIsLung) -> None:
    model, kept = bundle(tmp_path / "model"), tmp_path / "run"
    first = LungFinder(model, kept)
    first.box(film(tmp_path, *TWO))
    first.save()
    content = json.loads((kept / KEPT_NAME).read_text(encoding="utf-8"))
    for text in (json.dumps(content | {"anatomy": "1" * 64}), "{", "[]", '{"anatomy": "x"}'):
        (kept / KEPT_NAME).write_text(text, encoding="utf-8")
        asked = network.asked
        assert isinstance(LungFinder(model, kept).box(film(tmp_path, *TWO)), ImageRect)
        assert network.asked == asked + 1


@pytest.mark.parametrize(
    "changes",
    [{"labels": (LabelSpec("Ribs", 0.5), LabelSpec("Spine", 0.5))}, {"task": Task.CLASSIFY}],
)
def test_another_model_is_refused_in_a_sentence(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="does not outline lungs"):
        LungFinder(bundle(tmp_path / "model", **changes))


def test_without_an_anatomy_model_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Empty:
        def cards(self) -> tuple[ModelCard, ...]:
            return ()

    monkeypatch.setattr(lungs, "BundleCatalog", Empty)
    with pytest.raises(ModelError, match="no model that finds the lungs") as none:
        anatomy_bundle()
    assert "--set films.anatomy=" in none.value.hint
    assert anatomy_bundle(str(tmp_path)) == tmp_path
