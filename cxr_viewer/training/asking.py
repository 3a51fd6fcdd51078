"""Asking a model about the films of an index, exactly as the window asks it.

Films are read by the program's own readers and scored by its own runner, with all that it does beside the model
(cutting to the lungs, the film check, the cardiothoracic ratio, this site's calibration), so that the figures are those
of the scores a reader sees. View and age come from the index where the film itself does not say them.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError, RefusalError
from cxr_viewer.core.findings import AnalysisRequest, AnalysisResult, InputSpec, ModelCard, ScoreKind, Task
from cxr_viewer.core.image import Radiograph, View
from cxr_viewer.core.jobs import CancelToken
from cxr_viewer.training.films import FilmReader, with_header
from cxr_viewer.training.index import CLASSIFY, GUESSES, FilmRecord, index_of, read_index, simple
from cxr_viewer.training.measure import Values
from cxr_viewer.training.recipe import (
    CardText,
    Columns,
    FilmsConfig,
    LabelColumn,
    LoopConfig,
    Recipe,
    SplitConfig,
)

PARTS = ("train", "validation", "test", "all")
_AHEAD = 8
_MOST_SHOWN = 10


class Runner(Protocol):
    """What is needed of ``services.ports.ModelRunner``."""

    def analyse(
        self, request: AnalysisRequest, cancel: CancelToken, report: Callable[[str], None]
    ) -> AnalysisResult: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Which films, and how their index says what they show.

    Attributes:
        data: an index (CSV) or a folder that has one; see :mod:`cxr_viewer.training.index`.
        split: one of :data:`PARTS`; empty: the test films where the index names some, else all.
        columns: names of columns that cannot be guessed, by their role.
        labels: column of a finding, where it is not called like it.
        allowed: films that may be unreadable; they are named and left out.
    """

    data: Path
    split: str = ""
    columns: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    allowed: int = 0
    quiet: bool = False

    def words(self, split: str) -> str:
        """``"site.csv, test films"``."""
        return f"{self.data.name}, {'all' if split == 'all' else split} films"


