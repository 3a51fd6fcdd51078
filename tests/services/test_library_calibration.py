"""The reader's own millimetres: kept for a film, whatever its file is called, and for no other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cxr_viewer.core.image import ImageKey, PixelSpacing, SpacingSource
from cxr_viewer.services import library_schema as schema
from cxr_viewer.services.database import Database
from cxr_viewer.services.library import Library

KEY = ImageKey("1.2", "1.2.3", "1.2.3.4")
DIGEST, OTHER = "a" * 64, "b" * 64
MEASURED = PixelSpacing(0.143, 0.286, SpacingSource.USER)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "library.db"


def test_it_is_there_again_after_a_restart(file: Path) -> None:
    with closing(Library(file)) as library:
        assert library.calibration(KEY, DIGEST) is None
        library.save_calibration(KEY, DIGEST, MEASURED)
        assert library.calibration(KEY, DIGEST) == MEASURED
    with closing(Library(file)) as library:
        assert library.calibration(KEY, DIGEST) == MEASURED


def test_it_belongs_to_one_frame_of_one_content(file: Path) -> None:
    with closing(Library(file)) as library:
        library.save_calibration(KEY, DIGEST, MEASURED)
        assert library.calibration(KEY, OTHER) is None
        assert library.calibration(replace(KEY, frame=1), DIGEST) is None


def test_the_newest_counts_and_can_be_forgotten(file: Path) -> None:
    newer = PixelSpacing(0.2, 0.2, SpacingSource.USER)
    with closing(Library(file)) as library:
        library.save_calibration(KEY, DIGEST, MEASURED)
        library.save_calibration(KEY, DIGEST, newer)
        assert library.calibration(KEY, DIGEST) == newer
        library.save_calibration(KEY, DIGEST, None)
        library.save_calibration(KEY, DIGEST, None)  # nothing left to forget
        assert library.calibration(KEY, DIGEST) is None


def test_a_file_without_a_digest_is_not_known_again(file: Path) -> None:
    with closing(Library(file)) as library:
        library.save_calibration(KEY, "", MEASURED)
        assert library.calibration(KEY, "") is None


@pytest.mark.parametrize("value", [0.0, -0.1, float("inf"), "much"])
def test_a_stored_measure_that_cannot_be_is_not_used(file: Path, value: object) -> None:
    with closing(Library(file)) as library:
        library.save_calibration(KEY, DIGEST, MEASURED)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE calibration SET row_mm = ?", (value,))
            connection.commit()
        assert library.calibration(KEY, DIGEST) is None


def test_a_list_of_the_first_release_gains_the_table_and_loses_nothing(file: Path) -> None:
    first = Database(file, schema.MIGRATIONS[:1], schema.APPLICATION_ID, "study list")
    first.write(lambda connection: connection.execute("INSERT INTO recent (path) VALUES (?)", (b"/films",)))
    first.close()
    with closing(Library(file)) as library:
        library.save_calibration(KEY, DIGEST, MEASURED)
        assert library.calibration(KEY, DIGEST) == MEASURED
        assert library.recent() == (Path("/films"),)
        assert library.take_notices() == ()
