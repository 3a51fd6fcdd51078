"""What the model was given of a film, in numbers and in words; and what is said of a map that may not be believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.findings import (
    AnalysisResult,
    InputSpec,
    MapEvidence,
    MapTrust,
    ModelCard,
    Saw,
    ScoreKind,
)
from cxr_viewer.core.geometry import ImageRect, Orientation, Point
from cxr_viewer.core.image import ImageKey, PixelSpacing, Radiograph, SpacingSource
from cxr_viewer.core.seeing import (
    film_words,
    given_area,
    padded_share,
    resolution_words,
    seen_rows,
    seen_sentence,
    seen_share,
    trust_badge,
    trust_words,
    unseen_strips,
)

ROWS, COLUMNS = 200, 100
MM = PixelSpacing(0.5, 1.0, SpacingSource.DETECTOR)
SQUEEZED = " (width x height): the film was squeezed to a square"
ORIENTATIONS = tuple(Orientation(turns, flipped) for turns in range(4) for flipped in (False, True))


def film(spacing: PixelSpacing | None = None, **changes: object) -> Radiograph:
    fields = {"is_dicom": True, "spacing": spacing} | changes
    return Radiograph(
        ImageKey("1", "2", "3"), "film.dcm", np.zeros((ROWS, COLUMNS), np.uint8), 8, "MONOCHROME2", "DX", **fields
    )  # type: ignore[arg-type]


def result(seen: ImageRect, saw: Saw | None = None) -> AnalysisResult:
    key = ImageKey("1", "2", "3")
    return AnalysisResult(0, 1, key, "m", "Model", "1", "0" * 64, (), (), seen, "CPU", 0.1, saw=saw)


def picture(size: int = 50, **changes: object) -> Saw:
    return Saw(np.zeros((size, size), np.uint8), **changes)  # type: ignore[arg-type]


rects = st.builds(
    ImageRect, st.floats(-50, 90), st.floats(-50, 190), st.floats(1, 300), st.floats(1, 400)
)  # within, over the edge, around the film


@given(rects)
def test_strips_and_what_was_given_are_the_film_without_overlap(seen: ImageRect) -> None:
    told = result(seen)
    area, strips = given_area(told, ROWS, COLUMNS), unseen_strips(told, ROWS, COLUMNS)
    parts = [*strips, *([area] if area is not None else [])]
    covered = sum(part.width * part.height for part in parts)
    assert covered == pytest.approx(ROWS * COLUMNS, abs=2 * 0.5 * (ROWS + COLUMNS) + 1e-6)  # slivers are left out
    for number, part in enumerate(parts):
        assert min(part.x, part.y) >= 0
        assert part.right <= COLUMNS + 1e-9
        assert part.bottom <= ROWS + 1e-9
        for other in parts[number + 1 :]:
            wide = min(part.right, other.right) - max(part.x, other.x)
            high = min(part.bottom, other.bottom) - max(part.y, other.y)
            assert wide <= 1e-9 or high <= 1e-9
    assert 0 <= seen_share(told, ROWS, COLUMNS) <= 1
    assert 0 <= padded_share(told, ROWS, COLUMNS) <= 1


def test_a_border_that_was_cut_away_and_padded_again_was_not_given() -> None:
    square = ImageRect(-50, 0, 200, 200)
    inner = ImageRect(10, 20, 80, 180)
    told = result(square, picture(given=inner))
    assert given_area(told, ROWS, COLUMNS) == inner
    assert unseen_strips(told, ROWS, COLUMNS) == (
        ImageRect(0, 0, 100, 20),
        ImageRect(0, 20, 10, 180),
        ImageRect(90, 20, 10, 180),
    )
    assert padded_share(told, ROWS, COLUMNS) == pytest.approx(1 - 80 * 180 / 200**2)
    assert unseen_strips(result(square, picture()), ROWS, COLUMNS) == ()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_left_is_the_left_the_reader_sees(orientation: Orientation) -> None:
    """Each stored edge is named by where its middle lies before the reader."""
    cuts = {"x": ImageRect(9, 0, 91, 200), "y": ImageRect(0, 9, 100, 191)}
    cuts |= {"right": ImageRect(0, 0, 91, 200), "bottom": ImageRect(0, 0, 100, 191)}
    middles = {"x": Point(0, 100), "y": Point(50, 0), "right": Point(100, 100), "bottom": Point(50, 200)}
    width, height = orientation.display_size(ROWS, COLUMNS)
    for side, seen in cuts.items():
        x, y = orientation.to_display(middles[side], ROWS, COLUMNS)
        place = {(0, height / 2): "left", (width, height / 2): "right", (width / 2, 0): "top"}.get((x, y), "bottom")
        words = film_words(result(seen), film(), orientation)
        assert f"9\N{NO-BREAK SPACE}pixels at the {place} were cut away" in words


def plain(words: str) -> str:
    return words.replace("\N{NO-BREAK SPACE}", " ")


def test_lengths_are_in_millimetres_only_where_the_film_has_them() -> None:
    told = result(ImageRect(12, 40, 88, 160))
    assert plain(film_words(told, film(MM), Orientation())) == (
        "70 % of the film: 1.2 cm at the left and 2.0 cm at the top were cut away"
    )
    assert plain(film_words(told, film(), Orientation())) == (
        "70 % of the film: 12 pixels at the left and 40 pixels at the top were cut away"
    )
    assert "2.0 cm at the top was cut away" in plain(
        film_words(result(ImageRect(0, 40, 100, 160)), film(MM), Orientation())
    )
    thin = result(ImageRect(4, 1, 96, 199))
    assert "4 mm at the left and less than 1 mm at the top" in plain(film_words(thin, film(MM), Orientation()))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (ImageRect(0, 0, 100, 200), "the whole film"),
        (ImageRect(-50, 0, 200, 200), "the whole film"),
        (ImageRect(0.2, 0, 99.8, 200), "the whole film"),
        (ImageRect(0, 1, 100, 199), "more than 99 % of the film: 1 pixel at the top was cut away"),
        (ImageRect(500, 0, 10, 10), "nothing of the film"),
    ],
)
def test_the_share_of_the_film_is_never_told_too_high(seen: ImageRect, words: str) -> None:
    assert plain(film_words(result(seen), film(), Orientation())) == words


@pytest.mark.parametrize(
    ("seen", "spacing", "words"),
    [
        (ImageRect(0, 0, 100, 200), MM, "2 mm of the film"),
        (ImageRect(0, 0, 100, 100), None, "2 pixels of the film"),
        (ImageRect(0, 0, 50, 50), None, "1 pixel of the film"),
        (
            ImageRect(0, 0, 100, 200),
            None,
            "2 x 4 pixels of the film (width x height): the film was squeezed to a square",
        ),
        (ImageRect(0, 0, 25, 25), None, "0.5 pixels of the film"),
        (ImageRect(0, 0, 90, 90), PixelSpacing(1, 1, SpacingSource.USER), "1.8 mm of the film"),
    ],
)
def test_how_much_of_the_film_one_pixel_of_the_model_is(
    seen: ImageRect, spacing: PixelSpacing | None, words: str
) -> None:
    assert plain(resolution_words(seen, (50, 50), spacing)) == f"one pixel of the model is {words}"


def test_everything_worth_knowing_is_told() -> None:
    told = result(ImageRect(-50, 0, 200, 200), picture(turned=True, clipped=0.034))
    rows = {name: plain(words) for name, words in seen_rows(told, film())}
    assert rows == {
        "Input": "50 x 50 pixels, grey",
        "Film": "the whole film",
        "Filled up": "50 % of the input is black that was added to make it square",
        "Resolution": "one pixel of the model is 4 pixels of the film",
        "Polarity": "stored with bone dark; given to the model with bone bright",
        "Clipped": "3 % of it is as dark or as bright as the input can be",
    }
    straight = dict(seen_rows(replace(told, saw=picture(clipped=0.001)), film()))
    assert straight["Polarity"] == "stored with bone bright, and given to the model so"
    assert plain(straight["Clipped"]).startswith("less than 1 % ")
    unknown = dict(seen_rows(replace(told, saw=picture()), film(is_dicom=False)))
    assert "does not say" in unknown["Polarity"]
    without = dict(seen_rows(replace(told, saw=None), film()))
    assert set(without) == {"Film", "Filled up"}
    assert plain(seen_sentence(told, film())) == "At 50 x 50 pixels the model saw the whole film."


# ---------------------------------------------------------------- maps


def card(*evidence: MapEvidence) -> ModelCard:
    return ModelCard(
        model_id="m",
        name="M",
        version="1",
        network="n",
        sha256="0" * 64,
        licence="MIT",
        labels=(),
        score_kind=ScoreKind.UNCALIBRATED,
        input=InputSpec(64, "pad", False, 0.5, 0.25),
        temperature=1.0,
        bias=0.0,
        intended_ages=None,
        intended_views=(),
        intended_use="",
        trained_on="",
        map_evidence=evidence,
    )


def measured(beats: bool) -> MapEvidence:
    return MapEvidence("Effusion", "Grad-CAM", 21 / 34, 0.4, 0.8, 15 / 34, 0.3, 0.2, 34, "NIH boxes", beats)


def test_only_maps_that_were_found_to_show_the_place_carry_no_badge() -> None:
    assert trust_badge(MapTrust.RELIABLE) == ""
    assert trust_badge(MapTrust.NOT_RELIABLE) == "map not reliable"
    assert trust_badge(MapTrust.NOT_TESTED) == "map not tested"


@pytest.mark.parametrize("trust", MapTrust)
def test_figures_come_from_the_card_and_belong_to_finding_and_method(trust: MapTrust) -> None:
    known = card(measured(trust is MapTrust.RELIABLE))
    words = trust_words(known, "Effusion", "Grad-CAM", trust)
    assert "hottest point inside the box on 21 of 34 films (NIH boxes); a fixed point: 15." in words
    for other in (
        trust_words(known, "Mass", "Grad-CAM", trust),
        trust_words(known, "Effusion", "ScoreCAM", trust),
        trust_words(None, "Effusion", "Grad-CAM", trust),
    ):
        assert not any(digit in other for digit in "0123456789")
        assert other
