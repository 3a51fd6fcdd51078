"""Making one outlined film into many, so that the outline holds on films of other hospitals, units and positions.

Films are turned, scaled, sheared and mirrored together with their outlines. Only the film gets another grading, shade,
sharpness and noise, side letters and blocks, lines, and an opaque patch over a lung. Where a film is collimated or
cut away, the outline ends there too.

Everything is numpy and OpenCV on one film at a time; all chance comes from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_LETTERS = ("L", "R", "LINKS", "RECHTS", "PORT", "AP", "12")


@dataclass(frozen=True, slots=True)
class OutlineAugment:
    """How far films are changed. Shares are shares of films; lengths are shares of the side.

    Attributes:
        mild_share: films that are changed a quarter as much and get no letters, blocks or edges, so that an ordinary
            film is no stranger.
        rotation_deg: largest rotation to either side.
        log_scale: (least, most) logarithm of the enlargement.
        log_aspect, shear, shift: half-widths.
        mirror_share: films mirrored left to right.
        whole_share: films whose empty border is kept.
        log_gamma, brightness: half-widths; ``contrast`` is (least, most) factor.
        equalise_share: films with locally equalised contrast, as some makers' processing does.
        detail_share, detail: films with weaker or stronger detail, and the (weakest, strongest) factor of what is
            added of the film less its blurred self.
        shade_share, shade: films brighter to one side, and by how much.
        blur_share, blur_px: blurred films, and the largest standard deviation.
        noise_share, noise: noisy films, and the largest standard deviation.
        marks: mean number of letters and blocks on a film.
        line_share: films with a bright line (a catheter, a lead).
        edge_share, edge: collimated or cut films, and the widest edge.
        patch_share: films with an opaque patch.
    """

    mild_share: float = 0.25
    rotation_deg: float = 22.0
    log_scale: tuple[float, float] = (-0.35, 0.28)
    log_aspect: float = 0.16
    shear: float = 0.06
    shift: float = 0.1
    mirror_share: float = 0.25
    whole_share: float = 0.4
    log_gamma: float = 0.6
    contrast: tuple[float, float] = (0.6, 1.3)
    brightness: float = 0.15
    equalise_share: float = 0.15
    detail_share: float = 0.3
    detail: tuple[float, float] = (-0.4, 0.9)
    shade_share: float = 0.3
    shade: float = 0.2
    blur_share: float = 0.3
    blur_px: float = 1.6
    noise_share: float = 0.4
    noise: float = 0.05
    marks: float = 0.8
    line_share: float = 0.2
    edge_share: float = 0.35
    edge: float = 0.14
    patch_share: float = 0.08


def augmented(
    film: Bytes,
    outlines: Bytes,
    seen: tuple[float, float, float, float],
    size_px: int,
    config: OutlineAugment,
    chance: np.random.Generator,
) -> tuple[Floats, Floats]:
    """One film and its outlines, changed together.

    Args:
        film: uint8 (h, w), bright = dense.
        outlines: uint8 (k, m, n), each 0..255 over the whole film, whatever their size.
        seen: what a reader's film would be cut to, as (x, y, right, bottom) in pixels of ``film``.

    Returns:
        float32 (size, size) and (k, size, size), both 0..1.
    """
    mild = chance.random() < config.mild_share
    strength = 0.25 if mild else 1.0
    if chance.random() < config.whole_share:
        seen = _whole(film)
    place = _placement(seen, size_px, strength, config, chance)
    grey = _laid(film, film.shape, place, size_px)
    target = np.stack([_laid(one, film.shape, place, size_px) for one in outlines])
    grey = _regraded(grey, strength, config, chance)
    if not mild:
        grey = _littered(grey, config, chance)
        if chance.random() < config.edge_share:
            _cut_edges(grey, target, config, chance)
    return np.clip(grey, 0, 1), target


def _whole(film: Bytes) -> tuple[float, float, float, float]:
    rows, columns = film.shape
    side = max(rows, columns)
    left, top = (columns - side) / 2, (rows - side) / 2
    return left, top, left + side, top + side


def _placement(
    seen: tuple[float, float, float, float],
    size_px: int,
    strength: float,
    config: OutlineAugment,
    chance: np.random.Generator,
) -> NDArray[np.float64]:
    """(2, 3): from film coordinates (edges at whole numbers) to output coordinates."""
    x0, y0, x1, y1 = seen
    angle = np.deg2rad(chance.uniform(-config.rotation_deg, config.rotation_deg) * strength)
    scale = np.exp(chance.uniform(*config.log_scale) * strength)
    aspect = np.exp(chance.uniform(-config.log_aspect, config.log_aspect) * strength)
    shear = chance.uniform(-config.shear, config.shear) * strength
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape = np.array([[scale * aspect, shear], [0.0, scale / aspect]])
    fit = np.diag([size_px / (x1 - x0), size_px / (y1 - y0)])
    matrix = turn @ shape @ fit
    if chance.random() < config.mirror_share:
        matrix = np.diag([-1.0, 1.0]) @ matrix
    shift = chance.uniform(-config.shift, config.shift, 2) * size_px * strength
    offset = np.full(2, size_px / 2) + shift - matrix @ np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return np.column_stack([matrix, offset])


def _laid(picture: Bytes, film_shape: tuple[int, ...], place: NDArray[np.float64], size_px: int) -> Floats:
    """``picture``, which covers the whole film, at its place in the output; 0 outside. Averages where it shrinks."""
    sides = np.array([film_shape[1] / picture.shape[1], film_shape[0] / picture.shape[0]])
    matrix = place[:, :2] * sides
    shrink = float(np.sqrt(abs(np.linalg.det(matrix))))
    if shrink < 0.75:
        smooth = cv2.GaussianBlur(picture, (0, 0), 0.4 / shrink)
        picture = np.asarray(smooth, dtype=np.uint8)
    # cv2 places pixel centres at whole numbers
    offset = place[:, 2] + matrix @ np.array([0.5, 0.5]) - 0.5
    laid = cv2.warpAffine(picture, np.column_stack([matrix, offset]), (size_px, size_px), flags=cv2.INTER_LINEAR)
    return np.asarray(laid, dtype=np.float32) / np.float32(255)


def _regraded(grey: Floats, strength: float, config: OutlineAugment, chance: np.random.Generator) -> Floats:
    """Other gamma, contrast, brightness, shade, sharpness and noise."""
    out = np.power(grey, np.float32(np.exp(chance.uniform(-config.log_gamma, config.log_gamma) * strength)))
    if chance.random() < config.equalise_share * strength:
        level = np.rint(out * 255).astype(np.uint8)
        equal = cv2.createCLAHE(float(chance.uniform(1, 4)), (8, 8)).apply(level)
        out = np.asarray(equal, dtype=np.float32) / np.float32(255)
    if chance.random() < config.detail_share * strength:
        smooth = cv2.GaussianBlur(out, (0, 0), float(np.exp(chance.uniform(np.log(1.5), np.log(16)))))
        out = out + np.float32(chance.uniform(*config.detail)) * (out - smooth)
    factor = 1 + (chance.uniform(*config.contrast) - 1) * strength
    lift = chance.uniform(-config.brightness, config.brightness) * strength
    out = (out - np.float32(0.5)) * np.float32(factor) + np.float32(0.5 + lift)
    if chance.random() < config.shade_share:
        ramp = np.linspace(-1, 1, grey.shape[0], dtype=np.float32)
        across, along = chance.uniform(-config.shade, config.shade, 2) * strength
        out = out + np.float32(across) * ramp[None] + np.float32(along) * ramp[:, None]
    if chance.random() < config.blur_share:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), chance.uniform(0.3, config.blur_px)), dtype=np.float32)
    if chance.random() < config.noise_share:
        noise = np.float32(chance.uniform(0, config.noise) * strength)
        out = out + noise * chance.standard_normal(out.shape, dtype=np.float32)
    return np.ascontiguousarray(out, dtype=np.float32)


def _littered(grey: Floats, config: OutlineAugment, chance: np.random.Generator) -> Floats:
    """With an opaque patch, side letters, blocks and a line."""
    side = grey.shape[0]
    if chance.random() < config.patch_share:
        left, top = (int(value) for value in chance.uniform(0.15, 0.75, 2) * side)
        width, height = (int(value) for value in chance.uniform(0.06, 0.25, 2) * side)
        part = grey[top : top + height, left : left + width]
        part[:] = part * np.float32(0.25) + np.float32(0.55)
    for _ in range(int(chance.poisson(config.marks))):
        x, y = (int(value) for value in chance.integers(0, side, 2))
        value = float(chance.choice([0.0, 1.0, 1.0, float(chance.random())]))
        if chance.random() < 0.5:
            letters, size, thick = str(chance.choice(_LETTERS)), chance.uniform(0.3, 0.9), int(chance.integers(1, 3))
            stencil = np.zeros(grey.shape, dtype=np.uint8)  # letters are drawn on bytes only
            cv2.putText(stencil, letters, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size * side / 256, 255, thick)
            grey[stencil > 127] = np.float32(value)
        else:
            width, height = (int(value) for value in chance.uniform(0.012, 0.1, 2) * side)
            cv2.rectangle(grey, (x, y), (x + width, y + height), value, -1)
    if chance.random() < config.line_share:
        ends = [(int(one[0]), int(one[1])) for one in chance.integers(0, side, (2, 2))]
        cv2.line(grey, ends[0], ends[1], float(chance.uniform(0.6, 1)), 1)
    return grey


def _cut_edges(grey: Floats, target: Floats, config: OutlineAugment, chance: np.random.Generator) -> None:
    """Blank some of the four edges, and end the outlines there; in place."""
    side = grey.shape[0]
    level = np.float32(chance.choice([0.0, 0.0, 0.0, 1.0, float(chance.random()) * 0.3]))
    widths = (chance.uniform(0, config.edge, 4) * side * (chance.random(4) < 0.6)).astype(int)
    top, bottom, left, right = widths[0], side - widths[1], widths[2], side - widths[3]
    inside = np.zeros((side, side), dtype=np.bool_)
    inside[top:bottom, left:right] = True
    grey[~inside] = level
    target[:, ~inside] = 0


def laid_back(
    probabilities: Floats, seen: tuple[float, float, float, float], film: tuple[int, ...], shape: tuple[int, ...]
) -> Floats:
    """Probabilities of what the network saw as ones over the whole film.

    Args:
        probabilities: float32 (k, size, size), over ``seen`` exactly.
        seen: (x, y, right, bottom) in pixels of the film; may reach outside.
        film: (rows, columns) of the film.
        shape: (rows, columns) of the answer, which covers the film exactly.

    Returns:
        float32 (k, rows, columns); 0 where the network saw nothing.
    """
    x0, y0, x1, y1 = seen
    per_x, per_y = probabilities.shape[2] / (x1 - x0), probabilities.shape[1] / (y1 - y0)
    # From output pixel centres to pixel centres of the probabilities.
    scale_x, scale_y = film[1] / shape[1] * per_x, film[0] / shape[0] * per_y
    matrix = np.array(
        [
            [scale_x, 0.0, 0.5 * scale_x - x0 * per_x - 0.5],
            [0.0, scale_y, 0.5 * scale_y - y0 * per_y - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = [cv2.warpAffine(one, matrix, (shape[1], shape[0]), flags=flags) for one in probabilities]
    return np.asarray(np.stack(laid), dtype=np.float32)
