"""Making one film into many, so that what a network learns is in the lungs and not in the frame.

Films of this kind can be told apart by their edges alone (field size, arms, side letters, collimation). Besides the
usual small rotation, shift, zoom, contrast and noise, four measures take that way out:

- the crop's four edges move by chance, each for itself;
- the frame is blanked, or filled with noise or one grey;
- the frame is taken from another film drawn without regard to its label, so that, on average, it says nothing;
- the distribution of greys is taken from another film in the same way, because units differ in it.

Everything is numpy and OpenCV on one film at a time; all chance comes from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.training.films import NO_MASK, FilmSet

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AugmentConfig:
    """How far films are changed; lengths are shares of the cropped side.

    Attributes:
        rotation_deg: largest rotation to either side.
        edge_in, edge_out: how far each edge of the crop may move inwards and outwards.
        shift: largest shift of the whole crop.
        swap_share: share of films that get another film's frame.
        blank_share: share of films whose frame is blanked.
        frame: (least, most) width of the frame that is swapped or blanked.
        tone_share: share of films that get another film's distribution of greys, wholly or in part.
        plain_share: share of films whose grey values stay as they are, so that a plain film is no stranger.
        log_gamma, contrast, brightness: half-widths of the changes of grey values.
        detail_share: share of films with weaker or stronger detail, as makers' processing differs.
        detail: (weakest, strongest) factor of what is added of the film less its blurred self.
        blur_share: share of films that are blurred a little, as by another detector or resampling.
        noise_share, noise: share of films with noise, and its largest standard deviation.
        mirror_share: share of films mirrored left to right.
    """

    rotation_deg: float = 8.0
    edge_in: float = 0.12
    edge_out: float = 0.04
    shift: float = 0.04
    swap_share: float = 0.5
    blank_share: float = 0.25
    frame: tuple[float, float] = (0.03, 0.17)
    tone_share: float = 0.5
    plain_share: float = 0.25
    log_gamma: float = 0.4
    contrast: float = 0.25
    brightness: float = 0.1
    detail_share: float = 0.5
    detail: tuple[float, float] = (-0.4, 0.8)
    blur_share: float = 0.2
    noise_share: float = 0.4
    noise: float = 0.04
    mirror_share: float = 0.5


def augmented(films: FilmSet, index: int, size_px: int, config: AugmentConfig, chance: np.random.Generator) -> Grey:
    """Film ``index`` changed by chance, float32 (size, size), 0..1."""
    matrix = _matrix(films, index, size_px, config, chance)
    return _changed(films, _warped(films, index, size_px, matrix), size_px, config, chance)


def augmented_pair(
    films: FilmSet, index: int, size_px: int, config: AugmentConfig, chance: np.random.Generator
) -> tuple[Grey, NDArray[np.uint8]]:
    """The same with the film's mask moved alike, uint8 (size, size); all 255 where it has none."""
    matrix = _matrix(films, index, size_px, config, chance)
    mask = np.full((size_px, size_px), NO_MASK, dtype=np.uint8)
    if films.masks is not None and films.masks[index, 0, 0] != NO_MASK:
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        mask = np.asarray(cv2.warpAffine(films.masks[index], matrix, (size_px, size_px), flags=flags), dtype=np.uint8)
    return _changed(films, _warped(films, index, size_px, matrix), size_px, config, chance), mask


def _changed(films: FilmSet, film: Grey, size_px: int, config: AugmentConfig, chance: np.random.Generator) -> Grey:
    """Another frame, another distribution of greys, other greys."""
    out = film
    draw = chance.random()
    if draw < config.swap_share:
        donor = int(chance.integers(len(films)))
        other = _warped(films, donor, size_px, _matrix(films, donor, size_px, config, chance))
        mask = _centre_mask(size_px, config, chance, soft=True)
        out = mask * out + (1 - mask) * other
    elif draw < config.swap_share + config.blank_share:
        mask = _centre_mask(size_px, config, chance, soft=False)
        out = mask * out + (1 - mask) * _filling(size_px, chance)
    if chance.random() < config.tone_share:
        out = _toned(out, films.grey[int(chance.integers(len(films)))], float(chance.uniform(0.3, 1.0)))
    return _regraded(out, config, chance)


def _toned(grey: Grey, donor: NDArray[np.uint8], strength: float) -> Grey:
    """``grey`` moved towards the distribution of greys of ``donor`` (histogram matching), by ``strength`` 0..1."""
    level = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)
    own = np.cumsum(np.bincount(level.ravel(), minlength=256)) / level.size
    given = np.cumsum(np.bincount(donor.ravel(), minlength=256)) / donor.size
    table = np.interp(own, given, np.arange(256)).astype(np.float32) / np.float32(255)
    return grey + np.float32(strength) * (np.take(table, level) - grey)


