"""From an anatomy model's weights to its bundle: figures, the ratio's error, card and README."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from cxr_viewer.core.modelcard import UNSURE_FACTOR, LabelSpec, Metric, ModelCard, RatioError, ScoreKind, Task
from cxr_viewer.inference.cards import file_sha256
from cxr_viewer.training.ddp import pick_device
from cxr_viewer.training.films import FilmSet, load_films
from cxr_viewer.training.finish import Trained, written
from cxr_viewer.training.index import read_index
from cxr_viewer.training.lessons.segment import SegmentConfig, outlined_films
from cxr_viewer.training.recipe import Recipe
from cxr_viewer.training.segment_figures import (
    BAD,
    Found,
    film_metrics,
    found_on,
    given_outlines,
    lungs_only,
    mirror_metric,
    mirrored,
    spoiled,
    verdict_metrics,
)

_SPOIL_SEED = 5
_STEP = 0.01  # as many digits as the ratio is told with
_LARGEST = 0.49
_LEAST_FILMS = 20


def finish_segment(trained: Trained) -> Path:
    """Measure on the validation and test films and those outside, and write ``out/bundle``.

    Raises:
        CxrError: films outside cannot be read.
    """
    recipe, parts = trained.recipe, trained.parts
    config = recipe.table("segment", SegmentConfig)
    network = trained.lesson.network().eval()
    network.load_state_dict(load_file(trained.weights))
    network = network.to(pick_device(trained.device))
    metrics, errors = _validation_metrics(network, parts.validation, recipe, config, parts.names)
    if parts.test is not None:
        metrics += _plain_metrics(network, parts.test, recipe, config, "test films", parts.names)[0]
    for path in trained.outside:
        plain = replace(recipe, labels=(), films=replace(recipe.films, where={}))
        records = read_index(plain, [path]).records
        films = load_films(records, plain, path.name, masks=True, quiet=trained.reading.quiet)
        found = found_on(network, films, recipe, lungs_only(films))
        metrics += film_metrics(films, found, path.name, _unknown(films), ())
    card = _card(trained, config, tuple(metrics), errors)
    return written(trained, card, readme(card, trained.command))


def _validation_metrics(
    network: nn.Module, films: FilmSet, recipe: Recipe, config: SegmentConfig, labels: tuple[str, ...]
) -> tuple[list[Metric], RatioErrors]:
    """Figures, and the errors of the ratio."""
    data = "validation films"
    metrics, found = _plain_metrics(network, films, recipe, config, data, labels)
    other = mirrored(films)
    metrics += mirror_metric(films, found, found_on(network, other, recipe, given_outlines(other, config)), data)
    worse = spoiled(films, np.random.default_rng(_SPOIL_SEED))
    seen = found_on(network, worse, recipe, given_outlines(worse, config))
    metrics += verdict_metrics(films, found, data) + verdict_metrics(worse, seen, "validation films, spoiled")
    return metrics, _errors_on((films, found), (worse, seen))


@dataclass(frozen=True, slots=True)
class RatioErrors:
    """The ratio's error whatever the view (0 where it could not be measured), and per view."""

    any_view: float
    views: tuple[RatioError, ...]


def _errors_on(whole: tuple[FilmSet, Found], worse: tuple[FilmSet, Found]) -> RatioErrors:
    both = (whole, worse)
    return ratio_errors(
        np.concatenate([np.where(found.trusted, np.abs(found.ratio - found.given_ratio), np.nan) for _, found in both]),
        np.concatenate([found.sure for _, found in both]),
        [record.view for films, _ in both for record in films.records],
        np.arange(sum(len(films) for films, _ in both)) < len(whole[0]),
    )


def ratio_errors(
    errors: NDArray[np.float64], sure: NDArray[np.bool_], views: Sequence[str], whole: NDArray[np.bool_]
) -> RatioErrors:
    """What 95 of 100 ratios are within, rounded up.

    Whole films alone tell the error where the heart is sure. The few where it is not would tell little; the same films
    spoiled add to them.

    Args:
        errors: (films,) of the ratio; nan where nothing is known or the outlines are not trusted.
        sure: (films,) whether the model is sure of the heart.
        whole: (films,) not spoiled.
    """
    known, shown = np.isfinite(errors), np.asarray(views, dtype=np.str_)
    out = []
    for view in ("PA", "AP"):
        clear = errors[known & whole & sure & (shown == view)]
        others = errors[known & ~sure & (shown == view)]
        if clear.size < _LEAST_FILMS:
            continue
        error = _within(clear)
        wider = _within(others) if others.size >= _LEAST_FILMS else _at_most(UNSURE_FACTOR * error)
        out.append(RatioError(view, error, max(error, wider)))
    every = _within(errors[known & whole & sure])
    return RatioErrors(max([every, *(one.sure for one in out)]), tuple(out))


