"""Films in memory are what the network is given in reading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from cxr_viewer.core.errors import CxrError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, InputSpec
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.cards import read_card
from cxr_viewer.inference.preprocess import model_grey, prepare, see
from cxr_viewer.training.asking import Asked, Listed, ask
from cxr_viewer.training.augment import AugmentConfig, augmented_pair
from cxr_viewer.training.films import (
    NO_MASK,
    FilmSet,
    cut,
    film_radiograph,
    kept_film,
    load_films,
    prepared,
)
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.recipe import Recipe, read_recipe

SPEC = InputSpec(size_px=96, fit="stretch", crop_border=True, mean=0.0, std=1.0)


def _recipe(*changes: str) -> Recipe:
    return read_recipe("classify", ["input.size_px=64", *changes])


def test_order_and_label_stay(few_films: FilmSet) -> None:
    assert len(few_films) == 40
    assert few_films.grey.dtype == np.uint8
    assert few_films.labels.tolist() == [int(record.targets[0]) for record in few_films.records]
    part = few_films.only(few_films.labels == 1)
    assert set(part.labels.tolist()) == {1}
    assert np.array_equal(part.grey, few_films.grey[few_films.labels == 1])


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("crop_border", [True, False])
def test_what_is_kept_is_what_is_read_later(few_films: FilmSet, fit: str, crop_border: bool) -> None:
    """From the kept square to the input, against ``prepare`` on the whole film; twice resized, so nearly."""
    spec = replace(SPEC, fit=fit, crop_border=crop_border)
    for record in few_films.records[::10]:
        film = model_grey(film_radiograph(record.path))
        film = np.ascontiguousarray(film[: round(0.7 * film.shape[0])])  # broader than high
        kept = kept_film(film, spec, 192)
        assert np.abs(cut(kept.grey, kept.area, 96) - prepare(film, spec)[0][0]).mean() < 0.02


def test_films_cut_to_the_lungs_keep_room_to_move(few_films: FilmSet) -> None:
    spec = replace(SPEC, crop="lungs", margin=0.05)
    film = model_grey(film_radiograph(few_films.records[0].path))
    lungs = ImageRect(40, 50, 100, 90)
    kept = kept_film(film, spec, 192, lungs)
    assert np.abs(cut(kept.grey, kept.area, 96) - prepare(film, spec, lungs)[0][0]).mean() < 0.02
    assert kept.area[0] > 10
    assert kept.area[2] < 182
    with pytest.raises(CxrError, match="lungs were not found"):
        kept_film(film, spec, 192, None)


def test_a_mask_moves_with_its_film(few_films: FilmSet, tmp_path: Path) -> None:
    """A film that is bright where its mask is stays so, however it is kept and moved."""
    picture = np.zeros((120, 160), dtype=np.uint8)
    picture[40:90, 60:130] = 200
    picture[::7, ::5] += 20
    cv2.imwrite(str(tmp_path / "film.png"), picture)
    cv2.imwrite(str(tmp_path / "mask.png"), cv2.resize((picture >= 200).astype(np.uint8), (80, 60), interpolation=0))
    record = FilmRecord(tmp_path / "film.png", (1.0,), "p", mask=tmp_path / "mask.png", place="line 2")
    config = AugmentConfig(swap_share=0, blank_share=0, tone_share=0, plain_share=1, mirror_share=1.0)
    for fit in ("stretch", "pad"):
        films = load_films(
            [record, replace(record, mask=None)], _recipe(f"input.fit={fit}"), "x", masks=True, quiet=True
        )
        assert films.masks is not None
        assert (films.masks[1] == NO_MASK).all()
        for seed in range(5):
            grey, mask = augmented_pair(films, 0, 64, config, np.random.default_rng(seed))
            assert ((grey > 0.6) == (mask == 1)).mean() > 0.95
        assert (augmented_pair(films, 1, 64, config, np.random.default_rng(0))[1] == NO_MASK).all()


def test_dicom_is_read_as_everywhere(need_data: Callable[[str], Path], paediatric: Path) -> None:
    path = sorted(need_data("dicom").glob("*.dcm"))[0]
    films = load_films([FilmRecord(path, (1.0,), "p", place="line 2")], _recipe(), "x", quiet=True)
    assert films.grey.shape == (1, 64, 64)
    assert films.grey.std() > 20


def test_the_view_of_a_film_is_the_same_in_training_in_evaluating_and_in_reading(
    need_data: Callable[[str], Path], few_films: FilmSet, paediatric: Path
) -> None:
    """What a DICOM file says goes before the index, and does where the index is silent; a picture says nothing."""

    class Reader:
        views: ClassVar[list[str]] = []

        def analyse(self, request: AnalysisRequest, *_: object) -> AnalysisResult:
            self.views.append(request.image.view.value)
            raise RefusalError("Not scored.", code="x")

    path = need_data("dicom") / "cr_barre_fuji_pa_mono1_10bit.dcm"
    dicom = FilmRecord(path, (1.0,), "p", view="AP", place="line 2")
    records = [dicom, replace(dicom, view="", place="line 3"), replace(few_films.records[0], view="AP")]
    learned = load_films(records, _recipe(), "x", quiet=True).records
    card = read_card(resources_dir() / "models" / "paediatric-pneumonia")
    asked = Asked(Path("site.csv"), quiet=True)
    told = ask(Listed(tuple(records), ("Pneumonia",), (), "all"), card, Reader(), asked).records
    assert [one.view for one in learned] == [one.view for one in told] == Reader.views == ["PA", "PA", "AP"]
    assert [one.age for one in learned[:2]] == [one.age for one in told[:2]]


def test_unreadable_films_are_named_with_their_line(
    few_films: FilmSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 this is no picture")
    bad = FilmRecord(tmp_path / "broken.jpg", (1.0,), "p1", place="index.csv, line 7")
    gone = replace(bad, path=tmp_path / "gone.png", place="index.csv, line 8")
    good = few_films.records[0]
    with pytest.raises(CxrError, match=r"2 of 3 some films cannot be read") as fault:
        load_films([bad, good, gone], _recipe(), "some", quiet=True)
    assert "index.csv, line 7: “broken.jpg”" in fault.value.summary
    assert "index.csv, line 8: “gone.png”" in fault.value.summary
    films = load_films([bad, good, gone], _recipe(), "some", allowed=2, quiet=True)
    assert films.records == (good,)
    assert "broken.jpg" in capsys.readouterr().out
    with pytest.raises(CxrError, match="cannot be read"):
        load_films([bad], _recipe(), "some", allowed=5, quiet=True)


@pytest.mark.parametrize("how", ["median", "non-local-means"])
def test_a_film_is_read_without_the_noise_that_training_took_away(few_films: FilmSet, tmp_path: Path, how: str) -> None:
    """The same recipe line on both ways: what was learned, and what the program feeds the network by the card."""
    chance = np.random.default_rng(0)
    film = np.kron(cv2.imread(str(few_films.records[0].path), cv2.IMREAD_GRAYSCALE), np.ones((2, 2)))
    noisy = np.clip(film + chance.normal(0, 25, film.shape), 0, 255).astype(np.uint8)
    path = tmp_path / "noisy.png"
    cv2.imwrite(str(path), noisy)
    record = replace(few_films.records[0], path=path)
    recipe = _recipe("input.size_px=192", "films.size_px=384", f"input.denoise={how}", "input.denoise_strength=30")
    learned = prepared(load_films([record], recipe, "noisy", quiet=True), recipe.input)[0]
    fed = see(film_radiograph(path), recipe.input).film
    plain = see(film_radiograph(path), replace(recipe.input, denoise="")).film
    assert np.abs(learned - fed).mean() < 0.1 * np.abs(learned - plain).mean()


def test_each_channel_has_its_own_normalisation(few_films: FilmSet) -> None:
    spec = replace(SPEC, channels=3, channel_means=(0.1, 0.2, 0.3), channel_stds=(1.0, 2.0, 4.0))
    colour, grey = prepared(few_films.only(np.arange(40) < 2), spec), prepared(few_films.only(np.arange(40) < 2), SPEC)
    assert colour.shape == (2, 3, 96, 96)
    np.testing.assert_allclose(colour[:, 2], (grey[:, 0] - 0.3) / 4, atol=1e-6)
