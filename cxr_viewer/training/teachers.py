"""What one network says of the films it learned from, written for another network to learn from (distillation)."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import CxrError
from cxr_viewer.inference.calibrate import sigmoid
from cxr_viewer.training.films import FilmSet

ANSWERS_NAME = "answers.csv"


def write_answers(path: Path, films: FilmSet, labels: tuple[str, ...], logits: NDArray[np.float64]) -> None:
    """Write soft answers in the form that :func:`read_teacher` takes.

    Args:
        logits: (films, labels).

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *labels])
        for record, row in zip(films.records, sigmoid(logits), strict=True):
            writer.writerow([record.path.name, *(f"{value:.5g}" for value in row)])


def read_teacher(path: Path, films: FilmSet, labels: tuple[str, ...]) -> NDArray[np.float32]:
    """Soft answers for every film, float32 (n, labels); nan where the teacher says nothing.

    Raises:
        CxrError: unreadable, a label is missing, a value is not in 0..1, no film is named, or several have one name.
    """
    check_names(films)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in ("file", *labels) if name not in (reader.fieldnames or ())]
            if missing:
                raise _fault(f"The teacher's answers “{path.name}” lack the column {', '.join(missing)}.")
            rows = list(reader)
            said = {row["file"]: [float(row[name] or math.nan) for name in labels] for row in rows}
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise _fault(f"The teacher's answers “{path.name}” cannot be read: {error}.") from error
    if len(said) < len(rows):
        often = next(name for name, count in Counter(row["file"] for row in rows).items() if count > 1)
        raise _fault(f"The teacher's answers “{path.name}” name “{often}” more than once.")
    nothing = [math.nan] * len(labels)
    out = np.array([said.get(record.path.name, nothing) for record in films.records], dtype=np.float32)
    if np.isnan(out).all() or bool((out < 0).any()) or bool((out > 1).any()):
        raise _fault(f"The teacher's answers “{path.name}” name no training film, or are not between 0 and 1.")
    return out


def check_names(films: FilmSet) -> None:
    """Answers go by the name of the film's file alone: two films of one name would get each other's.

    Raises:
        CxrError: names two such films by file and line.
    """
    places: dict[str, str] = {}
    for record in films.records:
        name = record.path.name
        if name in places:
            where = f"{places[name]} and {record.place}"
            raise _fault(f"Answers go by file names, and two films are called “{name}”: {where}.")
        places[name] = record.place


def _fault(text: str) -> CxrError:
    return CxrError(text, hint="Change the recipe or the file.", code="recipe")
