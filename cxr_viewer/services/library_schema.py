"""Tables of the study list, and the way between its rows and the tree."""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from cxr_viewer.core.image import ImageKey, PatientInfo, View
from cxr_viewer.core.study import FoundImage, ImageNode, ReadStatus, SeriesNode, StudyNode
from cxr_viewer.services.search import patient_identity

APPLICATION_ID: Final = 0x63787276  # "cxrv"

# Migration n leads from schema n to n + 1. Never edit one that was released; append.
MIGRATIONS: Final = (
    (
        """CREATE TABLE study (
            study_ref INTEGER PRIMARY KEY, study_uid TEXT NOT NULL, identity TEXT NOT NULL,
            patient_id TEXT NOT NULL, patient_name TEXT NOT NULL, birth_date TEXT, sex TEXT NOT NULL, age_years REAL,
            date TEXT, time TEXT NOT NULL, description TEXT NOT NULL, status TEXT NOT NULL,
            UNIQUE (study_uid, identity))""",
        """CREATE TABLE series (
            study_ref INTEGER NOT NULL REFERENCES study ON DELETE CASCADE, series_uid TEXT NOT NULL,
            modality TEXT NOT NULL, description TEXT NOT NULL, number INTEGER, PRIMARY KEY (study_ref, series_uid))
            WITHOUT ROWID""",
        """CREATE TABLE image (
            image_ref INTEGER PRIMARY KEY, path BLOB NOT NULL, frame INTEGER NOT NULL,
            study_ref INTEGER NOT NULL REFERENCES study ON DELETE CASCADE, series_uid TEXT NOT NULL,
            sop_uid TEXT NOT NULL, rows INTEGER NOT NULL, columns INTEGER NOT NULL, view TEXT NOT NULL,
            laterality TEXT NOT NULL, modality TEXT NOT NULL, body_part TEXT NOT NULL, instance_number INTEGER,
            acquired TEXT NOT NULL, frames INTEGER NOT NULL, is_dicom INTEGER NOT NULL, problem TEXT NOT NULL,
            size_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL, missing INTEGER NOT NULL DEFAULT 0,
            checked_at REAL NOT NULL DEFAULT 0, UNIQUE (path, frame))""",
        "CREATE INDEX image_by_study ON image (study_ref)",
        "CREATE INDEX image_by_check ON image (checked_at)",
        """CREATE TABLE thumbnail (
            thumbnail_ref INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL, frame INTEGER NOT NULL,
            size_bytes INTEGER NOT NULL, modified_ns INTEGER NOT NULL, png BLOB NOT NULL, UNIQUE (path, frame))""",
        "CREATE TABLE recent (recent_ref INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE)",
    ),
    (
        """CREATE TABLE calibration (
            source_sha256 TEXT NOT NULL, frame INTEGER NOT NULL, row_mm REAL NOT NULL, column_mm REAL NOT NULL,
            saved_at REAL NOT NULL, PRIMARY KEY (source_sha256, frame)) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE skipped (
            skipped_ref INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL, member TEXT NOT NULL,
            size_bytes INTEGER, modified_ns INTEGER NOT NULL, code TEXT NOT NULL, summary TEXT NOT NULL,
            hint TEXT NOT NULL, program_version TEXT NOT NULL, UNIQUE (path, member))""",
        """CREATE TABLE scan (
            path BLOB NOT NULL PRIMARY KEY, begun_at REAL NOT NULL, cancelled INTEGER NOT NULL) WITHOUT ROWID""",
    ),
)

STUDY_COLUMNS: Final = (
    "study_ref, study_uid, patient_id, patient_name, birth_date, sex, age_years, date, time, description, status"
)
IMAGE_COLUMNS: Final = (
    "path, frame, sop_uid, rows, columns, view, laterality, modality, body_part, instance_number, acquired, frames,"
    " is_dicom, problem, size_bytes, modified_ns"
)
SAME_IDENTITY: Final = "Another file carries the same identity (SOP Instance UID) but differs."

_LONGEST_TEXT = 1024  # a value of a megabyte is a broken file, and the list has to be read in one go
_LARGEST_INTEGER = 2**63 - 1
_VIEWS = {view.value: view for view in View}
_STATUS = {status.value: status for status in ReadStatus}


class UnstorableError(Exception):
    """A value that SQLite cannot hold and that must not be altered."""


def encode_path(path: Path, member: str = "") -> bytes:
    """The path as the operating system writes it: file names need not be valid text.

    Args:
        member: of the archive at ``path``; it follows after a zero byte, which no path holds.
    """
    place = os.fsencode(path.absolute())
    return place + b"\0" + member.encode("ascii") if member else place


def decode_path(stored: bytes) -> Path:
    """The file, without the member."""
    return decode_place(stored)[0]


def decode_place(stored: bytes) -> tuple[Path, str]:
    """The file, and the member of it where it is an archive."""
    place, _, member = stored.partition(b"\0")
    return Path(os.fsdecode(place)), member.decode("ascii")


def study_values(found: FoundImage) -> tuple[object, ...]:
    """Values for ``study_uid, identity`` and the columns after them, without the status."""
    patient = found.patient
    return (
        _uid(found.image.key.study_uid),
        _text(patient_identity(patient)),
        _text(patient.patient_id),
        _text(patient.name),
        patient.birth_date.isoformat() if patient.birth_date else None,
        _text(patient.sex),
        patient.age_years,
        found.study_date.isoformat() if found.study_date else None,
        _text(found.study_time),
        _text(found.study_description),
    )


