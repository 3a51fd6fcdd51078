"""A network that reads only the lungs is given their box and nothing of the film around it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.errors import ModelError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, InputSpec
from cxr_viewer.core.geometry import ImageRect, Orientation
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.core.seeing import film_words, seen_rows, seen_share, unseen_strips
from cxr_viewer.inference.catalog import BundleCatalog
from cxr_viewer.inference.engines import score_key
from cxr_viewer.inference.engines.probes import probe_film, sample_films
from cxr_viewer.inference.preprocess import lung_area, model_grey, prepare, see
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.inference.telling import enlarged

LUNGS = InputSpec(64, "stretch", False, 0.5, 0.25, crop="lungs", margin=0.1)
WHOLE = ImageRect(0, 0, 192, 192)
BOX = ImageRect(40, 30, 100, 120)


def child(pixels: np.ndarray | None = None) -> Radiograph:
    path = resources_dir() / "samples" / "child-2-pneumonia.png"
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if pixels is None else pixels
    return Radiograph(ImageKey("", "", "child"), Path("child.png"), grey, 8, "MONOCHROME2", "DX", is_dicom=False)


def answer(told: object) -> AnalysisResult:
    key = ImageKey("", "", "child")
    return AnalysisResult(0, 1, key, "m", "M", "1", "0" * 64, (), (), told.seen, "CPU", 0.0, saw=told.saw)


def test_the_input_is_the_box_with_its_margin_and_nothing_else() -> None:
    film = child()
    told = see(film, LUNGS, BOX)
    assert told.seen == ImageRect(30, 18, 120, 144)
    grey = model_grey(film)[18:162, 30:150]
    alone, _ = prepare(np.ascontiguousarray(grey), dataclasses.replace(LUNGS, crop="", margin=0.0))
    assert np.array_equal(told.film, alone)
    assert np.array_equal(told.film, prepare(model_grey(film), LUNGS, BOX)[0])
    assert np.abs(told.saw.picture - (told.film[0] * 0.25 + 0.5) * 255).max() <= 0.5 + 1e-3


def test_pixels_outside_the_box_do_not_reach_the_network() -> None:
    """Where 0 and 1 lie is taken from the whole film; here the frame is exchanged for the greys of the lungs."""
    film = model_grey(child())
    other = film[::-1, ::-1].copy()
    area = lung_area(BOX, LUNGS.margin, WHOLE)
    rows, columns = slice(int(area.y), int(area.bottom)), slice(int(area.x), int(area.right))
    other[rows, columns] = film[rows, columns]
    assert not np.array_equal(other, film)
    assert np.array_equal(prepare(other, LUNGS, BOX)[0], prepare(film, LUNGS, BOX)[0])


def test_without_lungs_the_model_declines_in_a_sentence() -> None:
    for lungs in (None, ImageRect(300, 20, 50, 50), ImageRect(20, 20, 4, 100)):
        with pytest.raises(RefusalError) as refused:
            see(child(), LUNGS, lungs)
        assert refused.value.code == "lungs-not-found"
        assert refused.value.summary.endswith("this model reads nothing but the lungs.")
        assert refused.value.hint


def test_models_of_the_whole_film_do_not_care_where_the_lungs_are() -> None:
    spec = dataclasses.replace(LUNGS, crop="", margin=0.0)
    assert np.array_equal(see(child(), spec, BOX).film, see(child(), spec).film)
    assert see(child(), spec, BOX).saw.crop == ""
    with pytest.raises(ValueError, match="unknown crop"):
        see(child(), dataclasses.replace(LUNGS, crop="heart"), BOX)


@given(st.floats(-30, 180), st.floats(-30, 180), st.floats(25, 260), st.floats(25, 260), st.floats(0, 0.5))
def test_the_widened_box_stays_on_the_film(x: float, y: float, width: float, height: float, margin: float) -> None:
    lungs = ImageRect(x, y, width, height)
    try:
        area = lung_area(lungs, margin, WHOLE)
    except RefusalError:
        across = min(x + width * (1 + margin), 192) - max(x - width * margin, 0)
        down = min(y + height * (1 + margin), 192) - max(y - height * margin, 0)
        assert min(across, down) < 0.1 * 192 + 1
        return
    assert 0 <= area.x < area.right <= 192
    assert 0 <= area.y < area.bottom <= 192
    assert all(value == int(value) for value in (area.x, area.y, area.right, area.bottom))
    for edge, wanted, low, high in (
        (area.x, x - margin * width, 0, 192),
        (area.right, x + width + margin * width, 0, 192),
        (area.y, y - margin * height, 0, 192),
        (area.bottom, y + height + margin * height, 0, 192),
    ):
        assert abs(edge - min(max(wanted, low), high)) <= 0.5 + 1e-9


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_the_reader_is_told_that_it_was_cropped_to_the_lungs(fit: str) -> None:
    film = child()
    told = answer(see(film, dataclasses.replace(LUNGS, fit=fit), BOX))
    words = film_words(told, film, Orientation())
    assert "of the film, cropped to the lungs: " in words
    assert dict(seen_rows(told, film))["Film"] == words
    strips = unseen_strips(told, film.rows, film.columns)
    lost = sum(strip.width * strip.height for strip in strips) / (film.rows * film.columns)
    assert len(strips) == 4
    assert lost == pytest.approx(1 - seen_share(told, film.rows, film.columns))


def test_what_is_enlarged_is_told_by_the_cut_and_not_by_the_film() -> None:
    """A film of 192 pixels is more than 160, and the lungs on it are less."""
    film, lungs = child(), dataclasses.replace(LUNGS, size_px=160)
    (caution,) = enlarged(lungs, film, see(film, lungs, BOX))
    assert caution.code == "few-pixels"
    assert caution.text == (
        "The part of the film that the model reads has 120 x 144 pixels and is enlarged to 160 x 160: "
        "fine detail is missing."
    )
    assert enlarged(LUNGS, film, see(film, LUNGS, BOX)) == ()
    whole = dataclasses.replace(lungs, crop="", margin=0.0)
    assert enlarged(whole, film, see(film, whole)) == ()


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_a_film_smaller_than_the_input_is_told(fit: str) -> None:
    film = child(np.ascontiguousarray(child().stored[:, 20:150]))
    spec = InputSpec(224, fit, False, 0.5, 0.25)
    (caution,) = enlarged(spec, film, see(film, spec))
    assert caution.text == "The film has 130 x 192 pixels and is enlarged to 224 x 224: fine detail is missing."


def test_engines_are_tried_out_without_asking_where_the_lungs_are(card) -> None:
    own = card(input=LUNGS)
    assert probe_film(LUNGS).shape == (1, 1, 64, 64)
    films = sample_films(own)
    assert films.shape == (20, 1, 64, 64)
    assert films.std() > 0.1


def test_a_score_belongs_to_the_crop(card) -> None:
    keys = {
        score_key(card(input=dataclasses.replace(LUNGS, crop=crop, margin=margin)))
        for crop, margin in (("", 0.0), ("lungs", 0.0), ("lungs", 0.1))
    }
    assert len(keys) == 3


def test_a_model_of_the_lungs_needs_the_anatomy_model_and_says_so(tmp_path: Path, bundle, random_network) -> None:
    """Not that there were no lungs on the film: nobody has looked."""
    folder, _ = bundle(tmp_path, random_network(), input=LUNGS)
    runner = LocalRunner(BundleCatalog([folder.parent]), tmp_path / "cache")
    try:
        with pytest.raises(ModelError, match="the anatomy model that finds them is not installed") as missing:
            runner.analyse(AnalysisRequest(0, 1, child(), "tiny"), CancelToken(), lambda stage: None)
        assert missing.value.code == "no-anatomy"
    finally:
        runner.close()
