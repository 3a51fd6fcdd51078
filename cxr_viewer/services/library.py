"""The study list that is there again tomorrow: an index of image files, their status and thumbnails."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cxr_viewer.core.image import ImageKey, PixelSpacing
from cxr_viewer.core.study import (
    FileStamp,
    FoundImage,
    ImageNode,
    KnownFile,
    PassedOver,
    ReadStatus,
    StudyNode,
    member_stamp_ns,
)
from cxr_viewer.services import library_calibration, library_missing, library_scans
from cxr_viewer.services import library_schema as schema
from cxr_viewer.services.database import Database

_log = logging.getLogger(__name__)

_THUMBNAILS_KEPT: Final = 20_000
_RECENT_KEPT: Final = 15
_VARIABLES: Final = 500  # SQLite allows 32,766 and builds before 3.32 only 999


class Library:
    """Index of studies in one SQLite file.

    It holds what the browser lists and nothing of the films but small thumbnails; image files are never changed or
    removed. Every method may be called on any thread; writers wait for each other, also those of a second program that
    runs on the same file, readers wait for nobody.

    How files become images:

    - A path is known once. Found again with another size, time or content, it is what it is now.
    - Files with the same UIDs, size and header are copies: one image, whose ``copies`` names the others. When the first
      vanishes, the next stands in.
    - Files with the same UIDs that differ in size or header stay separate images of the same series, each with a
      ``problem``. The tree never lets one hide the other, and thumbnails belong to files, not to UIDs.
    - Files with the same Study Instance UID but another patient (id or name) are separate studies: a film is never
      listed under somebody else's name.
    - A vanished file stays listed as missing and returns by itself.

    Raises:
        CxrError: from every method, when the file is kept busy by another program or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        """Open the index at ``path``, or make it. Never raises for a damaged or unwritable file: see ``Database``."""
        self._database = Database(path, schema.MIGRATIONS, schema.APPLICATION_ID, "study list")

    def take_notices(self) -> tuple[str, ...]:
        """Sentences for the reader since the last call (a damaged list set aside, a folder that cannot be written)."""
        return self._database.take_notices()

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self._database.close()

    # ------------------------------------------------------------ what is found

    def add(self, found: Iterable[FoundImage]) -> tuple[StudyNode, ...]:
        """Take in what a scan found, in one transaction.

        Returns:
            The studies that are new or changed, whole; empty when everything was known already. A study comes without
            series when its last file has become part of another one: it is no longer in the list.
        """
        items = tuple(found)
        return self._database.write(lambda connection: _Writer(connection).add(items)) if items else ()

    def known(self, stamps: Sequence[FileStamp]) -> Sequence[KnownFile | None]:
        """What an earlier scan has made of each of these files, as long as they are the same; None: read it again."""
        return self._database.read(lambda connection: library_scans.known(connection, stamps))

    def pass_over(self, files: Sequence[PassedOver]) -> None:
        """Keep which files hold no image, so that nobody reads them again while they stay as they are."""
        if any(file.lasting for file in files):
            self._database.write(lambda connection: library_scans.remember(connection, files))

    # ------------------------------------------------------------ scans that did not end

    def begin_scan(self, folders: Sequence[Path]) -> None:
        """Keep that these folders are being looked through, until :meth:`finish_scan`."""
        self._database.write(lambda connection: library_scans.begin(connection, folders))

    def cancel_scan(self, folders: Sequence[Path]) -> None:
        """Keep that it was the reader who stopped it."""
        self._database.write(lambda connection: library_scans.cancel(connection, folders))

    def finish_scan(self, folders: Sequence[Path]) -> None:
        """These folders, and all below them, have been looked through."""
        self._database.write(lambda connection: library_scans.finish(connection, folders))

    def unfinished_scans(self) -> tuple[tuple[Path, bool], ...]:
        """(folder, the reader stopped it himself) of every scan that did not come to its end, the newest first."""
        return self._database.read(library_scans.unfinished)

    # ------------------------------------------------------------ the tree

    def studies(self) -> tuple[StudyNode, ...]:
        """Every study, newest first; those without a date come last."""
        return self._database.read(_all_studies)

    def study(self, study_uid: str) -> StudyNode | None:
        """The study with this UID, the first of them should several patients share it; None when unknown."""
        return next(iter(self.studies_of((study_uid,))), None)

    def studies_of(self, study_uids: Sequence[str]) -> tuple[StudyNode, ...]:
        """The studies with these UIDs."""
        return self._database.read(
            lambda connection: _some_studies(connection, _select_in(connection, _REFS_BY_UID, study_uids))
        )

    def studies_with(self, paths: Sequence[Path]) -> tuple[StudyNode, ...]:
        """The studies these files belong to, or the films in them where they are archives."""

        def work(connection: sqlite3.Connection) -> tuple[StudyNode, ...]:
            places = [file.path for file in library_missing.files(connection, paths, 0)]
            return _some_studies(connection, _select_in(connection, _REFS_BY_PATH, places))

        return self._database.read(work)

    # ------------------------------------------------------------ what the reader does with it

    def set_status(self, study_uid: str, status: ReadStatus) -> tuple[StudyNode, ...]:
        """Mark a study as new or read; returns the studies changed, whole."""

        def work(connection: sqlite3.Connection) -> tuple[StudyNode, ...]:
            refs = _select_in(connection, _REFS_BY_UID + " AND status <> ?", (study_uid,), (status.value,))
            connection.execute("UPDATE study SET status = ? WHERE study_uid = ?", (status.value, study_uid))
            return _some_studies(connection, refs)

        return self._database.write(work)

    def remove(self, study_uid: str) -> None:
        """Take a study off the list. Its files stay where they are and come back with the next scan."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM thumbnail WHERE path IN"
                " (SELECT path FROM image JOIN study USING (study_ref) WHERE study_uid = ?)",
                (study_uid,),
            )
            connection.execute("DELETE FROM study WHERE study_uid = ?", (study_uid,))

        self._database.write(work)

    def calibration(self, key: ImageKey, source_sha256: str) -> PixelSpacing | None:
        """The reader's own millimetres for a film, wherever its file lies now; None where there are none."""
        return self._database.read(lambda connection: library_calibration.find(connection, key, source_sha256))

    def save_calibration(self, key: ImageKey, source_sha256: str, spacing: PixelSpacing | None) -> None:
        """Keep the reader's own millimetres for a film; None forgets them."""
        self._database.write(lambda connection: library_calibration.save(connection, key, source_sha256, spacing))

    # ------------------------------------------------------------ files that vanish

    def refresh_missing(self, paths: Sequence[Path] | None = None, limit: int = 20_000) -> tuple[StudyNode, ...]:
        """Look whether files are there, and list them as missing or as back.

        Args:
            paths: files to look at; None looks at those not looked at for longest.
            limit: most files to look at when ``paths`` is None. On a network share that hangs, a look may take long:
                call on a loader thread.

        Returns:
            The studies with a file that vanished or came back, whole.
        """
        known = self._database.read(lambda connection: library_missing.files(connection, paths, limit))
        now = time.time()
        seen = list(zip(known, library_missing.are_missing(known), strict=True))
        changed = {file.path for file, missing in seen if missing != file.was_missing}
        looked_at = [(int(missing), now, file.path) for file, missing in seen]

        def work(connection: sqlite3.Connection) -> tuple[StudyNode, ...]:
            connection.executemany("UPDATE image SET missing = ?, checked_at = ? WHERE path = ?", looked_at)
            return _some_studies(connection, _select_in(connection, _REFS_BY_PATH, sorted(changed)))

        return self._database.write(work) if looked_at else ()

    # ------------------------------------------------------------ thumbnails

    def thumbnail(self, node: ImageNode) -> bytes | None:
        """The kept thumbnail (PNG) of this file and frame; None when there is none or the file has changed since."""
        row = self._database.read(
            lambda connection: connection.execute(
                "SELECT png FROM thumbnail JOIN image USING (path, frame, size_bytes, modified_ns)"
                " WHERE path = ? AND frame = ?",
                (schema.encode_path(node.path, node.member), node.key.frame),
            ).fetchone()
        )
        return bytes(row[0]) if row else None

    def save_thumbnail(self, node: ImageNode, png: bytes) -> None:
        """Keep a thumbnail, unless the file is not the one the list knows. The newest 20,000 are kept."""
        try:
            stat = node.path.stat()
        except OSError:
            return
        place = schema.encode_path(node.path, node.member)
        stamp: tuple[object, ...] = (place, node.key.frame, stat.st_size, stat.st_mtime_ns)
        if node.member:  # its own size is known to the list alone
            stamp = (place, node.key.frame, None, member_stamp_ns(stat.st_size, stat.st_mtime_ns))

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO thumbnail (path, frame, size_bytes, modified_ns, png)"
                " SELECT path, frame, size_bytes, modified_ns, ? FROM image"
                " WHERE path = ? AND frame = ? AND size_bytes = coalesce(?, size_bytes) AND modified_ns = ?",
                (png, *stamp),
            )
            connection.execute(
                "DELETE FROM thumbnail WHERE thumbnail_ref <= (SELECT max(thumbnail_ref) FROM thumbnail) - ?",
                (_THUMBNAILS_KEPT,),
            )

        self._database.write(work)

    # ------------------------------------------------------------ recent

    def recent(self) -> tuple[Path, ...]:
        """Files and folders opened last, newest first."""
        rows = self._database.read(
            lambda connection: connection.execute("SELECT path FROM recent ORDER BY recent_ref DESC").fetchall()
        )
        return tuple(schema.decode_path(row[0]) for row in rows)

    def add_recent(self, path: Path) -> None:
        """Put a file or folder on top of the recent list."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO recent (path) VALUES (?)", (schema.encode_path(path),))
            connection.execute(
                "DELETE FROM recent WHERE recent_ref NOT IN"
                " (SELECT recent_ref FROM recent ORDER BY recent_ref DESC LIMIT ?)",
                (_RECENT_KEPT,),
            )

        self._database.write(work)

    def clear_recent(self) -> None:
        """Empty the recent list."""
        self._database.write(lambda connection: connection.execute("DELETE FROM recent"))


_REFS_BY_UID = "SELECT study_ref FROM study WHERE study_uid IN ({})"
_REFS_BY_PATH = "SELECT DISTINCT study_ref FROM image WHERE path IN ({})"


def _select_in(
    connection: sqlite3.Connection, statement: str, values: Sequence[object], more: tuple[object, ...] = ()
) -> list[int]:
    """First column of ``statement``, whose ``{}`` takes ``values``, in pieces SQLite allows."""
    found: dict[int, None] = {}
    for start in range(0, len(values), _VARIABLES):
        piece = tuple(values[start : start + _VARIABLES])
        rows = connection.execute(statement.format(", ".join("?" * len(piece))), piece + more)
        found.update((row[0], None) for row in rows)
    return list(found)


_SERIES = "SELECT study_ref, series_uid, modality, description, number FROM series"
_IMAGES = f"SELECT study_ref, series_uid, missing, {schema.IMAGE_COLUMNS} FROM image"
_STUDIES = f"SELECT {schema.STUDY_COLUMNS} FROM study"
_NEWEST_FIRST = " ORDER BY date IS NULL, date DESC, time DESC, study_ref DESC"


def _all_studies(connection: sqlite3.Connection) -> tuple[StudyNode, ...]:
    studies = schema.build_studies(
        connection.execute(_STUDIES + _NEWEST_FIRST).fetchall(),
        connection.execute(_SERIES).fetchall(),
        connection.execute(_IMAGES + " ORDER BY image_ref").fetchall(),
    )
    return tuple(study for study in studies if study.series)


def _some_studies(connection: sqlite3.Connection, refs: Sequence[int]) -> tuple[StudyNode, ...]:
    studies: list[tuple[Any, ...]] = []
    series: list[tuple[Any, ...]] = []
    images: list[tuple[Any, ...]] = []
    for start in range(0, len(refs), _VARIABLES):
        piece = refs[start : start + _VARIABLES]
        where = f" WHERE study_ref IN ({', '.join('?' * len(piece))})"
        studies += connection.execute(_STUDIES + where + _NEWEST_FIRST, piece).fetchall()
        series += connection.execute(_SERIES + where, piece).fetchall()
        images += connection.execute(_IMAGES + where + " ORDER BY image_ref", piece).fetchall()
    return schema.build_studies(studies, series, images)


_STUDY_UPSERT = """INSERT INTO study (study_uid, identity, patient_id, patient_name, birth_date, sex, age_years, date,
    time, description, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new')
    ON CONFLICT (study_uid, identity) DO UPDATE SET birth_date = coalesce(excluded.birth_date, birth_date),
    sex = coalesce(nullif(excluded.sex, ''), sex), age_years = coalesce(excluded.age_years, age_years),
    date = coalesce(excluded.date, date), time = coalesce(nullif(excluded.time, ''), time),
    description = coalesce(nullif(excluded.description, ''), description)"""
_STUDY_REF = "SELECT study_ref FROM study WHERE study_uid = ? AND identity = ?"
_SERIES_UPSERT = """INSERT INTO series (study_ref, series_uid, modality, description, number) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (study_ref, series_uid) DO UPDATE SET modality = coalesce(nullif(excluded.modality, ''), modality),
    description = coalesce(nullif(excluded.description, ''), description),
    number = coalesce(excluded.number, number)"""
_COLUMNS = [name.strip() for name in schema.IMAGE_COLUMNS.split(",")]
_IMAGE_UPSERT = f"""INSERT INTO image (study_ref, series_uid, checked_at, {schema.IMAGE_COLUMNS})
    VALUES (?, ?, ?, {", ".join("?" * len(_COLUMNS))}) ON CONFLICT (path, frame) DO UPDATE SET missing = 0,
    {", ".join(f"{name} = excluded.{name}" for name in ("study_ref", "series_uid", "checked_at", *_COLUMNS[2:]))}"""
_KNOWN = f"""SELECT study_uid, identity, series_uid, missing, study_ref, {", ".join("image." + n for n in _COLUMNS)}
    FROM image JOIN study USING (study_ref) WHERE path = ?"""
_SAME_FILM = """SELECT 1 FROM image WHERE study_ref = ? AND series_uid = ? AND sop_uid = ? AND frame = ?
    AND size_bytes = ? LIMIT 1"""


@dataclass(frozen=True, slots=True)
class _Known:
    """A row of ``_KNOWN``."""

    study: tuple[str, str]
    series_uid: str
    missing: bool
    study_ref: int
    image: tuple[Any, ...]

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> _Known:
        return cls(row[:2], row[2], bool(row[3]), row[4], row[5:])


class _Writer:
    """One transaction of ``add``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._touched: dict[int, None] = {}
        self._studies: dict[tuple[Any, ...], tuple[int, tuple[Any, ...]]] = {}
        self._series: dict[tuple[int, str], tuple[Any, ...]] = {}
        self._new: set[int] = set()
        self._now = time.time()

    def add(self, items: Sequence[FoundImage]) -> tuple[StudyNode, ...]:
        for item in items:
            try:
                self._take(schema.study_values(item), schema.series_values(item), schema.image_values(item))
            except schema.UnstorableError:
                _log.warning("an image whose UID is not valid text is not kept in the study list")
        changed = _some_studies(self._connection, list(self._touched))
        self._connection.executemany(
            "DELETE FROM study WHERE study_ref = ? AND study_ref NOT IN (SELECT study_ref FROM image)",
            [(ref,) for ref in self._touched],
        )
        return changed

    def _take(self, study: tuple[Any, ...], series: tuple[Any, ...], image: tuple[Any, ...]) -> None:
        known = [_Known.of(row) for row in self._connection.execute(_KNOWN, image[:1]).fetchall()]
        here = [row for row in known if row.study == study[:2] and row.series_uid == series[0]]
        if any(row.image == image and not row.missing for row in here):
            return
        ref = self._ref_of(study, series)
        if not self._connection.execute(_SAME_FILM, (ref, series[0], image[2], image[1], image[-2])).fetchall():
            # A film nobody has seen yet: a study that was read is new again.
            self._mark_new(ref)
        self._forget_former_content(known, here, image)
        self._connection.execute(_IMAGE_UPSERT, (ref, series[0], self._now, *image))
        self._touched[ref] = None

    def _ref_of(self, study: tuple[Any, ...], series: tuple[Any, ...]) -> int:
        """The row of the study, made if there is none. What the film before has written is not written again."""
        ref, written = self._studies.get(study[:2], (0, ()))
        if written != study:
            self._connection.execute(_STUDY_UPSERT, study)
            (ref,) = self._connection.execute(_STUDY_REF, study[:2]).fetchall()[0]
            self._studies[study[:2]] = (ref, study)
        if self._series.get((ref, series[0])) != series:
            self._connection.execute(_SERIES_UPSERT, (ref, *series))
            self._series[ref, series[0]] = series
        return ref

    def _mark_new(self, ref: int) -> None:
        if ref not in self._new:
            self._connection.execute("UPDATE study SET status = ? WHERE study_ref = ?", (ReadStatus.NEW.value, ref))
            self._new.add(ref)

    def _forget_former_content(self, known: list[_Known], here: list[_Known], image: tuple[Any, ...]) -> None:
        """A path that holds another file now: its former frames go, the studies they were in have changed."""
        for row in known:
            same_file = row in here and row.image[2] == image[2] and row.image[-2:] == image[-2:]
            if not same_file:
                self._connection.execute("DELETE FROM image WHERE path = ? AND frame = ?", row.image[:2])
                self._touched[row.study_ref] = None