def series_values(found: FoundImage) -> tuple[object, ...]:
    """Values for ``series_uid, modality, description, number``."""
    return (
        _uid(found.image.key.series_uid),
        _text(found.image.modality),
        _text(found.series_description),
        _integer(found.series_number),
    )


def image_values(found: FoundImage) -> tuple[object, ...]:
    """Values for ``IMAGE_COLUMNS``."""
    image = found.image
    return (
        encode_path(image.path, image.member),
        image.key.frame,
        _uid(image.key.sop_uid),
        _integer(image.rows) or 0,
        _integer(image.columns) or 0,
        image.view.value,
        _text(image.laterality),
        _text(image.modality),
        _text(image.body_part),
        _integer(image.instance_number),
        _text(image.acquired),
        _integer(image.frames) or 1,
        int(image.is_dicom),
        _text(image.problem),
        found.size_bytes,
        found.modified_ns,
    )


def _uid(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnstorableError from error
    return value


def _text(value: str) -> str:
    return value[:_LONGEST_TEXT].encode(errors="replace").decode()


def _integer(value: int | None) -> int | None:
    return value if value is not None and abs(value) <= _LARGEST_INTEGER else None


# ---------------------------------------------------------------- rows to tree


def build_studies(
    studies: Iterable[tuple[Any, ...]], series: Iterable[tuple[Any, ...]], images: Iterable[tuple[Any, ...]]
) -> tuple[StudyNode, ...]:
    """The tree from rows; a study without images has no series.

    Args:
        studies: ``STUDY_COLUMNS``, in the order wanted.
        series: ``study_ref, series_uid, modality, description, number``.
        images: ``study_ref, series_uid, missing`` and ``IMAGE_COLUMNS``, oldest first.
    """
    studies = tuple(studies)
    grouped: dict[tuple[int, str], list[tuple[Any, ...]]] = {}
    for row in images:
        grouped.setdefault(row[:2], []).append(row)
    study_uids = {row[0]: row[1] for row in studies}
    nodes: dict[int, list[SeriesNode]] = {}
    for study_ref, series_uid, modality, description, number in series:
        members = grouped.get((study_ref, series_uid))
        if members and study_ref in study_uids:
            node = SeriesNode(series_uid, modality, description, number, _merged(study_uids[study_ref], members))
            nodes.setdefault(study_ref, []).append(node)
    return tuple(_study(row, nodes.get(row[0], [])) for row in studies)


def _study(row: tuple[Any, ...], series: list[SeriesNode]) -> StudyNode:
    _, study_uid, patient_id, name, birth_date, sex, age, date, time, description, status = row
    patient = PatientInfo(patient_id, name, _date(birth_date), sex, age)
    ordered = tuple(sorted(series, key=_series_order)) if len(series) > 1 else tuple(series)
    return StudyNode(study_uid, patient, _date(date), time, description, ordered, _STATUS.get(status, ReadStatus.NEW))


def _date(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def image_node(study_uid: str, row: tuple[Any, ...]) -> ImageNode:
    (_, series_uid, missing, path, frame, sop_uid, rows, columns, view, laterality, modality) = row[:11]
    (body_part, instance_number, acquired, frames, is_dicom, problem) = row[11:17]
    file, member = decode_place(path)
    return ImageNode(
        ImageKey(study_uid, series_uid, sop_uid, frame),
        file,
        rows,
        columns,
        _VIEWS.get(view, View.UNKNOWN),
        laterality,
        modality,
        body_part,
        instance_number,
        acquired,
        frames,
        bool(is_dicom),
        bool(missing),
        problem,
        member=member,
    )


def _merged(study_uid: str, rows: list[tuple[Any, ...]]) -> tuple[ImageNode, ...]:
    """Images in reading order; files that are copies of each other as one, the first that is there in front.

    Copies share identity, size and header. Files that share only the identity (a broken anonymiser, a film stored
    twice with other tags) are different films until proven otherwise: each keeps its place, with a word of warning.
    """
    if len(rows) == 1:
        return (image_node(study_uid, rows[0]),)
    copies: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        copies.setdefault(row[4:-1], []).append(row)  # all but the path and the time of change
    films = sorted((_first_there(same) for same in copies.values()), key=_reading_order)
    identities = Counter(row[4:6] for row in films)
    return tuple(_film(study_uid, row, copies[row[4:-1]], identities[row[4:6]] > 1) for row in films)


def _first_there(same: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return next((row for row in same if not row[2]), same[0])


def _film(study_uid: str, row: tuple[Any, ...], same: list[tuple[Any, ...]], disputed: bool) -> ImageNode:
    image = image_node(study_uid, row)
    if disputed and not image.problem:
        image = replace(image, problem=SAME_IDENTITY)
    if len(same) > 1:
        image = replace(image, copies=tuple(decode_place(other[3]) for other in same if other is not row))
    return image


def _reading_order(row: tuple[Any, ...]) -> tuple[object, ...]:
    path, frame, number, acquired = row[3], row[4], row[12], row[13]
    return (number is None, number or 0, acquired, path, frame)


def _series_order(series: SeriesNode) -> tuple[object, ...]:
    return (series.number is None, series.number or 0, series.images[0].acquired, series.series_uid)
