"""Which files of the study list are there, asked of the file system; never more than one look at an archive."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cxr_viewer.core.study import member_stamp_ns
from cxr_viewer.services import library_schema as schema

_FILES = "SELECT path, max(missing), max(modified_ns) FROM image "
_AT = _FILES + "WHERE path = ? OR (path > ? AND path < ?) GROUP BY path"  # with members, if it is an archive


class File(NamedTuple):
    """A file of the list, or a member of an archive: ``path`` as in the list, ``stamp_ns`` as it was scanned."""

    path: bytes
    was_missing: bool
    stamp_ns: int


def files(connection: sqlite3.Connection, paths: Sequence[Path] | None, limit: int) -> list[File]:
    """The files at ``paths`` with all the members of those that are archives; None for ``limit`` files not looked at
    for longest."""
    if paths is None:
        rows = connection.execute(_FILES + "GROUP BY path ORDER BY min(checked_at) LIMIT ?", (limit,)).fetchall()
    else:
        rows = []
        for path in paths:
            place = schema.encode_path(path)
            rows += connection.execute(_AT, (place, place + b"\0", place + b"\1")).fetchall()
    return [File(path, bool(missing), stamp_ns) for path, missing, stamp_ns in rows]


def are_missing(known: Sequence[File]) -> list[bool]:
    """Whether each of ``known`` is gone; what cannot be found out now stays as it was.

    A member is gone with its archive. It is gone as well when the archive has changed and was scanned again since
    without finding it: then other members carry the archive's new stamp.
    """
    looks: dict[Path, os.stat_result | bool | None] = {}
    for file in known:
        path, _ = schema.decode_place(file.path)
        if path not in looks:
            looks[path] = _look(path)
    scanned_again = {
        place[0]
        for file in known
        if (place := schema.decode_place(file.path))[1] and _stamp(looks[place[0]]) == file.stamp_ns
    }
    return [_is_missing(file, looks, scanned_again) for file in known]


def _is_missing(file: File, looks: dict[Path, os.stat_result | bool | None], scanned_again: set[Path]) -> bool:
    path, member = schema.decode_place(file.path)
    look = looks[path]
    if look is None:
        return file.was_missing
    if look is False:
        return True
    return bool(member) and path in scanned_again and _stamp(look) != file.stamp_ns


def _look(path: Path) -> os.stat_result | bool | None:
    """What the file system says; False where there is no such file, None where it would not say."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None  # a share that does not answer, a folder without permission: nobody knows


def _stamp(look: os.stat_result | bool | None) -> int:
    return member_stamp_ns(look.st_size, look.st_mtime_ns) if isinstance(look, os.stat_result) else -1
