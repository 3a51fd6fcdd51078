"""The words for ratio, film check, calibration and operating points, and callipers on films that are stored lying."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxr_viewer.core.anatomy import Anatomy, Callipers, Handle
from cxr_viewer.core.filmcheck import FilmCheck, FilmKind, ViewSource
from cxr_viewer.core.findings import InputSpec, LabelSpec, ModelCard, OperatingPoint, ScoreKind
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import PixelSpacing, SpacingSource, View
from cxr_viewer.core.measuring import automatic_words, check_words, halves_words, point_words, ratio_words, widths_words

UPRIGHT = Callipers((Point(50, 10), Point(50, 90)), (Point(40, 60), Point(75, 62)), (Point(10, 66), Point(90, 66)))
MM = PixelSpacing(0.5, 0.5, SpacingSource.DETECTOR)
ANATOMY = Anatomy("a", "A", "1", "ab", (ImageRect(10, 10, 30, 60),), None, (), UPRIGHT, 0.04, True)


def turned(callipers: Callipers, turns: int) -> Callipers:
    """The same callipers on the film stored lying: what brings it upright, taken back."""

    def at(point: Point) -> Point:
        return Orientation(turns).to_image(point, 100, 100)

    pairs = (callipers.midline, callipers.heart, callipers.chest)
    midline, heart, chest = ((at(a), at(b)) for a, b in pairs)
    return Callipers(midline, heart, chest)


@pytest.mark.parametrize("turns", range(4))
def test_callipers_are_moved_on_films_that_are_stored_lying(turns: int) -> None:
    lying = turned(UPRIGHT, turns)
    assert lying.ratio() == pytest.approx(UPRIGHT.ratio())
    top = Orientation(turns).to_image(Point(55, 12), 100, 100)
    moved = lying.moved(Handle.MIDLINE_TOP, top)
    assert moved.ratio() == pytest.approx(UPRIGHT.moved(Handle.MIDLINE_TOP, Point(55, 12)).ratio())
    beyond = Orientation(turns).to_image(Point(50, 95), 100, 100)
    with pytest.raises(ValueError, match="midline"):
        lying.moved(Handle.MIDLINE_TOP, beyond)


def test_the_ratio_says_whose_it_is() -> None:
    assert ratio_words(UPRIGHT, ANATOMY, None, reader="you") == "0.44 ± 0.04"
    edited = replace(UPRIGHT, edited=True)
    assert ratio_words(edited, ANATOMY, None, reader="the reader") == "0.44, measured by the reader"
    assert automatic_words(ANATOMY, None) == "automatic 0.44 ± 0.04"
    assert automatic_words(replace(ANATOMY, callipers=None), None) == ""


def test_widths_name_the_source_of_their_millimetres() -> None:
    assert widths_words(UPRIGHT, MM).replace("\N{NO-BREAK SPACE}", " ") == "Heart 18 mm, chest 40 mm (at detector)"
    assert widths_words(UPRIGHT, None).endswith("(not calibrated)")
    assert "5\N{NO-BREAK SPACE}mm to the left and 12\N{NO-BREAK SPACE}mm to the right" in halves_words(UPRIGHT, MM)


@pytest.mark.parametrize(
    ("check", "turns", "expected"),
    [
        (FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.FILE, 0, ()), 0, "Frontal PA film, upright"),
        (FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.FILE, 1, ()), 0, "Frontal PA film, lies turned"),
        (FilmCheck(FilmKind.FRONTAL, View.PA, ViewSource.FILE, 1, ()), 1, "Frontal PA film, turned upright by 90°"),
        (FilmCheck(FilmKind.LATERAL, View.LATERAL, ViewSource.NETWORK, 0, ()), 0, "Lateral film, upright"),
        (FilmCheck(FilmKind.OTHER, View.UNKNOWN, ViewSource.NOWHERE, 2, ()), 0, "Not a chest film"),
    ],
)
def test_the_check_in_one_line(check: FilmCheck, turns: int, expected: str) -> None:
    assert check_words(check, turns) == expected


def test_the_operating_point_in_use_comes_first() -> None:
    points = (
        OperatingPoint("Youden", 0.4, 0.8, 0.8),
        OperatingPoint("90 % sensitivity", 0.31, 0.9, 0.62, "validation"),
    )
    label = LabelSpec("Effusion", 0.31, point="90 % sensitivity", points=points)
    card = ModelCard(
        "m", "M", "1", "net", "ab", "MIT", (label,), ScoreKind.UNCALIBRATED, InputSpec(128, "pad", True, 0.5, 0.25),
        1.0, 0.0, None, (), "", "",
    )  # fmt: skip
    first, second = point_words(card, label)
    assert first == "In use: threshold 0.31 = 90 % sensitivity: sensitivity 0.90, specificity 0.62 on validation."
    assert second.startswith("Threshold 0.40 = Youden")
