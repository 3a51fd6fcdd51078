"""What an anatomy model's card says of its ratio."""

from __future__ import annotations

import numpy as np
import pytest

from cxr_viewer.training.segment_bundle import ratio_errors

_Films = list[tuple[float, bool, str, bool]]


def _films(
    count: int, error: float, view: str, *, sure: bool, whole: bool = True
) -> list[tuple[float, bool, str, bool]]:
    return [(error, sure, view, whole)] * count


def _told(films: _Films) -> tuple[float, dict[str, tuple[float, float]]]:
    errors, sure, views, whole = zip(*films, strict=True)
    found = ratio_errors(np.array(errors), np.array(sure), views, np.array(whole))
    return found.any_view, {one.view: (one.sure, one.unsure) for one in found.views}


def test_each_view_has_its_own_error_and_the_worst_stands_for_any() -> None:
    films = _films(40, 0.011, "PA", sure=True) + _films(30, 0.081, "AP", sure=True)
    films += _films(20, 0.052, "PA", sure=False) + _films(20, 0.031, "AP", sure=False)
    any_view, views = _told(films)
    assert views == {"PA": (0.02, 0.06), "AP": (0.09, 0.09)}  # less sure is never said to be more exact
    assert any_view == 0.09


def test_spoiled_films_tell_only_of_hearts_that_are_less_sure() -> None:
    films = _films(40, 0.011, "PA", sure=True) + _films(40, 0.2, "PA", sure=True, whole=False)
    films += _films(5, 0.02, "PA", sure=False) + _films(15, 0.042, "PA", sure=False, whole=False)
    assert _told(films)[1] == {"PA": (0.02, 0.05)}


def test_few_films_tell_nothing_of_their_own() -> None:
    films = _films(40, 0.011, "PA", sure=True) + _films(19, 0.05, "PA", sure=False) + _films(19, 0.031, "AP", sure=True)
    any_view, views = _told(films)
    assert views == {"PA": (0.02, pytest.approx(0.06))}
    assert any_view == 0.04  # the error of all films that are sure


def test_ratios_that_are_not_known_count_for_nothing() -> None:
    films = _films(30, 0.011, "PA", sure=True) + _films(30, float("nan"), "PA", sure=True)
    assert _told(films)[1]["PA"][0] == 0.02
    assert _told(_films(3, float("nan"), "PA", sure=True)) == (0.0, {})


def test_an_error_is_never_larger_than_a_card_can_hold() -> None:
    assert _told(_films(40, 0.25, "PA", sure=True))[1] == {"PA": (0.25, 0.49)}
    assert _told(_films(40, 0.7, "PA", sure=True)) == (0.49, {"PA": (0.49, 0.49)})
