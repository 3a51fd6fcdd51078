"""Two models on the same films: what each finds, where they disagree, and which is better beyond chance."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from cxr_viewer.core.errors import CxrError
from cxr_viewer.core.findings import Metric, ModelCard
from cxr_viewer.training import measure
from cxr_viewer.training.asking import Answers, Asked, Listed, Runner, ask, listed
from cxr_viewer.training.evaluating import LabelFigures, Measured, film_groups, measured
from cxr_viewer.training.paired import paired_metrics

MOST_LISTED = 20


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A film on which the two say different things.

    Attributes:
        number: of the film, from 1.
        scores: of the first and the second model.
    """

    number: int
    place: str
    name: str
    view: str
    truth: bool
    scores: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LabelComparison:
    """One finding that both models have.

    Attributes:
        figures: of the first and the second model, on the same films.
        differences: second minus first, of all films.
        groups: the same of AUC by parts of the films.
        only_first, only_second: films that only one of them gets right.
        disagreements: those with the largest gap between the scores' distances from their operating points.
    """

    name: str
    figures: tuple[LabelFigures, LabelFigures]
    differences: tuple[Metric, ...]
    groups: tuple[Metric, ...]
    only_first: int
    only_second: int
    disagreements: tuple[Disagreement, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models.

    Attributes:
        measured: each by itself, on the films that both gave a score for.
        apart: findings that only one of them has, or that the index says nothing of.
    """

    data: str
    films: int
    patients: int
    measured: tuple[Measured, Measured]
    labels: tuple[LabelComparison, ...]
    apart: tuple[str, ...]


def compare(
    cards: tuple[ModelCard, ModelCard], runners: tuple[Runner, Runner], asked: Asked, *, device: str = "auto"
) -> Comparison:
    """Ask both about the same films.

    Raises:
        CxrError: whatever is wrong with index, films or models, or no finding that both have.
    """
    found = [listed(asked, card) for card in cards]
    common = tuple(name for name in found[0].labels if name in found[1].labels)
    if not common:
        raise CxrError(
            f"“{cards[0].name}” and “{cards[1].name}” have no finding in common that the index knows about.",
            hint=f"They find: {', '.join(found[0].labels)}; {', '.join(found[1].labels)}.",
            code="unknown-finding",
        )
    answers = [
        _only(ask(one, card, runner, asked, device=device), common)
        for one, card, runner in _each(found, cards, runners)
    ]
    apart = {label.name for card in cards for label in card.labels} - set(common)
    return compared((answers[0], answers[1]), cards, asked.words(found[0].split), tuple(sorted(apart)))


def _each(
    found: list[Listed], cards: tuple[ModelCard, ModelCard], runners: tuple[Runner, Runner]
) -> zip[tuple[Listed, ModelCard, Runner]]:
    return zip(found, cards, runners, strict=True)


def compared(
    answers: tuple[Answers, Answers],
    cards: tuple[ModelCard, ModelCard],
    data: str,
    apart: tuple[str, ...] = (),
    *,
    resamples: int = measure.RESAMPLES,
) -> Comparison:
    """Hold two models' answers about the same films, for the same findings, against each other."""
    both = np.isfinite(answers[0].scores) & np.isfinite(answers[1].scores)
    truth = np.where(both, answers[0].truth, np.nan)
    shared = tuple(replace(one, truth=truth) for one in answers)
    single = tuple(measured(one, card, data, resamples=resamples) for one, card in zip(shared, cards, strict=True))
    names = [label.name for label in single[0].labels]
    return Comparison(
        data=data,
        films=len(answers[0]),
        patients=len(set(answers[0].patients)),
        measured=(single[0], single[1]),
        labels=tuple(_label(name, shared, (single[0], single[1]), data, resamples) for name in names),
        apart=apart,
    )


def _label(
    name: str, answers: tuple[Answers, ...], single: tuple[Measured, Measured], data: str, resamples: int
) -> LabelComparison:
    first = answers[0]
    column = first.labels.index(name)
    truth = first.truth[:, column]
    sides = [(np.nan_to_num(one.scores[:, column]), one.thresholds[column]) for one in answers]
    differences = paired_metrics(name, truth, sides[0], sides[1], first.patients, data, resamples=resamples)
    groups: list[Metric] = []
    for group, keep in film_groups(first).items():
        inside = np.where(keep, truth, np.nan)
        if measure.enough(truth, keep):
            groups += paired_metrics(
                name,
                inside,
                sides[0],
                sides[1],
                first.patients,
                data,
                group=group,
                names=(measure.AUC,),
                resamples=resamples,
            )
    said = [scores >= threshold for scores, threshold in sides]
    known = np.isfinite(truth)
    apart = known & (said[0] != said[1])
    right = said[0] == (truth == 1)
    gap = np.abs((sides[0][0] - sides[0][1]) - (sides[1][0] - sides[1][1]))
    rows = np.flatnonzero(apart)
    rows = rows[np.argsort(-gap[rows], kind="stable")][:MOST_LISTED]
    return LabelComparison(
        name=name,
        figures=(single[0].label(name), single[1].label(name)),
        differences=differences,
        groups=tuple(groups),
        only_first=int((apart & right).sum()),
        only_second=int((apart & ~right).sum()),
        disagreements=tuple(_disagreement(first, row, bool(truth[row] == 1), sides) for row in rows.tolist()),
    )


def _disagreement(answers: Answers, row: int, truth: bool, sides: list[tuple[measure.Values, float]]) -> Disagreement:
    record = answers.records[row]
    scores = (float(sides[0][0][row]), float(sides[1][0][row]))
    return Disagreement(row + 1, record.place, record.path.name, record.view, truth, scores)


def _only(answers: Answers, labels: tuple[str, ...]) -> Answers:
    """The answers for these findings, in this order."""
    columns = [answers.labels.index(name) for name in labels]
    return replace(
        answers,
        labels=labels,
        truth=answers.truth[:, columns],
        scores=answers.scores[:, columns],
        logits=answers.logits[:, columns],
        thresholds=tuple(answers.thresholds[column] for column in columns),
        kinds=tuple(answers.kinds[column] for column in columns),
    )
