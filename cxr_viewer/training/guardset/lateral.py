"""Lateral chest films, made: from frontal ones by folding them, and from bodies of simple solids.

A lateral film shows both lungs one over the other, the heart low in front, the spine behind. :func:`folded` has the
texture of real films and that order; :func:`torso` has the geometry, seen from the side or, so that the manner of its
making tells nothing, from the front.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cxr_viewer.training.guardset.shading import Grey, blank, smooth_curve, spectral_noise, stretched, thickness

Chance = np.random.Generator
Solid = NDArray[np.float32]

_DEPTH, _ACROSS, _HEIGHT = 48, 64, 64


def folded(chance: Chance, film: Grey) -> Grey:
    """A frontal film, upright, made into something like a lateral one: its halves lie over each other, from the chest
    wall (now the front) to the middle; behind that the spine and a strip of the back; the heart is added in front.

    Args:
        film: float32 (side, side), 0..1.
    """
    side = film.shape[0]
    middle = int(side * chance.uniform(0.46, 0.54))
    half = min(middle, side - middle)
    left, right = film[:, middle - half : middle], film[:, middle : middle + half][:, ::-1]
    share = np.float32(chance.choice([chance.uniform(0, 0.15), chance.uniform(0.3, 0.7), chance.uniform(0.85, 1)]))
    over = share * left + (1 - share) * right
    behind = int(half * chance.uniform(0.03, 0.3))
    both = np.concatenate([over, over[:, ::-1][:, :behind]], axis=1)
    cut = int(chance.uniform(0, 0.15) * half)
    part = np.ascontiguousarray(both[:, cut:])
    wide = cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
    out = _sheared(chance, np.asarray(wide, dtype=np.float32))
    spine = 0.97 - behind / both.shape[1] * chance.uniform(0.6, 1.2)
    out = out + _heart(chance, side) + _spine(chance, side, spine)
    if chance.random() < 0.5:
        out = out * _outline(chance, side)
    return np.asarray(np.clip(stretched(out), 0, 1), dtype=np.float32)


def torso(chance: Chance, side: int, *, lateral: bool) -> Grey:
    """A body of solids with lungs, heart, spine, ribs and diaphragm in the beam, from the side or from the front."""
    z, y, x = np.meshgrid(
        np.linspace(-1, 1, _HEIGHT, dtype=np.float32),
        np.linspace(-1, 1, _DEPTH, dtype=np.float32),  # front -1, back 1
        np.linspace(-1, 1, _ACROSS, dtype=np.float32),
        indexing="ij",
        sparse=True,
    )
    u = chance.uniform
    deep, wide = u(0.6, 0.9), u(0.75, 0.97)
    body = (x / wide) ** 4 + (y / deep) ** 2 < 1 - np.clip(-z - u(0.3, 0.7), 0, 1) * u(0.3, 1.2)
    lungs = np.zeros((_HEIGHT, _DEPTH, _ACROSS), dtype=bool)
    apex, base = u(-0.95, -0.7), u(0.2, 0.75)
    for sign in (-1, 1):
        place = sign * wide * u(0.42, 0.52)
        thin = np.clip((z - apex) / u(0.5, 0.9), 0, 1) ** 0.6  # narrow at the apex
        lung = ((x - place) / (wide * u(0.34, 0.42))) ** 2 + (y / (deep * u(0.75, 0.9))) ** 2 < thin
        dome = base + u(-0.08, 0.08) - u(0.15, 0.4) + u(0.3, 0.8) * (((x - place) ** 2) + (y * u(0.6, 1.2)) ** 2)
        dome = dome + u(0.0, 0.35) * y  # deeper behind
        lungs |= lung & (z > apex) & (z < dome)
    heart = ((x - u(0.05, 0.22)) / u(0.3, 0.48)) ** 2 + ((y + u(0.15, 0.35)) / u(0.3, 0.5)) ** 2
    heart = heart + ((z - base + u(0.1, 0.35)) / u(0.3, 0.5)) ** 2 < 1
    root = (np.abs(x) < u(0.08, 0.17)) & (np.abs(y) < u(0.3, 0.5)) & (z < base)
    lungs &= ~heart & ~root
    bones = (x / u(0.09, 0.14)) ** 2 + ((y - deep * u(0.68, 0.8)) / u(0.1, 0.16)) ** 2 < 1
    gaps = np.cos(np.pi * z * u(9, 13)) > -u(0.5, 0.85)
    dense = np.where(lungs, np.float32(u(0.1, 0.25)), body.astype(np.float32))
    dense = dense + np.float32(u(0.5, 1.4)) * (bones & gaps & body).astype(np.float32)
    flat: Solid = np.asarray(dense.mean(axis=2 if lateral else 1), dtype=np.float32)
    out = np.asarray(cv2.resize(flat, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    out = 1 - np.exp(-np.float32(u(1.0, 4.0)) * out)
    out = stretched(out) + np.float32(u(0.02, 0.12)) * _ribs(chance, side, wide, deep, lateral=lateral)
    out = out + np.float32(u(0, 0.1)) * (spectral_noise(chance, side, u(0.6, 1.6)) - 0.5)
    if lateral:
        out = out + np.float32(u(0, 0.3)) * _arms(chance, side)
    return np.asarray(np.clip(stretched(out), 0, 1), dtype=np.float32)


def textured(chance: Chance, body: Grey, film: Grey) -> Grey:
    """``body`` with the fine detail of a real film over it, so that smoothness tells nothing."""
    blurred = np.asarray(cv2.GaussianBlur(film, (0, 0), chance.uniform(1.5, 6) * film.shape[0] / 128), dtype=np.float32)
    return np.asarray(np.clip(body + np.float32(chance.uniform(0.3, 1.2)) * (film - blurred), 0, 1), dtype=np.float32)


def _sheared(chance: Chance, film: Grey) -> Grey:
    """Leaned over by chance, as the chest wall leans in front; bent, so that the spine is no straight line."""
    side = film.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    rel = y / side - np.float32(0.5)
    shift = chance.uniform(-0.25, 0.25) * rel + chance.uniform(-0.25, 0.25) * np.cos(np.pi * rel)
    move = np.asarray(shift * side, dtype=np.float32)
    return np.asarray(cv2.remap(film, x + move, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)


def _heart(chance: Chance, side: int) -> Grey:
    mask = blank(side)
    centre = (int(chance.uniform(0.2, 0.5) * side), int(chance.uniform(0.5, 0.8) * side))
    axes = (int(chance.uniform(0.12, 0.28) * side), int(chance.uniform(0.1, 0.24) * side))
    cv2.ellipse(mask, centre, axes, chance.uniform(20, 70), 0, 360, 1, -1)
    heart = cv2.GaussianBlur(thickness(mask), (0, 0), chance.uniform(0.5, 0.06 * side))
    return np.asarray(np.float32(chance.uniform(0.0, 0.4)) * heart, dtype=np.float32)


def _spine(chance: Chance, side: int, place: float) -> Grey:
    """Vertebrae in a bent row about ``place`` (share of the width), discs less bright."""
    out = np.zeros((side, side), dtype=np.float32)
    height, width = chance.uniform(0.05, 0.1) * side, chance.uniform(0.05, 0.13) * side
    bend, lean = chance.uniform(-0.1, 0.1), chance.uniform(-0.1, 0.1)
    for top in np.arange(0, side, height * chance.uniform(1.15, 1.35)):
        rel = top / side - 0.5
        x = (place + bend * np.cos(np.pi * rel) + lean * rel) * side
        box = cv2.boxPoints(((x, top + height / 2), (width, height), float(np.degrees(lean))))
        cv2.fillPoly(out, [np.rint(box).astype(np.int32)[:, None]], 1.0)
    blurred = cv2.GaussianBlur(out, (0, 0), chance.uniform(0.5, 2.0))
    return np.asarray(np.float32(chance.uniform(0, 0.3)) * blurred, dtype=np.float32)


def _outline(chance: Chance, side: int) -> Grey:
    """1 where the body is, 0 (air) in front and behind it."""
    y = np.linspace(0, 1, side)
    front = chance.uniform(0, 0.2) + chance.uniform(-0.2, 0.2) * (y - 0.5) + 0.06 * np.sin(3 * y + chance.uniform(0, 6))
    back = 1 - chance.uniform(0, 0.18) + chance.uniform(-0.15, 0.15) * (y - 0.5) ** 2
    x = np.linspace(0, 1, side)[None]
    inside = ((x > front[:, None]) & (x < back[:, None])).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), chance.uniform(0.5, 0.02 * side + 0.6)), dtype=np.float32)


def _ribs(chance: Chance, side: int, wide: float, deep: float, *, lateral: bool) -> Grey:
    out = np.zeros((side, side), dtype=np.float32)
    t = np.linspace(0, 2 * np.pi, 60)
    drop, count = chance.uniform(0.1, 0.35), int(chance.integers(8, 13))
    for z in np.linspace(-0.85, 0.75, count):
        size = np.clip(1.1 - 0.5 * max(0.0, -z - 0.3), 0.3, 1.0)
        x, y = 0.92 * wide * size * np.cos(t), 0.92 * deep * size * np.sin(t)
        level = z - drop * y / deep  # the front lies lower: y = -1 is the front
        line = np.column_stack([(y if lateral else x) + 1, level + 1]) * side / 2
        ring = np.zeros_like(out)
        cv2.polylines(ring, [np.rint(line).astype(np.int32)[:, None]], True, 1.0, max(1, side // 40), cv2.LINE_AA)
        out += ring
    return out


def _arms(chance: Chance, side: int) -> Grey:
    """Raised arms before the apices."""
    mask = blank(side)
    start = (chance.uniform(0.3, 0.6) * side, chance.uniform(0.05, 0.3) * side)
    end = (chance.uniform(0.0, 1.0) * side, -0.1 * side)
    line = smooth_curve(chance, start, end, 0.1 * side)
    cv2.polylines(mask, [line], False, 1, int(chance.uniform(0.15, 0.35) * side))
    return thickness(mask)