def _within(errors: NDArray[np.float64]) -> float:
    """Of few films the worse of the two between which the 95th of 100 lies."""
    if not errors.size:
        return 0.0
    return _at_most(math.ceil(float(np.quantile(errors, 0.95, method="higher")) / _STEP) * _STEP)


def _at_most(error: float) -> float:
    """A ratio that is off by half a chest says nothing more; a card cannot hold a larger error."""
    return round(min(error, _LARGEST), 4)


def _plain_metrics(
    network: nn.Module, films: FilmSet, recipe: Recipe, config: SegmentConfig, data: str, labels: tuple[str, ...]
) -> tuple[list[Metric], Found]:
    found = found_on(network, films, recipe, given_outlines(films, config))
    return film_metrics(films, found, data, _ratios(films, config), labels), found


def _ratios(films: FilmSet, config: SegmentConfig) -> NDArray[np.float64]:
    """The ratios of the index; nan where there is none."""
    texts = [record.row.get(config.ratio_column, "").strip() for record in films.records]
    return np.array([float(text) if text else math.nan for text in texts])


def _unknown(films: FilmSet) -> NDArray[np.float64]:
    return np.full(len(films), math.nan)


def _card(trained: Trained, config: SegmentConfig, metrics: tuple[Metric, ...], errors: RatioErrors) -> ModelCard:
    text, train = trained.recipe.card, trained.parts.train
    count = int(outlined_films(train, config).sum())
    patients = len({record.patient for record in train.records})
    further = f", films without outlines of {', '.join(config.bare)}" if config.bare and config.own_share else ""
    return ModelCard(
        model_id=text.model_id,
        name=text.name,
        version=text.version,
        network=trained.recipe.network,
        sha256=file_sha256(trained.weights),
        licence=text.licence,
        labels=tuple(LabelSpec(name, 0.5) for name in config.structures),
        score_kind=ScoreKind.UNCALIBRATED,
        input=trained.recipe.input,
        temperature=1.0,
        bias=0.0,
        intended_ages=(text.ages[0], text.ages[1]) if text.ages else None,
        intended_views=text.views,
        intended_use=text.intended_use,
        trained_on=f"{count} outlined films among {len(train)} of {patients} patients{further}. {text.data}",
        metrics=metrics,
        cautions=text.cautions,
        task=Task.SEGMENT,
        serves="anatomy",
        ratio_error=errors.any_view,
        view_ratio_errors=errors.views,
    )


def _error_rows(card: ModelCard) -> list[str]:
    """The ± of the ratio as a table, or as one line where no view was measured for itself."""
    if not card.view_ratio_errors:
        return [f"± {card.ratio_error:.3f} where it is sure of the heart, {UNSURE_FACTOR:g} times that where not,"]
    rows = [f"| {one.view} | ± {one.sure:.3f} | ± {one.unsure:.3f} |" for one in card.view_ratio_errors]
    return ["| films | sure of the heart | less sure |", "|---|---|---|", *rows]


def readme(card: ModelCard, command: str) -> str:
    """The model card for people."""
    lines = [
        f"# {card.name} {card.version}",
        "",
        card.intended_use,
        "",
        f"Outlines lungs and heart with the network `{card.network}` at {card.input.size_px} pixels.",
        "",
        "## Data",
        "",
        card.trained_on,
        "",
    ]
    if card.ratio_error:
        lines += [
            "## The cardiothoracic ratio",
            "",
            "The heart's greatest extents to both sides of the midline, added, over the widest inner diameter of the",
            "chest (Danzer, Am J Med Sci 157 (1919) 513-521), at a right angle to the midline.",
            "Shown with",
            "",
            *_error_rows(card),
            "",
            "and not at all where the model does not trust its outlines. The ± was chosen on validation films: 95 of",
            "100 ratios there lie so near to the ratio of the given outlines; for hearts the model is less sure of the",
            "same films spoiled were added, because whole ones are few. Where the view of a film is not known, the",
            "larger holds. How near the given outlines are to what a radiologist would draw is not known.",
            "",
            f"An outline counts as bad below a Dice coefficient of {BAD[0]} (lungs) or {BAD[1]} (heart). Spoiled films",
            "have noise, blur, flat contrast, opaque patches or cut edges.",
            "",
        ]
    lines += [
        "## Measured",
        "",
        "With 95 % intervals over patients.",
        "",
        "| films | what | value | 95 % interval | films |",
        "|---|---|---|---|---|",
    ]
    for one in card.metrics:
        bounds = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
        among = f"{one.data}, {one.group}" if one.group else one.data
        lines.append(f"| {among} | {one.name} | {one.value:.3f} | {bounds} | {one.count} |")
    lines += ["", "## What to know", "", *(f"- {caution}" for caution in card.cautions)]
    if command:
        lines += ["", "## Made by", "", f"```\n{command}\n```"]
    return "\n".join(lines) + "\n"
