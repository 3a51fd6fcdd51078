"""No patient and no film is on two sides of what any shipped recipe learns from and is tested on; leaks are refused."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.resources import resources_dir
from cxr_viewer.training.index import FilmRecord, read_index
from cxr_viewer.training.recipe import read_recipe
from cxr_viewer.training.splits import Split, check_duplicates, split_records

DATA = {
    "adult-findings": ("nih128", "nih384"),
    "anatomy": ("nih384",),
    "classify": ("nih128",),
    "guard": ("nih128", "nih384", "paediatric192"),
    "paediatric-pneumonia": ("paediatric192",),
}
"""What each recipe that travels with the program is made for."""
RECIPES = sorted(path.stem for path in (resources_dir() / "recipes").glob("*.toml"))


def test_every_recipe_is_looked_at() -> None:
    assert RECIPES
    assert set(RECIPES) <= set(DATA), "say in DATA what films the new recipe learns from"


@pytest.fixture(scope="module")
def split_of(need_data: Callable[[str], Path]) -> Callable[[str], Split]:
    """The split that a shipped recipe makes of the films it is made for."""

    @cache
    def make(name: str) -> Split:
        recipe = read_recipe(name)
        folders = [need_data(f"images/{folder}") for folder in DATA[name]]
        return split_records(read_index(recipe, folders).records, recipe.split)

    return make


def _sides(split: Split) -> dict[str, tuple[FilmRecord, ...]]:
    return {"training": split.train, "validation": split.validation, "testing": split.test}


def _shared(split: Split, key: Callable[[FilmRecord], Hashable]) -> list[tuple[Hashable, set[str]]]:
    """What is on several sides, and on which."""
    seen: dict[Hashable, set[str]] = defaultdict(set)
    for side, records in _sides(split).items():
        for record in records:
            seen[key(record)].add(side)
    return [(what, sides) for what, sides in seen.items() if len(sides) > 1]


@pytest.mark.parametrize("name", RECIPES)
def test_no_patient_is_on_two_sides(split_of: Callable[[str], Split], name: str) -> None:
    split = split_of(name)
    assert all(_sides(split).values()), "a side is empty"
    assert _shared(split, lambda record: record.patient) == []
    left_out = {record.patient for record in split.left_out}
    assert not left_out & {record.patient for record in (*split.train, *split.validation)}


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _look(path: Path) -> bytes:
    """256 bits that stay the same when a film is stored again in another size or quality (difference hash)."""
    film = cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_2)
    assert film is not None, path
    small = cv2.resize(film, (17, 16), interpolation=cv2.INTER_AREA)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes()


@pytest.mark.parametrize("name", RECIPES)
def test_no_film_is_on_two_sides(split_of: Callable[[str], Split], name: str) -> None:
    """By its bytes, by the name it was published under, and by what it looks like."""
    split = split_of(name)
    assert _shared(split, lambda record: _digest(record.path)) == []
    assert _shared(split, lambda record: record.row.get("image_id") or record.path.name) == []
    assert _shared(split, lambda record: _look(record.path)) == []
    check_duplicates(split)


# ---------------------------------------------------------------- leaks that are there on purpose


def _index(folder: Path, rows: Iterable[tuple[str, str, str, str]]) -> Path:
    """An index of (path, label, patient, split), with a film for each path."""
    lines = [("path", "label", "patient", "split"), *rows]
    chance = np.random.default_rng(0)
    for path, *_ in lines[1:]:
        target = folder / path
        if not target.exists():
            cv2.imwrite(str(target), chance.integers(0, 256, (64, 64), dtype=np.uint8))
    index = folder / "index.csv"
    with index.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return index


GOOD = [
    ("a.png", "PNEUMONIA", "1", "train"),
    ("b.png", "NORMAL", "2", "train"),
    ("c.png", "PNEUMONIA", "3", "train"),
    ("d.png", "NORMAL", "4", "train"),
    ("e.png", "PNEUMONIA", "5", "test"),
    ("f.png", "NORMAL", "6", "test"),
]
"""A split without a leak, which each test then spoils."""


def _split(index: Path, *changes: str) -> Split:
    recipe = read_recipe("paediatric-pneumonia", ["split.shared=stop", "split.validation_share=0.5", *changes])
    return split_records(read_index(recipe, [index]).records, recipe.split)


def test_a_clean_index_is_taken(tmp_path: Path) -> None:
    split = _split(_index(tmp_path, GOOD))
    check_duplicates(split)
    assert (len(split.train) + len(split.validation), len(split.test)) == (4, 2)


def test_a_patient_on_both_sides_is_refused_by_name(tmp_path: Path) -> None:
    index = _index(tmp_path, [*GOOD, ("g.png", "NORMAL", "5", "train")])
    with pytest.raises(CxrError, match=r"both (training|validation) and testing") as caught:
        _split(index)
    assert caught.value.code == "patient-leakage"
    assert "5" in caught.value.summary
    left = _split(index, "split.shared=leave-out")
    assert [record.path.name for record in left.left_out] == ["g.png"]


def test_a_patient_in_training_and_given_validation_is_refused(tmp_path: Path) -> None:
    rows = [*GOOD, ("g.png", "NORMAL", "1", "validation"), ("h.png", "PNEUMONIA", "7", "validation")]
    with pytest.raises(CxrError) as caught:
        _split(_index(tmp_path, rows))
    assert caught.value.code == "patient-leakage"


def test_the_same_film_under_another_patient_is_refused_by_line(tmp_path: Path) -> None:
    index = _index(tmp_path, GOOD)
    (tmp_path / "e.png").write_bytes((tmp_path / "a.png").read_bytes())
    with pytest.raises(CxrError) as caught:
        check_duplicates(_split(index))
    assert caught.value.code == "duplicate-films"
    assert "index.csv, line 2" in caught.value.summary
    assert "index.csv, line 6 (testing)" in caught.value.summary
