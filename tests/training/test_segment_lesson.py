"""Learning outlines: films and outlines change together, and what the network outlines itself is learned from."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.index import read_index
from cxr_viewer.training.lessons import kind_of
from cxr_viewer.training.lessons.outlines_augment import OutlineAugment, augmented, laid_back
from cxr_viewer.training.lessons.segment import SegmentLesson, dice, outline_loss, sharpened
from cxr_viewer.training.parts import ReadOptions, parts_of
from cxr_viewer.training.recipe import Recipe, recipe_from
from cxr_viewer.training.segment_figures import found_on, given_outlines, mirrored, spoiled

SIDE = 64


class FromGrey(nn.Module):
    """Knows the drawn films: lungs are dark, the heart is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(40.0))

    def forward(self, x: Tensor) -> Tensor:
        grey = x[:, 0] * 0.25 + 0.5
        lungs = 0.2 - grey
        heart = 0.15 - (grey - 1.0).abs()
        return self.scale * torch.stack([lungs, heart], dim=1)


def drawn(shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A film of 96 pixels and its mask."""
    film, mask = np.full((96, 96), 160, dtype=np.uint8), np.zeros((96, 96), dtype=np.uint8)
    for x in (28, 68):
        cv2.ellipse(film, (x + shift, 48), (13, 32), 0, 0, 360, 76, -1)
        cv2.ellipse(mask, (x + shift, 48), (13, 32), 0, 0, 360, 1, -1)
    cv2.ellipse(film, (53 + shift, 64), (15, 12), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (53 + shift, 64), (15, 12), 0, 0, 360, 2, -1)
    return film, mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve films with masks, one of them not good, and beside them four without."""
    for name in ("films", "masks", "bare"):
        (tmp_path / name).mkdir()
    for kind, count in (("films", 12), ("bare", 4)):
        with (tmp_path / f"{kind}_index.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "patient_id", "view", "split", "Wide", "mask", "mask_good", "mask_ctr"])
            for number in range(count):
                film, mask = drawn(number % 3 - 1)
                film[95, number * 5 : number * 5 + 5] = 0 if kind == "films" else 255  # no two films are the same
                cv2.imwrite(str(tmp_path / kind / f"{kind}{number}.png"), film)
                cv2.imwrite(str(tmp_path / "masks" / f"{number}.png"), mask)
                split = "test" if kind == "bare" and number == 3 else "train"
                outline = f"masks/{number}.png" if kind == "films" else ""
                row = [f"{kind}/{kind}{number}.png", f"{kind}{number}", "PA", split, number % 2, outline]
                writer.writerow([*row, int(number != 5), 0.4])
    return tmp_path


def recipe(**segment: object) -> Recipe:
    table = {"good_column": "mask_good", "ratio_column": "mask_ctr", "own_from": 0.0, "own_every": 2, **segment}
    return recipe_from(
        {
            "lesson": "segment",
            "network": "cxr-unet",
            "labels": [{"name": "Wide"}],
            "input": {"size_px": SIDE, "fit": "pad", "crop_border": False, "mean": 0.5, "std": 0.25},
            "split": {"validation_share": 0.3},
            "segment": table,
        },
        "test.toml",
    )


def lesson_of(folder: Path, asked: Recipe) -> SegmentLesson:
    index = read_index(asked, [folder / "films_index.csv"])
    parts = parts_of(index, asked, ReadOptions(quiet=True), masks=True)
    made = kind_of(asked).build(asked, parts)
    assert isinstance(made, SegmentLesson)
    return made


def test_film_and_outlines_change_together() -> None:
    film, mask = drawn()
    outlines = np.stack([mask == 1, mask == 2]).astype(np.uint8) * np.uint8(255)
    plain = OutlineAugment(
        log_gamma=0, contrast=(1, 1), brightness=0, equalise_share=0, detail_share=0, shade_share=0, blur_share=0,
        noise_share=0, marks=0, line_share=0, edge_share=0, patch_share=0,
    )  # fmt: skip
    for seed in range(5):
        grey, target = augmented(film, outlines, (0, 0, 96, 96), 128, plain, np.random.default_rng(seed))
        assert grey.shape == (128, 128)
        assert target.shape == (2, 128, 128)
        lungs = np.abs(grey - 76 / 255) < 0.1
        assert dice((target[0] > 0.5)[None], lungs[None])[0] > 0.93


def test_outlines_end_where_the_film_is_cut() -> None:
    film, mask = drawn()
    outlines = np.stack([mask == 1, mask == 2]).astype(np.uint8) * np.uint8(255)
    config = OutlineAugment(mild_share=0, edge_share=1, edge=0.6, noise_share=0, marks=0, line_share=0, patch_share=0)
    chance = np.random.default_rng(3)
    whole = float((outlines[0] > 0).mean())
    shares = [augmented(film, outlines, (0, 0, 96, 96), 96, config, chance)[1][0].mean() for _ in range(20)]
    assert min(shares) < 0.5 * whole


def test_laid_back_is_the_way_back() -> None:
    chances = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)
    assert np.allclose(laid_back(chances, (0, 0, 96, 96), (96, 96), (32, 32)), chances, atol=1e-5)
    moved = laid_back(chances, (48, 0, 144, 96), (96, 96), (96, 96))
    assert (moved[:, :, :46] == 0).all()
    assert moved[:, :, 50:].mean() > 0.4


def test_batches_hold_films_and_outlines(folder: Path) -> None:
    lesson = lesson_of(folder, recipe(per_epoch=6))
    order = lesson.order(np.random.default_rng(1))
    assert order.size == 6
    batch = lesson.batch(order, np.random.default_rng(2))
    assert batch["film"].shape == (6, 1, SIDE, SIDE)
    assert batch["outlines"].shape == (6, 2, SIDE, SIDE)
    loss = lesson.loss(lesson.network(), batch)
    assert loss.requires_grad
    assert float(loss.detach()) > 0.5
    assert float(outline_loss((batch["outlines"] - 0.5) * 40, batch["outlines"])) < 0.15


def test_the_network_outlines_films_without_outlines(folder: Path) -> None:
    """Films whose masks are not good, and those of another index that are not for testing, come in once it can."""
    lesson = lesson_of(folder, recipe(bare=["bare"], own_share=0.5, own_sure=[0.5, 0.5]))
    before = set(lesson.order(np.random.default_rng(1)).tolist())
    judged = lesson.judge(FromGrey().eval())
    assert judged.score > 0.9
    assert judged.figures["Dice Lungs PA"] > 0.93
    assert judged.figures["own outlines"] >= 3
    after = set(lesson.order(np.random.default_rng(1)).tolist())
    assert after - before
    batch = lesson.batch(np.array(sorted(after - before)), np.random.default_rng(2))
    assert float(batch["outlines"].max()) > 0.9


def test_faulty_recipes_and_films_are_told(folder: Path) -> None:
    with pytest.raises(CxrError, match="as many entries"):
        lesson_of(folder, recipe(values=[1, 2, 3]))
    with pytest.raises(CxrError, match="nothing else can be measured"):
        lesson_of(folder, recipe(structures=["Lungs", "Ribs"]))
    with pytest.raises(CxrError, match="no outlined films"):
        lesson_of(folder, recipe(good_value="never"))


def test_figures_of_a_network_that_knows(folder: Path) -> None:
    asked = recipe()
    index = read_index(asked, [folder / "films_index.csv"])
    films = parts_of(index, asked, ReadOptions(quiet=True), masks=True).validation
    kind = kind_of(asked)
    config = asked.table("segment", kind.tables()["segment"])
    found = found_on(FromGrey().eval(), films, asked, given_outlines(films, config))
    assert np.nanmin(found.dice) > 0.85
    other = mirrored(films)
    turned = found_on(FromGrey().eval(), other, asked, given_outlines(other, config))
    assert np.nanmin(turned.dice) > 0.85
    assert np.allclose(np.nan_to_num(turned.side), -np.nan_to_num(found.side), atol=0.15)
    worse = spoiled(films, np.random.default_rng(0))
    assert worse.grey.shape == films.grey.shape
    assert (worse.grey != films.grey).any()


def test_sharpened_moves_away_from_the_middle() -> None:
    assert sharpened(np.array([0.2, 0.5, 0.9], dtype=np.float32)) == pytest.approx([0.0588, 0.5, 0.9878], abs=1e-3)
