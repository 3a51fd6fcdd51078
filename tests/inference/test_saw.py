"""The picture of what the model saw is the network's very input, of the bundled model on real films."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.image import ImageKey
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.seeing import given_area, unseen_strips
from cxr_viewer.imaging import luts
from cxr_viewer.inference.engines.openvino import OpenVinoEngine
from cxr_viewer.inference.preprocess import exposed_area, lung_area, model_grey, see
from cxr_viewer.inference.runner import LocalRunner

REAL = "paediatric-pneumonia"


@pytest.fixture
def fed(monkeypatch):
    """Every input the engine was given."""
    inputs = []
    real = OpenVinoEngine.run

    def run(self, film, *rest, **options):
        inputs.append(np.array(film))
        return real(self, film, *rest, **options)

    monkeypatch.setattr(OpenVinoEngine, "run", run)
    return inputs


def test_the_picture_is_the_input_of_the_engine(real_films, real_cache, real_card, fed) -> None:
    runner = LocalRunner(cache=real_cache)
    try:
        for number, image in enumerate(real_films.values(), 1):
            answer = runner.analyse(AnalysisRequest(0, number, image, REAL, override=True), CancelToken(), print)
            spec, saw = real_card.input, answer.saw
            assert saw is not None
            grey = fed[-1][0, 0] * spec.std + spec.mean
            assert saw.picture.shape == (spec.size_px, spec.size_px)
            assert np.abs(saw.picture / 255 - grey).max() <= 0.5 / 255 + 1e-5
            assert saw.turned == luts.inverts(image)
            assert not saw.picture.flags.writeable
        assert len(fed) >= len(real_films)  # guard and anatomy model may have looked, too, and always before
    finally:
        runner.close()


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("border", [True, False])
@pytest.mark.parametrize(("crop", "margin"), [("", 0.0), ("lungs", 0.1)])
def test_beside_what_was_given_the_picture_is_black(
    real_films, real_card, fit: str, border: bool, crop: str, margin: float
) -> None:
    """Also where an empty border of the film was cut away before the square was filled up again."""
    spec = dataclasses.replace(real_card.input, fit=fit, crop_border=border, size_px=64, crop=crop, margin=margin)
    for image in real_films.values():
        lungs = ImageRect(0.2 * image.columns, 0.1 * image.rows, 0.5 * image.columns, 0.7 * image.rows)
        told = see(image, spec, lungs)
        area = given_area(_answer(told), image.rows, image.columns)
        assert area is not None
        top, left, bottom, right = _corners(area, told.seen, spec.size_px)
        frame = np.ones((64, 64), bool)
        frame[top:bottom, left:right] = False
        assert not told.saw.picture[frame].any()
        exposed = exposed_area(model_grey(image)) if border else ImageRect(0, 0, image.columns, image.rows)
        if crop:
            exposed = lung_area(lungs, margin, exposed)
        for side in ("x", "y", "right", "bottom"):  # as far as both the exposed area and the input reach, no less
            inner = max if side in ("x", "y") else min
            assert getattr(area, side) == inner(getattr(exposed, side), getattr(told.seen, side))
        if not border and not crop and fit == "stretch":
            assert unseen_strips(_answer(told), image.rows, image.columns) == ()


def _corners(area: ImageRect, seen: ImageRect, size: int) -> tuple[int, int, int, int]:
    """Rows and columns of the input that hold film, the border pixels that hold some of it included."""
    across, down = size / seen.width, size / seen.height
    return (
        int(np.floor((area.y - seen.y) * down + 1e-6)),
        int(np.floor((area.x - seen.x) * across + 1e-6)),
        int(np.ceil((area.bottom - seen.y) * down - 1e-6)),
        int(np.ceil((area.right - seen.x) * across - 1e-6)),
    )


def _answer(told):
    key = ImageKey("1", "2", "3")
    return AnalysisResult(0, 1, key, "m", "M", "1", "0" * 64, (), (), told.seen, "CPU", 0.0, saw=told.saw)
