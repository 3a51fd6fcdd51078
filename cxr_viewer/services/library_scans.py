"""What the study list keeps for scans: files that need not be read again, and folders not looked through to the end."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cxr_viewer import __version__
from cxr_viewer.core.study import FileStamp, ImageNode, KnownFile, PassedOver
from cxr_viewer.services import library_schema as schema

_VARIABLES: Final = 500  # SQLite allows 32,766 and builds before 3.32 only 999
_SKIPPED_KEPT: Final = 500_000

_IMAGES = f"""SELECT study_uid, study_ref, series_uid, missing, {schema.IMAGE_COLUMNS} FROM image JOIN study
    USING (study_ref) WHERE missing = 0 AND path IN ({{}}) ORDER BY image_ref"""
# One archive may have thousands of members that were passed over: each is looked up by itself, in the index.
_SKIPPED = """SELECT path, member, size_bytes, modified_ns, code, summary, hint FROM (VALUES {}) AS wanted
    CROSS JOIN skipped ON path = wanted.column1 AND member = wanted.column2 WHERE program_version = ?"""
_REMEMBER = """INSERT OR REPLACE INTO skipped
    (path, member, size_bytes, modified_ns, code, summary, hint, program_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
_FORGET_OLDEST = "DELETE FROM skipped WHERE skipped_ref <= (SELECT max(skipped_ref) FROM skipped) - ?"


def known(connection: sqlite3.Connection, stamps: Sequence[FileStamp]) -> tuple[KnownFile | None, ...]:
    """What an earlier scan has made of these files, as long as they are the same; None for the others.

    A file that was listed as missing has to be read: it comes back into the list that way. What a former version of the
    program could not read is tried again.
    """
    answers: list[KnownFile | None] = []
    for start in range(0, len(stamps), _VARIABLES):
        piece = stamps[start : start + _VARIABLES]
        images, skipped = _images_at(connection, piece), _skipped_at(connection, piece)
        answers.extend(images.get(_name(stamp)) or skipped.get(_name(stamp)) for stamp in piece)
    return tuple(answers)


def _name(stamp: FileStamp) -> tuple[Path, str]:
    return stamp.path, stamp.member


def _images_at(
    connection: sqlite3.Connection, stamps: Sequence[FileStamp]
) -> dict[tuple[Path, str], tuple[ImageNode, ...]]:
    by_place = {schema.encode_path(stamp.path, stamp.member): stamp for stamp in stamps}
    found: dict[tuple[Path, str], tuple[ImageNode, ...]] = {}
    for study_uid, *row in connection.execute(_IMAGES.format(_marks(by_place)), tuple(by_place)):
        stamp = by_place[row[3]]
        size_bytes, modified_ns = row[-2:]
        if modified_ns == stamp.modified_ns and stamp.size_bytes in (size_bytes, None):
            node = schema.image_node(study_uid, tuple(row))
            found[_name(stamp)] = (*found.get(_name(stamp), ()), node)
    return found


def _skipped_at(connection: sqlite3.Connection, stamps: Sequence[FileStamp]) -> dict[tuple[Path, str], PassedOver]:
    by_place = {(schema.encode_path(stamp.path), stamp.member): stamp for stamp in stamps}
    places = list(by_place)
    found: dict[tuple[Path, str], PassedOver] = {}
    for start in range(0, len(places), _VARIABLES // 2):
        piece = places[start : start + _VARIABLES // 2]
        pairs = ", ".join(["(?, ?)"] * len(piece))
        values = [value for place in piece for value in place]
        for row in connection.execute(_SKIPPED.format(pairs), (*values, __version__)):
            stamp = by_place[row[:2]]
            if row[2:4] == (stamp.size_bytes, stamp.modified_ns):
                found[_name(stamp)] = PassedOver(stamp, row[4], row[5], row[6], lasting=True)
    return found


def _marks(values: Sequence[object] | dict[Any, Any]) -> str:
    return ", ".join("?" * len(values))


def remember(connection: sqlite3.Connection, files: Sequence[PassedOver]) -> None:
    """Keep that these files hold no image as long as they stay as they are; only what lasts is kept."""
    rows = [
        (
            schema.encode_path(file.stamp.path),
            file.stamp.member,
            file.stamp.size_bytes,
            file.stamp.modified_ns,
            file.code,
            file.summary,
            file.hint,
            __version__,
        )
        for file in files
        if file.lasting
    ]
    connection.executemany(_REMEMBER, rows)
    connection.execute(_FORGET_OLDEST, (_SKIPPED_KEPT,))


# ---------------------------------------------------------------- scans that did not end


def begin(connection: sqlite3.Connection, paths: Sequence[Path]) -> None:
    rows = [(schema.encode_path(path), time.time()) for path in paths]
    connection.executemany("INSERT OR REPLACE INTO scan (path, begun_at, cancelled) VALUES (?, ?, 0)", rows)


def cancel(connection: sqlite3.Connection, paths: Sequence[Path]) -> None:
    rows = [(schema.encode_path(path),) for path in paths]
    connection.executemany("UPDATE scan SET cancelled = 1 WHERE path = ?", rows)


def finish(connection: sqlite3.Connection, paths: Sequence[Path]) -> None:
    """These folders were looked through, and with them every folder below."""
    whole = {path.absolute() for path in paths}
    waiting = [schema.decode_path(row[0]) for row in connection.execute("SELECT path FROM scan").fetchall()]
    done = [(schema.encode_path(path),) for path in waiting if whole.intersection((path, *path.parents))]
    connection.executemany("DELETE FROM scan WHERE path = ?", done)


def unfinished(connection: sqlite3.Connection) -> tuple[tuple[Path, bool], ...]:
    """(folder, the reader stopped it himself) of every scan that did not come to its end, the newest first."""
    rows = connection.execute("SELECT path, cancelled FROM scan ORDER BY begun_at DESC").fetchall()
    return tuple((schema.decode_path(path), bool(cancelled)) for path, cancelled in rows)
