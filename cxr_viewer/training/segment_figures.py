"""How good an anatomy model is: Dice coefficients, the cardiothoracic ratio, the heart's side, and its own verdict.

Films are measured through the very functions of reading (:mod:`cxr_viewer.inference.anatomy`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from cxr_viewer.core.anatomy import ENLARGED
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.modelcard import Metric
from cxr_viewer.inference.anatomy import sure, trusted
from cxr_viewer.inference.anatomy_masks import clean, shape_of
from cxr_viewer.inference.anatomy_ratio import Measured, measured
from cxr_viewer.training.films import NO_MASK, FilmSet
from cxr_viewer.training.lessons.outlines_augment import laid_back
from cxr_viewer.training.lessons.segment import SegmentConfig, dice, outlined, outlined_films
from cxr_viewer.training.measure import Draws, auc_of, interval
from cxr_viewer.training.recipe import Recipe

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

BAD = (0.9, 0.85)
"""Dice coefficients of lungs and heart below which an outline counts as bad."""

_LEAST_OF_A_KIND = 5


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was found on each of n films.

    Attributes:
        dice: (n, 2) for lungs and heart; nan where nothing was given.
        ratio, given_ratio: cardiothoracic ratio of the found and of the given outlines, by the same rule; else nan.
        side: where the heart lies, see ``anatomy_ratio.Measured``; nan where it could not be measured.
        trusted, sure: the model's own verdicts.
    """

    dice: Values
    ratio: Values
    given_ratio: Values
    side: Values
    trusted: Mask
    sure: Mask

    @property
    def bad(self) -> Mask:
        """Films on which an outline is bad."""
        return np.asarray((self.dice < np.array(BAD)).any(axis=1))


def found_on(network: nn.Module, films: FilmSet, recipe: Recipe, given: Sequence[NDArray[np.bool_] | None]) -> Found:
    """Run the network over films and measure.

    Args:
        given: per film (2, side, side): lungs and heart, or (1, side, side): lungs; None: not outlined.
    """
    side = films.grey.shape[1]
    n = len(films)
    scores = np.full((n, 2), np.nan)
    ratio, given_ratio, where = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    believed, confident = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for index, chances in enumerate(outlined(network, films, recipe)):
        x0, y0, x1, y1 = films.areas[index].tolist()
        masks = clean(chances)
        shape = shape_of(chances, masks)
        one = measured(masks, ImageRect(x0, y0, x1 - x0, y1 - y0))
        believed[index] = trusted(shape) and one is not None
        confident[index] = one is not None and sure(shape, one)
        ratio[index], where[index] = _ratio(one), math.nan if one is None else one.heart_side
        truth = given[index]
        if truth is None:
            continue
        laid = laid_back(masks.chances, (x0, y0, x1, y1), (side, side), (side, side)) > 0.5
        scores[index, : len(truth)] = dice(laid[: len(truth)], truth)
        if len(truth) == 2:
            given_ratio[index] = _ratio(measured(clean(truth.astype(np.float32)), ImageRect(0, 0, side, side)))
    return Found(scores, ratio, given_ratio, where, believed, confident)


def given_outlines(films: FilmSet, config: SegmentConfig) -> list[NDArray[np.bool_] | None]:
    """The masks of the films that may be judged by them."""
    good = outlined_films(films, config)
    return [
        np.stack([films.masks[index] == value for value in config.values])
        if films.masks is not None and good[index]
        else None
        for index in range(len(films))
    ]


def lungs_only(films: FilmSet) -> list[NDArray[np.bool_] | None]:
    """Masks in which everything outlined is lung."""
    if films.masks is None:
        return [None] * len(films)
    return [None if mask[0, 0] == NO_MASK else (mask > 0)[None] for mask in films.masks]


