"""The log holds what happened and not to whom."""

from __future__ import annotations

import datetime as dt
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxr_viewer.core.image import PatientInfo
from cxr_viewer.core.study import FoundImage
from cxr_viewer.services.records import Log, Redactor

PATIENT = PatientInfo("FICT-00-17", "Invented^Ida^Maria", dt.date(1960, 2, 3), "F", 64.0)
_log = logging.getLogger("cxr_viewer.tests")


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.protect([PATIENT])
    return redactor


@pytest.fixture
def log(tmp_path: Path, redactor: Redactor) -> Iterator[Log]:
    log = Log(tmp_path / "log" / "cxr-viewer.log", redactor)
    assert log.start()
    yield log
    log.stop()


def text_of(tmp_path: Path, log: Log) -> str:
    log.stop()
    return (tmp_path / "log" / "cxr-viewer.log").read_text(encoding="utf-8")


# ---------------------------------------------------------------- what is taken out


@pytest.mark.parametrize(
    "line",
    [
        "opened Invented, Ida",
        "opened INVENTED^IDA^MARIA",
        "patient id FICT-00-17 twice",
        "patient id fict 00 17",
        "born 1960-02-03",
        "born 19600203",
        "name=Ida;",
    ],
)
def test_names_ids_and_birth_dates_do_not_pass(redactor: Redactor, line: str) -> None:
    clean = redactor.clean(line).casefold()
    assert "<patient>" in clean
    assert not any(part in clean for part in ("invented", "ida", "maria", "00-17", "00 17", "1960"))


def test_a_word_that_only_holds_a_name_passes(redactor: Redactor) -> None:
    assert redactor.clean("validation of the invention") == "validation of the invention"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("cannot read '/data/Bob Smith/IM 1.dcm': no such file", ".dcm>': no such file"),
        ('File not found: "C:\\Films\\Smith Bob\\a.png"', '.png>"'),
        ("opened /data/Smith_Bob/film.dcm, 12 ms", ".dcm>, 12 ms"),
        ("from \\\\server\\share\\Smith\\film.dcm", "from <path"),
    ],
)
def test_paths_do_not_pass(redactor: Redactor, line: str, kept: str) -> None:
    clean = redactor.clean(line)
    assert kept in clean
    assert "<path " in clean
    assert not any(part in clean for part in ("Smith", "Bob", "data", "Films", "share"))


def test_a_path_that_was_told_does_not_pass_even_with_spaces(redactor: Redactor) -> None:
    redactor.protect_path(Path("/data/Smith Bob"))
    clean = redactor.clean("scanning /data/Smith Bob/first visit/film 1.dcm")
    assert clean.startswith("scanning <path ")
    assert "Smith" not in clean
    assert "visit" not in clean


def test_the_programs_own_files_and_ordinary_slashes_pass(redactor: Redactor) -> None:
    own = f'File "{Path(sys.modules["cxr_viewer"].__file__ or "").parent / "app.py"}", line 3'
    for line in (own, "3/4 done and/or more", "see https://example.org/a/b", "12:30:01 ratio 1/2"):
        assert redactor.clean(line) == line


def test_instance_uids_do_not_pass_but_dicoms_own_do(redactor: Redactor) -> None:
    clean = redactor.clean("image 1.2.826.0.1.3680043.8.498.1 in 1.2.840.10008.1.2.4.90, version 3.11.7")
    assert "3680043" not in clean
    assert "1.2.840.10008.1.2.4.90" in clean
    assert "3.11.7" in clean


def test_the_same_path_has_the_same_tag_in_one_run_and_another_in_the_next() -> None:
    line, first, second = "opened /data/film.dcm", Redactor(), Redactor()
    assert first.clean(line) == first.clean(line)
    assert first.clean(line) != second.clean(line)


def test_no_value_of_the_real_films_passes(found_films: tuple[FoundImage, ...]) -> None:
    redactor = Redactor()
    redactor.protect(found.patient for found in found_films)
    for found in found_films:
        patient, image = found.patient, found.image
        clean = redactor.clean(f"read {image.path} of {patient.name} id {patient.patient_id} uid {image.key.sop_uid}")
        for value in (patient.name, patient.patient_id, image.key.sop_uid, image.path.name, str(image.path.parent)):
            assert len(value) < 3 or value not in clean


@given(st.text(min_size=3).filter(lambda text: sum(letter.isalnum() for letter in text) > 5), st.text())
def test_a_protected_id_never_passes(patient_id: str, around: str) -> None:
    redactor = Redactor()
    redactor.protect([PatientInfo(patient_id)])
    clean = redactor.clean(f"{around} {patient_id} {around}")
    assert f" {patient_id} " not in clean or patient_id in f"{around} <patient> {around}"


# ---------------------------------------------------------------- the file


def test_what_is_logged_reaches_the_file_with_its_traceback_and_without_the_patient(log: Log, tmp_path: Path) -> None:
    _log.info("a film of %s was opened", PATIENT.name)
    try:
        raise ValueError(f"bad date of {PATIENT.patient_id} in '/data/Ida/film.dcm'")
    except ValueError:
        _log.exception("reading failed")
    text = text_of(tmp_path, log)
    assert "a film of <patient>" in text
    assert "reading failed" in text
    assert "ValueError: bad date of <patient> in '<path " in text
    assert not any(part in text for part in ("Invented", "Ida", "FICT"))


def test_a_patient_told_later_is_still_taken_out_of_what_waits(tmp_path: Path) -> None:
    redactor = Redactor()
    log = Log(tmp_path / "log" / "cxr-viewer.log", redactor)
    log.start()
    redactor.protect([PATIENT])
    _log.warning("film of Invented Ida")
    assert "Invented" not in text_of(tmp_path, log)


def test_the_thread_is_called_log_and_ends(log: Log) -> None:
    assert "log" in {thread.name for thread in threading.enumerate()}
    log.stop()
    log.stop()
    assert "log" not in {thread.name for thread in threading.enumerate()}


def test_stopping_leaves_logging_as_it_was(tmp_path: Path, redactor: Redactor) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    log = Log(tmp_path / "cxr-viewer.log", redactor)
    log.start(logging.DEBUG)
    log.stop()
    assert (root.level, root.handlers) == before


def test_a_folder_that_cannot_be_written_costs_the_log_not_the_program(tmp_path: Path, redactor: Redactor) -> None:
    (tmp_path / "log").write_text("in the way")
    log = Log(tmp_path / "log" / "cxr-viewer.log", redactor)
    assert not log.start()
    _log.info("nobody hears this")
    log.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps other rights")
def test_only_the_owner_reads_the_log(log: Log, tmp_path: Path) -> None:
    assert (tmp_path / "log" / "cxr-viewer.log").stat().st_mode & 0o077 == 0
