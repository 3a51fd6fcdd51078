"""Films made from one film."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.core.findings import InputSpec
from cxr_viewer.training.augment import AugmentConfig, augmented
from cxr_viewer.training.films import FilmSet, prepared

INPUT = InputSpec(size_px=192, fit="stretch", crop_border=True, mean=0.5, std=0.25)
STILL = AugmentConfig(
    rotation_deg=0,
    edge_in=0,
    edge_out=0,
    shift=0,
    swap_share=0,
    blank_share=0,
    tone_share=0,
    plain_share=1,
    mirror_share=0,
)


def _made(films: FilmSet, index: int, config: AugmentConfig, seed: int = 0) -> NDArray[np.float32]:
    return augmented(films, index, INPUT.size_px, config, np.random.default_rng(seed))


def test_without_changes_it_is_what_the_network_reads_later(few_films: FilmSet) -> None:
    """No gap between training and reading: the warp with nothing to do equals ``prepare``, but for rounding."""
    spec = dataclasses.replace(INPUT, mean=0.0, std=1.0)
    for index, values in enumerate(prepared(few_films, spec)):
        assert np.abs(_made(few_films, index, STILL) - values[0]).max() < 0.08


def test_the_same_chance_gives_the_same_film(few_films: FilmSet) -> None:
    config = AugmentConfig()
    assert np.array_equal(_made(few_films, 3, config, 7), _made(few_films, 3, config, 7))
    assert not np.array_equal(_made(few_films, 3, config, 7), _made(few_films, 3, config, 8))


def test_values_stay_grey(few_films: FilmSet) -> None:
    for seed in range(40):
        made = _made(few_films, seed % len(few_films), AugmentConfig(), seed)
        assert made.dtype == np.float32
        assert made.shape == (INPUT.size_px, INPUT.size_px)
        assert made.min() >= 0
        assert made.max() <= 1


def test_a_swapped_frame_comes_from_another_film_and_the_middle_does_not(few_films: FilmSet) -> None:
    config = dataclasses.replace(STILL, swap_share=1.0, frame=(0.10, 0.10))
    plain, swapped = _made(few_films, 0, STILL), _made(few_films, 0, config, 4)
    middle = slice(40, -40)
    assert np.abs(swapped - plain)[middle, middle].max() < 1e-6
    corner = swapped[:12, :12]
    from_others = [np.abs(_made(few_films, i, STILL)[:12, :12] - corner).max() for i in range(len(few_films))]
    assert min(from_others) < 0.01


def test_a_blanked_frame_says_nothing(few_films: FilmSet) -> None:
    config = dataclasses.replace(STILL, blank_share=1.0, frame=(0.12, 0.12))
    frames = np.array([_made(few_films, i, config, seed=6)[:15, :] for i in range(len(few_films))])
    assert np.abs(frames - frames[0]).max() == 0


def test_the_middle_of_a_mirrored_film_is_mirrored(few_films: FilmSet) -> None:
    mirrored = _made(few_films, 5, dataclasses.replace(STILL, mirror_share=1.0))
    assert np.abs(mirrored[:, ::-1] - _made(few_films, 5, STILL)).max() < 0.03


def test_edges_move_each_for_itself(few_films: FilmSet) -> None:
    config = dataclasses.replace(STILL, edge_in=0.12, edge_out=0.04)
    plain = _made(few_films, 2, STILL)
    differences = [np.abs(_made(few_films, 2, config, seed) - plain).mean() for seed in range(6)]
    assert min(differences) > 0.005


def test_another_films_tone_moves_the_greys_towards_it(few_films: FilmSet) -> None:
    config = dataclasses.replace(STILL, tone_share=1.0)
    means = [float(_made(few_films, 0, config, seed).mean()) for seed in range(12)]
    assert np.std(means) > 0.01


@pytest.mark.parametrize("name", ["noise_share", "blur_share", "detail_share"])
def test_each_change_of_grey_does_something(few_films: FilmSet, name: str) -> None:
    quiet = dataclasses.replace(
        STILL, plain_share=0, log_gamma=0, contrast=0, brightness=0, noise_share=0, blur_share=0, detail_share=0
    )
    still = _made(few_films, 1, quiet)
    changed = _made(few_films, 1, dataclasses.replace(quiet, **{name: 1.0}))
    assert np.abs(still - _made(few_films, 1, STILL)).max() < 1e-6
    assert np.abs(changed - still).mean() > 1e-4