def film_metrics(films: FilmSet, found: Found, data: str, ratios: Values, labels: Sequence[str]) -> list[Metric]:
    """Figures of found against given, all films and by view.

    Args:
        data: what films these are.
        ratios: (n,), the ratio as the index has it, or nan.
        labels: names of the films' targets.
    """
    views = np.array([record.view for record in films.records])
    out: list[Metric] = []
    for group in ("", *sorted(set(views.tolist()) - {""})) if len(set(views.tolist())) > 1 else ("",):
        among = (views == group) | (group == "")
        table = _Table(films, among, data, group)
        for column, name in enumerate(("Dice, lungs", "Dice, heart")):
            table.mean(name, found.dice[:, column])
        error = np.abs(found.ratio - found.given_ratio)
        table.mean("error of the ratio, mean", error)
        table.quantile("error of the ratio, 95 of 100 films", np.where(found.trusted, error, np.nan))
        table.quantile(
            "error of the ratio, 95 of 100 films with a sure heart", np.where(found.sure & found.trusted, error, np.nan)
        )
        table.mean("error of the ratio against the index, mean", _where(found.dice[:, 1], np.abs(found.ratio - ratios)))
        table.mean("trusted", found.trusted.astype(np.float64))
        believed = np.where(found.trusted, found.ratio, np.nan)
        for column, label in enumerate(labels):
            truth = films.targets[:, column].astype(np.float64)
            table.auc(f"AUC of the ratio for {label}", truth, found.ratio)
            table.auc(f"AUC of the ratio for {label}, trusted films", truth, believed)
            table.mean(f"{label}: specificity of a ratio of 0.50", _where(believed, believed < ENLARGED, truth == 0))
            table.mean(f"{label}: sensitivity of a ratio of 0.50", _where(believed, believed >= ENLARGED, truth == 1))
        out += table.metrics
    return out


def mirror_metric(films: FilmSet, found: Found, mirrored: Found, data: str) -> list[Metric]:
    """How well the heart's side tells a film from its mirror image."""
    table = _Table(films, np.ones(len(films), dtype=np.bool_), data, "")
    both = np.isfinite(found.side) & np.isfinite(mirrored.side) & found.trusted
    sides = np.concatenate([found.side[both], mirrored.side[both]])
    truth = np.repeat([1.0, 0.0], int(both.sum()))
    patients = [films.records[index].patient for index in np.flatnonzero(both)] * 2
    table.auc_of("AUC of the heart's side, film against mirror image", truth, sides, patients)
    return table.metrics


def verdict_metrics(films: FilmSet, found: Found, data: str) -> list[Metric]:
    """How many bad outlines the model's own verdict catches, and at how many false alarms."""
    table = _Table(films, np.asarray(np.isfinite(found.dice).any(axis=1)), data, "")
    caught = (~found.trusted).astype(np.float64)
    table.mean("bad outlines not trusted", np.where(found.bad, caught, np.nan))
    table.mean("good outlines not trusted", np.where(found.bad, np.nan, caught))
    return table.metrics


def mirrored(films: FilmSet) -> FilmSet:
    """The films mirrored left to right, with their masks."""
    side = films.grey.shape[2]
    areas = films.areas.copy()
    areas[:, [0, 2]] = side - films.areas[:, [2, 0]]
    masks = None if films.masks is None else np.ascontiguousarray(films.masks[:, :, ::-1])
    return replace(films, grey=np.ascontiguousarray(films.grey[:, :, ::-1]), areas=areas, masks=masks)


def spoiled(films: FilmSet, chance: np.random.Generator) -> FilmSet:
    """Every film spoiled in one of five ways, as strongly as chance will: noise, blur, contrast, patches, a cut-off."""
    grey = films.grey.copy()
    masks = None if films.masks is None else films.masks.copy()
    ways: tuple[Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]], ...]
    ways = (_noisy, _blurred, _flat, _patched)
    for index in range(len(films)):
        way = index % (len(ways) + 1)
        if way == len(ways):
            edge = (chance.uniform(0, 0.35, 4) * grey.shape[1]).astype(int)
            inside = np.zeros(grey.shape[1:], dtype=np.bool_)
            inside[edge[0] : grey.shape[1] - edge[1], edge[2] : grey.shape[2] - edge[3]] = True
            grey[index][~inside] = 0
            if masks is not None and masks[index][0, 0] != NO_MASK:
                masks[index][~inside] = 0
            continue
        film = ways[way](grey[index].astype(np.float32) / np.float32(255), chance)
        grey[index] = np.rint(np.clip(film, 0, 1) * 255).astype(np.uint8)
    return replace(films, grey=grey, masks=masks)


