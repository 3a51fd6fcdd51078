"""Images drawn from nothing: pages, patterns, photographs, limbs, skulls, slices, ultrasound, angiograms."""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from cxr_viewer.training.guardset.shading import (
    Grey,
    Mask,
    blank,
    smooth_curve,
    spectral_noise,
    stretched,
    thickness,
)

Chance = np.random.Generator
Maker = Callable[[Chance, int], Grey]


def drawn(chance: Chance, side: int) -> Grey:
    """One image of a kind chosen by chance, now and then two of them mixed."""
    out = _MAKERS[int(chance.integers(len(_MAKERS)))](chance, side)
    if chance.random() < 0.15:
        other = _MAKERS[int(chance.integers(len(_MAKERS)))](chance, side)
        share = np.float32(chance.uniform(0.3, 0.7))
        out = share * out + (1 - share) * other
    if chance.random() < 0.3:
        out = out + np.float32(chance.uniform(0.03, 0.3)) * (spectral_noise(chance, side, chance.uniform(0, 2)) - 0.5)
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)


def noise(chance: Chance, side: int) -> Grey:
    """Noise of any grain, or clouds with hard edges, or two of them multiplied."""
    out = spectral_noise(chance, side, chance.uniform(0, 2.5))
    kind = chance.random()
    if kind < 0.25:
        out = (out > chance.uniform(0.3, 0.7)).astype(np.float32)
    elif kind < 0.4:
        out = stretched(out * spectral_noise(chance, side, 2.0))
    return out


