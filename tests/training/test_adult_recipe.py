"""The adult findings' films: no patient, and no film under another patient's number, is on two sides of the split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_viewer.training.index import FilmRecord, read_index
from cxr_viewer.training.recipe import read_recipe
from cxr_viewer.training.splits import Split, split_records

ALIKE = 6
"""Bits of 256 in which two copies of one film differ at most; films of two people differ in twelve or more."""

_ONES = np.array([int(value).bit_count() for value in range(256)], dtype=np.uint8)


@pytest.fixture(scope="module")
def split(need_data: Callable[[str], Path]) -> Split:
    need_data("images/nih128_index.csv")
    recipe = read_recipe("adult-findings")
    index = read_index(recipe, [need_data("images/nih128")])
    return split_records(index.records, recipe.split)


def _signature(grey: np.ndarray) -> np.ndarray:
    """Where a small picture rises from left to right, 256 bits."""
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.packbits((small[:, 1:] > small[:, :-1]).ravel())


def _signatures(records: Sequence[FilmRecord]) -> np.ndarray:
    films = (cv2.imread(str(record.path), cv2.IMREAD_GRAYSCALE) for record in records)
    return np.stack([_signature(np.asarray(film)) for film in films])


def _nearest(some: np.ndarray, others: np.ndarray) -> int:
    return min(int(_ONES[others ^ one].sum(axis=1, dtype=np.int64).min()) for one in some)


def test_no_patient_is_on_two_sides(split: Split) -> None:
    sides = [{record.patient for record in part} for part in (split.train, split.validation, split.test)]
    assert all(len(side) > 200 for side in sides)
    assert not sides[0] & sides[1]
    assert not sides[0] & sides[2]
    assert not sides[1] & sides[2]


def test_only_adults_are_learned_from_and_tested_on(split: Split) -> None:
    assert all(18 <= record.age < 101 for part in (split.train, split.validation, split.test) for record in part)


def test_every_label_has_its_share_in_validation(split: Split) -> None:
    def shares(part: tuple[FilmRecord, ...]) -> np.ndarray:
        return np.asarray(np.array([record.targets for record in part]).mean(axis=0))

    assert np.all(shares(split.validation) >= shares(split.train))  # patients with rare labels are drawn first
    assert np.all(shares(split.validation) < 2.5 * shares(split.train))


def test_no_test_film_lies_on_another_side_under_another_number(split: Split) -> None:
    test, validation = _signatures(split.test), _signatures(split.validation)
    train = _signatures(split.train[::4])
    assert _nearest(test, validation) > ALIKE
    assert _nearest(test[::4], train) > ALIKE
    # That a copy would be found: the first test film, smaller and pressed harder.
    film = np.asarray(cv2.imread(str(split.test[0].path), cv2.IMREAD_GRAYSCALE))
    pressed = cv2.imencode(".jpg", cv2.resize(film, (112, 112)), [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    copy = np.asarray(cv2.imdecode(pressed, cv2.IMREAD_GRAYSCALE))
    assert _nearest(_signature(copy)[None], test) <= ALIKE
