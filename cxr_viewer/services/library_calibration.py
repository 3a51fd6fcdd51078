"""Millimetres the reader has measured, kept beside the study list."""

from __future__ import annotations

import math
import sqlite3
import time

from cxr_viewer.core.image import ImageKey, PixelSpacing, SpacingSource

# A film is its content: the digest of the file and the number of the frame. The UIDs lie inside the file and are part
# of the digest with it; the path is not, so that the film may move. Another file with the same UIDs is another film.
_FILM = "source_sha256 = ? AND frame = ?"


def find(connection: sqlite3.Connection, key: ImageKey, source_sha256: str) -> PixelSpacing | None:
    """What the reader measured on this film; None where there is nothing, or nothing that can be believed."""
    row = connection.execute(
        f"SELECT row_mm, column_mm FROM calibration WHERE {_FILM}", (source_sha256, key.frame)
    ).fetchone()
    if row is None or not all(isinstance(value, float) and math.isfinite(value) and value > 0 for value in row):
        return None
    return PixelSpacing(row[0], row[1], SpacingSource.USER)


def save(connection: sqlite3.Connection, key: ImageKey, source_sha256: str, spacing: PixelSpacing | None) -> None:
    """Keep it, or forget it where ``spacing`` is None. Nothing is kept for a film without a digest: it would not be
    known again."""
    if not source_sha256:
        return
    if spacing is None:
        connection.execute(f"DELETE FROM calibration WHERE {_FILM}", (source_sha256, key.frame))
        return
    connection.execute(
        "INSERT OR REPLACE INTO calibration (source_sha256, frame, row_mm, column_mm, saved_at) VALUES (?, ?, ?, ?, ?)",
        (source_sha256, key.frame, float(spacing.row_mm), float(spacing.column_mm), time.time()),
    )