def pattern(chance: Chance, side: int) -> Grey:
    """Ramps, waves, stripes, steps, rings and chessboards."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side - np.float32(0.5)
    angle = chance.uniform(0, 2 * np.pi)
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    if chance.random() < 0.3:
        along = np.hypot(x - np.float32(chance.uniform(-0.4, 0.4)), y - np.float32(chance.uniform(-0.4, 0.4)))
    waves = np.float32(chance.uniform(0.5, 14))
    kind = chance.integers(4)
    if kind == 0:
        return stretched(along)
    wave = np.sin(2 * np.pi * waves * along + np.float32(chance.uniform(0, 6)))
    if kind == 1:
        return stretched(wave.astype(np.float32))
    if kind == 2:
        return np.asarray(np.floor(stretched(along) * waves) / waves, dtype=np.float32)
    across = np.sin(2 * np.pi * waves * (np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x))
    return np.asarray((wave * across > 0), dtype=np.float32)


def page(chance: Chance, side: int) -> Grey:
    """Lines of text, now and then with frames, as of a report, a screen or a label."""
    ground, ink = (1.0, 0.0) if chance.random() < 0.6 else (0.0, 1.0)
    out = np.full((side, side), 255 * ground, dtype=np.uint8)
    scale = chance.uniform(0.2, 1.2) * side / 128
    step = max(4, int(scale * chance.uniform(22, 40)))
    letters = string.ascii_letters + string.digits + "     .,:-"
    for row in range(step, side + step, step):
        if chance.random() < 0.85:
            text = "".join(chance.choice(list(letters), int(chance.integers(4, 40))))
            left = int(chance.uniform(0, 0.3) * side)
            cv2.putText(out, text, (left, row), cv2.FONT_HERSHEY_SIMPLEX, scale, 255 * ink, 1 + int(scale > 0.8))
    for _ in range(int(chance.integers(0, 5))):
        a, b = chance.integers(0, side, 2), chance.integers(0, side, 2)
        cv2.rectangle(out, _point(a), _point(b), float(chance.uniform(0, 255)), int(chance.choice([-1, 1, 2])))
    return out.astype(np.float32) / np.float32(255)


def plot(chance: Chance, side: int) -> Grey:
    """Axes with curves, as of an electrocardiogram, a histogram or a drawing."""
    ground = float(chance.choice([0.0, 1.0]))
    out = np.full((side, side), ground, dtype=np.float32)
    for line in np.linspace(0, side - 1, int(chance.integers(2, 14))).astype(int):
        cv2.line(out, (0, int(line)), (side, int(line)), float(abs(ground - 0.2)), 1)
        cv2.line(out, (int(line), 0), (int(line), side), float(abs(ground - 0.2)), 1)
    for _ in range(int(chance.integers(1, 7))):
        x = np.linspace(0, side, 60)
        y = np.cumsum(chance.standard_normal(60)) * chance.uniform(0.5, 6) + chance.uniform(0, side)
        line = np.rint(np.column_stack([x, y])).astype(np.int32)[:, None]
        cv2.polylines(out, [line], False, float(chance.uniform(0, 1)), int(chance.integers(1, 4)), cv2.LINE_AA)
    return out


def shapes(chance: Chance, side: int) -> Grey:
    """Round and angular bodies one over the other, hard or shaded like bodies in the beam."""
    out = np.full((side, side), chance.uniform(0, 0.6), dtype=np.float32)
    shaded = chance.random() < 0.6
    for _ in range(int(chance.integers(1, 14))):
        mask = blank(side)
        if chance.random() < 0.6:
            axes = np.maximum(2, chance.uniform(0.03, 0.5, 2) * side).astype(int)
            cv2.ellipse(mask, _point(chance.integers(0, side, 2)), _point(axes), chance.uniform(0, 180), 0, 360, 1, -1)
        else:
            corners = chance.integers(0, side, (int(chance.integers(3, 7)), 1, 2)).astype(np.int32)
            cv2.fillPoly(mask, [corners], 1)
        body = thickness(mask) if shaded else mask.astype(np.float32)
        out = out + np.float32(chance.uniform(-0.6, 0.8)) * body
    return stretched(out)


def photograph(chance: Chance, side: int) -> Grey:
    """A part of one of the two photographs that come with scikit-learn (CC BY; a temple and a flower)."""
    picture = _photographs()[int(chance.integers(len(_photographs())))]
    rows, columns = picture.shape
    height, width = (int(chance.uniform(0.2, 1.0) * length) for length in (rows, columns))
    top, left = int(chance.integers(0, rows - height + 1)), int(chance.integers(0, columns - width + 1))
    part = picture[top : top + height, left : left + width]
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


def limbs(chance: Chance, side: int) -> Grey:
    """One to six tubes of soft tissue with bones in them: a forearm, a knee, a hand, a foot."""
    many = chance.random() < 0.45
    count = int(chance.integers(3, 7)) if many else int(chance.integers(1, 3))
    radius = side * (chance.uniform(0.025, 0.07) if many else chance.uniform(0.08, 0.3))
    flesh, bones = blank(side), np.zeros((side, side), dtype=np.float32)
    root = np.array([chance.uniform(0.3, 0.7), chance.uniform(0.7, 1.1)]) * side
    for number in range(count):
        if many:
            angle = np.deg2rad(-90 + chance.uniform(-8, 8) + (number - (count - 1) / 2) * chance.uniform(14, 30))
            end = root + chance.uniform(0.5, 1.0) * side * np.array([np.cos(angle), np.sin(angle)])
            start = root
        else:
            start = np.array([(number + 0.5) / count + chance.uniform(-0.2, 0.2), -0.05]) * side
            end = np.array([(number + 0.5) / count + chance.uniform(-0.3, 0.3), 1.05]) * side
        line = smooth_curve(chance, (start[0], start[1]), (end[0], end[1]), 0.1 * side)
        cv2.polylines(flesh, [line], False, 1, max(2, int(2 * radius)))
        bones += _bone(chance, line, max(1.5, radius * chance.uniform(0.25, 0.6)), side)
    if many:
        cv2.circle(flesh, _point(root), int(3 * radius), 1, -1)
    out = thickness(flesh) * np.float32(chance.uniform(0.2, 0.6)) + bones * np.float32(chance.uniform(0.3, 0.9))
    return np.asarray(np.clip(out + _backing(chance, side), 0, 1), dtype=np.float32)


def skull(chance: Chance, side: int) -> Grey:
    """A bright ring with bright and dark hollows, now and then a row of teeth: heads and jaws."""
    out = _backing(chance, side)
    centre = chance.uniform(0.4, 0.6, 2) * side
    axes = chance.uniform(0.28, 0.55, 2) * side
    outer, inner = blank(side), blank(side)
    turn = chance.uniform(-25, 25)
    cv2.ellipse(outer, _point(centre), _point(axes), turn, 0, 360, 1, -1)
    cv2.ellipse(inner, _point(centre), _point(axes * chance.uniform(0.82, 0.95)), turn, 0, 360, 1, -1)
    out = out + thickness(outer) * np.float32(0.5) + (outer - inner) * np.float32(chance.uniform(0.1, 0.5))
    for _ in range(int(chance.integers(2, 8))):
        hollow = blank(side)
        place = centre + chance.uniform(-0.6, 0.6, 2) * axes
        size = np.maximum(2, chance.uniform(0.04, 0.3, 2) * axes)
        cv2.ellipse(hollow, _point(place), _point(size), chance.uniform(0, 180), 0, 360, 1, -1)
        out = out + np.float32(chance.uniform(-0.5, 0.4)) * thickness(hollow)
    if chance.random() < 0.5:
        teeth, middle = int(chance.integers(6, 16)), centre[1] + chance.uniform(0.1, 0.6) * axes[1]
        for x in np.linspace(centre[0] - 0.7 * axes[0], centre[0] + 0.7 * axes[0], teeth):
            y = middle + chance.uniform(-0.03, 0.03) * side
            corner = (x + 0.8 * axes[0] / teeth, y + chance.uniform(0.05, 0.15) * side)
            cv2.rectangle(out, _point((x, y)), _point(corner), float(chance.uniform(0.7, 1.1)), -1)
    return stretched(np.asarray(out, dtype=np.float32))


def slice_of_body(chance: Chance, side: int) -> Grey:
    """A cross-section as of CT or MR: an oval with a rim, organs, a spine, now and then two lungs."""
    centre = chance.uniform(0.45, 0.55, 2) * side
    axes = np.array([chance.uniform(0.38, 0.52), chance.uniform(0.26, 0.45)]) * side
    body = blank(side)
    cv2.ellipse(body, _point(centre), _point(axes), 0, 0, 360, 1, -1)
    tissue = np.float32(chance.uniform(0.35, 0.7))
    out = np.where(body > 0, tissue, np.float32(0)).astype(np.float32)
    if chance.random() < 0.6:
        for sign in (-1, 1):
            place = centre + np.array([sign * axes[0] * chance.uniform(0.4, 0.5), 0])
            cv2.ellipse(out, _point(place), _point(axes * chance.uniform(0.3, 0.75, 2) * [0.6, 1]), 0, 0, 360, 0.05, -1)
    for _ in range(int(chance.integers(1, 9))):
        place = centre + chance.uniform(-0.6, 0.6, 2) * axes
        size = np.maximum(1.5, chance.uniform(0.04, 0.3, 2) * axes)
        cv2.ellipse(out, _point(place), _point(size), chance.uniform(0, 180), 0, 360, float(chance.uniform(0, 0.9)), -1)
    spine = centre + np.array([chance.uniform(-0.05, 0.05), chance.uniform(0.5, 0.75)]) * axes
    cv2.ellipse(out, _point(spine), _point(np.maximum(2, 0.14 * axes)), 0, 0, 360, 1.0, -1)
    cv2.circle(out, _point((spine[0], spine[1] + 0.2 * axes[1])), max(1, int(0.05 * axes[0])), 0.4, -1)
    if chance.random() < 0.4:
        cv2.ellipse(out, _point(centre), _point(axes), 0, 0, 360, float(chance.uniform(0.7, 1)), int(0.03 * side))
    return np.asarray(cv2.GaussianBlur(out, (0, 0), chance.uniform(0.3, 1.5)), dtype=np.float32)


def ultrasound(chance: Chance, side: int) -> Grey:
    """A fan of speckle on black."""
    speckle = spectral_noise(chance, side, chance.uniform(0.3, 1.0)) * spectral_noise(chance, side, 1.8)
    mask = blank(side)
    top = (chance.uniform(0.35, 0.65) * side, chance.uniform(-0.3, 0.1) * side)
    half, reach = chance.uniform(20, 60), int(chance.uniform(0.7, 1.3) * side)
    cv2.ellipse(mask, _point(top), (reach, reach), 90, -half, half, 1, -1)
    return np.asarray(stretched(speckle) * mask, dtype=np.float32)


def vessels(chance: Chance, side: int) -> Grey:
    """A tree of dark or bright vessels on a soft ground, as in angiography."""
    out = np.float32(0.3) + np.float32(0.5) * spectral_noise(chance, side, 2.2)
    value = float(chance.choice([-0.5, 0.5]))
    tree = np.zeros((side, side), dtype=np.float32)
    for _ in range(int(chance.integers(2, 9))):
        start, end = chance.uniform(0, side, 2), chance.uniform(0, side, 2)
        line = smooth_curve(chance, (start[0], start[1]), (end[0], end[1]), 0.3 * side)
        cv2.polylines(tree, [line], False, 1.0, int(chance.integers(1, max(2, side // 24))), cv2.LINE_AA)
    out = out + np.float32(value) * tree
    if chance.random() < 0.5:
        disc = blank(side)
        cv2.circle(disc, (side // 2, side // 2), side // 2, 1, -1)
        out = out * disc
    return np.asarray(np.clip(out, 0, 1), dtype=np.float32)


def belly(chance: Chance, side: int) -> Grey:
    """Soft tissue with a spine, gas and now and then the wings of a pelvis: abdomen, spine and hips."""
    body = blank(side)
    axes = (int(chance.uniform(0.4, 0.75) * side), int(chance.uniform(0.6, 1.2) * side))
    cv2.ellipse(body, (side // 2, side // 2), axes, 0, 0, 360, 1, -1)
    out = np.float32(chance.uniform(0.3, 0.6)) * thickness(body)
    for _ in range(int(chance.integers(0, 14))):
        gas = blank(side)
        size = np.maximum(2, chance.uniform(0.02, 0.12, 2) * side)
        cv2.ellipse(
            gas, _point(chance.uniform(0.15, 0.85, 2) * side), _point(size), chance.uniform(0, 180), 0, 360, 1, -1
        )
        out = out - np.float32(chance.uniform(0.1, 0.4)) * thickness(gas)
    middle = chance.uniform(0.4, 0.6) * side
    width, height = chance.uniform(0.05, 0.12) * side, chance.uniform(0.06, 0.14) * side
    for top in np.arange(-height, chance.uniform(0.6, 1.1) * side, height * 1.2):
        cv2.rectangle(out, _point((middle - width, top)), _point((middle + width, top + height)), 0.85, -1)
    if chance.random() < 0.6:
        base = chance.uniform(0.5, 0.8) * side
        for sign in (-1, 1):
            wing = blank(side)
            centre = (middle + sign * chance.uniform(0.22, 0.32) * side, base)
            extent = (chance.uniform(0.12, 0.22) * side, chance.uniform(0.15, 0.28) * side)
            cv2.ellipse(wing, _point(centre), _point(extent), sign * chance.uniform(10, 40), 0, 360, 1, -1)
            hole = (middle + sign * 0.15 * side, base + 0.3 * side)
            cv2.ellipse(wing, _point(hole), _point(np.array(extent) * 0.4), 0, 0, 360, 0, -1)
            out = out + np.float32(chance.uniform(0.1, 0.25)) * (wing + thickness(wing))
    return stretched(np.asarray(cv2.GaussianBlur(out, (0, 0), chance.uniform(0.4, 1.6)), dtype=np.float32))


_MAKERS: tuple[Maker, ...] = (
    noise,
    pattern,
    page,
    plot,
    shapes,
    photograph,
    photograph,
    limbs,
    limbs,
    limbs,
    skull,
    slice_of_body,
    ultrasound,
    vessels,
    belly,
    belly,
)


def _bone(chance: Chance, line: NDArray[np.int32], radius: float, side: int) -> Grey:
    """A bone along ``line``: a bright rim about a less bright marrow, thicker at gaps (joints) set by chance."""
    mask: Mask = blank(side)
    parts = np.array_split(np.arange(len(line)), int(chance.integers(1, 5)))
    for part in parts:
        if len(part) > 1:
            cv2.polylines(mask, [line[part[0] : part[-1] + 1]], False, 1, max(2, int(2 * radius)))
    depth = np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, 3), dtype=np.float32)
    rim = ((depth > 0) & (depth < max(1.0, 0.35 * radius))).astype(np.float32)
    return np.asarray(np.float32(0.6) * thickness(mask) + np.float32(chance.uniform(0.1, 0.5)) * rim, dtype=np.float32)


def _backing(chance: Chance, side: int) -> Grey:
    """What lies behind: black, or a slope of grey, or a bright table with collimated edges."""
    out = np.zeros((side, side), dtype=np.float32)
    if chance.random() < 0.3:
        out += np.linspace(0, chance.uniform(0, 0.4), side, dtype=np.float32)[None]
    if chance.random() < 0.25:
        edge = int(chance.uniform(0.02, 0.2) * side)
        out[:, :edge] = out[:, side - edge :] = np.float32(chance.uniform(0, 1))
    return out


def _point(xy: NDArray[np.generic] | tuple[float, float]) -> tuple[int, int]:
    return int(xy[0]), int(xy[1])


@lru_cache(maxsize=1)
def _photographs() -> tuple[Grey, ...]:
    pictures = load_sample_images().images
    return tuple(
        np.asarray(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), dtype=np.float32) / np.float32(255) for one in pictures
    )
