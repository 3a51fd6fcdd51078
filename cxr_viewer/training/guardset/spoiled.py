"""Chest films made into images that must not be read: parts, parts in the wrong place, two films at once."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cxr_viewer.training.guardset.drawn import drawn
from cxr_viewer.training.guardset.shading import Grey

Chance = np.random.Generator


def spoiled(chance: Chance, film: Grey, other: Grey) -> Grey:
    """``film`` (float32 (side, side), upright) spoiled in a way chosen by chance; ``other`` is a second film."""
    maker = _MAKERS[int(chance.integers(len(_MAKERS)))]
    return np.asarray(np.clip(maker(chance, film, other), 0, 1), dtype=np.float32)


def shuffled(chance: Chance, film: Grey, other: Grey) -> Grey:
    """Its tiles in another order, most of them in another place."""
    side = film.shape[0]
    count = int(chance.integers(2, 6))
    edges = np.linspace(0, side, count + 1).astype(int)
    rows, columns = _disordered(chance, count), _disordered(chance, count)
    out = np.empty_like(film)
    for row in range(count):
        for column in range(count):
            y, x = (rows[row], columns[column]) if count < 4 else chance.integers(0, count, 2)
            tile = film[edges[y] : edges[y + 1], edges[x] : edges[x + 1]]
            width, height = edges[column + 1] - edges[column], edges[row + 1] - edges[row]
            place = out[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
            place[:] = cv2.resize(tile, (int(width), int(height)))
    return out


def one_lung(chance: Chance, film: Grey, other: Grey) -> Grey:
    """A strip of the film with no more than one lung, as high as the film or less."""
    width = chance.uniform(0.22, 0.5)
    left = 0.0 if chance.random() < 0.5 else 1.0 - width
    left = left + chance.uniform(-0.06, 0.06)
    height = chance.uniform(0.5, 1.0)
    return _part(film, left, chance.uniform(0, 1 - height), width, height)


def corner(chance: Chance, film: Grey, other: Grey) -> Grey:
    """A small part of the film: a shoulder, an apex, a base, the hilum."""
    width, height = chance.uniform(0.15, 0.45, 2)
    return _part(film, chance.uniform(0, 1 - width), chance.uniform(0, 1 - height), width, height)


def below(chance: Chance, film: Grey, other: Grey) -> Grey:
    """The lowest part, as of a film of the belly; or the highest, as of the shoulders and the neck."""
    height = chance.uniform(0.15, 0.38)
    return _part(film, 0.0, 1 - height if chance.random() < 0.6 else 0.0, 1.0, height)


def two_films(chance: Chance, film: Grey, other: Grey) -> Grey:
    """Two to nine films beside each other, as on a contact sheet."""
    side = film.shape[0]
    rows, columns = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 3))[int(chance.integers(5))]
    out = np.full_like(film, chance.choice([0.0, 1.0, chance.random()]))
    gap = int(chance.integers(0, max(1, side // 20)))
    for row in range(rows):
        for column in range(columns):
            top, left = row * side // rows, column * side // columns
            height, width = side // rows - gap, side // columns - gap
            chosen = film if (row + column) % 2 else other
            out[top : top + height, left : left + width] = cv2.resize(
                chosen, (width, height), interpolation=cv2.INTER_AREA
            )
    return out


def over_each_other(chance: Chance, film: Grey, other: Grey) -> Grey:
    """Two exposures: a second film lies turned or shifted over the first."""
    share = np.float32(chance.uniform(0.35, 0.65))
    second = np.rot90(other, int(chance.integers(1, 4)))
    if chance.random() < 0.3:
        second = np.roll(other, int(film.shape[0] * chance.uniform(0.3, 0.7)), axis=int(chance.integers(2)))
    return share * film + (1 - share) * second


def halves_exchanged(chance: Chance, film: Grey, other: Grey) -> Grey:
    """Left and right, or top and bottom, in each other's place."""
    side = film.shape[0]
    return np.roll(film, int(side * chance.uniform(0.38, 0.62)), axis=int(chance.integers(2)))


def bent(chance: Chance, film: Grey, other: Grey) -> Grey:
    """Twisted about a point, or bent by waves, until no chest is left."""
    side = film.shape[0]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    if chance.random() < 0.5:
        cx, cy = chance.uniform(0.35, 0.65, 2) * side
        reach = np.hypot(x - cx, y - cy) / side
        turn = chance.choice([-1, 1]) * chance.uniform(2.5, 7) * np.exp(-3 * reach)
        cos, sin = np.cos(turn), np.sin(turn)
        mx, my = cx + cos * (x - cx) - sin * (y - cy), cy + sin * (x - cx) + cos * (y - cy)
    else:
        waves = chance.uniform(1.5, 4, 2) * 2 * np.pi / side
        size = chance.uniform(0.12, 0.25) * side
        mx, my = x + size * np.sin(waves[0] * y + 1), y + size * np.sin(waves[1] * x + 2)
    moved = cv2.remap(
        film, mx.astype(np.float32), my.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(moved, dtype=np.float32)


def small_in_a_page(chance: Chance, film: Grey, other: Grey) -> Grey:
    """The film takes up less than half of each side of a page, a screen or a larger body."""
    side = film.shape[0]
    out = drawn(chance, side)
    width, height = (int(side * length) for length in chance.uniform(0.2, 0.5, 2))
    left, top = int(chance.integers(0, side - width)), int(chance.integers(0, side - height))
    out[top : top + height, left : left + width] = cv2.resize(film, (width, height), interpolation=cv2.INTER_AREA)
    return out


def whole_body(chance: Chance, film: Grey, other: Grey) -> Grey:
    """The chest is a small part of the body: what is below it is drawn out, as in a scout view or a babygram."""
    side = film.shape[0]
    share = chance.uniform(0.25, 0.48)
    top, rest = int(share * side * chance.uniform(0, 0.6)), int(share * side)
    belly = _part(film, 0.0, 0.8, 1.0, 0.2)
    head = _part(film, 0.2, 0.0, 0.6, 0.08)
    out = np.empty_like(film)
    if top > 0:
        out[:top] = cv2.resize(head, (side, top), interpolation=cv2.INTER_AREA)
    out[top : top + rest] = cv2.resize(film, (side, rest), interpolation=cv2.INTER_AREA)
    out[top + rest :] = cv2.resize(belly, (side, side - top - rest), interpolation=cv2.INTER_AREA)
    narrow = int(side * chance.uniform(0.4, 0.9))
    frame = np.zeros_like(film)
    left = (side - narrow) // 2
    frame[:, left : left + narrow] = cv2.resize(out, (narrow, side), interpolation=cv2.INTER_AREA)
    return frame


_MAKERS: tuple[Callable[[Chance, Grey, Grey], Grey], ...] = (
    shuffled,
    one_lung,
    one_lung,
    corner,
    corner,
    below,
    two_films,
    over_each_other,
    halves_exchanged,
    bent,
    small_in_a_page,
    whole_body,
)


def _disordered(chance: Chance, count: int) -> list[int]:
    """0..count-1 in another order than their own."""
    order = list(range(count))
    while order == list(range(count)):
        order = [int(one) for one in chance.permutation(count)]
    return order


def _part(film: Grey, left: float, top: float, width: float, height: float) -> Grey:
    side = film.shape[0]
    x0, y0 = (int(np.clip(edge, 0, 0.9) * side) for edge in (left, top))
    x1, y1 = (int(np.clip(edge, 0.1, 1) * side) for edge in (left + width, top + height))
    part = np.ascontiguousarray(film[y0 : max(y1, y0 + 4), x0 : max(x1, x0 + 4)])
    return np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