def _matrix(
    films: FilmSet, index: int, size_px: int, config: AugmentConfig, chance: np.random.Generator
) -> NDArray[np.float64]:
    """From the square to the film, (2, 3): the area to be seen with moved edges, turned and mirrored."""
    x0, y0, x1, y1 = (float(edge) for edge in films.areas[index])
    width, height = x1 - x0, y1 - y0
    left, top, right, bottom = chance.uniform(-config.edge_out, config.edge_in, 4)
    move_x, move_y = chance.uniform(-config.shift, config.shift, 2)
    x0, x1 = x0 + (left + move_x) * width, x1 - (right - move_x) * width
    y0, y1 = y0 + (top + move_y) * height, y1 - (bottom - move_y) * height
    angle = np.deg2rad(chance.uniform(-config.rotation_deg, config.rotation_deg))
    mirror = -1.0 if chance.random() < config.mirror_share else 1.0
    # From output pixel centres to source pixel centres, about the middle of the crop.
    scale = np.array([[mirror * (x1 - x0) / size_px, 0.0], [0.0, (y1 - y0) / size_px]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ scale
    middle = np.array([(x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5])
    offset = middle - matrix @ np.array([(size_px - 1) / 2, (size_px - 1) / 2])
    return np.column_stack([matrix, offset])


def _warped(films: FilmSet, index: int, size_px: int, matrix: NDArray[np.float64]) -> Grey:
    """The film as a square; 0 (air) outside it."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(films.grey[index], matrix, (size_px, size_px), flags=flags)
    return np.asarray(warped, dtype=np.float32) / np.float32(255)


def _centre_mask(size_px: int, config: AugmentConfig, chance: np.random.Generator, *, soft: bool) -> Grey:
    """1 in the middle, 0 in a frame whose four sides have their own widths; a rectangle or an ellipse."""
    margins = np.rint(chance.uniform(*config.frame, 4) * size_px).astype(int)
    left, top, right, bottom = margins[0], margins[1], size_px - margins[2], size_px - margins[3]
    mask = np.zeros((size_px, size_px), dtype=np.float32)
    if chance.random() < 0.25:
        centre = ((left + right) // 2, (top + bottom) // 2)
        axes = (int(0.55 * (right - left)), int(0.55 * (bottom - top)))
        cv2.ellipse(mask, centre, axes, 0.0, 0.0, 360.0, 1.0, -1)
    else:
        mask[top:bottom, left:right] = 1
    if soft:
        sigma = chance.uniform(0.5, 0.02 * size_px + 0.5)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma), dtype=np.float32)
    return mask


def _filling(size_px: int, chance: np.random.Generator) -> Grey:
    """Black, one grey, or noise."""
    kind = chance.random()
    level = 0.0 if kind < 0.5 else chance.uniform(0, 1)
    out = np.full((size_px, size_px), level, dtype=np.float32)
    if kind > 0.8:
        out += chance.standard_normal((size_px, size_px), dtype=np.float32) * np.float32(0.2)
    return np.clip(out, 0, 1)


def _regraded(grey: Grey, config: AugmentConfig, chance: np.random.Generator) -> Grey:
    """Other detail, gamma, contrast, brightness, sharpness and noise."""
    if chance.random() < config.plain_share:
        return np.clip(grey, 0, 1)
    out = grey
    if chance.random() < config.detail_share:
        smooth = cv2.GaussianBlur(out, (0, 0), float(np.exp(chance.uniform(np.log(1.5), np.log(16)))))
        out = out + np.float32(chance.uniform(*config.detail)) * (out - smooth)
    gamma = np.exp(chance.uniform(-config.log_gamma, config.log_gamma))
    contrast = 1 + chance.uniform(-config.contrast, config.contrast)
    brightness = chance.uniform(-config.brightness, config.brightness)
    out = np.power(np.clip(out, 0, 1), np.float32(gamma))
    out = (out - np.float32(0.5)) * np.float32(contrast) + np.float32(0.5 + brightness)
    if chance.random() < config.blur_share:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), chance.uniform(0.4, 1.2)), dtype=np.float32)
    if chance.random() < config.noise_share:
        noise = np.float32(chance.uniform(0, config.noise))
        out = out + noise * chance.standard_normal(out.shape, dtype=np.float32)
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)
