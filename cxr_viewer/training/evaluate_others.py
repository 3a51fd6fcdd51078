"""Measuring models that give no findings: outlines against masks, the film check against what the index says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError, RefusalError
from cxr_viewer.core.filmcheck import FilmCheck
from cxr_viewer.core.findings import AnalysisResult, Metric, ModelCard
from cxr_viewer.core.geometry import ImageRect
from cxr_viewer.core.heatmaps import Heatmap, MapScale
from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.imaging.heatmap import heatmap_on_image
from cxr_viewer.inference.anatomy_masks import clean
from cxr_viewer.inference.anatomy_ratio import measured as measured_ratio
from cxr_viewer.training.asking import (
    Asked,
    Listed,
    Runner,
    listed,
    note_unreadable,
    read_films,
    request,
    too_many_unreadable,
)
from cxr_viewer.training.index import FilmRecord
from cxr_viewer.training.measure import ACCURACY, Draws, Values, interval, share_interval

SIDE_PX = 256
"""Long side of the grid on which outlines and masks are compared."""
DICE, DISTANCE, RATIO_ERROR = "Dice", "distance of the outlines, in % of the film's height", "error of the ratio"
ANSWERED, NOT_SURE = "share with an answer", "not sure"
COLUMNS = ("kind", "turn", "polarity", "view")
"""What the film check is held against."""

Mask = NDArray[np.bool_]
Unreadable = tuple[tuple[str, str], ...]
"""Place and sentence of films that cannot be read."""


@dataclass(frozen=True, slots=True)
class Table:
    """Films by what is true (rows) and what was said (columns)."""

    title: str
    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class OtherMeasured:
    """What was measured of such a model.

    Attributes:
        skipped: films that were not measured, by the reason.
        unreadable: place and sentence of films that could not be read, or their masks.
    """

    card: ModelCard
    data: str
    films: int
    patients: int
    metrics: tuple[Metric, ...]
    tables: tuple[Table, ...]
    skipped: dict[str, int]
    unreadable: tuple[tuple[str, str], ...]


def evaluate_outlines(card: ModelCard, runner: Runner, asked: Asked, *, device: str = "auto") -> OtherMeasured:
    """Outlines against the masks that the index names (0 nothing, 1 the card's first structure, 2 its second, ...).

    A mask that knows one value besides 0 outlines the first structure only, whatever the value.

    Raises:
        CxrError: the index names no masks, or whatever is wrong with index, films or model.
    """
    films = listed(asked, card)
    if not any(record.mask for record in films.records):
        raise CxrError(
            f"The index “{asked.data.name}” names no masks.",
            hint="Name their column: --column mask=NAME.",
            code="index",
        )
    names = [label.name for label in card.labels]
    masks, unreadable = _read_masks(films, asked.allowed)
    several = max((int(mask.max()) for mask in masks.values()), default=0) <= len(names) and any(
        len(np.unique(mask)) > 2 for mask in masks.values()
    )
    values: dict[str, list[tuple[str, float]]] = {}

    def measure(record: FilmRecord, image: Radiograph, result: AnalysisResult) -> str:
        if record.place not in masks:
            return "no mask"
        for name, value in _outline_figures(names, masks[record.place], several, image, result).items():
            values.setdefault(name, []).append((record.patient, value))
        return ""

    left = tuple(record for record in films.records if record.place not in dict(unreadable))
    skipped, lost = _each(left, card, runner, measure, asked, device, unreadable)
    if not values:
        raise _none_measured(films, skipped)
    metrics = [_mean(name, found, asked.words(films.split)) for name, found in values.items()]
    return _other(card, asked, films, metrics, (), skipped, lost)


def evaluate_check(
    card: ModelCard, beside: ModelCard, runner: Runner, asked: Asked, *, device: str = "auto"
) -> OtherMeasured:
    """The film check against what the index says of each film.

    Columns: ``kind`` (frontal, lateral, other), ``turn`` (degrees clockwise that make the film upright), ``polarity``
    (normal, inverted) and ``view``; one that the index has not is not measured.

    Args:
        beside: another model: the check is asked as it always is, before that one.

    Raises:
        CxrError: none of the columns, or whatever is wrong with index, films or model.
    """
    films = listed(asked, card)
    answers: dict[str, list[tuple[str, str, str]]] = {}

    def measure(record: FilmRecord, image: Radiograph, result: AnalysisResult) -> str:
        if result.check is None:
            return "no film check answered"
        said = _said(result.check)
        for column, value in said.items():
            truth = record.row.get(column, "").strip().lower()
            if truth:
                answers.setdefault(column, []).append((record.patient, truth, value))
        return ""

    if not any(record.row.get(column, "").strip() for record in films.records for column in COLUMNS):
        raise CxrError(
            f"The index “{asked.data.name}” has nothing in the columns {', '.join(COLUMNS)}.",
            hint="One of them is needed: what the film check says is held against it.",
            code="index",
        )
    skipped, lost = _each(films.records, beside, runner, measure, asked, device, hide_view=True)
    if not answers:
        raise _none_measured(films, skipped)
    data = asked.words(films.split)
    metrics = [metric for column, rows in answers.items() for metric in _answered(column, rows, data)]
    tables = tuple(_table(column, rows) for column, rows in answers.items())
    return _other(card, asked, films, metrics, tables, skipped, lost)


def _answered(column: str, rows: Sequence[tuple[str, str, str]], data: str) -> Iterator[Metric]:
    """How often an answer (patient, truth, said) is right; one that was not given is not wrong, but counted."""
    sure = [(patient, float(truth == said)) for patient, truth, said in rows if said != NOT_SURE]
    if len(sure) < len(rows):
        yield _mean(f"{ANSWERED}, {column}", [(patient, float(said != NOT_SURE)) for patient, _, said in rows], data)
    if sure:
        yield _mean(f"{ACCURACY}, {column}" + (" where answered" if len(sure) < len(rows) else ""), sure, data)


def _said(check: FilmCheck) -> dict[str, str]:
    inverted = any(sign.code == "inverted" for sign in check.signs)
    return {
        "kind": check.kind.name.lower(),
        "turn": str(90 * check.upright_turns),
        "polarity": "inverted" if inverted else "normal",
        "view": check.view.value.lower() or NOT_SURE,
    }


def _each(
    records: Sequence[FilmRecord],
    card: ModelCard,
    runner: Runner,
    measure: Callable[[FilmRecord, Radiograph, AnalysisResult], str],
    asked: Asked,
    device: str,
    unreadable: Unreadable = (),
    *,
    hide_view: bool = False,
) -> tuple[dict[str, int], Unreadable]:
    """Ask about every film; returns how many were not measured, by the reason, and those that cannot be read.

    Args:
        unreadable: films that were left out already.
        hide_view: neither what the index nor what the file says of the view is told: the pixels are to tell it.

    Raises:
        CxrError: more films than allowed cannot be read, or the model fails.
    """
    skipped: dict[str, int] = {}
    lost = list(unreadable)
    with tqdm(total=len(records), desc="Measuring", unit="film", disable=asked.quiet or None, leave=False) as bar:
        for record, image in read_films(records):
            bar.update()
            if isinstance(image, CxrError):
                note_unreadable(lost, record, image, asked.allowed)
                continue
            if hide_view:
                image = replace(image, view=View.UNKNOWN)
            try:
                question = request(image, card, device)
                why = measure(record, image, runner.analyse(question, CancelToken(), lambda stage: None))
            except RefusalError as error:
                why = error.summary
            if why:
                skipped[why] = skipped.get(why, 0) + 1
    return skipped, tuple(lost)


def _none_measured(films: Listed, skipped: dict[str, int]) -> CxrError:
    reasons = "; ".join(f"{count}: {why}" for why, count in skipped.items()) or "none could be read"
    return CxrError(f"None of {len(films.records)} films could be measured ({reasons}).", code="no-films")


def _outline_figures(
    names: Sequence[str], mask: NDArray[np.uint8], several: bool, image: Radiograph, result: AnalysisResult
) -> dict[str, float]:
    maps = {one.label: one for one in result.heatmaps if one.scale is MapScale.PROBABILITY}
    out: dict[str, float] = {}
    found: list[NDArray[np.float32]] = []
    given: list[Mask] = []
    for number, name in enumerate(names if several else names[:1], start=1):
        if name not in maps:
            continue
        chances = _on_grid(maps[name], image)
        size = (chances.shape[1], chances.shape[0])
        laid = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT))
        truth = np.asarray(laid == number if several else laid > 0)
        found.append(chances)
        given.append(truth)
        said = np.asarray(chances >= 0.5)
        out[f"{DICE}, {name}"] = dice(said, truth)
        away = outline_distance(said, truth)
        if np.isfinite(away):
            out[f"{DISTANCE}, {name}"] = 100 * away / chances.shape[0]
    if len(given) == 2:
        error = _ratio(np.stack(found)) - _ratio(np.stack(given).astype(np.float32))
        if np.isfinite(error):
            out[RATIO_ERROR] = abs(error)
    return out


def _on_grid(heatmap: Heatmap, image: Radiograph) -> NDArray[np.float32]:
    return heatmap_on_image(heatmap, image.rows, image.columns, SIDE_PX)


def _ratio(chances: NDArray[np.float32]) -> float:
    one = measured_ratio(clean(chances), ImageRect(0, 0, chances.shape[2], chances.shape[1]))
    return float("nan") if one is None else one.callipers.ratio()


def dice(first: Mask, second: Mask) -> float:
    """Twice the common area over both areas; 1 where both are empty."""
    both = int(first.sum()) + int(second.sum())
    return 1.0 if both == 0 else 2 * int((first & second).sum()) / both


def outline_distance(first: Mask, second: Mask) -> float:
    """Mean distance of each outline from the other, both ways, in cells; nan where one is empty."""
    edges = [_edge(mask) for mask in (first, second)]
    if not all(edge.any() for edge in edges):
        return float("nan")
    away = [cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for edge in edges]
    return float(np.concatenate([away[1][edges[0]], away[0][edges[1]]]).mean())


def _edge(mask: Mask) -> Mask:
    """Cells of the mask that touch what is not of it."""
    inner = cv2.erode(np.pad(mask, 1).astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    return np.asarray(mask & (inner == 0))


def _read_masks(films: Listed, allowed: int) -> tuple[dict[str, NDArray[np.uint8]], Unreadable]:
    """The masks by the film's place, before any film is opened.

    Raises:
        CxrError: more of them than allowed cannot be read.
    """
    masks: dict[str, NDArray[np.uint8]] = {}
    faults: list[tuple[str, str]] = []
    for record in films.records:
        try:
            if record.mask:
                masks[record.place] = _read_mask(record)
        except CxrError as error:
            faults.append((record.place, error.summary))
    if len(faults) > allowed:
        raise too_many_unreadable(faults, allowed)
    return masks, tuple(faults)


def _read_mask(record: FilmRecord) -> NDArray[np.uint8]:
    path = record.mask or Path()
    data = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, dtype=np.uint8)
    mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if mask is None:
        raise CxrError(f"The mask “{path.name}” cannot be read as a picture.", code="unreadable-film")
    return np.asarray(mask, dtype=np.uint8)


def _mean(name: str, found: Sequence[tuple[str, float]], data: str) -> Metric:
    values: Values = np.array([value for _, value in found])
    patients = [patient for patient, _ in found]
    sums = Draws.of(patients).sums(np.stack([values, np.ones_like(values)], axis=1))
    mean, drawn = float(values.mean()), sums[:, 0] / sums[:, 1]
    shares = name.startswith((ACCURACY, ANSWERED))
    low, high = share_interval(mean, drawn, len(set(patients))) if shares else interval(drawn)
    return Metric(name, mean, low, high, data, len(found))


def _table(column: str, rows: Sequence[tuple[str, str, str]]) -> Table:
    names = tuple(sorted({truth for _, truth, _ in rows} | {said for _, _, said in rows}))
    counts = tuple(tuple(sum((t, s) == (truth, said) for _, t, s in rows) for said in names) for truth in names)
    return Table(column, names, counts)


def _other(
    card: ModelCard,
    asked: Asked,
    films: Listed,
    metrics: Sequence[Metric],
    tables: tuple[Table, ...],
    skipped: dict[str, int],
    lost: Unreadable,
) -> OtherMeasured:
    records, words = films.records, asked.words(films.split)
    patients = len({record.patient for record in records})
    return OtherMeasured(card, words, len(records), patients, tuple(metrics), tables, skipped, lost)
