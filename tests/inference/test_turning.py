"""A film stored lying down, asked about upright: the answer is the upright film's, in the stored film's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.anatomy import Anatomy, Callipers
from cxr_viewer.core.errors import RefusalError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, Heatmap
from cxr_viewer.core.geometry import ImageRect, Orientation, Point, edge_letters
from cxr_viewer.core.image import PixelSpacing, Radiograph, SpacingSource
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.inference.runner import LocalRunner
from cxr_viewer.inference.turning import WayBack, upright

REAL = "paediatric-pneumonia"
SPACING = PixelSpacing(0.1, 0.2, SpacingSource.DETECTOR)


@pytest.fixture(scope="module")
def child() -> np.ndarray:
    """A real film, not square and with an empty frame below, so that no turn looks like another."""
    grey = cv2.imread(str(resources_dir() / "samples" / "child-2-pneumonia.png"), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    return np.pad(np.asarray(grey), ((0, 40), (0, 0)))


@pytest.fixture(scope="module")
def runner(real_cache: Path) -> Iterator[LocalRunner]:
    runner = LocalRunner(cache=real_cache)
    yield runner
    runner.close()


def lying(image: Radiograph, turns: int) -> Radiograph:
    """The film as it would be stored if it took ``turns`` clockwise to make it upright."""
    spacing = image.spacing
    if turns % 2 and spacing is not None:
        spacing = replace(spacing, row_mm=spacing.column_mm, column_mm=spacing.row_mm)
    return replace(image, stored=np.ascontiguousarray(np.rot90(image.stored, turns)), spacing=spacing)


def asked(runner: LocalRunner, image: Radiograph, turns: int) -> AnalysisResult:
    request = AnalysisRequest(0, 1, image, REAL, turns=turns, override=True)
    return runner.analyse(request, CancelToken(), lambda stage: None)


@pytest.mark.parametrize("turns", range(4))
def test_the_answer_is_the_upright_films_in_the_stored_films_pixels(
    runner: LocalRunner, film: Callable[..., Radiograph], child: np.ndarray, turns: int
) -> None:
    image = film(child, bits_stored=8)
    expected, found = asked(runner, image, 0), asked(runner, lying(image, turns), turns)
    assert found.turns == turns
    assert found.findings == expected.findings
    way = Orientation(turns)
    rows, columns = lying(image, turns).stored.shape
    for ours, theirs in zip(found.heatmaps, expected.heatmaps, strict=True):
        assert np.array_equal(ours.values, np.rot90(theirs.values, turns))
        assert ours.extent == found.seen
    corner = way.to_image(Point(expected.seen.x, expected.seen.y), rows, columns)
    opposite = way.to_image(Point(expected.seen.right, expected.seen.bottom), rows, columns)
    assert {corner.x, opposite.x} == {found.seen.x, found.seen.right}
    assert {corner.y, opposite.y} == {found.seen.y, found.seen.bottom}
    assert found.saw is not None
    assert expected.saw is not None
    assert np.array_equal(found.saw.picture, np.rot90(expected.saw.picture, turns))
    assert not found.saw.picture.flags.writeable
    assert found.saw.given is not None
    assert 0 <= found.saw.given.x <= found.saw.given.right <= columns
    assert 0 <= found.saw.given.y <= found.saw.given.bottom <= rows


def test_without_turns_a_film_lying_down_is_another_film(
    runner: LocalRunner, film: Callable[..., Radiograph], child: np.ndarray
) -> None:
    image = film(child, bits_stored=8)
    right = asked(runner, image, 0).findings
    assert said(runner, lying(image, 1)) not in (right, "")


def said(runner: LocalRunner, image: Radiograph) -> object:
    """The findings, or the code of the refusal: what lies down need show no lungs where they should be."""
    try:
        return asked(runner, image, 0).findings
    except RefusalError as error:
        return error.code


@pytest.mark.parametrize("turns", range(4))
def test_the_upright_film_is_the_stored_one_turned(
    film: Callable[..., Radiograph], child: np.ndarray, turns: int
) -> None:
    image = film(child, bits_stored=8, spacing=SPACING, patient_orientation=("L", "F"))
    way = Orientation(turns)
    stored = replace(lying(image, turns), patient_orientation=stated(("L", "F"), turns))
    found = upright(stored, turns)
    assert np.array_equal(found.stored, child)
    assert found.spacing == SPACING
    assert found.patient_orientation == ("L", "F")
    letters = edge_letters(stored.patient_orientation or ("", ""), way)  # as the window writes them at its edges
    assert letters[2:] == ("L", "F")
    assert (upright(stored, turns) is stored) == (turns == 0)


def stated(towards: tuple[str, str], turns: int) -> tuple[str, str]:
    """What the file says of a film that takes ``turns`` clockwise to make it upright: it lies turned the other way."""
    opposite = {"L": "R", "R": "L", "F": "H", "H": "F"}
    right, bottom = towards
    for _ in range(turns):  # anticlockwise: the lower edge becomes the right one, the left edge the lower
        right, bottom = bottom, opposite[right]
    return right, bottom


@given(st.integers(0, 3), st.floats(-50, 400), st.floats(-50, 400), st.floats(1, 300), st.floats(1, 300))
def test_there_and_back(turns: int, x: float, y: float, width: float, height: float) -> None:
    way, rect = WayBack(turns, 300, 400), ImageRect(x, y, width, height)
    for there_and_back in (way.rect(way.there(rect)), way.there(way.rect(rect))):
        found = (there_and_back.x, there_and_back.y, there_and_back.width, there_and_back.height)
        assert found == pytest.approx((x, y, width, height), abs=1e-6)


@pytest.mark.parametrize("turns", range(4))
def test_lungs_heart_and_callipers_come_back_too(turns: int) -> None:
    """A point of each is looked up on a picture that is turned with them."""
    callipers = Callipers((Point(50, 5), Point(52, 95)), (Point(40, 60), Point(70, 62)), (Point(20, 70), Point(90, 71)))
    values = np.arange(12, dtype=np.float32).reshape(3, 4) / 12
    whole = ImageRect(0, 0, 120, 100)
    found = Anatomy(
        "a",
        "A",
        "1",
        "0" * 64,
        (ImageRect(10, 10, 30, 60), ImageRect(60, 12, 40, 55)),
        ImageRect(40, 50, 30, 30),
        (Heatmap("Lungs", values, whole),),
        callipers,
        0.04,
        trusted=True,
    )
    rows, columns = (100, 120) if turns % 2 == 0 else (120, 100)
    back = WayBack(turns, rows, columns).anatomy(found)
    assert back.turns == turns
    assert back.callipers is not None
    assert back.callipers.ratio() == pytest.approx(callipers.ratio())
    way = Orientation(turns)
    assert way.to_display(back.callipers.heart[0], rows, columns) == pytest.approx(Point(40, 60))
    assert [WayBack(turns, rows, columns).there(lung) for lung in back.lungs] == list(found.lungs)
    assert back.heart is not None
    assert (back.heart.width, back.heart.height) == (30, 30)
    assert np.array_equal(back.outlines[0].values, np.rot90(values, turns))
    assert back.outlines[0].extent == ImageRect(0, 0, columns, rows)