@dataclass(frozen=True, slots=True)
class Listed:
    """The films of an index that are to be scored.

    Attributes:
        labels: the findings of the model that the index knows about; targets of the records are in this order.
        missing: findings of the model that it does not know about.
    """

    records: tuple[FilmRecord, ...]
    labels: tuple[str, ...]
    missing: tuple[str, ...]
    split: str


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a model said of films.

    Attributes:
        records: the films that it was asked about, refused ones too.
        truth, scores, logits: float64 (films, labels); nan where nothing is known or no score was given.
        thresholds, kinds: of each label, as the reader is told.
        blocked: codes of the film check that would have kept the score back, per film; they were passed over here.
        refused: place and sentence of films that got no score at all.
        unreadable: the same of films that could not be read.
    """

    labels: tuple[str, ...]
    records: tuple[FilmRecord, ...] = field(repr=False)
    truth: Values = field(repr=False)
    scores: Values = field(repr=False)
    logits: Values = field(repr=False)
    thresholds: tuple[float, ...]
    kinds: tuple[ScoreKind, ...]
    blocked: tuple[tuple[str, ...], ...] = field(repr=False)
    refused: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, str], ...]
    device: str

    def __len__(self) -> int:
        return len(self.records)

    @property
    def patients(self) -> tuple[str, ...]:
        return tuple(record.patient for record in self.records)

    def known(self, label: int) -> Values:
        """The truth of one label (films,), nan also where the film got no score."""
        return np.where(np.isfinite(self.scores[:, label]), self.truth[:, label], np.nan)


def listed(asked: Asked, card: ModelCard) -> Listed:
    """The films to be scored, every fault of the index told before any film is opened.

    Raises:
        CxrError: the index is faulty, names a film twice or one that is not there, or has none of the findings.
    """
    if card.task is not Task.CLASSIFY:
        labels: tuple[str, ...] = ()
        missing: tuple[str, ...] = ()
    else:
        labels, missing = _labels_in(asked, card)
    records = read_index(_recipe(asked, card, labels), [asked.data]).records
    wanted = asked.split or ("test" if any(record.split == "test" for record in records) else "all")
    chosen = tuple(record for record in records if wanted in ("all", record.split))
    if not chosen:
        raise CxrError(
            f"There are no {wanted} films in “{asked.data.name}”.",
            hint=f"Choose another part with --split: {', '.join(PARTS)}.",
            code="no-films",
        )
    _check_files(chosen)
    return Listed(chosen, labels, missing, wanted)


def ask(films: Listed, card: ModelCard, runner: Runner, asked: Asked, *, device: str = "auto") -> Answers:
    """Score all films.

    Raises:
        CxrError: more films than allowed cannot be read (the first named by file and line), or the model fails.
    """
    shape = (len(films.records), len(films.labels))
    scores, logits = np.full(shape, np.nan), np.full(shape, np.nan)
    thresholds, kinds = [0.5] * shape[1], [card.score_kind] * shape[1]
    blocked: list[tuple[str, ...]] = []
    known: list[FilmRecord] = []
    refused: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    used = ""
    column = {name: number for number, name in enumerate(films.labels)}
    with tqdm(total=shape[0], desc="Scoring", unit="film", disable=asked.quiet or None, leave=False) as bar:
        for row, (record, image) in enumerate(read_films(films.records)):
            known.append(record if isinstance(image, CxrError) else with_header(record, image))
            blocked.append(())
            bar.update()
            if isinstance(image, CxrError):
                note_unreadable(unreadable, record, image, asked.allowed)
                continue
            try:
                result = runner.analyse(request(image, card, device), CancelToken(), _unheard)
            except RefusalError as error:
                refused.append((record.place, error.summary))
                continue
            used = result.device
            blocked[-1] = tuple(result.overridden)
            for finding in result.findings:
                if finding.label in column:
                    at = column[finding.label]
                    scores[row, at], logits[row, at] = finding.score, finding.logit
                    thresholds[at], kinds[at] = finding.threshold, finding.kind
    return Answers(
        labels=films.labels,
        records=tuple(known),
        truth=np.array([record.targets for record in films.records], dtype=np.float64).reshape(shape),
        scores=scores,
        logits=logits,
        thresholds=tuple(thresholds),
        kinds=tuple(kinds),
        blocked=tuple(blocked),
        refused=tuple(refused),
        unreadable=tuple(unreadable),
        device=used,
    )


def read_films(records: Sequence[FilmRecord]) -> Iterator[tuple[FilmRecord, Radiograph | CxrError]]:
    """Each film as the window would open it, or why it cannot be read; the next ones are read meanwhile."""
    with FilmReader() as reader, ThreadPoolExecutor(2) as pool:

        def one(record: FilmRecord) -> Radiograph | CxrError:
            try:
                return informed(reader.read(record.path), record)
            except CxrError as error:
                return error

        for start in range(0, len(records), _AHEAD):  # not all at once: films wait in memory
            part = records[start : start + _AHEAD]
            yield from zip(part, pool.map(one, part), strict=True)


def informed(image: Radiograph, record: FilmRecord) -> Radiograph:
    """The film with view and age from the index where it does not say them itself."""
    views = {view.value: view for view in View}
    if image.view is View.UNKNOWN and record.view in views:
        image = replace(image, view=views[record.view])
    if image.patient.age_years is None and np.isfinite(record.age):
        image = replace(image, patient=replace(image.patient, age_years=float(record.age)))
    return image


def request(image: Radiograph, card: ModelCard, device: str = "auto") -> AnalysisRequest:
    """The question; what the film check would keep back is scored all the same, and counted."""
    return AnalysisRequest(-1, 0, image, card.model_id, device=device, override=True)


# ---------------------------------------------------------------- the index


def _labels_in(asked: Asked, card: ModelCard) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The findings of the model that the index knows about, and the others."""
    names = tuple(label.name for label in card.labels)
    named = dict(asked.labels)
    if unknown := sorted(set(named) - set(names)):
        raise CxrError(
            f"The model “{card.name}” has no finding “{unknown[0]}”.",
            hint=f"It has: {', '.join(names)}.",
            code="unknown-finding",
        )
    found = _words_of(asked)
    if found is None:
        return names, ()
    known = tuple(name for name in names if name in named or simple(name) in found)
    if not known:
        raise CxrError(
            f"The index “{asked.data.name}” says nothing of what the model “{card.name}” finds.",
            hint=f"It finds: {', '.join(names)}. Name a column with --label FINDING=COLUMN.",
            code="unknown-finding",
        )
    return known, tuple(name for name in names if name not in known)


