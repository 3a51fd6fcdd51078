"""Films without a mask get one by the anatomy model, in the place of the film, once."""

from __future__ import annotations

import dataclasses
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
from cxr_viewer.inference.cards import CARD_NAME, WEIGHTS_NAME, file_sha256, write_card
from cxr_viewer.inference.networks import build_segmenter
from cxr_viewer.training import outlines
from cxr_viewer.training.index import FilmRecord, Index
from cxr_viewer.training.outlines import mask_of, outlined
from cxr_viewer.training.recipe import LabelColumn

CARD = ModelCard(
    model_id="outlines",
    name="Outlines",
    version="1.0.0",
    network="cxr-unet",
    sha256="0" * 64,
    licence="Apache-2.0",
    labels=(LabelSpec("Heart", 0.5), LabelSpec("Lungs", 0.5)),
    score_kind=ScoreKind.UNCALIBRATED,
    input=InputSpec(128, "pad", False, 0.0, 1.0),
    temperature=1.0,
    bias=0.0,
    intended_ages=None,
    intended_views=("PA",),
    intended_use="Tests only.",
    trained_on="nothing",
    task=Task.SEGMENT,
)


class ByGrey(nn.Module):
    """What is dark is lung, what is bright is heart; counts the films it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, film: torch.Tensor) -> torch.Tensor:
        self.asked += len(film)
        return torch.cat([40 * (film - 0.85), 40 * (0.25 - film)], dim=1)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> ByGrey:
    network = ByGrey()
    monkeypatch.setattr(outlines, "load_segmenter", lambda name, outputs, state: network)
    return network


def bundle(folder: Path, seed: int = 0, **changes: object) -> Path:
    torch.manual_seed(seed)
    folder.mkdir()
    save_file(build_segmenter("cxr-unet", 2).state_dict(), folder / WEIGHTS_NAME)
    card = dataclasses.replace(CARD, sha256=file_sha256(folder / WEIGHTS_NAME), **changes)  # type: ignore[arg-type]
    write_card(card, folder / CARD_NAME)
    return folder


def films(folder: Path) -> Index:
    """Two training films and one for testing, 200 x 240 pixels: one dark lung, a bright heart beside it."""
    grey = np.full((240, 200), 130, np.uint8)
    grey[::5] += 30
    grey[60:180, 40:90] = 10
    grey[120:190, 100:150] = 250
    folder.mkdir()
    records = []
    for name, split in (("a", "train"), ("b", ""), ("c", "test")):
        cv2.imwrite(str(folder / f"{name}.png"), grey)
        records.append(FilmRecord(folder / f"{name}.png", (1.0,), name, split=split))
    return Index((LabelColumn("Effusion"),), tuple(records))


def test_a_mask_lies_where_the_film_shows_it(tmp_path: Path, network: ByGrey) -> None:
    index = outlined(films(tmp_path / "films"), bundle(tmp_path / "model"), tmp_path / "masks", quiet=True)
    first, second, test = index.records
    assert first.mask is not None
    assert second.mask is not None
    assert test.mask is None  # nothing is learned from it
    mask = np.asarray(cv2.imread(str(first.mask), cv2.IMREAD_GRAYSCALE))
    assert mask.shape == (240, 200)
    truth = np.zeros_like(mask)
    truth[60:180, 40:90] = 1
    truth[120:190, 100:150] = 2
    assert float((mask == truth).mean()) > 0.985
    assert set(np.unique(mask)) == {0, 1, 2}


def test_masks_are_drawn_once_for_the_same_weights(tmp_path: Path, network: ByGrey) -> None:
    index, folder = films(tmp_path / "films"), tmp_path / "masks"
    model = bundle(tmp_path / "model")
    outlined(index, model, folder, quiet=True)
    assert network.asked == 2
    outlined(index, model, folder, quiet=True)
    assert network.asked == 2
    outlined(index, bundle(tmp_path / "other", seed=1), folder, quiet=True)
    assert network.asked == 4


def test_a_mask_of_ones_own_stays(tmp_path: Path, network: ByGrey) -> None:
    index = films(tmp_path / "films")
    own = dataclasses.replace(index.records[0], mask=tmp_path / "own.png")
    given = Index(index.labels, (own, *index.records[1:]))
    out = outlined(given, bundle(tmp_path / "model"), tmp_path / "masks", quiet=True)
    assert out.records[0].mask == tmp_path / "own.png"
    assert network.asked == 1


def test_a_film_that_cannot_be_read_keeps_no_mask(tmp_path: Path, network: ByGrey) -> None:
    index = films(tmp_path / "films")
    index.records[0].path.write_bytes(b"no picture")
    out = outlined(index, bundle(tmp_path / "model"), tmp_path / "masks", quiet=True)
    assert out.records[0].mask is None
    assert out.records[1].mask is not None


def test_a_model_without_a_heart_is_refused(tmp_path: Path) -> None:
    model = bundle(tmp_path / "model", labels=(LabelSpec("Lungs", 0.5), LabelSpec("Bones", 0.5)))
    with pytest.raises(ModelError, match="lungs and heart"):
        outlined(films(tmp_path / "films"), model, tmp_path / "masks", quiet=True)


def test_an_outline_outside_of_what_was_seen_is_nothing() -> None:
    square = np.zeros((2, 8, 8), dtype=np.bool_)
    square[0] = True
    mask = mask_of(square, ImageRect(4, 2, 16, 16), (20, 24))
    assert mask[2:18, 4:20].all()
    assert mask.sum() == 16 * 16
