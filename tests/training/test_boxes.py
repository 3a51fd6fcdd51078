"""Boxes drawn by people, and the guess that has not seen the film."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.boxes import Box, finding_name, guess, overlap, read_boxes

Folder = Callable[..., Path]


@pytest.fixture
def nih(tmp_path: Path) -> Folder:
    """``nih(films, boxes)`` writes an index and a list of boxes as NIH has them; films need no pixels here."""

    def build(
        films: list[tuple[str, str]], boxes: list[tuple[str, str, tuple[float, ...]]], name: str = "films"
    ) -> Path:
        rows = [("file", "image_id", "patient_id", "split", "Mass")]
        rows += [(f"{name}/{image}.jpg", image, str(int(image[:8])), split, "1") for image, split in films]
        with (tmp_path / f"{name}_index.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        with (tmp_path / "BBox_List_2017.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("Image Index", "Finding Label", "Bbox [x", "y", "w", "h]"))
            writer.writerows((f"{image}.png", finding, *box) for image, finding, box in boxes)
        return tmp_path / name

    return build


def test_boxes_are_shares_of_the_film_and_the_guess_comes_from_other_patients_only(nih: Folder) -> None:
    """Another film of a measured patient, and a film of the other split, show which boxes may be known."""
    folder = nih(
        [("00000001_000", "test"), ("00000002_000", "train")],
        [
            ("00000001_000", "Mass", (512, 256, 128, 64)),
            ("00000001_005", "Mass", (0, 0, 1024, 1024)),
            ("00000002_000", "Mass", (256, 512, 256, 256)),
            ("00000003_000", "Mass", (384, 512, 256, 256)),
        ],
    )
    data = read_boxes([folder])
    (film,) = data.films
    assert (film.image_id, film.patient, film.path) == ("00000001_000", "1", folder / "00000001_000.jpg")
    assert film.boxes == {"mass": (Box(0.5, 0.25, 0.125, 0.0625),)}
    assert film.marks == {"mass"}
    guessed = data.guesses["mass"]
    assert guessed.count == 2
    assert 0.375 < guessed.x < 0.5  # where both overlap
    assert 0.5 < guessed.y < 0.75


def test_a_film_in_two_folders_is_taken_from_the_first(nih: Folder) -> None:
    boxes = [("00000001_000", "Mass", (1, 2, 3, 4)), ("00000009_000", "Mass", (1, 2, 3, 4))]
    second = nih([("00000001_000", "test"), ("00000009_000", "test")], boxes, "small")
    first = nih([("00000001_000", "test")], boxes, "sharp")
    assert [film.path.parent.name for film in read_boxes([first, second]).films] == ["sharp", "small"]


def test_the_guessed_box_is_not_in_the_middle_when_the_finding_never_is() -> None:
    left, right = Box(0.1, 0.4, 0.2, 0.2), Box(0.7, 0.4, 0.2, 0.2)
    guessed = guess([left, left, left, right])
    assert left.holds(guessed.x, guessed.y)
    assert overlap(guessed.box.mask(), left.mask()) > 0.9
    mean = Box(0.25, 0.4, 0.2, 0.2)
    assert overlap(mean.mask(), left.mask()) < 0.2


def test_a_point_on_the_edge_belongs_to_one_box_only() -> None:
    assert Box(0.25, 0.25, 0.25, 0.25).holds(0.25, 0.25)
    assert not Box(0.25, 0.25, 0.25, 0.25).holds(0.5, 0.3)
    assert Box(0.25, 0.5, 0.25, 0.125).mask().sum() == 64 * 32


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("Infiltrate", "Infiltration"), True),
        (("Pleural_Thickening", "Pleural thickening"), True),
        (("Mass", "Nodule"), False),
    ],
)
def test_findings_are_known_however_they_are_spelt(names: tuple[str, str], same: bool) -> None:
    assert (finding_name(names[0]) == finding_name(names[1])) == same


@pytest.mark.parametrize("fault", ["no index", "no list", "torn list", "no column", "no box"])
def test_what_cannot_be_read_is_one_sentence(nih: Folder, fault: str) -> None:
    folder = nih([("00000001_000", "test")], [("00000001_000", "Mass", (1, 2, 3, 4))])
    index, listed = folder.parent / "films_index.csv", folder.parent / "BBox_List_2017.csv"
    if fault == "no index":
        index.unlink()
    elif fault == "no list":
        listed.unlink()
    elif fault == "torn list":
        listed.write_text("head\n00000001_000.png,Mass,1,2\n", encoding="utf-8")
    elif fault == "no column":
        index.write_text("file,image_id,split\n", encoding="utf-8")
    else:
        listed.write_text("head\n00000007_000.png,Mass,1,2,3,4\n", encoding="utf-8")
    with pytest.raises(CxrError) as error:
        read_boxes([folder])
    assert error.value.summary.endswith(".")
    assert error.value.hint


def test_nihs_own_index_and_list_agree(need_data) -> None:
    """The index of the sharper films carries their boxes once more, rounded."""
    folder = need_data("images/nih384")
    films = {film.image_id: film for film in read_boxes([folder]).films}
    with need_data("images/nih384_index.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["boxes_xywh_1024px"]]
    assert len(rows) == 30
    for row in rows:
        for finding, *sides in json.loads(row["boxes_xywh_1024px"]):
            (box,) = films[row["image_id"]].boxes[finding_name(finding)]
            np.testing.assert_allclose(
                (box.x, box.y, box.width, box.height), np.array(sides) / 1024, rtol=0, atol=0.06 / 1024
            )