def _words_of(asked: Asked) -> set[str] | None:
    """Names of columns and words in the common column of an index, simplified; None of a folder without one."""
    path = index_of(asked.data)
    if path is None:
        return None
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            fields = [name for name in reader.fieldnames or () if name]
            words = {simple(name) for name in fields}
            by_word = {simple(name): name for name in reversed(fields)}
            named = dict(asked.columns).get("label", "")
            common = named or next((by_word[guess] for guess in GUESSES["label"] if guess in by_word), "")
            if common in fields:
                words |= {simple(part) for row in reader for part in str(row[common]).split("|")}
    except (OSError, UnicodeDecodeError, csv.Error):
        return None  # told with its line by read_index
    return words


def _recipe(asked: Asked, card: ModelCard, labels: Sequence[str]) -> Recipe:
    """As much of a recipe as reading an index asks for."""
    named = dict(asked.labels)
    try:
        columns = Columns(**dict(asked.columns))
    except TypeError as error:
        raise CxrError(
            "--column is not of the form ROLE=NAME with a known role.",
            hint=f"Roles: {', '.join(GUESSES)}.",
            detail=str(error),
            code="wrong-use",
        ) from error
    return Recipe(
        name="asked",
        lesson=CLASSIFY if card.task is Task.CLASSIFY else "",
        network="",
        labels=tuple(LabelColumn(name, named.get(name, "")) for name in labels),
        input=InputSpec(64, "stretch", crop_border=False, mean=0.0, std=1.0),
        films=FilmsConfig(),
        columns=columns,
        split=SplitConfig(),
        training=LoopConfig(),
        card=CardText(),
        tables={},
        origin="",
    )


def _check_files(records: Sequence[FilmRecord]) -> None:
    """Name what is wrong with the list before hours are spent: films that are not there, or stand there twice."""
    absent = [record for record in records if not record.path.is_file()]
    if absent:
        shown = _shown(f"{record.place}: {record.path.name}" for record in absent)
        raise CxrError(
            f"{len(absent)} of {len(records)} films are not there:\n{shown}\n",
            hint="Paths count from the folder of the index; another column is named with --column path=NAME.",
            code="no-such-file",
        )
    often = [path for path, count in Counter(record.path for record in records).items() if count > 1]
    if often:
        twice = [[record.place for record in records if record.path == path] for path in often[:_MOST_SHOWN]]
        shown = _shown(" and ".join(places) for places in twice)
        raise CxrError(
            f"{len(often)} films stand in the index twice:\n{shown}\n", hint="Keep one line for each.", code="index"
        )


def note_unreadable(found: list[tuple[str, str]], record: FilmRecord, fault: CxrError, allowed: int) -> None:
    """Add a film that cannot be read to ``found``. Raises CxrError: these are more than ``allowed``."""
    found.append((record.place, f"{record.path.name}: {fault.summary}"))
    if len(found) > allowed:
        raise too_many_unreadable(found, allowed)


def too_many_unreadable(found: Sequence[tuple[str, str]], allowed: int) -> CxrError:
    """Names films that cannot be read, by place and sentence, and the way out."""
    return CxrError(
        f"A film cannot be read:\n{_shown(f'{place}: {why}' for place, why in found)}\n",
        hint=f"Mend or remove the line, or leave up to N such films out with --allow-unreadable N (now {allowed}).",
        code="unreadable-films",
    )


def _shown(lines: Iterable[str]) -> str:
    every = list(lines)
    more = [f"  and {len(every) - _MOST_SHOWN} more"] if len(every) > _MOST_SHOWN else []
    return "\n".join([*(f"  {line}" for line in every[:_MOST_SHOWN]), *more])


def _unheard(stage: str) -> None:
    """Stages of a hundredth of a second are not worth a line on a terminal."""


def kind_counts(blocked: Sequence[tuple[str, ...]]) -> dict[str, int]:
    """How many films the film check would have kept back, by its code."""
    return dict(Counter(code for codes in blocked for code in codes))
