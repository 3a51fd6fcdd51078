"""Images the guard learns to refuse, and how it is told apart what was done to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from cxr_viewer.training.guardset import drawn, lateral, spoiled
from cxr_viewer.training.guardset.shading import spectral_noise, thickness
from cxr_viewer.training.guardset.vary import VaryConfig, opaque, placed, varied

SIDE = 48
MAKERS = [*dict.fromkeys(drawn._MAKERS), drawn.drawn]
SPOILERS = [*dict.fromkeys(spoiled._MAKERS), spoiled.spoiled]
STILL = VaryConfig(rotation_deg=0, edge_in=0, edge_out=0, shear=0, mirror_share=0)


@pytest.fixture
def film() -> NDArray[np.float32]:
    """Something like a chest: two dark ovals in the upper part, a bright middle, grain."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    lungs = [np.hypot((x - place) / 0.16, (y + 0.12) / 0.3) < 1 for place in (-0.22, 0.22)]
    grey = np.where(lungs[0] | lungs[1], 0.2, 0.8) + 0.05 * np.random.default_rng(0).standard_normal((SIDE, SIDE))
    return np.clip(grey, 0, 1).astype(np.float32)


def good(image: NDArray[np.float32]) -> bool:
    """A square picture with something on it."""
    return (
        image.dtype == np.float32
        and image.shape == (SIDE, SIDE)
        and bool(np.isfinite(image).all())
        and 0 <= float(image.min()) < float(image.max()) <= 1
    )


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_drawn_images_are_pictures_and_come_again(maker: drawn.Maker) -> None:
    images = [maker(np.random.default_rng(seed), SIDE) for seed in range(12)]
    assert all(good(np.clip(image, 0, 1)) for image in images)
    assert np.array_equal(images[3], maker(np.random.default_rng(3), SIDE))
    assert not np.array_equal(images[3], images[4])


@pytest.mark.parametrize("maker", SPOILERS, ids=lambda maker: maker.__name__)
def test_spoiled_films_are_pictures_and_other_than_the_film(
    maker: Callable[..., NDArray[np.float32]], film: NDArray[np.float32]
) -> None:
    for seed in range(12):
        image = maker(np.random.default_rng(seed), film, film[:, ::-1].copy())
        assert good(np.clip(image, 0, 1))
        assert np.abs(image - film).mean() > 0.05
        assert np.array_equal(image, maker(np.random.default_rng(seed), film, film[:, ::-1].copy()))


def test_shuffled_tiles_never_lie_in_their_own_order(film: NDArray[np.float32]) -> None:
    for count in range(2, 6):
        for seed in range(20):
            order = spoiled._disordered(np.random.default_rng(seed), count)
            assert sorted(order) == list(range(count)) != order


def test_a_folded_film_has_its_lungs_over_each_other(film: NDArray[np.float32]) -> None:
    images = [lateral.folded(np.random.default_rng(seed), film) for seed in range(12)]
    assert all(good(image) for image in images)
    # The bright middle of the film becomes the back of the lateral one.
    place = [int(np.argmax(image[SIDE // 6 : SIDE // 2, SIDE // 3 :].mean(axis=0))) + SIDE // 3 for image in images]
    assert float(np.median(place)) > 0.7 * SIDE


@pytest.mark.parametrize("from_the_side", [True, False])
def test_a_torso_has_two_lungs_from_the_front_and_one_from_the_side(*, from_the_side: bool) -> None:
    images = [lateral.torso(np.random.default_rng(seed), SIDE, lateral=from_the_side) for seed in range(8)]
    assert all(good(image) for image in images)
    level = np.mean([image[SIDE // 4 : SIDE // 2] for image in images], axis=(0, 1))
    middle, flanks = level[SIDE // 2 - 3 : SIDE // 2 + 3].mean(), level[[SIDE // 4, 3 * SIDE // 4]].mean()
    assert (middle > flanks + 0.05) == (not from_the_side)


def test_an_unmoved_film_is_placed_as_it_is() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    image = placed(grey, np.array([0.0, 0.0, SIDE, SIDE]), SIDE, STILL, np.random.default_rng(1))
    assert np.allclose(image * 255, grey, atol=0.51)
    half = placed(grey, np.array([0.0, 0.0, SIDE / 2, SIDE]), SIDE, STILL, np.random.default_rng(1))
    assert np.corrcoef(half[:, 1::2].ravel(), grey[:, : SIDE // 2].ravel())[0, 1] > 0.6
    mirrored = placed(
        grey, np.array([0.0, 0.0, SIDE, SIDE]), SIDE, VaryConfig(0, 0, 0, 0, mirror_share=1), np.random.default_rng(1)
    )
    assert np.allclose(mirrored, image[:, ::-1], atol=0.01)


def test_varied_films_stay_pictures_of_the_same(film: NDArray[np.float32]) -> None:
    config = VaryConfig(marks=0, frame_share=0)
    images = [varied(film, config, np.random.default_rng(seed)) for seed in range(40)]
    assert all(good(image) for image in images)
    assert np.median([np.corrcoef(image.ravel(), film.ravel())[0, 1] for image in images]) > 0.8
    assert not np.array_equal(images[0], images[1])


def test_a_part_of_the_chest_is_made_dense_and_nothing_darker(film: NDArray[np.float32]) -> None:
    dark = np.full_like(film, 0.1)
    images = [opaque(dark, VaryConfig(opaque_share=1), np.random.default_rng(seed)) for seed in range(12)]
    assert all(image.min() >= 0.1 - 1e-6 and image.max() > 0.2 for image in images)
    assert opaque(dark, VaryConfig(opaque_share=0), np.random.default_rng(0)) is dark


def test_a_round_body_is_thickest_in_its_middle() -> None:
    mask = np.zeros((21, 21), dtype=np.uint8)
    mask[5:16] = 1  # a tube of radius 5.5
    depth = thickness(mask)
    assert depth[10].min() == pytest.approx(1)
    assert depth[4].max() == 0
    assert np.all(np.diff(depth[4:11, 10]) > 0)
    assert thickness(np.ones((4, 4), dtype=np.uint8)).min() == 1
    assert thickness(np.zeros((4, 4), dtype=np.uint8)).max() == 0


def test_noise_of_a_steep_spectrum_is_smooth() -> None:
    rough, smooth = (spectral_noise(np.random.default_rng(2), 64, slope) for slope in (0.0, 2.0))
    steps = [float(np.abs(np.diff(one, axis=1)).mean()) for one in (rough, smooth)]
    assert steps[0] > 4 * steps[1]