def _noisy(film: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    strength = np.float32(chance.uniform(0.1, 0.5))
    return film + strength * chance.standard_normal(film.shape, dtype=np.float32)


def _blurred(film: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(film, (0, 0), chance.uniform(0.01, 0.035) * film.shape[0]), dtype=np.float32)


def _flat(film: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    level = film * np.float32(chance.uniform(0.05, 0.4)) + np.float32(chance.uniform(0, 0.6))
    return np.asarray(np.clip(level, 0, 1) ** np.float32(chance.uniform(0.3, 4)), dtype=np.float32)


def _patched(film: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.float32]:
    out = film.copy()
    for _ in range(int(chance.integers(1, 4))):
        top, left = (int(value) for value in chance.uniform(0.1, 0.6, 2) * film.shape[0])
        high, wide = (int(value) for value in chance.uniform(0.15, 0.4, 2) * film.shape[0])
        part = out[top : top + high, left : left + wide]
        part[:] = part * np.float32(0.15) + np.float32(chance.uniform(0.3, 0.8))
    return out


def _ratio(one: Measured | None) -> float:
    return math.nan if one is None else one.callipers.ratio()


def _where(known: Values, values: NDArray[np.generic], among: Mask | None = None) -> Values:
    """``values`` as numbers where ``known`` is finite (and ``among`` true), else nan."""
    keep = np.isfinite(known) if among is None else np.isfinite(known) & among
    return np.where(keep, values.astype(np.float64), np.nan)


class _Table:
    """Figures over some of the films, each with its interval over patients; what no film has is left out."""

    def __init__(self, films: FilmSet, among: Mask, data: str, group: str) -> None:
        self._films, self._among, self._data, self._group = films, among, data, group
        self.metrics: list[Metric] = []

    def mean(self, name: str, values: Values) -> None:
        def statistic(values: Values) -> Callable[[Values], Values]:
            return lambda weights: _over(weights @ values, weights.sum(axis=1))

        self._add(name, values, statistic)

    def quantile(self, name: str, values: Values) -> None:
        def statistic(values: Values) -> Callable[[Values], Values]:
            order = np.argsort(values, kind="stable")

            def of(weights: Values) -> Values:
                summed = np.cumsum(weights[:, order], axis=1)
                place = (summed < 0.95 * summed[:, -1:]).sum(axis=1)
                return np.asarray(values[order][np.minimum(place, values.size - 1)])

            return of

        self._add(name, values, statistic)

    def auc(self, name: str, truth: Values, scores: Values) -> None:
        keep = self._among & np.isfinite(truth) & np.isfinite(scores)
        patients = [self._films.records[index].patient for index in np.flatnonzero(keep)]
        self.auc_of(name, truth[keep], scores[keep], patients)

    def auc_of(self, name: str, truth: Values, scores: Values, patients: Sequence[str]) -> None:
        positives = int((truth == 1).sum())
        if min(positives, truth.size - positives) < _LEAST_OF_A_KIND:
            return
        self._put(name, auc_of(truth, scores), patients, truth.size, positives)

    def _add(self, name: str, values: Values, statistic: Callable[[Values], Callable[[Values], Values]]) -> None:
        keep = self._among & np.isfinite(values)
        if keep.any():
            patients = [self._films.records[index].patient for index in np.flatnonzero(keep)]
            self._put(name, statistic(values[keep]), patients, int(keep.sum()))

    def _put(
        self,
        name: str,
        statistic: Callable[[Values], Values],
        patients: Sequence[str],
        count: int,
        positives: int | None = None,
    ) -> None:
        draws = Draws.of(patients)
        value = float(draws.once().each(statistic)[0])
        low, high = interval(draws.each(statistic))
        self.metrics.append(Metric(name, value, low, high, self._data, count, group=self._group, positives=positives))


def _over(upper: Values, lower: Values) -> Values:
    out = np.full(upper.shape, np.nan)
    np.divide(upper, lower, out=out, where=lower > 0)
    return out
