"""Stepping through the images and series of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_viewer.core.image import ImageKey, PatientInfo
from cxr_viewer.core.study import FoundImage, SeriesNode, StudyNode
from cxr_viewer.services.hanging import neighbour, neighbour_series
from cxr_viewer.services.library import Library


@pytest.fixture
def study(tmp_path: Path, make_found: Callable[..., FoundImage]) -> Iterator[StudyNode]:
    """Series 1 with films a, b, c, series 2 with d, e."""
    library = Library(tmp_path / "library.sqlite")
    places = {"a": "1", "b": "1", "c": "1", "d": "2", "e": "2"}
    (study,) = library.add(make_found(f"/films/{name}", series=series) for name, series in places.items())
    yield study
    library.close()


def key(study: StudyNode, name: str) -> ImageKey:
    return next(image.key for image in study.images if image.path.name == name)


def with_missing(study: StudyNode, *names: str) -> StudyNode:
    series = tuple(
        replace(each, images=tuple(replace(image, missing=image.path.name in names) for image in each.images))
        for each in study.series
    )
    return replace(study, series=series)


@pytest.mark.parametrize(
    ("start", "step", "end"),
    [("a", 1, "b"), ("c", 1, "d"), ("d", -1, "c"), ("a", 3, "d"), ("e", -4, "a"), ("e", 1, None), ("a", -1, None),
     ("a", 9, None), ("b", 0, None)],
)  # fmt: skip
def test_the_next_image_goes_on_into_the_next_series(study: StudyNode, start: str, step: int, end: str | None) -> None:
    node = neighbour(study, key(study, start), step)
    assert (node.path.name if node else None) == end


def test_vanished_files_are_passed_over(study: StudyNode) -> None:
    gone = with_missing(study, "b", "c")
    node = neighbour(gone, key(study, "a"), 1)
    assert node is not None
    assert node.path.name == "d"
    assert neighbour(with_missing(study, "d", "e"), key(study, "c"), 1) is None


def test_the_next_series_begins_with_its_first_film(study: StudyNode) -> None:
    node = neighbour_series(study, key(study, "b"), 1)
    assert node is not None
    assert node.path.name == "d"
    assert neighbour_series(study, key(study, "e"), 1) is None
    back = neighbour_series(with_missing(study, "a"), key(study, "e"), -1)
    assert back is not None
    assert back.path.name == "b"


def test_an_image_of_another_study_has_no_neighbours(study: StudyNode) -> None:
    stranger = ImageKey("9", "9", "9")
    assert neighbour(study, stranger, 1) is None
    assert neighbour_series(study, stranger, 1) is None


def test_films_with_one_identity_are_stepped_through_by_their_files(
    tmp_path: Path, make_found: Callable[..., FoundImage]
) -> None:
    library = Library(tmp_path / "disputed.sqlite")
    (study,) = library.add(make_found(f"/films/{name}", sop="9", size=size) for size, name in enumerate("abc", 1))
    library.close()
    shared = study.images[0].key
    node = neighbour(study, shared, 1, Path("/films/b"))
    assert node is not None
    assert node.path.name == "c"


def test_the_neighbour_of_a_file_is_the_same_from_each_of_its_frames(make_found: Callable[..., FoundImage]) -> None:
    cine = make_found("/films/cine", frames=12).image
    plain = make_found("/films/plain").image
    study = StudyNode("1.2.1", PatientInfo(), None, "", "", (SeriesNode("1.2.1.1", "XA", "", 1, (cine, plain)),))
    assert neighbour(study, cine.at_frame(7).key, 1, cine.path) is plain
    assert neighbour(study, plain.key, -1, plain.path) is cine
