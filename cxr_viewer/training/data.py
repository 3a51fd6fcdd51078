"""Films with labels: reading an index or a folder, splitting by patient, loading into memory.

Three layouts are understood:

- an index: a CSV with the columns ``path, label, group_id, official_split`` (paths relative to the CSV), either
  ``DIR/index.csv`` or ``DIR_index.csv`` beside the folder;
- the same with NIH ChestX-ray14's columns (``file, patient_id, split, no_finding, Pneumonia``), for testing on adults:
  films labelled with pneumonia against films without any finding, all others are passed over;
- the folders of the public data set (Kermany, Zhang, Goldbaum 2018, doi:10.17632/rscbjbr9sj):
  ``DIR/train/NORMAL/*.jpeg``, ``DIR/test/PNEUMONIA/*.jpeg`` and so on; the patient is taken from the file name.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxr_viewer.core.errors import CxrError, RefusalError
from cxr_viewer.core.image import ImageKey, Radiograph
from cxr_viewer.inference.preprocess import exposed_area, model_grey, resize_area

NEGATIVE, POSITIVE = "NORMAL", "PNEUMONIA"
FILM_PX = 192
_COLUMNS = ("path", "label", "group_id", "official_split")
_NIH_COLUMNS = ("file", "patient_id", "split", "no_finding", "Pneumonia")
_SPLITS = ("train", "test")
tqdm.monitor_interval = 0  # its watcher thread would outlive the bar, for nothing: every step here is short
_MOST_UNREADABLE = 0.05


@dataclass(frozen=True, slots=True)
class FilmRecord:
    """One labelled film.

    Attributes:
        label: 1 for pneumonia, 0 for normal.
        group: the patient, as far as the file name tells; never split between training and testing.
        split: ``"train"`` or ``"test"``, as published with the data.
        subtype: e.g. ``"bacteria"``, or empty.
    """

    path: Path
    label: int
    group: str
    split: str
    subtype: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FilmSet:
    """Films in memory.

    Attributes:
        grey: uint8 (n, 192, 192), the whole film squeezed to a square, 0..255, bright = dense.
        areas: int (n, 4), exposed area as (x, y, right, bottom) on ``grey``.
        labels: int (n,), 0 or 1.
        groups: patient of every film.
        names: file names, for messages.
        subtypes: e.g. ``"virus"``, or empty.
    """

    grey: NDArray[np.uint8] = field(repr=False)
    areas: NDArray[np.int64] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    groups: tuple[str, ...] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    subtypes: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return int(self.labels.size)

    def only(self, keep: NDArray[np.bool_]) -> FilmSet:
        """The films for which ``keep`` (n,) is true."""
        chosen = np.flatnonzero(keep)

        def pick(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[i] for i in chosen)

        return FilmSet(
            self.grey[chosen],
            self.areas[chosen],
            self.labels[chosen],
            pick(self.groups),
            pick(self.names),
            pick(self.subtypes),
        )


@dataclass(frozen=True, slots=True)
class Split:
    """Who is learned from, chosen with, and tested on.

    Attributes:
        left_out: training films of patients who also have test films; used for nothing.
    """

    train: tuple[FilmRecord, ...]
    validation: tuple[FilmRecord, ...]
    test: tuple[FilmRecord, ...]
    left_out: tuple[FilmRecord, ...] = ()


def read_records(folder: Path) -> list[FilmRecord]:
    """All films under ``folder``, in any of the layouts.

    Raises:
        CxrError: nothing found, or an index with missing columns or unknown values.
    """
    for index in (folder / "index.csv", folder.parent / f"{folder.name}_index.csv"):
        if index.is_file():
            return _from_index(index)
    records = list(_from_folders(folder))
    if not records:
        raise CxrError(
            f"No labelled films were found in “{folder}”.",
            hint="Give the folder with train/NORMAL, train/PNEUMONIA, test/..., or one with an index.csv.",
            code="no-training-data",
        )
    return records


def split_records(
    records: Sequence[FilmRecord], *, validation_share: float, seed: int, keep_shared: bool = False
) -> Split:
    """The published test split, and validation taken from the rest by patient, in equal shares of both labels.

    Args:
        keep_shared: keep training films of patients who also have test films. Off, they are left out, so that
            no patient is on both sides.
    """
    test = [record for record in records if record.split == "test"]
    rest = [record for record in records if record.split == "train"]
    shared = {record.group for record in test} & {record.group for record in rest}
    left_out = [] if keep_shared else [record for record in rest if record.group in shared]
    rest = [record for record in rest if keep_shared or record.group not in shared]
    generator = np.random.default_rng(seed)
    chosen: set[str] = set()
    for label in (0, 1):
        sizes = Counter(record.group for record in rest if record.label == label)
        wanted = validation_share * sizes.total()
        taken = 0
        for group in generator.permutation(sorted(set(sizes) - shared)):
            if taken >= wanted:
                break
            chosen.add(str(group))
            taken += sizes[str(group)]
    train = tuple(record for record in rest if record.group not in chosen)
    validation = tuple(record for record in rest if record.group in chosen)
    return Split(train, validation, tuple(test), tuple(left_out))


def check_leakage(parts: Mapping[str, Iterable[str]]) -> None:
    """Stop where a patient is on two sides.

    Args:
        parts: the patients (groups) of each part, by the part's name.

    Raises:
        CxrError: names the parts and up to five of the patients.
    """
    groups = {name: set(values) for name, values in parts.items()}
    names = list(groups)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = sorted(groups[first] & groups[second])
            if shared:
                shown = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
                raise CxrError(
                    f"{len(shared)} patients are in both {first} and {second}: {shown}.",
                    hint="Split by patient; figures from such a split would be too good to be true.",
                    code="patient-leakage",
                )


def film_radiograph(path: Path) -> Radiograph:
    """A raster film as the viewer would see it: 8 bit grey, no VOI of its own.

    Raises:
        CxrError: not a readable picture.
    """
    data = np.fromfile(path, dtype=np.uint8) if path.is_file() else np.empty(0, dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if pixels is None:
        raise CxrError(f"“{path.name}” cannot be read as a picture.", code="unreadable-film")
    return Radiograph(
        key=ImageKey("", "", path.name),
        path=path,
        stored=np.asarray(pixels, dtype=np.uint8),
        bits_stored=8,
        photometric="MONOCHROME2",
        modality="",
        is_dicom=False,
    )


def load_films(records: Sequence[FilmRecord], what: str, *, quiet: bool = False) -> FilmSet:
    """Read films into memory, through the same preprocessing as in reading.

    Films that cannot be read are named on the terminal and left out.

    Raises:
        CxrError: more than 5 % cannot be read.
    """
    kept, grey, areas, faults = [], [], [], []
    for record in tqdm(records, desc=f"Reading {what} films", unit="film", disable=quiet or None, leave=False):
        try:
            film = model_grey(film_radiograph(record.path))
        except (CxrError, RefusalError, cv2.error) as error:
            faults.append(f"{record.path.name}: {error}")
            continue
        square = np.rint(resize_area(film, FILM_PX, FILM_PX) * 255).astype(np.uint8)
        area = exposed_area(square.astype(np.float32) / np.float32(255))
        kept.append(record)
        grey.append(square)
        areas.append((area.x, area.y, area.right, area.bottom))
    for fault in faults:
        print(f"Left out, cannot be read: {fault}")
    if not kept or len(faults) > _MOST_UNREADABLE * len(records):
        raise CxrError(
            f"{len(faults)} of {len(records)} {what} films cannot be read.",
            hint="Check the folder; the first lines above name the files.",
            detail="\n".join(faults),
            code="unreadable-films",
        )
    return FilmSet(
        np.stack(grey),
        np.array(areas, dtype=np.int64),
        np.array([record.label for record in kept], dtype=np.int64),
        tuple(record.group for record in kept),
        tuple(record.path.name for record in kept),
        tuple(record.subtype for record in kept),
    )


def _from_index(index: Path) -> list[FilmRecord]:
    with index.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if all(name in (reader.fieldnames or ()) for name in _NIH_COLUMNS):
            return [_nih_record(index, row) for row in reader if row["Pneumonia"] == "1" or row["no_finding"] == "1"]
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise CxrError(
                f"The index “{index.name}” lacks the column {', '.join(missing)}.",
                hint=f"It needs the columns {', '.join(_COLUMNS)}.",
                code="training-index",
            )
        records = []
        for number, row in enumerate(reader, start=2):
            label, split = row["label"].strip().upper(), row["official_split"].strip().lower()
            if label not in (NEGATIVE, POSITIVE) or split not in _SPLITS or not row["group_id"].strip():
                raise CxrError(
                    f"Line {number} of “{index.name}” has the label “{row['label']}”, the split "
                    f"“{row['official_split']}” and the group “{row['group_id']}”.",
                    hint="Labels are NORMAL or PNEUMONIA, splits train or test, and every film needs a group.",
                    code="training-index",
                )
            path = index.parent / row["path"]
            records.append(FilmRecord(path, int(label == POSITIVE), row["group_id"], split, row.get("subtype") or ""))
    return records


def _nih_record(index: Path, row: dict[str, str]) -> FilmRecord:
    return FilmRecord(index.parent / row["file"], int(row["Pneumonia"] == "1"), row["patient_id"], row["split"])


def _from_folders(folder: Path) -> Iterable[FilmRecord]:
    for split in _SPLITS:
        for label, name in enumerate((NEGATIVE, POSITIVE)):
            for path in sorted((folder / split / name).glob("*")):
                if path.suffix.lower() in (".jpeg", ".jpg", ".png"):
                    yield FilmRecord(path, label, patient_of(path.name), split, _subtype_of(path.name))


def patient_of(file_name: str) -> str:
    """The patient in a file name of the public set: ``person12_virus_3.jpeg`` -> ``person12``,
    ``NORMAL2-IM-0383-0001.jpeg`` -> ``NORMAL2-IM-0383``."""
    stem = Path(file_name).stem
    match = re.match(r"(person\d+|(?:NORMAL2-)?IM-\d+)", stem)
    return match.group(1) if match else stem


def _subtype_of(file_name: str) -> str:
    return next((kind for kind in ("bacteria", "virus") if kind in file_name), "")
