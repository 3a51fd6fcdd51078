"""``comparison.html`` and ``comparison.json`` of two models on the same films."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cxr_viewer.core.findings import Metric
from cxr_viewer.training.compare import Comparison, LabelComparison
from cxr_viewer.training.measure import ACCURACY, AUC, PRECISION, SENSITIVITY, SPECIFICITY
from cxr_viewer.training.reports import html
from cxr_viewer.training.reports.evaluation import metric_dict, model_dict
from cxr_viewer.training.reports.plots import BLUE, ORANGE, as_image, paired_roc

PAGE_NAME, JSON_NAME = "comparison.html", "comparison.json"
FIGURES = (AUC, PRECISION, ACCURACY, SENSITIVITY, SPECIFICITY)


def save(found: Comparison, folder: Path, *, names: bool = False) -> None:
    """Write both files into ``folder``.

    Args:
        names: also tell file names; otherwise films go by number and line of the index.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    html.write(comparison_page(found, names=names), folder / PAGE_NAME)
    text = json.dumps(as_dict(found, names=names), indent=1, allow_nan=False) + "\n"
    (folder / JSON_NAME).write_text(text, encoding="utf-8")


def as_dict(found: Comparison, *, names: bool = False) -> dict[str, Any]:
    """What was found as plain values; documented in docs/evaluating.md."""
    return {
        "models": [model_dict(one.card) for one in found.measured],
        "data": found.data,
        "films": found.films,
        "patients": found.patients,
        "not_compared": list(found.apart),
        "labels": [_label_dict(label, names=names) for label in found.labels],
    }


def _label_dict(found: LabelComparison, *, names: bool) -> dict[str, Any]:
    rows = [asdict(one) for one in found.disagreements]
    return {
        "name": found.name,
        "films": found.figures[0].films,
        "positives": found.figures[0].positives,
        "metrics": [[metric_dict(metric) for metric in one.metrics] for one in found.figures],
        "differences": [metric_dict(metric) for metric in (*found.differences, *found.groups)],
        "only_first_right": found.only_first,
        "only_second_right": found.only_second,
        "disagreements": [row if names else {key: row[key] for key in row if key != "name"} for row in rows],
    }


def as_lines(found: Comparison) -> list[str]:
    """What was found, for a terminal."""
    titles = _titles(found)
    lines = [f"{titles[0]} and {titles[1]} on {found.data}: {found.films} films, {found.patients} patients"]
    for label in found.labels:
        lines.append(f"{label.name}: {label.figures[0].positives} of {label.figures[0].films} films show it")
        for name in FIGURES:
            gain = difference(label, name)
            one, other = (html.value_text(figures.metric(name)) for figures in label.figures)
            if gain is not None:
                lines.append(f"  {name:<18} {one} and {other}: {gain.value:+.3f}  ({_signed(gain)})")
        lines.append(f"  {verdict(difference(label, AUC), titles[1])}")
    return [*lines, *_cautions(found)]


def _titles(found: Comparison) -> tuple[str, str]:
    """Names that can be told apart."""
    one, other = (f"{one.card.name} {one.card.version}" for one in found.measured)
    return (one, other) if one != other else (f"{one} (first)", f"{other} (second)")


def verdict(difference: Metric | None, second: str) -> str:
    """What a difference of AUC says, a sentence."""
    if difference is None or difference.low is None or difference.high is None:
        same = difference is not None and difference.value == 0
        return "They order these films in the same way." if same else "Too few films to tell them apart."
    if difference.low > 0:
        return f"“{second}” orders these films better."
    if difference.high < 0:
        return f"“{second}” orders these films worse."
    return "These films do not tell them apart: the difference of AUC may be chance."


def difference(found: LabelComparison, name: str) -> Metric | None:
    """The difference of one figure, None where the films did not allow it."""
    return next((one for one in found.differences if one.name == f"{name} difference"), None)


