"""Films on which people drew boxes around findings, and what can be guessed of a box without looking at the film.

Boxes come in NIH's own list (``BBox_List_2017.csv``: image, finding, x, y, width, height in a frame of 1024 px; Wang
et al., CVPR 2017). Those of the films that are measured on are held against the maps; those of all *other patients*
make the guess: the one point that lies in most boxes of a finding, and one box. A map has to beat them, since a point
at the usual place hits many boxes without any model.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxr_viewer.core.errors import CxrError

BOXES_NAME = "BBox_List_2017.csv"
GRID_PX = 256
"""Side of the grid on which boxes and outlines are laid; a cell is 4 px of NIH's frame."""

_FRAME_PX = 1024.0
_COLUMNS = ("file", "image_id", "patient_id", "split")
_RENAMED = {"infiltrate": "infiltration"}

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as shares of the film's width and height, 0..1."""

    x: float
    y: float
    width: float
    height: float

    def holds(self, x: float, y: float) -> bool:
        """The point (shares of the film) lies in the box; no tolerance."""
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height

    def mask(self) -> Mask:
        """bool (256, 256), the cells whose centre lies in the box."""
        middle = (np.arange(GRID_PX) + 0.5) / GRID_PX
        across = (middle >= self.x) & (middle < self.x + self.width)
        down = (middle >= self.y) & (middle < self.y + self.height)
        return down[:, None] & across[None, :]


@dataclass(frozen=True, slots=True)
class BoxedFilm:
    """A film with boxes.

    Attributes:
        boxes: by finding (see :func:`finding_name`), at least one each.
        marks: findings that the film is labelled with, whether boxed or not.
        organs: machine-made mask of lungs (1) and heart (2) where there is a plausible one.
    """

    path: Path
    image_id: str
    patient: str
    boxes: dict[str, tuple[Box, ...]]
    marks: frozenset[str] = frozenset()
    organs: Path | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """What is known of a finding's box before the film is looked at.

    Attributes:
        x, y: the point that lies in most boxes.
        box: the mean box, or one of its size around the point: whichever overlaps those boxes better. Where a finding
            lies left or right, the mean box lies in the middle, where it never is.
        count: boxes it is made from.
    """

    x: float
    y: float
    box: Box
    count: int


@dataclass(frozen=True, slots=True)
class BoxData:
    """Films to measure on, and the guess for each finding, made of the boxes of other patients only."""

    films: tuple[BoxedFilm, ...]
    guesses: dict[str, Guess]
    name: str


def finding_name(label: str) -> str:
    """A finding under one name, however a model or a list spells it."""
    letters = "".join(c for c in label.casefold() if c.isalnum())
    return _RENAMED.get(letters, letters)


def read_boxes(folders: Sequence[Path], boxes: Path | None = None, split: str = "test") -> BoxData:
    """Films of some NIH folders that have boxes or plausible organ masks.

    Args:
        folders: folders of films, each with ``DIR_index.csv`` beside it (columns ``file, image_id, patient_id, split``,
            a column 0 or 1 per finding, and where there are masks ``mask, mask_good``); of a film in several the first
            counts, so the sharper ones come first.
        boxes: NIH's list of boxes, by default ``BBox_List_2017.csv`` beside the first folder.
        split: the part of the index that is measured on; a model must not have learned from it.

    Raises:
        CxrError: a file is missing or not understood, or no film has a box.
    """
    listed = _listed(boxes or folders[0].parent / BOXES_NAME)
    films: dict[str, BoxedFilm] = {}
    for folder in folders:
        for film in _films(folder, listed, split):
            films.setdefault(film.image_id, film)
    measured = {film.patient for film in films.values()}
    if not any(film.boxes for film in films.values()):
        raise CxrError(
            f"No film of “{folders[0]}” has a box in the split “{split}”.",
            hint=f"Give folders of NIH films that are named in {BOXES_NAME}.",
            code="no-boxes",
        )
    others: dict[str, list[Box]] = {}
    for image_id, found in listed.items():
        if _patient_of(image_id) not in measured:
            for finding, box in found:
                others.setdefault(finding, []).append(box)
    guesses = {finding: guess(known) for finding, known in others.items()}
    name = " and ".join(folder.name for folder in folders)
    return BoxData(tuple(films[image_id] for image_id in sorted(films)), guesses, f"{name}, {split} split")


def guess(boxes: Sequence[Box]) -> Guess:
    """The point that lies in most of the boxes, and the better of two boxes.

    Where several cells lie in equally many, the one nearest to the middle of them all.
    """
    counts = np.zeros((GRID_PX, GRID_PX), dtype=np.int64)
    for box in boxes:
        counts += box.mask()
    rows, columns = np.nonzero(counts == counts.max())
    nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
    x, y = float(columns[nearest] + 0.5) / GRID_PX, float(rows[nearest] + 0.5) / GRID_PX
    sides = np.array([(box.x, box.y, box.width, box.height) for box in boxes]).mean(axis=0)
    mean = Box(*(float(side) for side in sides))
    around = Box(x - mean.width / 2, y - mean.height / 2, mean.width, mean.height)
    overlaps = [np.mean([overlap(each.mask(), box.mask()) for box in boxes]) for each in (mean, around)]
    return Guess(x, y, (mean, around)[int(np.argmax(overlaps))], len(boxes))


def overlap(first: Mask, second: Mask) -> float:
    """Intersection over union, 0..1; 0 where both are empty."""
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else 0.0


def _listed(path: Path) -> dict[str, list[tuple[str, Box]]]:
    """Boxes by image id."""
    listed: dict[str, list[tuple[str, Box]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            next(rows, None)  # the head names only the first four of six columns
            for row in rows:
                x, y, width, height = (float(value) / _FRAME_PX for value in row[2:6])
                found = listed.setdefault(Path(row[0]).stem, [])
                found.append((finding_name(row[1]), Box(x, y, width, height)))
    except (OSError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise CxrError(
            f"The list of boxes “{path.name}” cannot be read.",
            hint=f"Give NIH's own {BOXES_NAME} with --boxes.",
            detail=str(error),
            code="box-list",
        ) from error
    return listed


def _films(folder: Path, listed: dict[str, list[tuple[str, Box]]], split: str) -> list[BoxedFilm]:
    index = folder.parent / f"{folder.name}_index.csv"
    try:
        with index.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"it lacks the column {', '.join(missing)}")
            rows = [row for row in reader if row["split"] == split]
    except (OSError, ValueError) as error:
        raise CxrError(
            f"The index “{index.name}” cannot be read: {error}.",
            hint="Give a folder of NIH films with its index beside it.",
            code="box-index",
        ) from error
    films = []
    for row in rows:
        boxes: dict[str, tuple[Box, ...]] = {}
        for finding, box in listed.get(row["image_id"], ()):
            boxes[finding] = (*boxes.get(finding, ()), box)
        organs = index.parent / row["mask"] if row.get("mask_good") == "1" else None
        if boxes or organs is not None:
            marks = frozenset(finding_name(name) for name, value in row.items() if value == "1" and name[:1].isupper())
            films.append(
                BoxedFilm(index.parent / row["file"], row["image_id"], row["patient_id"], boxes, marks, organs)
            )
    return films


def _patient_of(image_id: str) -> str:
    """``00013118_008`` -> ``13118``, as the index has it."""
    return str(int(image_id.split("_")[0]))
