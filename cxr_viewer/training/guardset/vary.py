"""Making one film into many for the guard: the same chest on other machines, in other hands.

What must not decide is varied for every kind of image alike: tone, grain, sharpness, frames, markers, tubes. What the
guard is to tell (turned, inverted) is set by the lesson afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.training.guardset.shading import Grey, blank, smooth_curve, thickness

Chance = np.random.Generator


@dataclass(frozen=True, slots=True)
class VaryConfig:
    """How far images are changed; lengths are shares of the side, ``_share`` is the share of images concerned.

    Attributes:
        rotation_deg: largest rotation to either side.
        edge_in, edge_out: how far each edge of the film may move inwards and outwards.
        shear: largest shear.
        mirror_share: mirrored left to right; the guard is to read them like others.
        opaque_share: a part of the chest made dense, as by effusion, consolidation or a collapsed lung.
        log_gamma, contrast, brightness: half-widths of the changes of grey values.
        equal_share: local contrast made equal (CLAHE), as some makers' processing does.
        detail_share, blur_share, coarse_share, noise_share: fine structure changed, blurred, coarse, noisy.
        shading_share: brighter towards one side.
        marks: mean number of letters, labels, electrodes and lines.
        shield_share: something thick lies over the film, as an arm or a shield.
        frame_share, frame: films with a plain border, and its greatest width.
        stretch_share: stretched again between the percentiles of :mod:`cxr_viewer.inference.preprocess`.
    """

    rotation_deg: float = 12.0
    edge_in: float = 0.13
    edge_out: float = 0.08
    shear: float = 0.06
    mirror_share: float = 0.15
    opaque_share: float = 0.2
    log_gamma: float = 0.7
    contrast: float = 0.35
    brightness: float = 0.15
    equal_share: float = 0.15
    detail_share: float = 0.35
    blur_share: float = 0.25
    coarse_share: float = 0.2
    noise_share: float = 0.4
    noise: float = 0.07
    shading_share: float = 0.3
    marks: float = 0.9
    shield_share: float = 0.04
    frame_share: float = 0.35
    frame: float = 0.12
    stretch_share: float = 0.9


def placed(
    grey: NDArray[np.uint8],
    area: NDArray[np.float64],
    side: int,
    config: VaryConfig,
    chance: Chance,
    *,
    move: bool = True,
) -> Grey:
    """The exposed part of a film as a square: moved, turned a little, sheared and mirrored by chance; air outside.

    Args:
        grey: uint8 (h, w).
        area: (x, y, right, bottom) on ``grey``.

    Returns:
        float32 (side, side), 0..1.
    """
    x0, y0, x1, y1 = (float(edge) for edge in area)
    width, height = x1 - x0, y1 - y0
    left, top, right, bottom = chance.uniform(-config.edge_out, config.edge_in, 4)
    x0, x1, y0, y1 = x0 + left * width, x1 - right * width, y0 + top * height, y1 - bottom * height
    lean = np.deg2rad(chance.uniform(-config.rotation_deg, config.rotation_deg))
    shear = chance.uniform(-config.shear, config.shear)
    mirror = -1.0 if chance.random() < config.mirror_share else 1.0
    scale = np.array([[mirror * (x1 - x0) / side, shear * (x1 - x0) / side], [0.0, (y1 - y0) / side]])
    matrix = np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]]) @ scale
    offset = np.array([(x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5]) - matrix @ np.full(2, (side - 1) / 2)
    method = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(grey, np.column_stack([matrix, offset]), (side, side), flags=method)
    return np.asarray(out, dtype=np.float32) / np.float32(255)


def opaque(film: Grey, config: VaryConfig, chance: Chance) -> Grey:
    """A part of the chest made dense by chance: one side, the bases, or a patch."""
    if chance.random() >= config.opaque_share:
        return film
    side = film.shape[0]
    mask = blank(side)
    kind = chance.random()
    if kind < 0.35:
        middle = int(side * chance.uniform(0.42, 0.58))
        mask[:, :middle] = 1
        mask = mask if chance.random() < 0.5 else 1 - mask
    elif kind < 0.65:
        level, lean = chance.uniform(0.4, 0.8) * side, chance.uniform(-0.3, 0.3)
        mask[np.arange(side)[:, None] > level + lean * (np.arange(side)[None] - side / 2)] = 1
        if chance.random() < 0.5:
            half = slice(0, side // 2) if chance.random() < 0.5 else slice(side // 2, side)
            mask[:, half] = 0
    else:
        axes = (int(chance.uniform(0.06, 0.25) * side), int(chance.uniform(0.06, 0.25) * side))
        centre = (int(chance.uniform(0.2, 0.8) * side), int(chance.uniform(0.25, 0.75) * side))
        cv2.ellipse(mask, centre, axes, chance.uniform(0, 180), 0, 360, 1, -1)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), chance.uniform(0.01, 0.08) * side + 0.5)
    share = np.float32(chance.uniform(0.3, 0.85)) * soft
    return np.asarray(film * (1 - share) + share * np.float32(chance.uniform(0.6, 0.95)), dtype=np.float32)


def varied(image: Grey, config: VaryConfig, chance: Chance) -> Grey:
    """The same image from another machine: tone, sharpness, grain, marks, frame; float32 (side, side), 0..1."""
    out = _marked(_regraded(image, config, chance), config, chance)
    if chance.random() < config.frame_share:
        out = _framed(out, config, chance)
    if chance.random() < config.stretch_share:
        low, high = np.percentile(out[::2, ::2], (0.5, 99.5))
        out = (out - np.float32(low)) / np.float32(max(high - low, 1e-3))
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)


def _regraded(image: Grey, config: VaryConfig, chance: Chance) -> Grey:
    side = image.shape[0]
    out = np.clip(image, 0, 1)
    if chance.random() < config.coarse_share:
        few = int(side * chance.uniform(0.3, 0.8))
        small = cv2.resize(out, (few, few), interpolation=cv2.INTER_AREA)
        out = np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    if chance.random() < config.detail_share:
        smooth = cv2.GaussianBlur(out, (0, 0), float(np.exp(chance.uniform(0, 2.5))) * side / 128)
        out = out + np.float32(chance.uniform(-0.5, 1.2)) * (out - smooth)
    if chance.random() < config.equal_share:
        equal = cv2.createCLAHE(chance.uniform(1, 5), (int(chance.integers(2, 9)),) * 2)
        out = equal.apply(np.rint(np.clip(out, 0, 1) * 255).astype(np.uint8)).astype(np.float32) / np.float32(255)
    out = np.power(np.clip(out, 0, 1), np.float32(np.exp(chance.uniform(-config.log_gamma, config.log_gamma))))
    contrast = 1 + chance.uniform(-config.contrast, config.contrast)
    bright = chance.uniform(-config.brightness, config.brightness)
    out = (out - np.float32(0.5)) * np.float32(contrast) + np.float32(0.5 + bright)
    if chance.random() < config.shading_share:
        slope = np.linspace(-1, 1, side, dtype=np.float32)
        across, down = chance.uniform(-0.25, 0.25, 2)
        out = out + np.float32(across) * slope[None] + np.float32(down) * slope[:, None]
    if chance.random() < config.blur_share:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), chance.uniform(0.4, 1.6)), dtype=np.float32)
    if chance.random() < config.noise_share:
        grain = chance.standard_normal(out.shape, dtype=np.float32)
        out = out + np.float32(chance.uniform(0, config.noise)) * grain
    return np.asarray(out, dtype=np.float32)


def _marked(image: Grey, config: VaryConfig, chance: Chance) -> Grey:
    """Letters, labels, electrodes, tubes and lines."""
    side = image.shape[0]
    out = np.ascontiguousarray(image, dtype=np.float32)
    for _ in range(int(chance.poisson(config.marks))):
        kind, value = chance.random(), float(chance.choice([1.0, 1.0, 0.0, chance.random()]))
        x, y = (int(place) for place in chance.integers(0, side, 2))
        mask = blank(side)
        if kind < 0.4:
            word = str(chance.choice(["L", "R", "LI", "RE", "PORT", "AP", "PA", "12:40", "SUPINE", "ERECT"]))
            cv2.putText(mask, word, (x, y), cv2.FONT_HERSHEY_SIMPLEX, chance.uniform(0.25, 0.8) * side / 128, 255, 1)
        elif kind < 0.55:
            width, height = (int(length * side) for length in chance.uniform(0.02, 0.16, 2))
            cv2.rectangle(mask, (x, y), (x + width, y + height), 255, -1)
        elif kind < 0.7:
            cv2.circle(mask, (x, y), int(chance.uniform(0.01, 0.04) * side) + 1, 255, int(chance.choice([-1, 1])))
        else:
            end = chance.uniform(0, side, 2)
            line = smooth_curve(chance, (float(x), float(y)), (end[0], end[1]), 0.2 * side)
            cv2.polylines(mask, [line], False, 255, int(chance.integers(1, 3)), cv2.LINE_AA)
            value = float(chance.uniform(0.6, 1.0))
        share = mask.astype(np.float32) * np.float32(chance.uniform(0.4, 1.0) / 255)
        out = out * (1 - share) + np.float32(value) * share
    if chance.random() < config.shield_share:
        shield = blank(side)
        start, end = chance.uniform(0, side, 2), chance.uniform(0, side, 2)
        line = smooth_curve(chance, (start[0], start[1]), (end[0], end[1]), 0.1 * side)
        cv2.polylines(shield, [line], False, 1, int(chance.uniform(0.05, 0.18) * side))
        out = out + np.float32(chance.uniform(0.1, 0.4)) * thickness(shield)
    return out


def _framed(image: Grey, config: VaryConfig, chance: Chance) -> Grey:
    """A plain border on some of the sides: collimation, the edge of the plate, padding."""
    side = image.shape[0]
    value = np.float32(chance.choice([0.0, 0.0, 0.0, 1.0, chance.uniform(0, 0.3)]))
    top, bottom, left, right = (chance.uniform(0, config.frame, 4) * side * (chance.random(4) < 0.6)).astype(int)
    out = image.copy()
    out[:top] = value
    out[side - bottom :] = value
    out[:, :left] = value
    out[:, side - right :] = value
    return out