def comparison_page(found: Comparison, *, names: bool = False) -> str:
    """The page as one text."""
    titles = _titles(found)
    under = f"{found.data}: {found.films} films of {found.patients} patients, the same for both."
    parts = [
        html.note(*_cautions(found)),
        *(html.section(label.name, *_label(label, titles, names=names)) for label in found.labels),
        html.section("What is behind these figures", *_behind(found)),
    ]
    return html.page(f"{titles[0]} and {titles[1]}", under, parts)


def _cautions(found: Comparison) -> Iterator[str]:
    titles = _titles(found)
    for one, title in zip(found.measured, titles, strict=True):
        for sentence, count in one.refused.items():
            yield f"“{title}” gave no score for {html.films_text(count)} ({sentence}); left out for both."
    for one, title in zip(found.measured, titles, strict=True):
        for code, count in one.blocked.items():
            yield f"The film check would have kept {html.films_text(count)} back from “{title}” ({code})."
    if found.apart:
        yield f"Not compared, because one of them does not have it or the index does not: {', '.join(found.apart)}."


def _label(found: LabelComparison, titles: tuple[str, str], *, names: bool) -> Iterator[str]:
    one, other = found.figures
    yield html.paragraph(
        f"{one.positives} of {one.films} films show it. {verdict(difference(found, AUC), titles[1])} At their "
        f"operating points {found.only_first} films are right only with “{titles[0]}”, {found.only_second} only with "
        f"“{titles[1]}”."
    )
    curves = [
        (figures.roc, colour, title)
        for figures, colour, title in zip(found.figures, (BLUE, ORANGE), titles, strict=True)
    ]
    yield html.image(as_image(paired_roc(curves)), f"ROC of both for {found.name}", "curve")
    rows = []
    for name in FIGURES:
        gain = difference(found, name)
        cells: list[object] = [name]
        for figure in (one.metric(name), other.metric(name)):
            cells += [html.value_text(figure), html.interval_text(figure)]
        rows.append([*cells, "" if gain is None else f"{gain.value:+.3f}", _signed(gain)])
    heads = ("Figure", titles[0], "95 %", titles[1], "95 %", "Difference", "95 %")
    yield html.table(heads, rows, numbers=(1, 3, 5))
    if found.groups:
        yield html.heading("Difference of AUC by parts of the films")
        parts = [(gain.group, gain.count, gain.positives, f"{gain.value:+.3f}", _signed(gain)) for gain in found.groups]
        yield html.table(("Part of the films", "Films", "With it", "Difference", "95 %"), parts, numbers=(1, 2, 3))
    if found.disagreements:
        yield html.heading("Films on which they disagree most")
        heads = ("Film", "View", "Shows it", titles[0], titles[1], "Line", *(("File",) if names else ()))
        lines = [
            (
                film.number,
                film.view,
                "yes" if film.truth else "no",
                *(f"{score:.3g}" for score in film.scores),
                film.place,
                *((film.name,) if names else ()),
            )
            for film in found.disagreements
        ]
        yield html.table(heads, lines, numbers=(0, 3, 4))


def _signed(gain: Metric | None) -> str:
    if gain is None:
        return ""
    if gain.low is None or gain.high is None:
        return "no difference" if gain.value == 0 else "too few films to tell"
    return f"{gain.low:+.3f} to {gain.high:+.3f}"


def _behind(found: Comparison) -> Iterator[str]:
    rows = []
    for one in found.measured:
        card = one.card
        scores = "as shipped" if card.site is None else f"calibrated for {card.site.text}"
        rows.append((f"{card.name} {card.version} ({card.model_id})", f"sha256 {card.sha256}; scores {scores}"))
    yield html.table(("Model", "Weights"), rows)
    yield html.paragraph(
        "Differences are those of the second model minus the first; both were looked at in the same draws of "
        "patients, so what is hard about a film falls out. An interval that includes 0 means that these films do not "
        "tell them apart. A model that learned from any of these films or patients will look better than it is."
    )
