"""When the program looks for garbage, and when it leaves that alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication

from cxr_viewer.ui.housekeeping import Housekeeper


class Circle:
    """Held by nobody but itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def resting() -> list[bool]:
    return [True]


@pytest.fixture
def keeper(qapp: QApplication, resting: list[bool]) -> Iterator[Housekeeper]:
    before = gc.get_threshold()
    keeper = Housekeeper(lambda: resting[0], lambda: 0)
    yield keeper
    keeper.stop()
    assert gc.get_threshold() == before
    gc.unfreeze()


def dropped_circle() -> weakref.ref[Circle]:
    """A circle that only a search of everything finds, as it has outlived the searches of the young."""
    circle = Circle()
    for _ in range(12):
        gc.collect(1)
    return weakref.ref(circle)


def test_a_circle_is_found_when_the_program_rests(keeper: Housekeeper) -> None:
    circle = dropped_circle()
    assert circle() is not None
    keeper.look()
    assert circle() is None


def test_nothing_is_searched_in_the_middle_of_something(keeper: Housekeeper, resting: list[bool]) -> None:
    resting[0] = False
    circle = dropped_circle()
    keeper.look()
    assert circle() is not None
    resting[0] = True
    keeper.look()
    assert circle() is None


def test_a_search_that_is_not_worth_it_is_left(keeper: Housekeeper) -> None:
    gc.collect()
    circle = weakref.ref(Circle())
    keeper.look()
    assert circle() is not None


def test_what_the_program_is_made_of_is_left_out_once(keeper: Housekeeper) -> None:
    dropped_circle()
    keeper.look()
    first = gc.get_freeze_count()
    kept = [Circle() for _ in range(50)]
    dropped_circle()
    keeper.look()
    assert gc.get_freeze_count() <= first  # only a longer list is left out again
    assert kept
