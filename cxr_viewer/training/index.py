"""Reading an index: which films there are, of whom, and what is known of each.

An index is a CSV file with one line per film: ``DIR/index.csv``, ``DIR_index.csv`` beside the folder, or any CSV named.
Paths in it count from the folder of the CSV. The columns may be called as in :data:`GUESSES`, in any case and with any
signs between the words; others are named in the recipe (``[columns]``). A folder with sub-folders ``train/KIND/*``,
``test/KIND/*`` is read as an index with the columns path, label, patient and split (Kermany, Zhang, Goldbaum 2018,
doi:10.17632/rscbjbr9sj: the patient is taken from the file name).

A label is 1, 0 or unknown, which an empty value means. Whatever cannot be understood stops with file and line.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxr_viewer.core.errors import CxrError
from cxr_viewer.training.recipe import Columns, LabelColumn, Recipe

GUESSES: dict[str, tuple[str, ...]] = {
    "path": ("file", "filename", "filepath", "path", "image", "imagepath", "imageindex", "dicom"),
    "label": ("label", "labels", "findinglabels", "finding", "diagnosis"),
    "patient": ("patient", "patientid", "groupid", "subject", "subjectid"),
    "site": ("site", "hospital", "institution", "centre", "center", "dataset"),
    "age": ("age", "patientage", "ageyears"),
    "sex": ("sex", "patientsex", "gender", "patientgender"),
    "view": ("view", "viewposition", "projection"),
    "split": ("split", "officialsplit", "subset"),
    "mask": ("mask", "maskpath"),
}
"""Names by which a column is found, in small letters and without signs; the first that the index has counts."""

CLASSIFY = "classify"
"""The lesson that learns labels."""

FILM_SUFFIXES = (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".dcm")
UNKNOWN = math.nan

_SPLITS = {
    "": "",
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_YES, _NO = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no")
_NOT_KNOWN = ("", "nan", "none", "na", "n/a", "-1", "-1.0", "unknown")
_NO_FINDING = ("no finding", "no_finding", "normal", "negative", "none")
_MOST_SLIPS = 0.1
_LARGEST_FIELD = 1 << 20


@dataclass(frozen=True, slots=True)
class FilmRecord:
    """One film of an index.

    Attributes:
        targets: per label 1, 0 or nan (unknown).
        patient: never split between training, validation and testing.
        split: ``"train"``, ``"validation"``, ``"test"`` as the index says, or empty.
        age: in years, nan if unknown.
        mask: a picture of the outlined organs, or None.
        place: ``"index.csv, line 12"``, for messages.
        row: the whole line, by column.
    """

    path: Path
    targets: tuple[float, ...]
    patient: str
    site: str = ""
    split: str = ""
    age: float = UNKNOWN
    sex: str = ""
    view: str = ""
    mask: Path | None = None
    place: str = ""
    row: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Index:
    """The films of all indexes given.

    Attributes:
        labels: what each of a record's targets is.
    """

    labels: tuple[LabelColumn, ...]
    records: tuple[FilmRecord, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class _Table:
    """Lines of one index, and which of its columns is what."""

    name: str
    folder: Path
    site: str
    fields: tuple[str, ...]
    rows: tuple[tuple[str, Mapping[str, str]], ...]
    columns: Columns


def read_index(recipe: Recipe, data: Sequence[Path]) -> Index:
    """All films of the folders and CSV files given.

    Labels that the recipe of a classifier does not name are found: the names in the common column, else all columns
    that hold nothing but 0, 1 and unknown. Other lessons learn no label: those of their recipe that an index has no
    column for are unknown there.

    Raises:
        CxrError: nothing there, a column is missing, a value is not understood; with file and line.
    """
    tables = [_read(path, recipe) for path in data]
    needed = recipe.lesson == CLASSIFY
    labels = recipe.labels or (_found_labels(tables) if needed else ())
    readers = [(table, [_Reader.of(label, labels, table, needed=needed) for label in labels]) for table in tables]
    records = [record for table, rules in readers for record in _records(table, rules, recipe)]
    records = [record for record in records if _of_age(record, recipe.films.ages)]
    if not records:
        raise CxrError(
            f"No labelled films were found in {', '.join(f'“{path}”' for path in data)}.",
            hint="Give an index (CSV), or the folder that has one.",
            code="no-training-data",
        )
    return Index(tuple(labels), tuple(records))


def _of_age(record: FilmRecord, ages: Sequence[float]) -> bool:
    return not ages or math.isnan(record.age) or ages[0] <= record.age < ages[1] + 1


def _read(path: Path, recipe: Recipe) -> _Table:
    if not path.exists():
        raise CxrError(f"There is no “{path}”.", hint="Check --data.", code="no-training-data")
    index = index_of(path)
    if index is None:
        rows = tuple(_folder_rows(path))
        if not rows:
            raise CxrError(
                f"No labelled films were found in “{path}”.",
                hint="Give an index (CSV), a folder with an index.csv, or one with train/LABEL, test/LABEL, ...",
                code="no-training-data",
            )
        fields: tuple[str, ...] = ("path", "label", "patient", "split")
        return _Table(path.name, path, path.name, fields, rows, _columns(fields, recipe.columns, path.name))
    fields, rows = _lines(index)
    columns = _columns(fields, recipe.columns, index.name)
    where = {key: value for key, value in recipe.films.where.items() if key in fields}
    rows = tuple(row for row in rows if all(row[1][key].strip() == value for key, value in where.items()))
    site = path.name if path.is_dir() else index.stem.removesuffix("_index")
    return _Table(index.name, index.parent, site, fields, rows, columns)


def index_of(path: Path) -> Path | None:
    """The CSV that lists the films of a folder, or the file itself; None where the folder has none."""
    if path.is_file():
        return path
    for index in (path / "index.csv", path.parent / f"{path.name}_index.csv"):
        if index.is_file():
            return index
    return None


def _lines(index: Path) -> tuple[tuple[str, ...], tuple[tuple[str, Mapping[str, str]], ...]]:
    csv.field_size_limit(_LARGEST_FIELD)
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = tuple((f"{index.name}, line {reader.line_num}", row) for row in reader)
            fields = tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CxrError(
            f"The index “{index.name}” cannot be read: {error}.", hint="It has to be a CSV file in UTF-8.", code="index"
        ) from error
    for place, row in rows:
        if None in row:
            raise _fault(place, "there are more values than columns")
    return fields, rows


def _folder_rows(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    for path in sorted(folder.glob("*/*/*")):
        split = _SPLITS.get(path.parts[-3].lower())
        if split and path.suffix.lower() in FILM_SUFFIXES:
            place = "/".join(path.parts[-3:])
            yield place, {"path": place, "label": path.parts[-2], "patient": patient_of(path.name), "split": split}


def patient_of(file_name: str) -> str:
    """The patient in a file name of the public paediatric set: ``person12_virus_3.jpeg`` -> ``person12``,
    ``NORMAL2-IM-0383-0001.jpeg`` -> ``NORMAL2-IM-0383``; otherwise the name without its ending."""
    stem = Path(file_name).stem
    match = re.match(r"(person\d+|(?:NORMAL2-)?IM-\d+)", stem)
    return match.group(1) if match else stem


def _columns(fields: Sequence[str], named: Columns, index: str) -> Columns:
    by_word = {simple(name): name for name in reversed(fields)}
    found: dict[str, str] = {}
    for role, guesses in GUESSES.items():
        name = getattr(named, role)
        if name and name not in fields:
            raise CxrError(
                f"The index “{index}” has no column “{name}”, which the recipe names as {role}.",
                hint=f"It has: {', '.join(fields)}.",
                code="index",
            )
        found[role] = name or next((by_word[guess] for guess in guesses if guess in by_word), "")
    for role in ("path", "patient"):
        if not found[role]:
            raise CxrError(
                f"The index “{index}” has no column for the {role}.",
                hint=f"Name it with --set columns.{role}=COLUMN; it has: {', '.join(fields)}.",
                code="index",
            )
    return Columns(**found)


def simple(name: str) -> str:
    """A name in small letters without signs, as columns and labels are told apart by."""
    return "".join(sign for sign in name.casefold() if sign.isalnum())


# ---------------------------------------------------------------- labels


@dataclass(frozen=True, slots=True)
class _Reader:
    """How one label is read from a line.

    Attributes:
        column: empty where the index has none for it: then it is unknown.
        parted: the column holds names, several of them with ``|`` between; else one value.
    """

    label: LabelColumn
    column: str
    positive: frozenset[str]
    negative: frozenset[str]
    negative_column: str
    parted: bool

    @classmethod
    def of(cls, label: LabelColumn, labels: Sequence[LabelColumn], table: _Table, *, needed: bool = True) -> _Reader:
        """Raises CxrError where the index has no column for a label that is needed."""
        own = label.column or next((name for name in table.fields if simple(name) == simple(label.name)), "")
        if own and own not in table.fields and own == label.column and not table.columns.label:
            own = ""
        yes, no = _small(label.positive), _small(label.negative)
        emptied = label.negative_column if label.negative_column in table.fields else ""
        if own in table.fields and own != table.columns.label:
            return cls(label, own, yes | set(_YES), no | set(_NO), emptied, parted=False)
        common = table.columns.label
        if not common and not needed:
            return cls(label, "", yes, no, "", parted=False)
        if not common:
            raise CxrError(
                f"The index “{table.name}” has no column for the label “{label.name}”.",
                hint=f"It has: {', '.join(table.fields)}.",
                code="index",
            )
        others = _small([name for other in labels if other is not label for name in (other.name, *other.positive)])
        negative = (no | others | set(_NO_FINDING)) - yes
        return cls(label, common, yes or _small([label.name]), negative - _small([label.name]), emptied, parted=True)

    def target(self, row: Mapping[str, str], place: str) -> float:
        """1, 0 or nan. Raises CxrError for a value that is none of the known ones."""
        if not self.column:
            return UNKNOWN
        value = row[self.column].strip().casefold()
        parts = [part.strip() for part in value.split("|")] if self.parted else [value]
        if any(part in self.positive for part in parts):
            return 1.0
        if all(part in _NOT_KNOWN and part not in self.negative for part in parts):
            return UNKNOWN
        if all(part in self.negative for part in parts):
            emptied = self.negative_column and row[self.negative_column].strip().casefold() not in _YES
            return UNKNOWN if emptied else 0.0
        raise _fault(
            place,
            f"“{row[self.column]}” in the column “{self.column}” is no known value for “{self.label.name}”",
            hint="Known: " + ", ".join(sorted(self.positive | self.negative)) + ", or nothing.",
        )


def _small(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names)


def _found_labels(tables: Sequence[_Table]) -> tuple[LabelColumn, ...]:
    """The labels that the indexes hold."""
    table = tables[0]
    if table.columns.label:
        names = {
            part.strip()
            for one in tables
            if one.columns.label
            for _, row in one.rows
            for part in row[one.columns.label].split("|")
        }
        found = sorted(name for name in names if name.casefold() not in {*_NOT_KNOWN, *_NO_FINDING, *_NO})
    else:
        roles = {getattr(table.columns, role) for role in GUESSES}
        allowed = {*_YES, *_NO, *_NOT_KNOWN}
        free = [name for name in table.fields if name not in roles and name.casefold() not in _NO_FINDING]
        found = [name for name in free if _is_label(table, name, allowed)]
    if not found:
        raise CxrError(
            f"The index “{table.name}” has no column that could be a label.",
            hint="Name the labels, e.g. --set 'labels=[\"Effusion\"]'.",
            code="index",
        )
    return tuple(LabelColumn(name) for name in found)


def _is_label(table: _Table, column: str, allowed: set[str]) -> bool:
    """Whether a column holds nothing but 0, 1 and unknown, both of the first among them.

    Raises:
        CxrError: it holds little else: that is a slip in a label, which must not be left out for it without a word.
    """
    values = Counter(row[column].strip().casefold() for _, row in table.rows)
    if not (any(values[yes] for yes in _YES) and any(values[no] for no in _NO)):
        return False
    others = values.total() - sum(values[word] for word in allowed)
    if 0 < others <= _MOST_SLIPS * values.total():
        place, row = next(line for line in table.rows if line[1][column].strip().casefold() not in allowed)
        raise _fault(
            place,
            f"“{row[column]}” in the column “{column}” is no known value for a label",
            hint="Known: 0, 1, or nothing. If the column is no label, name those to learn: --set 'labels=[\"...\"]'.",
        )
    return others == 0


# ---------------------------------------------------------------- lines


def _records(table: _Table, readers: Sequence[_Reader], recipe: Recipe) -> Iterator[FilmRecord]:
    columns = table.columns
    for place, row in table.rows:

        def value(column: str, row: Mapping[str, str] = row) -> str:
            return row[column].strip() if column else ""

        if not value(columns.path):
            raise _fault(place, "the film has no path")
        if not value(columns.patient):
            raise _fault(place, "the film has no patient", hint="Films of one patient must not be parted.")
        split = _SPLITS.get(value(columns.split).casefold())
        if split is None:
            raise _fault(place, f"“{value(columns.split)}” is no known split", hint="Known: train, validation, test.")
        site = value(columns.site) or table.site
        patient = value(columns.patient)
        record = FilmRecord(
            path=table.folder / value(columns.path),
            targets=tuple(reader.target(row, place) for reader in readers),
            patient=f"{site}/{patient}" if recipe.split.patients_per_site else patient,
            site=site,
            split=split,
            age=_age(value(columns.age)),
            sex=value(columns.sex),
            view=value(columns.view).upper(),
            place=place,
            row=row,
        )
        mask = value(columns.mask)
        yield replace(record, mask=table.folder / mask) if mask else record


def _age(text: str) -> float:
    """Years from ``57``, ``057Y`` or ``18M`` (DICOM's Age String, PS3.5 6.2); nan where there is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([YMWD]?)", text.upper())
    if match is None:
        return UNKNOWN
    per_year = {"": 1.0, "Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}[match.group(2)]
    return float(match.group(1)) / per_year


def _fault(place: str, what: str, hint: str = "") -> CxrError:
    return CxrError(f"{place}: {what}.", hint=hint, code="index")
